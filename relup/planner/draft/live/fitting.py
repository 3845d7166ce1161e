"""Whether live values fit an annotation. Where that cannot be told they do: a draft asks about what it knows."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from relup.model.shapes import Shape, type_label
from relup.planner.draft.live.kinds import Kind
from relup.syntax.parsed import tree_of
from relup.syntax.uses import dotted

Resolve: TypeAlias = Callable[[tuple[str, ...]], "Kind | None"]
"""Finds the class of the release that a name in an annotation means."""

_DICTS = ("dict", "defaultdict", "OrderedDict", "Counter")
_ACCEPTED: Mapping[str, Sequence[str]] = {
    "int": ("int", "bool"),
    "float": ("float", "int", "bool"),
    "complex": ("complex", "float", "int", "bool"),
    "None": ("NoneType",),
    "Dict": _DICTS,
    "dict": _DICTS,
    "Mapping": _DICTS,
    "MutableMapping": _DICTS,
    "List": ("list",),
    "Set": ("set",),
    "FrozenSet": ("frozenset",),
    "Tuple": ("tuple",),
    "Sequence": ("list", "tuple", "str", "bytes", "deque", "range"),
    "MutableSequence": ("list", "deque", "bytearray"),
    "DefaultDict": ("defaultdict",),
    "Deque": ("deque",),
    **{n: (n,) for n in ("str", "bytes", "bytearray", "bool", "list", "set", "frozenset", "tuple", "deque")},
    **{n: (n,) for n in _DICTS[1:]},
}
_VALUES = frozenset({"datetime", "date", "time", "timedelta", "Decimal", "Fraction", "UUID", "Path"})
_PASSING = frozenset({"Optional", "Union", "Annotated", "Final", "Required", "NotRequired", "ReadOnly"})


def misfits(held: Sequence[Shape], annotation: str, resolve: Resolve) -> list[str]:
    """Return the types of values that do not fit an annotation, as people write them."""
    tree = tree_of(annotation)
    node = tree.body[0].value if tree and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr) else None
    return [in_words(s) for s in held if node is not None and not _fits(node, s, resolve)]


def astray(held: Sequence[Shape], was: str, of_old: Resolve, now: str, of_new: Resolve) -> bool:
    """Say whether what containers hold fits the older release's annotation, or has none, and not the newer one's.

    Where the older one is wrong about what is live, the newer one may well be.
    """
    full = [s for s in held if s.contents()]
    return not misfits(full, was, of_old) and bool(misfits(full, now, of_new))


def in_words(shape: Shape) -> str:
    """Return a type with what it contains: `list of int`."""
    items = " or ".join(type_label(i.type) for i in shape.items)
    return f"{type_label(shape.type)} of {items}" if items else type_label(shape.type)


def _fits(node: ast.expr, shape: Shape, resolve: Resolve) -> bool:
    match node:
        case ast.Constant(value=None):
            return shape.type == "NoneType"
        case ast.Constant(value=str(text)):
            return not misfits([shape], text, resolve)
        case ast.BinOp(left=left, right=right):
            return _fits(left, shape, resolve) or _fits(right, shape, resolve)
        case ast.Subscript(value=value, slice=inner):
            return _fits_generic(dotted(value)[-1:], value, inner, shape, resolve)
        case ast.Name() | ast.Attribute():
            return _fits_name(dotted(node), shape, resolve)
        case _:
            return True


def _fits_generic(name: tuple[str, ...], value: ast.expr, inner: ast.expr, shape: Shape, resolve: Resolve) -> bool:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name and name[0] == "Literal":
        kinds = {type(p.value).__name__ for p in parts if isinstance(p, ast.Constant)}
        return shape.type in kinds or ":" in shape.type
    if name and name[0] in _PASSING:
        some = parts[:1] if name[0] == "Annotated" else parts
        optional = name[0] == "Optional" and shape.type == "NoneType"
        return optional or any(_fits(p, shape, resolve) for p in some)
    if not _fits(value, shape, resolve):
        return False
    if resolve(dotted(value)):  # what stands in the brackets of the program's own classes is not known
        return True
    if name and name[0] in ("tuple", "Tuple") and not (len(parts) == 2 and _is_ellipsis(parts[1])):
        return True
    if name and name[0] == "Counter":
        return all(_fits(parts[0], key, resolve) for key in shape.keys)
    element = parts[-1] if len(parts) == 2 and not _is_ellipsis(parts[1]) else parts[0]
    return all(_fits(element, item, resolve) for item in shape.contents())


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _fits_name(names: tuple[str, ...], shape: Shape, resolve: Resolve) -> bool:
    name = names[-1] if names else ""
    label = type_label(shape.type)
    if accepted := _ACCEPTED.get(name):
        return label in accepted
    if label == name or name in ("Any", "object"):
        return True
    kind = resolve(names) if names else None
    if kind is None:
        return name not in _VALUES or ":" in shape.type
    same = shape.type == f"{kind.module}:{kind.name}"
    return same or (kind.style == "typeddict" and label == "dict") or _derives(shape, kind, resolve)


def _derives(shape: Shape, kind: Kind, resolve: Resolve) -> bool:
    """Say whether a live class derives from an annotated one, in the newer release; unknown classes may."""
    found = resolve((shape.type,)) if ":" in shape.type else None
    if found is None:
        return ":" in shape.type and shape.type.rpartition(":")[0].partition(".")[0] != kind.module.partition(".")[0]
    return f"{kind.module}:{kind.name}" in found.bases
