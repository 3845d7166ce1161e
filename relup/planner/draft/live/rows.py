"""Mappings that become instances, as the rows of a list do: by an annotation of a class that has such fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from relup.model.draft import TODO
from relup.model.shapes import Shape, merged
from relup.planner.draft.live.annotated import CONTAINERS, ITEMS, MAPPINGS, PASSING, VALUES
from relup.planner.draft.live.fields import Given, presence
from relup.planner.draft.live.fitting import Resolve
from relup.planner.draft.live.kinds import Kind
from relup.syntax.parsed import tree_of
from relup.syntax.records import Field
from relup.syntax.uses import dotted

ROW = "dict:"
"""How the type of a mapping begins that is an instance in the newer release; that of the instance follows."""


def rows(annotation: str, held: Sequence[Shape], resolve: Resolve) -> Sequence[Shape]:
    """Return *held* with the mappings in it that an annotation of the newer release has as instances."""
    tree = tree_of(annotation)
    if tree and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
        return _of(tree.body[0].value, held, resolve)
    return held


def _of(node: ast.expr, held: Sequence[Shape], resolve: Resolve) -> Sequence[Shape]:
    match node:
        case ast.Constant(value=str(text)):
            return rows(text, held, resolve)
        case ast.BinOp(left=left, right=right):
            return _of(right, _of(left, held, resolve), resolve)
        case ast.Subscript(value=value, slice=inner):
            name, parts = "".join(dotted(value)[-1:]), inner.elts if isinstance(inner, ast.Tuple) else [inner]
            passing = name in PASSING or name == "Annotated"
            for part in parts[-1:] if name in VALUES else parts:
                held = _of(part, held, resolve) if passing else [_inside(part, name, s, resolve) for s in held]
            return held
        case ast.Name() | ast.Attribute():
            return _as_instances(held, resolve(dotted(node)))
        case _:
            return held


def _inside(part: ast.expr, name: str, shape: Shape, resolve: Resolve) -> Shape:
    """Return a container with what it contains seen as *part* says, if it is of the kind of *name*."""
    names = VALUES if shape.type in MAPPINGS else ITEMS if shape.type in CONTAINERS else ()
    if name not in names:
        return shape
    there = shape.contents()
    inside = merged(_of(part, there, resolve))
    return shape if inside == there else replace(shape, items=inside, fields={})


def _as_instances(held: Sequence[Shape], kind: Kind | None) -> Sequence[Shape]:
    if kind is None or kind.style == "typeddict" or kind.enum or not any(is_row(s, kind) for s in held):
        return held
    live = (s for s in held if s.count or s.type not in ("dict", kind.type))  # others are awaited, and are such rows
    return [replace(s, type=f"{ROW}{kind.type}") if is_row(s, kind) else s for s in live]


def is_row(shape: Shape, kind: Kind) -> bool:
    """Say whether mappings have fields of a class."""
    return shape.type == "dict" and not kind.fields.keys().isdisjoint(shape.fields)


def whole_rows(shape: Shape, kind: Kind) -> Shape:
    """Return mappings with those that are inside of them, where a class holds instances of itself."""
    inside = _rows_inside(shape, kind) if any(kind.name in f.kind for f in kind.fields.values()) else ()
    (found,) = merged((shape, *(replace(s, type=shape.type) for s in inside)))
    return found


def _rows_inside(shape: Shape, kind: Kind) -> Iterator[Shape]:
    for part in shape.contents():
        if is_row(part, kind):
            yield part
        yield from _rows_inside(part, kind)


def partly(shape: Shape, kind: Kind, given: Sequence[Given], reads: Mapping[str, str], var: str) -> Iterator[Given]:
    """Yield what is *given* to an instance that is made of a mapping, and what it begins with where an entry lacks."""
    found = {g.name: g for g in given}
    for name, field in kind.fields.items():
        g = found.pop(name, None)
        if name not in shape.fields or presence(shape.fields[name])[0] >= shape.looked:
            yield from (g,) if g else ()
        elif not (g and g.value == TODO):
            yield _where_it_is(field, g or Given(name, reads[name]), var)
        else:
            yield g
    yield from found.values()


def _where_it_is(field: Field, given: Given, var: str) -> Given:
    value = f"({given.value})" if " if " in given.value else given.value
    asked = "" if field.default else f"{TODO}: not all live ones have {field.name}: what is its value in the others?"
    said = given.said or asked
    return Given(field.name, f"{value} if {field.name!r} in {var} else {field.default or TODO}", said)
