"""Who, outside old modules, holds something of theirs.

Counting referrers of old classes and functions finds the old modules themselves, their caches, and garbage. The
question is whether the world still reaches old code other than through the old namespaces. So from each foreign
referrer the search climbs, level by level, until it meets a root (a live module, a frame, a task, a thread) or
finds that only old modules and the code server's own books lead there. What nothing at all refers to is held by a
running function or by C code, and counts.

`gc.get_referrers` is fast for a few objects, but compares every edge of the heap with each of them and holds the
interpreter meanwhile; for more, the heap is read in chunks, so that in a worker thread a loop goes on.
Modules are asked for their dict alone: `_asyncio` of CPython 3.12 shows the collector its list of freed objects, and
taking references to those makes them a ring that the next reader never leaves.

What the collector does not track (instances with empty slots of `str`, say) is not found; `freed` tells the truth.
"""

from __future__ import annotations

import builtins
import gc
from collections.abc import Callable, Collection
from types import CellType, FunctionType, ModuleType
from typing import TypeAlias

from relup.runtime.code.kinds import is_a
from relup.runtime.code.source import Version

CHUNK = 2000
FEW = 32
LEVELS = 40
MOST = 300_000

Objects: TypeAlias = dict[int, object]


def referrers(wanted: Objects, without: Collection[int]) -> list[tuple[object, list[int]]]:
    """Return each object that refers to some of *wanted*, with those; one pass over the heap."""
    found: list[tuple[object, list[int]]] = []
    objects = tuple(wanted.values())
    heap = gc.get_referrers(*objects) if len(objects) <= FEW else gc.get_objects()
    skip = {id(heap), id(found), id(wanted), id(objects), *without}
    for start in range(0, len(heap), CHUNK):
        chunk = [o for o in heap[start : start + CHUNK] if not issubclass(type(o), ModuleType)]
        if _leads(chunk, wanted):
            for first in range(0, CHUNK, FEW):
                few = chunk[first : first + FEW]
                if _leads(few, wanted):
                    found += [(o, held) for o in few if id(o) not in skip and (held := _held(o, wanted))]
    found += [(m, [id(vars(m))]) for m in heap if is_a(m, ModuleType) and id(m) not in skip and id(vars(m)) in wanted]
    return found


def _leads(objects: list[object], wanted: Collection[int]) -> bool:
    return any(map(wanted.__contains__, map(id, gc.get_referents(*objects))))


def _held(holder: object, wanted: Collection[int]) -> list[int]:
    return [key for key in map(id, gc.get_referents(holder)) if key in wanted]


def own(versions: Collection[Version], current: Callable[[str, str], object]) -> Objects:
    """Return what old modules are made of: namespaces, functions, classes, and what those consist of.

    *current* tells what a module's name means now: a class that is current is not old, wherever it is found.
    """
    found: Objects = {}
    for version in versions:
        globals_ = version.namespace
        pending: list[object] = list(globals_.values())
        found |= {id(version): version, id(version.module): version.module, id(globals_): globals_}
        while pending:
            item = pending.pop()
            if id(item) not in found and _belongs(item, version, current):
                found[id(item)] = item
                for part in gc.get_referents(item):
                    if type(part) in (dict, tuple) and part is not vars(builtins):
                        found[id(part)] = part
                        pending += gc.get_referents(part)
                    pending.append(part)
    return found


def module_of(cls: type) -> str:
    """Return the module of a class, also of one that means something else by `__module__` for its instances."""
    try:
        module = vars(cls).get("__module__")
        if isinstance(module, str):
            return module
    except (AttributeError, TypeError):
        pass
    functions = (f for f in vars(cls).values() if is_a(f, FunctionType))
    return next((str(f.__globals__.get("__name__")) for f in functions), "")


def _belongs(item: object, version: Version, current: Callable[[str, str], object]) -> bool:
    if is_a(item, FunctionType):
        return item.__globals__ is version.namespace
    if is_a(item, type):
        module = module_of(item)
        return module == version.source.name and current(module, item.__qualname__) is not item
    return type(item) in (staticmethod, classmethod, property, CellType)


Root: TypeAlias = Callable[[object, int], "str | None"]


def reached(holders: Objects, private: Collection[int], root: Root) -> dict[int, str]:
    """Return, for each of *holders* that something outside reaches, a word about what that is.

    *private* are the identities of old code and of the code server's books; *root* says what an object is that
    needs no further search, None when the search must go on through it. What is not decided within a bounded
    search counts as reached: a purge that should not have been is worse than one that waits.
    """
    climb = _Climb(dict(holders), private, root)
    frontier = set(holders)
    for _ in range(LEVELS):
        if not frontier or len(climb.nodes) > len(holders) + MOST:
            break
        frontier = climb.level(frontier, id(holders)) & climb.above_undecided(holders)
    for key in frontier:
        climb.word.setdefault(key, type(climb.nodes[key]).__qualname__)
    climb.spread()
    return climb.word


class _Climb:
    """A search upwards: who refers to whom, and what has been said of whom."""

    __slots__ = ("_private", "_root", "above", "below", "nodes", "word")

    def __init__(self, nodes: Objects, private: Collection[int], root: Root) -> None:
        self.nodes = nodes
        self.above: dict[int, set[int]] = {}
        self.below: dict[int, set[int]] = {}
        self.word: dict[int, str] = {}
        self._private = private
        self._root = root

    def level(self, frontier: set[int], asked: int) -> set[int]:
        """Read the heap once for what refers to *frontier*; return those through which the search may go on."""
        higher: Objects = {}
        seen: set[int] = set()
        wanted = {key: self.nodes[key] for key in frontier}
        for holder, held in referrers(wanted, {id(self.nodes), asked}):
            key = id(holder)
            seen.update(held)
            if key in self._private:
                continue
            for item in held:
                said = self._root(holder, item)
                if said is not None:
                    self.word.setdefault(item, said)
                else:
                    self.above.setdefault(item, set()).add(key)
                    self.below.setdefault(key, set()).add(item)
                    if key not in self.nodes:
                        higher[key] = holder
        for lonely in frontier - seen:
            self.word.setdefault(lonely, "a running function, or C code")
        self.nodes |= higher
        self.spread()
        return set(higher)

    def spread(self) -> None:
        """Give everything below an object that is in use the word about it."""
        pending = list(self.word)
        while pending:
            holder = pending.pop()
            for item in self.below.get(holder, ()):
                if item not in self.word:
                    self.word[item] = self.word[holder]
                    pending.append(item)

    def above_undecided(self, holders: Objects) -> set[int]:
        """Return everything above the holders of which nothing has been said."""
        found: set[int] = set()
        pending = [key for key in holders if key not in self.word]
        while pending:
            for key in self.above.get(pending.pop(), ()):
                if key not in found:
                    found.add(key)
                    pending.append(key)
        return found
