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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from itertools import groupby
from types import (
    BuiltinFunctionType,
    FunctionType,
    MappingProxyType,
    ModuleType,
    NoneType,
    SimpleNamespace,
)
from typing import Any, TypeAlias

from relup.runtime.migrate import dict_of, slots_of

Entry: TypeAlias = tuple[Any, Any, Callable[[Any, Any], None]]
"""A container, what it held, and how that is put back."""
Snapshot: TypeAlias = tuple[Entry, ...]
_Recorder: TypeAlias = Callable[[Any, list[Entry]], Sequence[Any]]
"""Writes a value down if it is mutable, and returns what is to be walked next."""

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
_OF_PYTHON = 1 << 9
"""The flag of classes that were made by a class statement (`Py_TPFLAGS_HEAPTYPE`)."""
_WORLD = (type, ModuleType, asyncio.BaseProtocol, asyncio.Future, threading.Thread)
"""Kinds whose instances have a life of their own, whoever defined their class."""


def python_made(kind: type) -> bool:
    """Say whether a class was made by a class statement, not in C."""
    return bool(kind.__flags__ & _OF_PYTHON)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where instances of a class keep their attributes: in a `__dict__`, in slots, or in both."""

    kind: type
    slots: tuple[str, ...]
    reader: Any
    """What reads the `__dict__`, whatever the class makes of that name; None when there is none."""
    is_all: bool
    """Whether there is nothing else in an instance, such as what a number or a tuple is beside its attributes."""

    @classmethod
    def of(cls, kind: type) -> Layout:
        """Return that of a class."""
        is_all = all(base is object or python_made(base) for base in kind.__mro__)
        return cls(kind, tuple(slots_of(kind)), dict_of(kind), is_all)

    def attributes(self, instance: Any) -> dict[str, Any]:
        """Return the `__dict__` of an instance, not a copy."""
        found: dict[str, Any] = {} if self.reader is None else self.reader.__get__(instance)
        return found

    def filled(self, instance: Any) -> dict[str, Any]:
        """Return what the slots hold, without asking `__getattr__` for the empty ones."""
        found = {}
        for name in self.slots:
            try:
                found[name] = object.__getattribute__(instance, name)
            except AttributeError:
                continue
        return found


Attributes: TypeAlias = tuple[Layout, dict[str, Any], Mapping[str, Any]]
"""What an instance's own attributes held: its layout, a copy of its `__dict__`, its slots that were filled."""
_NONE: Mapping[str, Any] = MappingProxyType({})


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
        if kind in _ATOMS:
            return ()
        entries: list[Entry] = []
        if pending := (self._recorders.get(kind) or self._learn(kind))(state, entries):
            self._walk([*pending], {id(state)}, entries)
        return tuple(entries)

    def contents(self, value: Any) -> list[Any]:
        """Return what one mutable container holds now: one thing, or several for an instance that contains as well."""
        entries: list[Entry] = []
        (self._recorders.get(type(value)) or self._learn(type(value)))(value, entries)
        return [contents for _, contents, _ in entries]

    def remember_instances(self, instances: Collection[Any], others: Collection[Any] = ()) -> Snapshot:
        """Return what these instances hold, whatever class they have, and what they and *others* reach.

        Instances often lead to each other; what several reach is written down once.
        """
        entries: list[Entry] = []
        seen = set(map(id, instances))
        pending = list(others)
        for kind, same in groupby(instances, type):
            record = _instances_of(kind)
            pending += [value for instance in same for value in record(instance, entries)]
        self._walk(pending, seen, entries)
        return tuple(entries)

    def _walk(self, pending: list[Any], seen: set[int], entries: list[Entry]) -> None:
        known, learn, enter = self._recorders.get, self._learn, seen.add
        while pending:
            value = pending.pop()
            key = id(value)
            if key not in seen:
                enter(key)
                kind = type(value)  # what it really is: proxies answer for others when they are asked for their class
                pending += (known(kind) or learn(kind))(value, entries)

    def _learn(self, kind: type) -> _Recorder:
        """Return how values of a type are written down, from here on."""
        return self._recorders.setdefault(kind, self._recorder(kind))

    def _recorder(self, kind: type) -> _Recorder:
        """Return how values of a type are written down; one that is no state is kept by reference."""
        if kind not in _CONTAINERS:
            state = kind in _PLAIN or is_dataclass(kind) or self._owned(kind)
            if state and not issubclass(kind, _WORLD) and not _is_bare_tuple(kind):
                return _instances_of(kind)
            if not issubclass(kind, tuple):
                return _by_reference
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
    record = _instances_of(kind)

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
    return bool(kind.__dictoffset__) and not any(slots_of(kind)) and not issubclass(kind, _WITH_CONTENTS)


def _is_bare_tuple(kind: type) -> bool:
    """Say whether instances are what a tuple holds and nothing else, as those of a NamedTuple are."""
    return issubclass(kind, tuple) and dict_of(kind) is None and not any(slots_of(kind))


def _instances_of(kind: type) -> _Recorder:
    """Return how instances of a class are written down: their attributes, and what they contain."""
    layout = Layout.of(kind)
    contents = _contents_of(kind) if issubclass(kind, _WITH_CONTENTS) else _by_reference

    def record(instance: Any, entries: list[Entry]) -> Sequence[Any]:
        fields = dict(layout.attributes(instance))
        held = layout.filled(instance)
        entries.append((instance, (layout, fields, held), _restore_instance))
        return [*_walkable(fields.values()), *_walkable(held.values()), *contents(instance, entries)]

    def record_fields(instance: Any, entries: list[Entry]) -> Sequence[Any]:
        fields = dict(read(instance))
        entries.append((instance, (layout, fields, _NONE), _restore_instance))
        return _walkable(fields.values())

    if layout.slots or layout.reader is None or contents is not _by_reference:
        return record
    read = layout.reader.__get__
    return record_fields


def _instance_holds(instance: Any, contents: Attributes) -> bool:
    layout, fields, held = contents
    return (
        type(instance) is layout.kind
        and layout.attributes(instance) == fields
        and (not layout.slots or layout.filled(instance) == held)
    )


def _contents_of(kind: type) -> _Recorder:
    """Return how the contents of a container are written down; one that extends another is treated as that."""
    if kind is dict:
        return _record_mapping
    read, put_back, walk = _WAYS.get(kind) or next(way for base, way in _WAYS.items() if issubclass(kind, base))
    read = _AT_ONCE.get(kind, read)

    def record(value: Any, entries: list[Entry]) -> Sequence[Any]:
        contents = read(value)
        if put_back is not None:
            entries.append((value, contents, put_back))
        return walk(contents)

    return record


def _record_mapping(value: dict[Any, Any], entries: list[Entry]) -> Sequence[Any]:
    """Write a plain mapping down: what there is most of in states."""
    contents = value.copy()
    entries.append((value, contents, _restore_mapping))
    if _ATOMS.issuperset(map(type, contents.values())) and _ATOMS.issuperset(map(type, contents)):
        return ()
    return _walkable_entries(contents)


def _by_reference(value: Any, entries: list[Entry]) -> Sequence[Any]:
    return ()


def _walkable(values: Collection[Any]) -> list[Any]:
    """Return the members that may hold something mutable; nothing, at C speed, for a flat container."""
    if _ATOMS.issuperset(map(type, values)):
        return []
    return [v for v in values if type(v) not in _ATOMS]


def _walkable_entries(contents: dict[Any, Any]) -> list[Any]:
    found = _walkable(contents.values())
    return found if _ATOMS.issuperset(map(type, contents)) else found + _walkable(contents)


def _read_mapping(value: dict[Any, Any]) -> dict[Any, Any]:
    """Return a copy, at C speed and without asking keys for their hashes, unless the class iterates in its own way."""
    return dict.copy(value) if type(value).__iter__ is dict.__iter__ else dict(dict.items(value))


def _read_ordered(value: OrderedDict[Any, Any]) -> OrderedDict[Any, Any]:
    return OrderedDict(OrderedDict.items(value))


def _read_deque(value: deque[Any]) -> deque[Any]:
    return deque(deque.__iter__(value))


def _read_set(value: set[Any]) -> set[Any]:
    return set(set.__iter__(value))


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
_AT_ONCE: Mapping[type, Callable[[Any], Any]] = {deque: deque.copy, set: set.copy}
"""What copies the contents of exactly these."""
