"""What live states look like, and nothing of what they hold: names of types and fields, and how often each was seen.

A state may hold passwords, and a draft needs none of them. So what leaves a node is this: of values their type, and
whether they are empty; of mappings the keys that the program's own text names, of all other keys how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shape:
    """The values of one type that were seen in one place."""

    type: str
    """`int`, or `module:Class` of what is not Python's own."""
    count: int
    filled: int
    """How many are neither None nor empty."""
    looked: int = 0
    """How many were looked into: each once, and not all of what is large."""
    fields: Mapping[str, tuple[Shape, ...]] = field(default_factory=dict)
    """What attributes, or entries with keys that the program's text names, hold; counts say how many had them.

    Of an enum the members that are live.
    """
    items: tuple[Shape, ...] = ()
    """What else it contains: elements, and values under other keys."""
    keys: tuple[Shape, ...] = ()
    """Keys of a mapping that are neither numbers nor texts."""
    shared: int = 0
    """How many are at more than one place in their state."""

    def contents(self) -> tuple[Shape, ...]:
        """Return what a container contains, under whatever keys."""
        return merged((*self.items, *(s for held in self.fields.values() for s in held)))


def merged(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    """Return one shape for each type, in the order in which they come."""
    found: dict[str, Shape] = {}
    for one in shapes:
        other = found.get(one.type)
        found[one.type] = _sum(other, one) if other else one
    return tuple(found.values())


def _sum(one: Shape, other: Shape) -> Shape:
    names = dict.fromkeys((*one.fields, *other.fields))
    fields = {n: merged((*one.fields.get(n, ()), *other.fields.get(n, ()))) for n in names}
    items = merged((*one.items, *other.items))
    keys = merged((*one.keys, *other.keys))
    counts = one.count + other.count, one.filled + other.filled, one.looked + other.looked
    return Shape(one.type, *counts, fields, items, keys, one.shared + other.shared)


@dataclass(frozen=True, slots=True)
class Form:
    """States of one type with the same fields."""

    type: str
    names: tuple[str, ...]
    count: int
    example: str
    """A process that has one."""


@dataclass(frozen=True, slots=True)
class LiveStates:
    """The states of the processes of one server class."""

    module: str
    server: str
    processes: int
    looked: int
    """How many states were looked at; of many processes it is a sample."""
    cut: int = 0
    """How many of these are so large that only a part was looked at."""
    busy: int = 0
    """How many stayed inside a callback, and were not looked at."""
    busy_names: tuple[str, ...] = ()
    state: tuple[Shape, ...] = ()
    forms: tuple[Form, ...] = ()
    """The most frequent first."""


def type_label(type_: str) -> str:
    """Return a type's name as people write it."""
    return type_.rpartition(":")[2]
