"""The swap as a list of writes, so that it is short and its undo is the same list read backwards.

Reloading in place (`importlib.reload`, patched code objects) cannot be undone: by the time a body raises, half of
the old namespace is gone. Here everything that a load changes in the process, and in the code server's own books,
is one entry in one dict, and the list of entries is known before anything is suspended. The swap rechecks every
old value by identity, then writes container by container: one `dict.update` each, which no other thread can see
half done. Across containers other threads may look in between; the processes of a node stand still meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def changed(writes: Iterable[Write]) -> Write | None:
    """Return the first write whose entry no longer holds what it held at staging."""
    missing = MISSING
    for write in writes:
        container, key, old, _ = write
        if container.get(key, missing) is not old:
            return write
    return None


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
