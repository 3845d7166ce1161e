"""Who, outside old modules, holds something of theirs.

Counting referrers of old classes and functions finds the old modules themselves, their caches, and garbage. The
question is whether the world still reaches old code other than through the old namespaces. So from each foreign
referrer the search climbs, level by level, until it meets a root (a live module, a frame, a task, a thread) or
finds that only old modules and the code server's own books lead there. What nothing at all refers to is held by a
running function or by C code, and counts.

`gc.get_referrers` compares every edge of the heap with every object asked for and holds the interpreter meanwhile;
here the heap is read in chunks, so that in a worker thread a loop goes on, and any number of objects costs the same.
What the collector does not track (instances with empty slots of `str`, say) is not found; `freed` tells the truth.
"""

from __future__ import annotations

import builtins
import gc
from collections.abc import Callable, Collection
from types import CellType, FunctionType
from typing import TypeAlias

from relup.runtime.code.source import Version

CHUNK = 2000
LEVELS = 12

Objects: TypeAlias = dict[int, object]


def referrers(wanted: Collection[int], without: Collection[int]) -> list[tuple[object, list[int]]]:
    """Return each object that refers to some of *wanted* (identities), with those; one pass over the heap."""
    found = []
    heap = gc.get_objects()
    skip = {id(heap), *without}
    for start in range(0, len(heap), CHUNK):
        chunk = heap[start : start + CHUNK]
        if not wanted_in(wanted, gc.get_referents(*chunk)):
            continue
        for holder in chunk:
            if id(holder) not in skip:
                held = [id(o) for o in gc.get_referents(holder) if id(o) in wanted]
                if held:
                    found.append((holder, held))
    return found


def wanted_in(wanted: Collection[int], objects: list[object]) -> bool:
    """Say whether any of *objects* has one of these identities."""
    return any(map(wanted.__contains__, map(id, objects)))


def own(versions: Collection[Version], current: Callable[[str, str], object]) -> Objects:
    """Return what old modules are made of: namespaces, functions, classes, and what those consist of.

    *current* tells what a module's name means now: a class that is current is not old, wherever it is found.
    """
    found: Objects = {}
    for version in versions:
        globals_ = version.namespace
        pending: list[object] = [version.module, globals_, *globals_.values()]
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


def _belongs(item: object, version: Version, current: Callable[[str, str], object]) -> bool:
    match item:
        case FunctionType():
            return item.__globals__ is version.namespace
        case type():
            return item.__module__ == version.source.name and current(item.__module__, item.__qualname__) is not item
        case staticmethod() | classmethod() | property() | CellType():
            return True
        case _:
            return False


Root: TypeAlias = Callable[[object, int], "str | None"]


def reached(holders: Objects, private: Collection[int], root: Root) -> dict[int, str]:
    """Return, for each of *holders* that something outside reaches, a word about what that is.

    *private* are the identities of old code and of the code server's books; *root* says what an object is that
    needs no further search, None when the search must go on through it.
    """
    climb = _Climb(dict(holders), private, root)
    frontier = set(holders)
    for _ in range(LEVELS):
        if frontier:
            frontier = climb.level(frontier, id(holders))
    for key in frontier:
        climb.word.setdefault(key, type(climb.nodes[key]).__qualname__)
    return climb.downwards()


class _Climb:
    """A search upwards: who refers to whom, and what has been said of whom."""

    __slots__ = ("_private", "_root", "above", "nodes", "word")

    def __init__(self, nodes: Objects, private: Collection[int], root: Root) -> None:
        self.nodes = nodes
        self.above: dict[int, set[int]] = {}
        self.word: dict[int, str] = {}
        self._private = private
        self._root = root

    def level(self, frontier: set[int], asked: int) -> set[int]:
        """Read the heap once for what refers to *frontier*; return those through which the search goes on."""
        higher: Objects = {}
        for holder, held in referrers(frontier, {id(self.nodes), asked}):
            key = id(holder)
            inside = key in self._private
            for item in held:
                self.above.setdefault(item, set()).add(key)
                said = None if inside else self._root(holder, item)
                if said is not None:
                    self.word.setdefault(item, said)
            if not inside and key not in self.nodes and any(item not in self.word for item in held):
                higher[key] = holder
        for lonely in frontier - self.above.keys():
            self.word.setdefault(lonely, "a running function, or C code")
        self.nodes |= higher
        return set(higher)

    def downwards(self) -> dict[int, str]:
        """Give everything below a holder that is in use the word about it."""
        below: dict[int, list[int]] = {}
        for item, holders in self.above.items():
            for holder in holders:
                below.setdefault(holder, []).append(item)
        pending = list(self.word)
        while pending:
            holder = pending.pop()
            for item in below.get(holder, ()):
                if item not in self.word:
                    self.word[item] = self.word[holder]
                    pending.append(item)
        return self.word
