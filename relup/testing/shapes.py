"""What values look like, without what they are: the quick way to tell boundaries apart, and one that may be wrong.

A text that stands for itself, or at the head of a tuple, is a tag and counts as it is: `("deposit", "ada", 5)` looks
like `("deposit", "bob", 7)`. Of other values the kinds count, and of containers the kinds of things in them.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import Any

from relup.targets.python.reach import ATOMS, parts

DEEPEST = 5


def shape(value: Any, deep: int = 0) -> Hashable:
    """Return what equals the shape of every value that looks alike."""
    kind = type(value)
    if value is None or isinstance(value, bool | Enum) or (kind is str and deep == 0):
        return repr(value)
    if kind in ATOMS or deep == DEEPEST:
        return kind.__qualname__
    match value:
        case tuple() if kind is tuple:
            head = value[:1] if value and type(value[0]) is str else ()
            return "tuple", head, *(shape(part, deep + 1) for part in value[len(head) :])
        case dict():
            return kind.__qualname__, frozenset(
                (shape(k, deep + 1), shape(v, deep + 1)) for k, v in list(dict.items(value))
            )
        case list() | set() | frozenset():
            return kind.__qualname__, frozenset(shape(part, deep + 1) for part in list(value))
    return kind.__qualname__, tuple((path, shape(part, deep + 1)) for path, part in _fields(value))


def _fields(value: Any) -> list[tuple[str, Any]]:
    return sorted(((p, v) for p, v in parts(value) if p.startswith(".")), key=lambda part: part[0])
