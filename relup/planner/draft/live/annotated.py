"""What a field may hold by its annotation, whether or not a live value does now.

A list that is empty in every live state may have elements by the time the upgrade comes, and what is None may not be:
of the classes that an annotation names there are instances to expect. Nothing is expected of aliases,
and of what stands in the brackets of the program's own classes: they stay unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from relup.model.code import Code, PythonModule
from relup.model.shapes import Shape, merged
from relup.planner.draft.live.kinds import class_of, kind_of
from relup.planner.resolution import imported, python_module
from relup.syntax.parsed import tree_of
from relup.syntax.uses import dotted

SCALARS = frozenset({"int", "float", "complex", "str", "bytes", "bytearray", "bool"})
ITEMS: Mapping[str, Sequence[str]] = {
    **{n: (n.lower(),) for n in ("list", "List", "set", "Set", "frozenset", "FrozenSet", "tuple", "Tuple")},
    **dict.fromkeys(("deque", "Deque"), ("collections:deque",)),
    **dict.fromkeys(("Sequence", "Collection", "Iterable"), ("list", "tuple")),
    "MutableSequence": ("list",),
    "MutableSet": ("set",),
    "AbstractSet": ("set", "frozenset"),
}
VALUES: Mapping[str, str] = {
    **dict.fromkeys(("dict", "Dict", "Mapping", "MutableMapping"), "dict"),
    **dict.fromkeys(("defaultdict", "DefaultDict"), "collections:defaultdict"),
    "OrderedDict": "collections:OrderedDict",
}
PASSING = frozenset({"Optional", "Union", "Final", "Required", "NotRequired", "ReadOnly"})
_MADE = ("list", "tuple", "set", "frozenset")
MAPPINGS = ("dict", "collections:defaultdict", "collections:OrderedDict")
CONTAINERS = (*_MADE, "collections:deque", *MAPPINGS)
Named: TypeAlias = Callable[[tuple[str, ...]], Iterator[str]]
"""Yields the classes of a release, as `module:Class`, that a name in an annotation stands for."""


def expected(code: Code, module: str, annotation: str) -> tuple[Shape, ...]:
    """Return what values of an annotation in a module may be; nothing where that is unknown. Counts are 0."""
    here = python_module(code, module)
    return merged(_of_text(annotation, lambda names: _classes(code, here, names))) if here else ()


def joined(held: Sequence[Shape], may_be: Sequence[Shape]) -> tuple[Shape, ...]:
    """Return what is live with what may be; of containers only those that are live, where one is."""
    there = {s.type for s in held}
    only = there.intersection(CONTAINERS)
    return merged((*held, *(s for s in may_be if not only or s.type in only or s.type not in CONTAINERS)))


def classes_in(shapes: Sequence[Shape]) -> Iterator[str]:
    """Yield the types of instances in values, those of instances aside."""
    for s in shapes:
        if ":" in s.type and s.type not in CONTAINERS:
            yield s.type
        else:
            yield from classes_in((*s.keys, *s.contents()))


def reached(code: Code, type_: str, of: Callable[[str, str], Sequence[Shape]]) -> set[str]:
    """Return a class with all that its annotations lead to; *of* tells what one in a module says that values may be."""
    found, pending = {type_}, [type_]
    while pending:
        kind = kind_of(code, pending.pop())
        for field in kind.fields.values() if kind else ():
            fresh = {*classes_in(of(kind.module, field.kind))} - found if kind else set()
            found |= fresh
            pending += sorted(fresh)
    return found


def _classes(code: Code, here: PythonModule, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the class that is named, and those of its module that derive from it: it may be abstract."""
    type_ = class_of(code, here, names) or _for_checkers(code, here, names)
    kind = kind_of(code, type_) if type_ else None
    there = python_module(code, kind.module) if kind else None
    if kind and there and type_ and type_.endswith(f":{names[-1]}") and kind.style != "typeddict":
        yield type_
        derived = (kind_of(code, f"{kind.module}:{name}") for name in there.outline.classes)
        yield from (f"{d.module}:{d.name}" for d in derived if d and d.name != kind.name and type_ in d.bases)


def _for_checkers(code: Code, here: PythonModule, names: tuple[str, ...]) -> str | None:
    """Return the class of a name that is imported where only type checkers look."""
    entry = next((e for e in here.outline.imports if e.key == names[0] and e.typing_only), None)
    step = imported(code, here.name, entry, names[1:]) if entry else None
    there = python_module(code, step.module) if step else None
    return class_of(code, there, step.names) if step and there else None


def _of_text(annotation: str, named: Named) -> Iterator[Shape]:
    tree = tree_of(annotation)
    if tree and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
        yield from _of(tree.body[0].value, named)


def _of(node: ast.expr, named: Named) -> Iterator[Shape]:
    match node:
        case ast.Constant(value=None):
            yield Shape("NoneType", 0, 0)
        case ast.Constant(value=str(text)):
            yield from _of_text(text, named)
        case ast.BinOp(left=left, right=right):
            yield from _of(left, named)
            yield from _of(right, named)
        case ast.Subscript(value=value, slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            yield from _of_generic("".join(dotted(value)[-1:]), parts, named)
        case ast.Name() | ast.Attribute():
            yield from _of_name(dotted(node), named)
        case _:
            pass


def _of_name(names: tuple[str, ...], named: Named) -> Iterator[Shape]:
    name = names[-1] if names else ""
    if name in SCALARS:
        yield Shape(name, 0, 0)
    elif name in ITEMS or name in VALUES:
        yield from (Shape(type_, 0, 0) for type_ in ITEMS.get(name) or (VALUES[name],))
    elif names:
        yield from (Shape(type_, 0, 0) for type_ in named(names))


def _of_generic(name: str, parts: Sequence[ast.expr], named: Named) -> Iterator[Shape]:
    if name in PASSING or name == "Annotated":
        for part in parts[:1] if name == "Annotated" else parts:
            yield from _of(part, named)
        if name == "Optional":
            yield Shape("NoneType", 0, 0)
    elif name in VALUES and len(parts) == 2:
        keys = tuple(s for s in _of(parts[0], named) if ":" in s.type)
        yield Shape(VALUES[name], 0, 0, items=merged(_of(parts[1], named)), keys=keys)
    elif name in ITEMS:
        items = merged(s for part in parts for s in _of(part, named))
        yield from (Shape(type_, 0, 0, items=items) for type_ in ITEMS[name])


# ── containers that become others ──────────────────────────────────────────────────────────────────────


def recast(held: Sequence[Shape], annotation: str) -> tuple[str, tuple[Shape, ...]] | None:
    """Return the one built-in container that an annotation wants, and *held* as if they were that.

    None where the annotation wants anything else, or some of *held* contain no elements, or have keys.
    """
    wanted = {s.type for s in _of_text(annotation, lambda names: iter(())) if s.type != "NoneType"}
    there = [s for s in held if s.type != "NoneType"]
    if len(wanted) != 1 or not wanted <= {*_MADE} or not there:
        return None
    if not all(s.type in (*_MADE, "collections:deque") for s in there):
        return None
    (type_,) = wanted
    none = (s for s in held if s.type == "NoneType")
    made = merged(Shape(type_, s.count, s.filled, s.looked, s.fields, s.items, s.keys) for s in there)
    return type_, (*made, *none)
