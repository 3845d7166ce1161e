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
from collections import UserDict, UserList
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from types import (
    MappingProxyType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple, TypeAlias

from relup.runtime.migrate import dict_of, slots_of
from relup.targets.python.containers import (
    ATOMS,
    CONTAINERS,
    HOLD_ALL,
    HOLDS,
    WITH_CONTENTS,
    by_type,
    identity,
    same_all_entries,
    same_entries,
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
            state = kind in _PLAIN or issubclass(kind, BaseException) or _is_dataclass(kind) or self._owned(kind)
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
    """Say whether the containers still hold what was written down, the very same things; no, when that is not known.

    An equal thing in the place of another is a change: it may be of new code, or say another thing by its `__eq__`.
    """
    try:
        if len(snapshot) <= _FEW:
            return all(_HOLDS[put_back](container, contents) for container, contents, put_back in snapshot)
        return all(map(_all_hold, _alike(snapshot)))
    except Exception:  # raised by a class that hides what it has, or by another thread that changes it meanwhile
        return False


def _alike(snapshot: Snapshot) -> Collection[Sequence[Entry]]:
    """Return the entries of containers of one kind together, and those of instances of one class."""
    ways = {*map(itemgetter(2), snapshot)}
    if len(ways) == 1 and _restore_instance not in ways:
        return [snapshot]
    alike: dict[Any, list[Entry]] = {}
    for entry in snapshot:
        _, contents, put_back = entry
        alike.setdefault(identity(contents[0]) if put_back is _restore_instance else put_back, []).append(entry)
    return alike.values()


def _all_hold(entries: Sequence[Entry]) -> bool:
    """Say whether containers of one kind, or instances of one class, hold what was written down."""
    now, then, ways = zip(*entries, strict=True)
    if ways[0] is _restore_instance:
        layout: Layout = then[0][0]
        if not layout.slots and layout.reader is not None:
            own = all(type(instance) is layout.kind for instance in now)
            return own and same_all_entries([*map(layout.reader.__get__, now)], [fields for _, fields, _ in then])
    if ways[0] in HOLD_ALL:
        return HOLD_ALL[ways[0]](now, then)
    return all(map(_HOLDS[ways[0]], now, then))


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


def _is_dataclass(kind: type) -> bool:
    """Say whether a class is one, without asking its metaclass."""
    return any("__dataclass_fields__" in vars(base) for base in kind.__mro__)


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
    if type(instance) is not layout.kind:
        return False
    if layout.reader is not None and not same_entries(layout.reader.__get__(instance), fields):
        return False
    return not layout.slots or same_entries(layout.filled(instance), held)


def _contents_of(kind: type) -> _Recorder:
    """Return how the contents of a container are written down; one that extends another is treated as that."""
    read, put_back, _, walk, walk_all = way_of(kind)

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
    for name, member in layout.slots.items():
        if name in held:
            member.__set__(instance, held[name])
        elif name in there:
            member.__delete__(instance)


_HOLDS = {**HOLDS, _restore_instance: _instance_holds}
