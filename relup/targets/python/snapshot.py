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
from array import array
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import is_dataclass
from itertools import groupby
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
    NoneType,
    SimpleNamespace,
)
from typing import Any, TypeAlias

from relup.runtime.migrate import slots_of

Entry: TypeAlias = tuple[Any, Any, Callable[[Any, Any], None]]
"""A container, what it held, and how that is put back."""
Snapshot: TypeAlias = tuple[Entry, ...]
Layout: TypeAlias = tuple[type, dict[str, Any] | None, dict[str, Any], tuple[str, ...]]
"""What an instance's own attributes hold: its class, its `__dict__`, its slots that are filled, all its slots."""

_ATOMS: frozenset[type] = frozenset(
    {int, float, complex, bool, str, bytes, NoneType, type, range, FunctionType, BuiltinFunctionType}
)
_CONTAINERS: frozenset[type] = frozenset(
    {dict, defaultdict, OrderedDict, Counter, list, deque, set, bytearray, array, tuple, frozenset}
)
_PLAIN: frozenset[type] = frozenset({SimpleNamespace, UserDict, UserList})
_ALL = slice(None)
_ARGS: Any = vars(BaseException)["args"]
"""What reads and writes the arguments of an error, whatever its class makes of that name."""
_WITH_CONTENTS = (dict, list, deque, set, tuple, frozenset, bytearray, array, BaseException)
_READERS = (GetSetDescriptorType, MemberDescriptorType)
"""What reads the `__dict__` of instances: of classes written in Python, and in C."""
_WORLD = (type, ModuleType, asyncio.BaseProtocol, asyncio.Future, threading.Thread)
"""Kinds whose instances have a life of their own, whoever defined their class."""


class Memory:
    """Writes states down. One memory serves one upgrade: it learns the layout of each class once."""

    __slots__ = ("_layouts", "_owned")

    def __init__(self, owned: Callable[[type], bool]) -> None:
        """*owned* says whether a class is defined by the release, so that its instances are state."""
        self._owned = owned
        self._layouts: dict[type, tuple[str, ...] | None] = {}

    def remember(self, state: Any) -> Snapshot:
        """Return what every mutable container that *state* reaches holds now."""
        if type(state) in _ATOMS:
            return ()
        entries: list[Entry] = []
        self._walk([state], set(), entries)
        return tuple(entries)

    def remember_instances(self, instances: Collection[Any], others: Collection[Any] = ()) -> Snapshot:
        """Return what these instances hold, whatever class they have, and what they and *others* reach.

        Instances often lead to each other; what several reach is written down once.
        """
        entries: list[Entry] = []
        seen = set(map(id, instances))
        pending = list(others)
        for kind, same in groupby(instances, type):
            if _is_bare(kind):
                pending += _record_bare(kind, same, entries)
            else:
                slots = tuple(slots_of(kind))
                pending += [value for instance in same for value in _record_instance(instance, slots, entries)]
        self._walk(pending, seen, entries)
        return tuple(entries)

    def _walk(self, pending: list[Any], seen: set[int], entries: list[Entry]) -> None:
        while pending:
            value = pending.pop()
            if id(value) not in seen:
                seen.add(id(value))
                pending += self._record(value, entries)

    def _record(self, value: Any, entries: list[Entry]) -> list[Any]:
        """Write *value* down if it is mutable, and return what is to be walked next."""
        kind = type(value)  # what it really is: proxies answer for others when they are asked for their class
        if kind in _CONTAINERS:
            return _record_contents(value, entries)
        slots = self._layout(kind)
        if slots is None:
            return _record_contents(value, entries) if issubclass(kind, tuple) else []
        return _record_instance(value, slots, entries)

    def _layout(self, kind: type) -> tuple[str, ...] | None:
        """Return the slots of a class whose instances are state; None for one that is kept by reference."""
        if kind not in self._layouts:
            state = kind in _PLAIN or is_dataclass(kind) or self._owned(kind)
            self._layouts[kind] = tuple(slots_of(kind)) if state and not issubclass(kind, _WORLD) else None
        return self._layouts[kind]


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
            elif put_back is _restore_args:
                if _ARGS.__get__(container) != contents:
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
        return bool(_read_deque(container) != contents)
    return base.__ne__(container, contents) is not False


def changed(snapshot: Snapshot) -> Snapshot:
    """Return the part of a snapshot whose containers hold something else by now."""
    return () if holds(snapshot) else tuple([entry for entry in snapshot if not holds((entry,))])


def becoming(kind: type) -> Callable[[Any, Any], None]:
    """Return what gives an instance the class *kind*, and everything that an instance of that class holds.

    What C code keeps in an instance beside that, as an OSError does, stays. TypeError where layouts differ.
    """
    slots = tuple(slots_of(kind))

    def become_bare(instance: Any, other: Any) -> None:
        object.__setattr__(instance, "__class__", kind)
        fields = instance.__dict__
        fields.clear()
        fields.update(other.__dict__)

    def become(instance: Any, other: Any) -> None:
        held: list[Entry] = []
        _record_instance(other, slots, held)
        for _, contents, put_back in held:
            put_back(instance, contents)

    return become_bare if _is_bare(kind) else become


def _is_bare(kind: type) -> bool:
    """Say whether instances are their `__dict__` and nothing else."""
    return bool(kind.__dictoffset__) and not any(slots_of(kind)) and not issubclass(kind, _WITH_CONTENTS)


def _record_bare(kind: type, instances: Iterable[Any], entries: list[Entry]) -> list[Any]:
    """Write down many instances of a class at once: this is part of the window."""
    reached: list[Any] = []
    for instance in instances:
        fields = dict(instance.__dict__)
        entries.append((instance, (kind, fields, {}, ()), _restore_instance))
        if not _ATOMS.issuperset(map(type, fields.values())):
            reached += _walkable(fields.values())
    return reached


def _record_instance(value: Any, slots: tuple[str, ...], entries: list[Entry]) -> list[Any]:
    layout = _layout_of(value, slots)
    entries.append((value, layout, _restore_instance))
    reached = _walkable((layout[1] or {}).values())
    reached += _walkable(layout[2].values()) if slots else []
    return reached + (_record_contents(value, entries) if issubclass(type(value), _WITH_CONTENTS) else [])


def _instance_holds(instance: Any, contents: Layout) -> bool:
    kind, fields, held, slots = contents
    if type(instance) is not kind or (fields is not None and attributes_of(instance) != fields):
        return False
    return not slots or held == filled(instance, slots)


def _layout_of(instance: Any, slots: tuple[str, ...]) -> Layout:
    attributes = attributes_of(instance)
    fields = None if attributes is None else dict(attributes)
    return type(instance), fields, filled(instance, slots), slots


def attributes_of(instance: Any) -> dict[str, Any] | None:
    """Return the `__dict__` of an instance, whatever its class makes of that name; None when it has none."""
    kind = type(instance)
    for base in kind.__mro__:
        found = vars(base).get("__dict__")
        if found.__class__ in _READERS:
            attributes: dict[str, Any] = found.__get__(instance, kind)
            return attributes
    return None


def filled(instance: Any, slots: tuple[str, ...]) -> dict[str, Any]:
    """Return what the slots hold, without asking `__getattr__` for the empty ones."""
    found = {}
    for name in slots:
        try:
            found[name] = object.__getattribute__(instance, name)
        except AttributeError:
            continue
    return found


def _record_contents(value: Any, entries: list[Entry]) -> list[Any]:
    """Write down what a container, or an instance of a class that extends one, contains."""
    read, put_back, walk = _WAYS.get(type(value)) or _way(type(value))
    contents = read(value)
    if put_back is not None:
        entries.append((value, contents, put_back))
    return walk(contents)


def _way(kind: type) -> _Way:
    """Return how the contents of a class that extends a container are treated: as its base's."""
    return next(way for base, way in _WAYS.items() if issubclass(kind, base))


def _walkable(values: Collection[Any]) -> list[Any]:
    """Return the members that may hold something mutable; nothing, at C speed, for a flat container."""
    if _ATOMS.issuperset(map(type, values)):
        return []
    return [v for v in values if type(v) not in _ATOMS]


def _walkable_entries(contents: dict[Any, Any]) -> list[Any]:
    return _walkable(contents.values()) + _walkable(contents)


def _read_mapping(value: dict[Any, Any]) -> dict[Any, Any]:
    """Return a copy, at C speed and without asking keys for their hashes, unless the class iterates in its own way."""
    return dict.copy(value) if type(value).__iter__ is dict.__iter__ else dict(dict.items(value))


def _read_ordered(value: OrderedDict[Any, Any]) -> OrderedDict[Any, Any]:
    return OrderedDict(OrderedDict.items(value))


def _read_deque(value: deque[Any]) -> deque[Any]:
    return deque.copy(value) if type(value) is deque else deque(deque.__iter__(value))


def _read_set(value: set[Any]) -> set[Any]:
    return set.copy(value) if type(value) is set else set(set.__iter__(value))


def _read_tuple(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return value if type(value) is tuple else tuple(tuple.__iter__(value))


def _read_frozen(value: frozenset[Any]) -> list[Any]:
    return list(frozenset.__iter__(value))


def _read_bytes(value: bytearray) -> bytearray:
    return bytearray.__getitem__(value, _ALL)


def _read_array(value: array[Any]) -> array[Any]:
    return array.__getitem__(value, _ALL)


def _nothing(contents: Any) -> list[Any]:
    return []


def _restore_mapping(container: dict[Any, Any], contents: dict[Any, Any]) -> None:
    dict.clear(container)
    dict.update(container, contents)


def _restore_ordered(container: OrderedDict[Any, Any], contents: OrderedDict[Any, Any]) -> None:
    OrderedDict.clear(container)
    for key, value in contents.items():  # its `update` would call the `__setitem__` of a class that extends it
        OrderedDict.__setitem__(container, key, value)


def _restore_list(container: list[Any], contents: list[Any]) -> None:
    list.clear(container)
    list.extend(container, contents)


def _restore_deque(container: deque[Any], contents: deque[Any]) -> None:
    deque.clear(container)
    deque.extend(container, contents)


def _restore_set(container: set[Any], contents: set[Any]) -> None:
    set.clear(container)
    set.update(container, contents)


def _restore_args(error: BaseException, args: tuple[Any, ...]) -> None:
    _ARGS.__set__(error, args)


def _restore_bytes(container: bytearray, contents: bytearray) -> None:
    bytearray.__setitem__(container, _ALL, contents)


def _restore_array(container: array[Any], contents: array[Any]) -> None:
    array.__setitem__(container, _ALL, contents)


def _restore_instance(instance: Any, contents: Layout) -> None:
    kind, fields, held, slots = contents
    if type(instance) is not kind:
        object.__setattr__(instance, "__class__", kind)
    attributes = attributes_of(instance)
    if fields is not None and attributes is not None:
        attributes.clear()
        attributes.update(fields)
    there = filled(instance, slots)
    for name in slots:
        if name in held:
            object.__setattr__(instance, name, held[name])
        elif name in there:
            object.__delattr__(instance, name)


_Way: TypeAlias = tuple[Callable[[Any], Any], Callable[[Any, Any], None] | None, Callable[[Any], list[Any]]]
"""What copies the contents, what puts them back (None where they never change), and what of the copy is walked."""
_WAYS: Mapping[type, _Way] = {
    OrderedDict: (_read_ordered, _restore_ordered, _walkable_entries),  # before what it extends
    dict: (_read_mapping, _restore_mapping, _walkable_entries),
    list: (list.copy, _restore_list, _walkable),
    deque: (_read_deque, _restore_deque, _walkable),
    set: (_read_set, _restore_set, _walkable),
    tuple: (_read_tuple, None, _walkable),
    frozenset: (_read_frozen, None, _walkable),
    BaseException: (_ARGS.__get__, _restore_args, _walkable),
    bytearray: (_read_bytes, _restore_bytes, _nothing),
    array: (_read_array, _restore_array, _nothing),
}
