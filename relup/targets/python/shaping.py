"""One state after the other, added up to what they have in common: types, fields, and how many are empty.

No code of the program runs for that, and no value is kept. Keys of mappings are data as often as they are names
(`{"alice": …}`), so only those are told that whoever asks named first: it has read them in the program's text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any

from relup.runtime.migrate import slots_of
from relup.targets.python.reach import ATOMS, WORLD, dict_of

DEPTH = 8
WIDTH = 50
"""Elements that are looked at in each container."""
PARTS = 2_000
"""Parts that are looked at in each state."""
_CONTAINERS = (dict, list, tuple, deque, set, frozenset)
_TEXTS = (str, bytes, bytearray)


@dataclass(slots=True)
class Tally:
    """The values of one type in one place."""

    count: int = 0
    filled: int = 0
    fields: dict[str, Tallies] = field(default_factory=dict)
    items: Tallies = field(default_factory=dict)
    keys: Tallies = field(default_factory=dict)


Tallies = dict[str, Tally]
"""By type."""


def type_of(kind: type) -> str:
    """Return how a type is called on the wire: `int`, or `module:Class`."""
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}:{name}"


@dataclass(slots=True)
class Looker:
    """The walk over states; it goes into Python's containers, and instances of classes of the *own* modules."""

    own: Collection[str]
    names: Collection[str]
    """Keys and attributes that may be told."""
    _left: int = 0
    _cut: bool = False
    _seen: set[int] = field(default_factory=set)

    def look(self, state: Any, into: Tallies) -> bool:
        """Add a state to *into*; say whether all of it was looked at."""
        self._left, self._cut = PARTS, False
        self._seen.clear()
        self._look(state, into, 0)
        return not self._cut

    def _look(self, value: Any, into: Tallies, depth: int) -> None:
        kind = type(value)
        size = _size(value, kind)
        tally = into.setdefault(type_of(kind), Tally())
        tally.count += 1
        tally.filled += size > 0
        self._left -= 1
        if kind in ATOMS or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if issubclass(kind, dict):
            for key in islice(dict.keys(value), WIDTH):
                if type(key) not in ATOMS:
                    self._look(key, tally.keys, depth + 1)
        self._cut |= size > WIDTH and issubclass(kind, _CONTAINERS)
        for name, part in self._parts(value, kind):
            if self._left <= 0 or depth >= DEPTH:
                self._cut = True
                return
            self._look(part, tally.items if name is None else tally.fields.setdefault(name, {}), depth + 1)

    def _parts(self, value: Any, kind: type) -> Iterator[tuple[str | None, Any]]:
        """Yield what a value consists of, by the name of its field; None for what has no name that may be told."""
        declared = next((vars(c)["_fields"] for c in kind.__mro__ if "_fields" in vars(c)), ())
        if issubclass(kind, dict):
            for key, part in islice(dict.items(value), WIDTH):
                yield key if type(key) is str and key in self.names else None, part
        elif issubclass(kind, tuple) and declared:
            yield from zip(declared, tuple.__iter__(value), strict=False)
        elif base := next((b for b in _CONTAINERS if issubclass(kind, b)), None):
            yield from ((None, part) for part in islice(base.__iter__(value), WIDTH))
        if kind.__module__ in self.own and not issubclass(kind, (*WORLD, Enum)):
            yield from self._attributes(value, kind)

    def _attributes(self, value: Any, kind: type) -> Iterator[tuple[str | None, Any]]:
        declared = frozenset(n for c in kind.__mro__ for n in vars(c).get("__annotations__", ()))
        reader = dict_of(kind)
        for name, part in islice(reader.__get__(value, kind).items() if reader else (), PARTS):
            yield name if name in declared or name in self.names else None, part
        for name in dict.fromkeys(slots_of(kind)):
            try:
                yield name, object.__getattribute__(value, name)
            except AttributeError:  # a slot that was never set
                continue


def _size(value: Any, kind: type) -> int:
    """Return how much a value contains: nothing when it is None or empty, 1 for what contains nothing."""
    base = next((b for b in (*_CONTAINERS, *_TEXTS) if issubclass(kind, b)), None)
    return int(value is not None) if base is None else base.__len__(value)
