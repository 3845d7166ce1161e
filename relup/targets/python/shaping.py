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

from relup.runtime.migrate import dict_of, slots_of
from relup.targets.python.reach import ATOMS, WORLD

WIDTH = 50
"""Elements that are looked at in each container."""
PARTS = 2_000
"""Parts that are looked at in each state."""
AGAIN = 3
"""How deep containers are looked into where they are met again: what is in them is there, too."""
_CONTAINERS = (dict, list, tuple, deque, set, frozenset)
_TEXTS = (str, bytes, bytearray)


@dataclass(slots=True)
class Tally:
    """The values of one type in one place."""

    count: int = 0
    filled: int = 0
    looked: int = 0
    shared: int = 0
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
    _cut: bool = False

    def look(self, state: Any, into: Tallies) -> bool:
        """Add a state to *into*, what is nearest to its root first; say whether all of it was looked at."""
        self._cut = False
        whole = self._added(state, into)
        pending, first, left = deque([(state, whole, 0)]), {id(state): whole}, PARTS
        while pending and left > 0:
            value, tally, again = pending.popleft()
            tally.looked += not again
            for part, place in self._parts(value, tally):
                left -= 1
                added = self._added(part, place)
                if type(part) in ATOMS or (type(part) in (tuple, frozenset) and not part):
                    continue
                if id(part) not in first:
                    first[id(part)] = added
                    pending.append((part, added, 0))
                    continue
                first[id(part)].shared += 1
                added.shared += 1
                if again < AGAIN and type(part) in _CONTAINERS:
                    pending.append((part, added, again + 1))
        return not (self._cut or pending)

    def _added(self, value: Any, into: Tallies) -> Tally:
        kind = type(value)
        tally = into.setdefault(type_of(kind), Tally())
        tally.count += 1
        tally.filled += _size(value, kind) > 0
        return tally

    def _parts(self, value: Any, tally: Tally) -> Iterator[tuple[Any, Tallies]]:
        """Yield what a value consists of, each with where that is added: to a field, or to what has no name to tell."""
        kind = type(value)
        declared = next((vars(c)["_fields"] for c in kind.__mro__ if "_fields" in vars(c)), ())
        if issubclass(kind, dict):
            yield from self._entries(value, tally)
        elif issubclass(kind, tuple) and declared:
            pairs = zip(declared, tuple.__iter__(value), strict=False)
            yield from ((part, tally.fields.setdefault(name, {})) for name, part in pairs)
        elif base := next((b for b in _CONTAINERS if issubclass(kind, b)), None):
            self._cut |= base.__len__(value) > WIDTH
            yield from ((part, tally.items) for part in islice(base.__iter__(value), WIDTH))
        if kind.__module__ not in self.own:
            return
        if issubclass(kind, Enum):
            names = str(vars(value).get("_name_")).split("|")  # of flags there may be several
            tally.fields |= {name: {} for name in names if name in self.names}
        elif not issubclass(kind, WORLD):
            for name, part in self._attributes(value, kind):
                yield part, tally.items if name is None else tally.fields.setdefault(name, {})

    def _entries(self, value: dict[Any, Any], tally: Tally) -> Iterator[tuple[Any, Tallies]]:
        """Yield the entries of a mapping: all that have names, and some of the others, with their keys."""
        others = 0
        for key, part in islice(dict.items(value), PARTS):
            if type(key) is str and key in self.names:
                yield part, tally.fields.setdefault(key, {})
            elif (others := others + 1) <= WIDTH:
                yield part, tally.items
                if type(key) not in ATOMS:
                    yield key, tally.keys
        self._cut |= others > WIDTH or dict.__len__(value) > PARTS

    def _attributes(self, value: Any, kind: type) -> Iterator[tuple[str | None, Any]]:
        declared = frozenset(n for c in kind.__mro__ for n in vars(c).get("__annotations__", ()))
        private = [f"_{c.__name__.lstrip('_')}__" for c in kind.__mro__]
        reader = dict_of(kind)
        for name, part in islice(reader.__get__(value, kind).items() if reader else (), PARTS):
            written = next((f"__{name[len(p) :]}" for p in private if name.startswith(p)), name)
            yield name if name in declared or written in self.names else None, part
        for name in dict.fromkeys(slots_of(kind)):
            try:
                yield name, object.__getattribute__(value, name)
            except AttributeError:  # a slot that was never set
                continue


def _size(value: Any, kind: type) -> int:
    """Return how much a value contains: nothing when it is None or empty, 1 for what contains nothing."""
    base = next((b for b in (*_CONTAINERS, *_TEXTS) if issubclass(kind, b)), None)
    return int(value is not None) if base is None else base.__len__(value)
