"""What a module defines, read from its text: classes and how they are made, functions, imports, names.

Drafts and checks ask what a module is (a server, a supervisor, data), what it needs, and what its state looks like,
before anything runs. Names are as written: what a base class called `Server` is, only other modules know.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from relup.syntax.annotations import makes_field
from relup.syntax.callbacks import Started, child_specs
from relup.syntax.imports import Import, bindings, blocks, every_statement, imports_of, is_type_checking
from relup.syntax.parsed import tree_of
from relup.syntax.scan import imports_inside
from relup.syntax.uses import Use, dotted, uses_of

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
MAKERS = ("__init__", "__new__", "__post_init__")
CALLBACKS = frozenset({"init", "handle_call", "handle_cast", "handle_info", "terminate", "code_change"})


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function can be called with: so many positional arguments, `most` None for any number."""

    line: int
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Method:
    """A function of a class; of a callback of a process also what it touches of its state, its last parameter."""

    line: int
    keys: frozenset[str] = frozenset()
    """Entries and attributes of its state, as `['name']` or `.name`, and keys of mappings that it makes."""
    names: frozenset[tuple[str, ...]] = frozenset()
    """Every dotted name that it reads."""
    extra: tuple[str, ...] = ()
    """What a `code_change` reads of its parameter `extra`, as written."""
    first: tuple[str, ...] = ()
    """What an `init` returns, as written: the first state."""


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the module, by its qualified name."""

    name: str
    line: int
    bases: tuple[tuple[str, ...], ...]
    """Their dotted names; a base that is computed is empty."""
    decorators: tuple[tuple[str, ...], ...]
    methods: Mapping[str, Method]
    fields: tuple[str, ...]
    """Attributes of its instances: annotated, in `__slots__`, or set on `self` when one is made."""
    kinds: frozenset[tuple[str, ...]] = frozenset()
    """The dotted names in the annotations of its fields."""
    children: tuple[Started, ...] = ()
    """The child specs in it, when it has an `init`."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Outline:
    """What the text of one module says."""

    imports: tuple[Import, ...]
    late: tuple[Import, ...]
    """Imports in functions, which run when those are called."""
    uses: tuple[Use, ...]
    classes: Mapping[str, Class]
    functions: Mapping[str, Signature]
    names: frozenset[str]
    """What it binds at module level; `*` for what a star import or a `__getattr__` may bring."""
    vsn: str | None
    """Its `__vsn__`, where that is a literal."""


def outline(text: bytes) -> Outline | None:
    """Return what *text* says, None when it does not parse."""
    tree = tree_of(text)
    if tree is None:
        return None
    imports, uses = imports_of(tree), uses_of(tree)
    names = frozenset((*_bound(tree.body), *(i.key for i in imports)))
    return Outline(
        imports=imports,
        late=tuple(_late(tree)) if imports_inside(text) else (),
        uses=uses,
        classes=dict(_classes(tree.body, "")),
        functions=dict(_functions(tree.body)),
        names=names | {"*"} if "__getattr__" in names else names,
        vsn=_vsn(tree.body),
    )


def _late(tree: ast.Module) -> Iterator[Import]:
    functions = (s for s in every_statement(tree.body) if isinstance(s, Function))
    inside = (s for f in functions for s in every_statement(f.body) if isinstance(s, ast.Import | ast.ImportFrom))
    yield from dict.fromkeys(b for s in inside for b in bindings(s))


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """Return the names that statements bind where they stand, imports aside."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import() | ast.ImportFrom():
                pass
            case _:
                stores = (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
                yield from (n.id for n in stores)
                for block in blocks(node):
                    yield from _bound(block)


def _functions(body: list[ast.stmt]) -> Iterator[tuple[str, Signature]]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, _signature(node)
            case ast.ClassDef():
                pass
            case _:
                for block in blocks(node):
                    yield from _functions(block)


def _signature(node: Function) -> Signature:
    """Return how it is called; a decorator may change that, so then anything goes."""
    given = node.args
    if node.decorator_list:
        return Signature(node.lineno, 0, None)
    every = len(given.posonlyargs) + len(given.args)
    needed = sum(d is None for d in given.kw_defaults)
    return Signature(node.lineno, every - len(given.defaults) + needed, None if given.vararg else every)


def _vsn(body: list[ast.stmt]) -> str | None:
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__vsn__")], value=ast.Constant(value=value)):
                return str(value)
            case _:
                pass
    return None


# ── classes ────────────────────────────────────────────────────────────────────────────────────────────


def _classes(body: list[ast.stmt], within: str) -> Iterator[tuple[str, Class]]:
    for node in body:
        match node:
            case ast.ClassDef(name=name):
                yield f"{within}{name}", _class(node, within)
                yield from _classes(node.body, f"{within}{name}.")
            case ast.If(test=test) if is_type_checking(test):
                yield from _classes(node.orelse, within)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                pass
            case _:
                for block in blocks(node):
                    yield from _classes(block, within)


def _class(node: ast.ClassDef, within: str) -> Class:
    functions = [n for n in node.body if isinstance(n, Function)]
    return Class(
        name=f"{within}{node.name}",
        line=node.lineno,
        bases=tuple(dotted(b.value if isinstance(b, ast.Subscript) else b) for b in node.bases),
        decorators=tuple(dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list),
        methods={f.name: _method(f) for f in functions},
        fields=tuple(dict.fromkeys(_fields(node, functions))),
        kinds=frozenset(_kinds(node)),
        children=next((child_specs(f) for f in functions if f.name == "init"), ()),
    )


def _method(node: Function) -> Method:
    if node.name not in CALLBACKS:
        return Method(node.lineno)
    parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    changes = node.name == "code_change" and len(parameters) > 2
    state = parameters[-2 if changes else -1] if parameters else ""
    return Method(
        line=node.lineno,
        keys=frozenset(_keys(node, state)),
        names=frozenset(filter(None, map(dotted, ast.walk(node)))),
        extra=tuple(dict.fromkeys(_of(node, parameters[-1]))) if changes else (),
        first=tuple(_returned(node)) if node.name == "init" else (),
    )


def _returned(node: Function) -> Iterator[str]:
    """Yield the expressions that a function returns; of a local name, what it was assigned last."""
    assigned = {
        t.id: n.value for n in ast.walk(node) if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    for part in ast.walk(node):
        if isinstance(part, ast.Return) and part.value is not None:
            value = part.value
            yield ast.unparse(assigned.get(value.id, value) if isinstance(value, ast.Name) else value)


def _keys(node: ast.AST, state: str) -> Iterator[str]:
    yield from _of(node, state)
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            yield from (f"[{k.value!r}]" for k in part.keys if isinstance(k, ast.Constant))


def _of(node: ast.AST, name: str) -> Iterator[str]:
    """Return what is read or written of the parameter *name*, in the order of the text."""
    for part in ast.walk(node):
        match part:
            case ast.Subscript(value=ast.Name(id=found), slice=ast.Constant(value=key)) if found == name:
                yield f"[{key!r}]"
            case ast.Attribute(value=ast.Name(id=found), attr=attribute) if found == name:
                yield f".{attribute}"
            case _:
                pass


def _fields(node: ast.ClassDef, functions: list[Function]) -> Iterator[str]:
    for part in node.body:
        match part:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind) if makes_field(kind):
                yield name
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
                yield from (
                    n.value for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str)
                )
            case _:
                pass
    for function in functions:
        if function.name in MAKERS and function.args.args:
            first = function.args.args[0].arg
            yield from (
                n.attr
                for n in ast.walk(function)
                if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and dotted(n.value) == (first,)
            )


def _kinds(node: ast.ClassDef) -> Iterator[tuple[str, ...]]:
    annotations = [n.annotation for n in node.body if isinstance(n, ast.AnnAssign)]
    yield from filter(None, (dotted(part) for a in annotations for part in ast.walk(a)))
