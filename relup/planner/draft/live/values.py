"""Expressions that turn live values into those of the other release, and the functions that these need.

What holds no instance of a class that is loaded anew stays as it is. An instance becomes one of the class of the same
name by `migrate`, which knows about fields that come with a default and fields that go; what it cannot know is `TODO`,
a name that nothing defines: a draft that somebody pastes without an answer fails, and is rolled back.

What is at several places of a live state is made once, so that it is one there again, and so is what may lead back
to itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

from relup.model.code import Code, PythonModule
from relup.model.draft import TODO
from relup.model.shapes import Shape, merged, type_label
from relup.planner.draft.live.annotated import expected, reached
from relup.planner.draft.live.comparing import Comparison, compared
from relup.planner.draft.live.containers import contained, derived, keys_of, made_like
from relup.planner.draft.live.fields import Finding, Given, Had, had, lines, sole_type
from relup.planner.draft.live.fitting import Resolve
from relup.planner.draft.live.heirs import whether
from relup.planner.draft.live.kinds import Kind, called_there, class_of, kind_of
from relup.planner.draft.live.making import call, circular, remembered, returning
from relup.planner.draft.live.members import asking, by_name, missing, told, vanished
from relup.planner.draft.live.rows import ROW, partly, rows, whole_rows
from relup.planner.draft.scene import Scene
from relup.planner.resolution import python_module
from relup.syntax.records import Field

_MIGRATED = ("dataclass", "attrs", "tuple")
"""The styles whose defaults `migrate` knows."""


@dataclass(slots=True)
class Writer:
    """The text of one direction."""

    scene: Scene
    here: PythonModule
    """The newer release's module that the text is for."""
    way: Literal["up", "down"]
    imports: dict[str, None] = field(default_factory=dict)
    """What the module lacks."""
    helpers: dict[str, list[str]] = field(default_factory=dict)
    """Functions for classes whose instances are found inside of states, by type."""
    findings: dict[Finding, None] = field(default_factory=dict)
    lacking: dict[str, None] = field(default_factory=dict)
    """Questions about classes that the other release has not."""
    instances: Mapping[str, Shape] = field(default_factory=dict)
    """What is live of each type, at all places inside of states."""
    states: Sequence[Shape] = ()
    """The states themselves."""
    heirs: Mapping[str, Kind] = field(default_factory=dict)
    """What live classes that went may be now."""
    retyped: frozenset[str] = frozenset()
    """Fields whose type the other direction asked about."""
    grows: bool = False
    """Whether all that can be filled later is known before it is: tuples with names may lead back to themselves."""
    _depth: int = 0
    _circular: set[str] = field(default_factory=set)
    """Classes whose instances may lead back to themselves."""
    _holding: dict[str, bool] = field(default_factory=dict)
    """What was found of classes that stay."""
    _rows: dict[str, Shape] = field(default_factory=dict)
    """Mappings that become instances, by the key of their function."""

    def entangled(self) -> bool:
        """Say whether live tuples with names may lead back to themselves, through what is filled later."""
        tuples = (k for t in self._circular if (k := self.newer(t)) and k.style == "tuple")
        return any(tuples) and any(s.shared for s in (*self.instances.values(), *self.states))

    # ── values ─────────────────────────────────────────────────────────────────────────────────────────

    def value(self, held: Sequence[Shape], var: str) -> str | None:
        """Return an expression for what *var* holds; None when it stays as it is."""
        pairs = [(s, self._one(s, var) if self._concerned([s]) else None) for s in held]
        made = [(s, text) for s, text in pairs if text is not None]
        rest = [s for s, text in pairs if text is None]
        if len(made) == 1 and all(s.type == "NoneType" for s in rest):
            return f"None if {var} is None else {made[0][1]}" if rest else made[0][1]
        chain = "".join(f"{text} if {self.test(shape, var)} else " for shape, text in made)
        return f"{chain}{var}" if made else None

    def _concerned(self, held: Sequence[Shape]) -> bool:
        """Say whether there are instances of classes that are loaded anew, at any depth."""
        pending, seen = [*held], set[str]()
        while pending:
            shape = pending.pop()
            own = shape.type.startswith(ROW) or shape.type.rpartition(":")[0] in self.scene.loaded
            if own or self._may_hold(shape.type):
                return True
            if ":" not in shape.type or shape.type not in seen:
                seen.add(shape.type)
                whole = self.everywhere(shape) if ":" in shape.type else shape
                pending += (*whole.keys, *whole.contents(), *shape.keys, *shape.contents())
        return False

    def _may_hold(self, type_: str) -> bool:
        """Say whether the annotations of a class that stays lead to one that is loaded anew."""
        if type_ not in self._holding:
            found = reached(self._left, type_, self._expected)
            self._holding[type_] = any(t.rpartition(":")[0] in self.scene.loaded for t in found)
        return self._holding[type_]

    @property
    def _left(self) -> Code:
        return self.scene.old if self.way == "up" else self.scene.new

    def _expected(self, module: str, annotation: str) -> tuple[Shape, ...]:
        found = expected(self._left, module, annotation) if annotation else ()
        return tuple(map(self._by_former_name, found)) if self.heirs else found

    def _by_former_name(self, shape: Shape) -> Shape:
        """Return a shape with the types that its instances have in the older release."""
        former = next((t for t, kind in self.heirs.items() if kind.type == shape.type), shape.type)
        items, keys = (tuple(map(self._by_former_name, part)) for part in (shape.items, shape.keys))
        return replace(shape, type=former, items=items, keys=keys)

    def test(self, shape: Shape, var: str) -> str:
        """Return an expression that says whether *var* is of a type."""
        label = type_label(shape.type)
        if shape.type == "NoneType":
            return f"{var} is None"
        if shape.type.startswith(ROW) and self.way == "up":
            return f"type({var}) is dict"
        if ":" not in shape.type:
            return f"type({var}) is {label}"
        kind = self.newer(shape.type)
        if kind is None or (self.way == "up" and shape.type in self.heirs):
            return f'type({var}).__qualname__ == "{label}"'
        return f"type({var}) is {self.name(kind, 'up' if self.way == 'down' else 'down')}"

    def newer(self, type_: str) -> Kind | None:
        """Return what a class is, or may be, in the newer release."""
        return kind_of(self.scene.new, type_.removeprefix(ROW)) or self.heirs.get(type_)

    def made(self, type_: str) -> str:
        """Return the class whose instances this direction makes of those of a type."""
        kind = self.newer(type_) if self.way == "up" else kind_of(self.scene.new, type_)
        if kind:
            return self.name(kind, self.way)
        module, _, name = type_.rpartition(":")
        return f"counterpart(type(self), {name if module == self.here.name else type_!r})"

    def name(self, kind: Kind, of: Literal["up", "down"]) -> str:
        """Return what a class is called here: that of the newer release (`up`), or its counterpart in the older."""
        name, import_ = called_there(self.scene.new, self.here, kind)
        if import_:
            self.imports[import_] = None
        return name if of == "up" or kind.module not in self.scene.loaded else f"counterpart({name})"

    def _one(self, shape: Shape, var: str) -> str | None:
        if shape.type.startswith(ROW) and (kind := self.newer(shape.type)):
            return self._row(shape, kind, var)
        if ":" in shape.type and (made := self._instance(shape, var)) is not None:
            return made
        return self._container(shape, var)

    def _container(self, shape: Shape, var: str, start: str = "") -> str | None:
        self._depth += 1
        element = f"item{self._depth}" if self._depth > 1 else "item"
        text, key = self.value(shape.contents(), element), self.value(keys_of(shape), "key")
        self._depth -= 1
        if text is None and key is None:
            return None
        factory, begun = self._factory(shape, var), start if self.grows else None
        made = contained(shape.type, var, element, text, key, factory=factory, start=begun)
        if made is None:
            label = type_label(shape.type)
            self.ask(Finding(label, f"a {label} holds instances of classes that are loaded anew", asks=True))
            made = f"{TODO}({var})"
        return f"once({var}, lambda: {made})" if shape.shared and not made.startswith("grown(") else made

    def _factory(self, shape: Shape, var: str) -> str:
        """Return what makes the missing values of a `defaultdict`, which may be a class of what it holds."""
        own = any(s.type.rpartition(":")[0] in self.scene.loaded for s in shape.contents())
        return f"factory({var})" if own else f"{var}.default_factory"

    # ── instances ──────────────────────────────────────────────────────────────────────────────────────

    def _instance(self, shape: Shape, var: str) -> str | None:
        """Return what makes an instance of the other release; None for what is no class of the release's own."""
        if not any(python_module(code, shape.type.rpartition(":")[0]) for code in (self.scene.old, self.scene.new)):
            return None
        inside = self.instances.get(shape.type, shape)
        shape, kind = self.everywhere(shape), self.newer(shape.type)
        label = type_label(shape.type)
        if kind is None or kind_of(self.scene.old, shape.type) is None:
            vsn = self.scene.after.vsn if self.way == "up" else self.scene.before.vsn
            return self._unknown(label, f"{label} is not in {vsn}: what becomes of it?", var)
        if shape.type in self.helpers:
            if not self.helpers[shape.type]:
                self._circular.add(shape.type)
            return f"{self._helper(shape.type)}({var})"
        if kind.enum:
            return self._member(shape, kind, var)
        if kind.module in self.scene.loaded and inside.count:
            times = f"{inside.count} times" if inside.count > 1 else "once"
            again = ", and is made once where it is at several places" if shape.shared else ""
            self.ask(Finding(label, f"states lead {times} to {label} of {kind.module}, which is loaded anew{again}"))
        return self._filled(shape, kind, var) if kind.contains else self._made(shape, kind, var)

    def _unknown(self, name: str, words: str, var: str) -> str:
        self.lacking[words] = None
        self.ask(Finding(name, words, asks=True))
        return f"{TODO}({var})"

    def _filled(self, shape: Shape, kind: Kind, var: str) -> str:
        """Return what makes an instance of a class that derives from a container."""
        if kind.fields or kind.begins:
            own = "fields" if kind.fields else "an __init__"
            words = f"{kind.name} is a {kind.contains} with {own} of its own: how is one made of the other?"
            return self._unknown(kind.name, words, var)
        cls, factory = self.made(shape.type), self._factory(shape, var)
        plain = replace(shape, type=made_like(kind.contains), shared=0)
        contents = self._container(plain, var, derived(kind.contains, cls, var, "()", factory=factory))
        if contents and contents.startswith("grown("):
            return contents
        text = derived(kind.contains, cls, var, contents or var, factory=factory)
        return f"once({var}, lambda: {text})" if shape.shared else text

    def everywhere(self, shape: Shape) -> Shape:
        """Return what is live of a type, also as a state; what is given where nothing is."""
        inside = self.instances.get(shape.type)
        return next(iter(merged(s for s in (inside, *self.states) if s and s.type == shape.type)), shape)

    def _member(self, shape: Shape, kind: Kind, var: str) -> str:
        """Return what makes a member of the other release's enum."""
        name, before = self.made(shape.type), kind_of(self.scene.old, shape.type) or kind
        gone = vanished(shape, before, kind)
        for finding in told(gone, before, kind, self.scene.after.vsn):
            self.ask(finding)
        lacking = missing(gone, before, kind, self.way)
        asked = self._asked(shape, kind)
        if not lacking and not asked:
            return by_name(kind, name, var)
        up, argument = self.way == "up", self._argument
        of, to, vsn = (before, kind, self.scene.after.vsn) if up else (kind, before, self.scene.before.vsn)
        self.helpers[shape.type] = []
        helper = self._helper(shape.type)
        otherwise = by_name(kind, name, f"{TODO}({argument})" if asked else argument)
        body = (
            asking(lacking, of, to, vsn, argument=argument, otherwise=otherwise) if lacking else [f"return {otherwise}"]
        )
        self.helpers[shape.type] = [f"def {helper}({argument}):", *(f"    {line}" for line in (*asked, *body))]
        return f"{helper}({var})"

    @property
    def _argument(self) -> str:
        return "old" if self.way == "up" else "new"

    def _made(self, shape: Shape, kind: Kind, var: str) -> str:
        depth, self._depth, argument = self._depth, 0, self._argument
        self.helpers[shape.type] = []  # found while it is written by a class that holds itself
        cls, asked = self.made(shape.type), self._asked(shape, kind)
        given = self.given(shape, kind_of(self.scene.old, shape.type), kind, argument)
        left = self.left(shape, kind)
        self._depth = depth
        if not (given or shape.shared or asked or left):
            del self.helpers[shape.type]
            return f"migrate({var}, {cls})"
        helper, first = self._helper(shape.type), (f"{TODO}({argument})" if asked else argument, cls)
        again = self.grows or shape.type in self._circular
        if kind.style != "tuple" and (again or (shape.shared and left)):
            body = [*circular(argument, first, given, left, frozen=kind.frozen)]
        elif shape.shared or self.grows:
            *lines, last = call(f"return once({argument}, lambda: migrate", first, given)
            body = [*lines, f"{last})"]
        else:
            body = returning(first, given, left)
        self.helpers[shape.type] = [f"def {helper}({argument}):", *(f"    {line}" for line in (*asked, *body))]
        return f"{helper}({var})"

    def left(self, shape: Shape, kind: Kind) -> Sequence[str]:
        """Return what takes the attributes off that only the newer class sets, where `migrate` cannot know of them."""
        before = kind_of(self.scene.old, shape.type)
        had = {*shape.fields, *(before.fields if before else ())}
        names = tuple(n for n in kind.fields if n not in had)
        if self.way == "up" or not (kind.open and names):
            return ()
        return [f"for name in {names}:", "    vars(made).pop(name, None)"]

    def _asked(self, shape: Shape, kind: Kind) -> Sequence[str]:
        """Return the question whether a class that went is another one now, or was it; nothing where it stays."""
        if shape.type not in self.heirs:
            return ()
        finding, words = whether(self.scene, shape.type, kind, self.way)
        self.ask(finding)
        return [f"# {TODO}: {words}? then {self._argument}, not {TODO}({self._argument})"]

    def _helper(self, type_: str) -> str:
        label = type_label(type_)
        if any(type_label(t) == label for t in list(self.helpers)[: list(self.helpers).index(type_)]):
            label = type_.replace(":", ".")
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", label).replace(".", "_").lower()
        return f"{'newer' if self.way == 'up' else 'older'}_{snake}"

    def ask(self, finding: Finding) -> None:
        """Note what was found; the way up says it, and the way down need not say it again."""
        if self.way == "up":
            self.findings[finding] = None

    # ── mappings that become instances ─────────────────────────────────────────────────────────────────

    def rows(self, annotation: str, module: str, held: Sequence[Shape]) -> Sequence[Shape]:
        """Return *held* with the mappings that an annotation in a module of the newer release has as instances."""
        return rows(annotation, held, self.resolve(self.scene.new, module))

    def _row(self, shape: Shape, kind: Kind, var: str) -> str:
        """Return what makes an instance of a mapping, or on the way down a mapping of an instance."""
        shape = whole_rows(shape, kind)
        keys = (f"{'dict' * n}:{kind.type}" for n in count(1))
        key = next(k for k in keys if not self.helpers.get(k) or self._rows[k].fields.keys() == shape.fields.keys())
        if key not in self.helpers:
            depth, self._depth, argument = self._depth, 0, self._argument
            self.helpers[key], self._rows[key] = [], shape
            if self.way == "up":
                body = self.instance(shape, kind, argument, argument)
            else:
                body = ["return {", *lines(self.entries(shape, kind, argument)), "}"]
            body = remembered(argument, body) if shape.shared else body
            self._depth = depth
            self.helpers[key] = [f"def {self._helper(key)}({argument}):", *(f"    {line}" for line in body)]
        return f"{self._helper(key)}({var})"

    def instance(self, shape: Shape, kind: Kind, var: str, first: str) -> list[str]:
        """Return the statements that make an instance of a mapping; *first* is what `migrate` is given."""
        reads = {n: f"{var}[{n!r}]" for n in shape.fields}
        has = [Had(n, "", held) for n, held in shape.fields.items()]
        given = self.compared(kind, has, [*kind.fields.values()], reads, shape)
        if shape.items:
            words = f"- what is under keys that neither release names is gone in {self.scene.after.vsn}"
            self.ask(Finding(kind.name, f"{words}: {kind.name} has no field for it", asks=True))
        if kind.open:  # it would take what goes as well
            first = f"{{n: v for n, v in {first}.items() if n in {tuple(kind.fields)}}}"
        return call("return migrate", (first, self.name(kind, "up")), [*partly(shape, kind, given, reads, var)])

    def entries(self, shape: Shape, kind: Kind, var: str) -> list[Given]:
        """Return the entries of the mapping that an instance was."""
        has = [had(f, shape.fields.get(f.name, ())) for f in kind.fields.values()]
        names = [*(n for n in kind.fields if n in shape.fields), *(n for n in shape.fields if n not in kind.fields)]
        wanted = [Field(n, sole_type(shape.fields[n]), None, n) for n in names]
        found = {g.name: g for g in self.compared(None, has, wanted, {n: f"{var}.{n}" for n in kind.fields}, shape)}
        return [found.get(n) or Given(n, f"{var}.{n}") for n in names]

    # ── fields ─────────────────────────────────────────────────────────────────────────────────────────

    def given(self, shape: Shape, before: Kind | None, after: Kind, var: str) -> list[Given]:
        """Return what an instance of the other class is given beside what it takes over."""
        declared = before.fields if before else {}
        live = {n: h for n, h in shape.fields.items() if not declared or n in declared or n in after.fields}
        reads = {n: f"{var}.{n}" for n in (*declared, *live, *after.fields)}
        if self.way == "up":
            has = [Had(n, declared[n].kind if n in declared else "", h) for n, h in live.items()]
            has = has or [had(f) for f in declared.values()]
            return self.compared(after, has, [*after.fields.values()], reads, shape)
        has = [had(f, live.get(f.name, ())) for f in after.fields.values()]
        wanted = [*declared.values()] or [Field(n, "", None, "") for n in live]
        return self.compared(before or after, has, wanted, reads, shape)

    def compared(
        self, kind: Kind | None, had: Sequence[Had], wanted: Sequence[Field], reads: Mapping[str, str], shape: Shape
    ) -> list[Given]:
        """Return what has to be given for the *wanted* fields of a class, or of a mapping, and note what was found."""
        code = self.scene.new if self.way == "up" else self.scene.old
        module = kind.module if kind else self.here.name
        comparison = Comparison(
            way=self.way,
            owner=kind.name if kind else "the state",
            older=self.scene.before.vsn,
            goal=self.scene.after.vsn,
            resolve=self.resolve(code, module),
            value=self.value,
            expected=lambda annotation: self._expected(module, annotation),
            rows=lambda annotation, held: self.rows(annotation, module, held),
            concerned=self._concerned,
            ask=self.ask,
            live=shape.fields,
            retyped=self.retyped,
            defaults=kind is not None and kind.style in _MIGRATED,
        )
        return list(compared(comparison, had, wanted, reads, shape.looked))

    def resolve(self, code: Code, module: str) -> Resolve:
        """Return what finds the classes that names in an annotation of *module* mean."""
        here = python_module(code, module)

        def resolved(names: tuple[str, ...]) -> Kind | None:
            type_ = names[0] if ":" in names[0] else class_of(code, here, names) if here else None
            return (self.newer(type_) if code is self.scene.new else kind_of(code, type_)) if type_ else None

        return resolved
