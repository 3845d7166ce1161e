"""What a state was, so that it can be that again, by the same identity.

A `code_change` may mutate its argument and then raise, or a later process may raise after it. Keeping the old
state by reference is then not enough, and a deep copy is wrong as well as slow: it loses identity (a socket, a
lock, an object that two servers share). So the contents of the mutable containers that a state reaches are
written down, as an undo log does, and put back *into* the same objects.

The walk goes into Python's own containers, into dataclasses, and into instances of classes that the release
itself defines. Everything else (transports, locks, loggers, objects of libraries) is kept by reference: it belongs
to the world, and no upgrade may roll the world back. Contents are read and put back with the methods of the base
types, whatever a subclass made of them. A state without mutable parts costs one look-up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import UserDict, UserList, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import is_dataclass
from itertools import repeat
from types import (
    MappingProxyType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple, TypeAlias

from relup.runtime.migrate import dict_of, slots_of
from relup.targets.python.containers import (
    ARGS,
    ATOMS,
    CONTAINERS,
    WITH_CONTENTS,
    by_type,
    identity,
    restore_args,
    unseen,
    walkable,
    walkable_of_all,
    way_of,
)
from relup.targets.python.layouts import Layout

Entry: TypeAlias = tuple[Any, Any, Callable[[Any, Any], None]]
"""A container, what it held, and how that is put back."""
Snapshot: TypeAlias = tuple[Entry, ...]


class _Recorder(NamedTuple):
    """Writes values of one type down if they are mutable, and returns what is to be walked next."""

    one: Callable[[Any, list[Entry]], list[Any]]
    many: Callable[[Sequence[Any], list[Entry]], list[Any]]
    """The same for a great many, at C speed."""


_PLAIN: frozenset[type] = frozenset({SimpleNamespace, UserDict, UserList})
_WORLD = (type, ModuleType, asyncio.BaseProtocol, asyncio.Future, threading.Thread)
"""Kinds whose instances have a life of their own, whoever defined their class."""
Attributes: TypeAlias = tuple[Layout, dict[str, Any], Mapping[str, Any]]
"""What an instance's own attributes held: its layout, a copy of its `__dict__`, its slots that were filled."""
_NONE: Mapping[str, Any] = MappingProxyType({})
_FEW = 8
"""Values that are walked one by one, which is faster for so few."""


class Memory:
    """Writes states down. One memory serves one upgrade: it learns the layout of each class once."""

    __slots__ = ("_owned", "_recorders")

    def __init__(self, owned: Callable[[type], bool]) -> None:
        """*owned* says whether a class is defined by the release, so that its instances are state."""
        self._owned = owned
        self._recorders: dict[type, _Recorder] = {}

    def remember(self, state: Any) -> Snapshot:
        """Return what every mutable container that *state* reaches holds now."""
        kind = type(state)
        if kind in ATOMS:
            return ()
        entries: list[Entry] = []
        if pending := (self._recorders.get(kind) or self._learn(kind)).one(state, entries):
            self._walk(pending, {identity(state)}, entries)
        return tuple(entries)

    def remember_all(self, states: Sequence[Any]) -> Snapshot:
        """Return what the containers hold that any of many *states* reaches; what several reach is there once."""
        entries: list[Entry] = []
        self._walk(walkable(states), set(), entries)
        return tuple(entries)

    def contents(self, value: Any) -> list[Any]:
        """Return what one mutable container holds now: one thing, or several for an instance that contains as well."""
        entries: list[Entry] = []
        (self._recorders.get(type(value)) or self._learn(type(value))).one(value, entries)
        return [contents for _, contents, _ in entries]

    def remember_instances(self, instances: Collection[Any], others: Collection[Any] = ()) -> Snapshot:
        """Return what these instances hold, whatever class they have, and what they and *others* reach.

        Instances often lead to each other; what several reach is written down once.
        """
        entries: list[Entry] = []
        pending = list(others)
        for kind, same in by_type(instances).items():
            pending += _instances_of(kind).many(same, entries)
        self._walk(pending, set(map(identity, instances)), entries)
        return tuple(entries)

    def _walk(self, pending: list[Any], seen: set[int], entries: list[Entry]) -> None:
        known, learn, enter = self._recorders.get, self._learn, seen.add
        while pending:
            if len(pending) > _FEW:
                for kind, same in unseen(pending, seen).items():
                    pending += (known(kind) or learn(kind)).many(same, entries)
            elif (key := identity(value := pending.pop())) not in seen:
                enter(key)
                kind = type(value)
                pending += (known(kind) or learn(kind)).one(value, entries)

    def _learn(self, kind: type) -> _Recorder:
        """Return how values of a type are written down, from here on."""
        return self._recorders.setdefault(kind, self._recorder(kind))

    def _recorder(self, kind: type) -> _Recorder:
        """Return how values of a type are written down; one that is no state is kept by reference."""
        if kind not in CONTAINERS:
            state = kind in _PLAIN or is_dataclass(kind) or self._owned(kind)
            if state and not issubclass(kind, _WORLD) and not _is_bare_tuple(kind):
                return _instances_of(kind)
            if not issubclass(kind, tuple):
                return _BY_REFERENCE
        return _contents_of(kind)


def restore(snapshot: Snapshot) -> None:
    """Put the contents back into the same containers."""
    for container, contents, put_back in snapshot:
        put_back(container, contents)


def holds(snapshot: Snapshot) -> bool:
    """Say whether the containers still hold what was written down; no, when that cannot be told."""
    try:
        for container, contents, put_back in snapshot:
            if put_back is _restore_instance:
                if not _instance_holds(container, contents):
                    return False
            elif put_back is restore_args:
                if ARGS.__get__(container) != contents:
                    return False
            elif type(container) is type(contents):
                if container != contents:
                    return False
            elif _differs(container, contents):
                return False
    except Exception:  # raised by a comparison of the program's own
        return False
    return True


def _differs(container: Any, contents: Any) -> bool:
    """Compare as the base type does, not as a class that extends it."""
    base: Any = type(contents)
    if base is deque:  # which compares what iterators yield, unlike all others
        return bool(deque(deque.__iter__(container)) != contents)
    return base.__ne__(container, contents) is not False


def changed(snapshot: Snapshot) -> Snapshot:
    """Return the part of a snapshot whose containers hold something else by now."""
    return () if holds(snapshot) else tuple([entry for entry in snapshot if not holds((entry,))])


def becoming(kind: type) -> Callable[[Any, Any], None]:
    """Return what gives an instance the class *kind*, and everything that an instance of that class holds.

    What C code keeps in an instance beside that, as an OSError does, stays. TypeError where layouts differ.
    """
    record = _instances_of(kind).one

    def become_bare(instance: Any, other: Any) -> None:
        object.__setattr__(instance, "__class__", kind)
        fields = instance.__dict__
        fields.clear()
        fields.update(other.__dict__)

    def become(instance: Any, other: Any) -> None:
        held: list[Entry] = []
        record(other, held)
        for _, contents, put_back in held:
            put_back(instance, contents)

    return become_bare if _is_bare(kind) else become


def _is_bare(kind: type) -> bool:
    """Say whether instances are their `__dict__` and nothing else."""
    return bool(kind.__dictoffset__) and not any(slots_of(kind)) and not issubclass(kind, WITH_CONTENTS)


def _is_bare_tuple(kind: type) -> bool:
    """Say whether instances are what a tuple holds and nothing else, as those of a NamedTuple are."""
    return issubclass(kind, tuple) and dict_of(kind) is None and not any(slots_of(kind))


def _instances_of(kind: type) -> _Recorder:
    """Return how instances of a class are written down: their attributes, and what they contain."""
    layout = Layout.of(kind)
    contents = _contents_of(kind) if issubclass(kind, WITH_CONTENTS) else _BY_REFERENCE

    def one(instance: Any, entries: list[Entry]) -> list[Any]:
        fields = dict(layout.attributes(instance))
        held = layout.filled(instance)
        entries.append((instance, (layout, fields, held), _restore_instance))
        return walkable(fields.values()) + walkable(held.values()) + contents.one(instance, entries)

    def one_of_fields(instance: Any, entries: list[Entry]) -> list[Any]:
        fields = dict(read(instance))
        entries.append((instance, (layout, fields, _NONE), _restore_instance))
        return walkable(fields.values())

    def many_of_fields(instances: Sequence[Any], entries: list[Entry]) -> list[Any]:
        fields = [*map(dict, map(read, instances))]
        entries += zip(instances, zip(repeat(layout), fields, repeat(_NONE)), repeat(_restore_instance))
        return walkable_of_all([*map(dict.values, fields)])

    if layout.slots or layout.reader is None or contents is not _BY_REFERENCE:
        return _Recorder(one, lambda instances, entries: [part for i in instances for part in one(i, entries)])
    read = layout.reader.__get__
    return _Recorder(one_of_fields, many_of_fields)


def _instance_holds(instance: Any, contents: Attributes) -> bool:
    layout, fields, held = contents
    return (
        type(instance) is layout.kind
        and layout.attributes(instance) == fields
        and (not layout.slots or layout.filled(instance) == held)
    )


def _contents_of(kind: type) -> _Recorder:
    """Return how the contents of a container are written down; one that extends another is treated as that."""
    read, put_back, walk, walk_all = way_of(kind)

    def one(value: Any, entries: list[Entry]) -> list[Any]:
        contents = read(value)
        if put_back is not None:
            entries.append((value, contents, put_back))
        return walk(contents)

    def many(values: Sequence[Any], entries: list[Entry]) -> list[Any]:
        contents = [*map(read, values)]
        if put_back is not None:
            entries += zip(values, contents, repeat(put_back))
        return walk_all(contents)

    return _Recorder(one, many)


def _nothing(values: Any, entries: list[Entry]) -> list[Any]:
    return []


_BY_REFERENCE = _Recorder(_nothing, _nothing)


def _restore_instance(instance: Any, contents: Attributes) -> None:
    layout, fields, held = contents
    if type(instance) is not layout.kind:
        object.__setattr__(instance, "__class__", layout.kind)
    attributes = layout.attributes(instance)
    attributes.clear()
    attributes.update(fields)
    there = layout.filled(instance)
    for name in layout.slots:
        if name in held:
            object.__setattr__(instance, name, held[name])
        elif name in there:
            object.__delattr__(instance, name)
