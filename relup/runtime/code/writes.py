"""The swap as a list of writes, so that it is short and its undo is the same list read backwards.

Reloading in place (`importlib.reload`, patched code objects) cannot be undone: by the time a body raises, half of
the old namespace is gone. Here everything that a load changes in the process, and in the code server's own books,
is one entry in one dict, and the list of entries is known before anything is suspended. The swap rechecks every
old value by identity, then writes container by container: one `dict.update` each, which no other thread can see
half done. Across containers other threads may look in between; the processes of a node stand still meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import is_
from typing import Any, Final, NamedTuple, TypeAlias


class _Missing:
    """No value: the key is not in the container."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
Container: TypeAlias = dict[Any, Any]


class Write(NamedTuple):
    """One entry of one dict: what it holds before the swap and after it; MISSING means absent."""

    container: Container
    key: Any
    old: object
    new: object


class World:
    """What dicts hold once the writes of upgrades that are staged, but not swapped, will have been made."""

    __slots__ = ("_pending", "writes")

    def __init__(self, writes: Iterable[Write] = ()) -> None:
        self.writes = tuple(writes)
        self._pending: dict[int, Container] = {}
        for container, key, _, new in self.writes:
            self._pending.setdefault(id(container), {})[key] = new

    def dicts(self) -> Iterable[Container]:
        """Return the dicts in which it keeps values."""
        return self._pending.values()

    def read(self, container: Container, key: object) -> Any:
        """Return what *container* will hold under *key*, MISSING when nothing."""
        pending = self._pending.get(id(container))
        if pending is not None and key in pending:
            return pending[key]
        return container.get(key, MISSING)

    def copy(self, container: Container) -> Container:
        """Return a copy of *container* as it will be."""
        now = container.copy()
        for key, new in self._pending.get(id(container), {}).items():
            if new is MISSING:
                now.pop(key, None)
            else:
                now[key] = new
        return now


def effective(writes: Iterable[Write]) -> Iterator[Write]:
    """Drop what changes nothing, and the second of two writes to one entry: the first says what a body did."""
    seen: set[tuple[int, object]] = set()
    for write in writes:
        entry = (id(write.container), write.key)
        if write.old is not write.new and entry not in seen:
            seen.add(entry)
            yield write


class Guard:
    """Says whether the entries of a swap still hold what they held at staging, one pass in C for each container."""

    __slots__ = ("_absent", "_present", "_writes")

    def __init__(self, writes: tuple[Write, ...]) -> None:
        self._writes = writes
        present: dict[int, tuple[Container, list[Any], list[object]]] = {}
        self._absent: dict[int, tuple[Container, set[Any]]] = {}
        for container, key, old, _ in writes:
            if old is MISSING:
                self._absent.setdefault(id(container), (container, set()))[1].add(key)
            else:
                _, keys, olds = present.setdefault(id(container), (container, [], []))
                keys.append(key)
                olds.append(old)
        self._present = tuple(present.values())

    def dicts(self) -> Iterable[object]:
        """Return the lists in which it keeps values."""
        return (olds for _, _, olds in self._present)

    def changed(self) -> Write | None:
        """Return a write whose entry is not as it was, None when there is none."""
        for container, keys, olds in self._present:
            if not all(map(is_, map(container.get, keys), olds)):
                return self._first()
        for container, absent in self._absent.values():
            if not absent.isdisjoint(container):
                return self._first()
        return None

    def _first(self) -> Write | None:
        return next((w for w in self._writes if w.container.get(w.key, MISSING) is not w.old), None)


class Batch:
    """The writes of one direction, one update and one list of deletions for each container."""

    __slots__ = ("_steps",)

    def __init__(self, entries: Iterable[tuple[Container, Any, object]]) -> None:
        steps: dict[int, tuple[Container, Container, list[Any]]] = {}
        for container, key, value in entries:
            _, update, gone = steps.setdefault(id(container), (container, {}, []))
            if value is MISSING:
                gone.append(key)
            else:
                update[key] = value
        self._steps = tuple(steps.values())

    def dicts(self) -> Iterable[Container]:
        """Return the dicts in which it keeps values."""
        return (update for _, update, _ in self._steps)

    def apply(self) -> None:
        """Write everything; nothing here can fail, and no finaliser runs: the list keeps what it replaces."""
        for container, update, gone in self._steps:
            container.update(update)
            for key in gone:
                container.pop(key, None)


def forwards(writes: Iterable[Write]) -> Batch:
    """Return the swap."""
    return Batch((w.container, w.key, w.new) for w in writes)


def backwards(writes: Iterable[Write]) -> Batch:
    """Return the undo."""
    return Batch((w.container, w.key, w.old) for w in writes)
