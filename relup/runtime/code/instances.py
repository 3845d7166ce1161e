"""Find the live instances of a class, wherever they are, and say why some can never become another class's.

Every instance of a class that Python code defines is known to the garbage collector, and refers to its class.
`gc.get_referrers` of the class would find them all in one pass, which takes 20 ms for a million objects that lie well
and a second for those that do not: too long while processes stand still. So the heap is read before, outside the
window; what exists by then is set aside with `gc.freeze`, which costs nothing, and the pass in the window sees only
what was born since.

Where a program has frozen its heap itself, it is thawed to be read, and frozen again: a little more of it than before.

An instance that is a key and has a hash of its own may have another one afterwards. So the dictionaries and sets that
have such keys are found as well.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Collection
from enum import Enum
from sys import getrefcount
from types import BuiltinFunctionType, ModuleType
from typing import Any

from relup.runtime.migrate import slots_of

CHUNK = 20_000
LITTLE = 1_000
"""CPython 3.12 itself freezes a few hundred objects at its start; a program freezes more."""
_FIXED = (tuple, str, bytes, int, float, complex, frozenset)
"""Types whose instances are what they contain, once and for all."""


class Census:
    """The instances of some classes: those that were there when it was taken, and those born since."""

    def __init__(self, classes: Collection[type]) -> None:
        self._classes = frozenset(classes)
        self._hashed = frozenset(c for c in classes if hashed(c))
        self._keyed: list[Any] = []
        self._heap: list[Any] = []
        self._known: list[Any] = []
        self._thaws = False
        self._open = False

    def begin(self) -> None:
        """Set aside everything that exists; to be called in the thread of the loop."""
        frozen = gc.get_freeze_count()
        if frozen:
            gc.unfreeze()
        self._heap = gc.get_objects()
        gc.freeze()
        self._thaws, self._open = frozen < LITTLE, True

    def look(self) -> None:
        """Find the instances among it; in a worker thread the loop goes on meanwhile."""
        for start in range(0, len(self._heap), CHUNK):
            chunk = self._heap[start : start + CHUNK]
            self._known += [o for o in chunk if type(o) in self._classes]
            if self._hashed:
                self._keyed += [o for o in chunk if self._has_keys(o)]

    def settle(self) -> None:
        """Let go of all else, in the thread of the loop: some of it may have been waiting for nothing but that."""
        self._heap = []

    def find(self, classes: Collection[type]) -> dict[type, list[Any]]:
        """Return the instances that each of *classes* has now, which were among those given; one list for each."""
        found: dict[type, list[Any]] = {cls: [] for cls in classes}
        only_here = next(getrefcount(o) for o in [object()])
        old = [o for o in self._known if type(o) in found and getrefcount(o) > only_here]
        young = [o for o in gc.get_referrers(*found) if type(o) in found] if found else []
        if young:
            known = set(map(id, self._known))
            old += [o for o in young if id(o) not in known]
            self._known += [o for o in young if id(o) not in known]
        for instance in old:
            found[type(instance)].append(instance)
        return found

    def keyed(self) -> list[Any]:
        """Return the dictionaries and sets that have keys of these classes with a hash of their own."""
        if not self._hashed:
            return []
        known = set(map(id, self._keyed))
        self._keyed += [o for o in gc.get_objects() if id(o) not in known and self._has_keys(o)]
        return self._keyed

    def _has_keys(self, holder: Any) -> bool:
        """Look at keys as C code sees them: no method of the program runs, and nobody can change them meanwhile."""
        kind = type(holder)
        if issubclass(kind, dict):
            return not self._hashed.isdisjoint(map(type, dict.__iter__(holder)))
        if issubclass(kind, set | frozenset):
            base: Any = base_of(kind)
            return not self._hashed.isdisjoint(map(type, base.__iter__(holder)))
        return False

    def close(self) -> None:
        """Give the collector back what was set aside."""
        if self._open and self._thaws:
            gc.unfreeze()
        self._open = False
        self._heap, self._known, self._keyed = [], [], []


def base_of(kind: type) -> type:
    """Return the type written in C that a class of dictionaries or sets extends, whose methods say what is there."""
    return next(base for base in (OrderedDict, dict, set, frozenset) if issubclass(kind, base))


def hashed(cls: type) -> bool:
    """Say whether instances have a hash that is not their identity's."""
    own: Any = cls.__hash__
    return own is not None and own is not object.__hash__


def obstacle(old: type, new: type) -> str | None:
    """Say why no instance of *old* can become one of *new* in place; None when nothing is known against it."""
    if issubclass(old, Enum):
        return "members of an enum are made by their class, once: what holds one needs New[old.name] instead"
    if issubclass(old, type | ModuleType):
        return "its instances are classes or modules"
    if fixed := next((t for t in _FIXED if issubclass(old, t) or issubclass(new, t)), None):
        return f"what a {fixed.__name__} holds can never be changed in place"
    return _layout(old, new) or _refused(old, new)


def _layout(old: type, new: type) -> str | None:
    before, after = sorted(slots_of(old)), sorted(slots_of(new))
    if before != after:
        return f"its slots were {', '.join(before) or 'none'} and are {', '.join(after) or 'none'}"
    if bool(old.__dictoffset__) != bool(new.__dictoffset__):
        return f"it {'has no __dict__ any more' if old.__dictoffset__ else 'had no __dict__ and has one now'}"
    return None


def _refused(old: type, new: type) -> str | None:
    """Try it with an instance that nothing has been done to; not where its end would run code."""
    if hasattr(old, "__del__") or hasattr(new, "__del__"):
        return None
    make: Any = next(b.__new__ for b in old.__mro__ if isinstance(vars(b).get("__new__"), BuiltinFunctionType))
    try:
        probe = make(old)
    except TypeError:
        return None  # abstract, or made by C code that wants arguments
    try:
        object.__setattr__(probe, "__class__", new)
    except TypeError as error:
        return f"Python refuses it: {error}"
    return None
