"""What a state was, so that it can be that again, by the same identity.

A `code_change` may mutate its argument and then raise, or a later process may raise after it. Keeping the old
state by reference is then not enough, and a deep copy is wrong as well as slow: it loses identity (a socket, a
lock, an object that two servers share). So the contents of the mutable containers that a state reaches are
written down, as an undo log does, and put back *into* the same objects.

The walk goes into built-in containers and into plain instances of classes that the release itself defines.
Everything else (transports, locks, loggers, objects of libraries) is kept by reference: it belongs to the
world, and no upgrade may roll the world back. A state without mutable parts costs one look-up.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any, TypeAlias

Entry: TypeAlias = tuple[Any, Any, Callable[[Any, Any], None]]
"""A container, what it held, and how that is put back."""
Snapshot: TypeAlias = tuple[Entry, ...]

_ATOMS: frozenset[type] = frozenset(
    {int, float, complex, bool, str, bytes, NoneType, type, range, FunctionType, BuiltinFunctionType}
)
_MAPPINGS: frozenset[type] = frozenset({dict, defaultdict, OrderedDict, Counter})


class Memory:
    """Writes states down. One memory serves one upgrade: it learns the layout of each class once."""

    __slots__ = ("_layouts", "_owned")

    def __init__(self, owned: Callable[[type], bool]) -> None:
        """*owned* says whether a class is defined by the release, so that its instances are state."""
        self._owned = owned
        self._layouts: dict[type, tuple[str, ...] | None] = {}

    def remember(self, state: Any) -> Snapshot:
        """Return what every mutable container that *state* reaches holds now."""
        if state.__class__ in _ATOMS:
            return ()
        entries: list[Entry] = []
        seen: set[int] = set()
        pending = [state]
        while pending:
            value = pending.pop()
            if id(value) not in seen:
                seen.add(id(value))
                pending += self._record(value, entries)
        return tuple(entries)

    def _record(self, value: Any, entries: list[Entry]) -> list[Any]:
        """Write *value* down if it is mutable, and return what is to be walked next."""
        kind = value.__class__
        if kind in _MAPPINGS:
            items = dict(value)
            entries.append((value, items, _restore_mapping))
            return _walkable(items.values()) + _walkable(items)
        if kind is list or kind is deque:
            members = list(value)
            entries.append((value, members, _restore_sequence))
            return _walkable(members)
        if kind is tuple or kind is frozenset:
            return _walkable(value)
        if kind is set:
            entries.append((value, set(value), _restore_set))
            return _walkable(value)
        if kind is bytearray:
            entries.append((value, bytes(value), _restore_bytes))
            return []
        return self._record_instance(value, kind, entries)

    def _record_instance(self, value: Any, kind: type, entries: list[Entry]) -> list[Any]:
        slots = self._layout(kind)
        if slots is None:
            return []
        fields = dict(vars(value)) if hasattr(value, "__dict__") else None
        held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
        entries.append((value, (kind, fields, held, slots), _restore_instance))
        parts = _walkable((fields or {}).values()) + _walkable(held.values())
        match value:
            case dict():
                entries.append((value, dict(value), _restore_mapping))
                parts += [*value.values(), *value]
            case list():
                entries.append((value, list(value), _restore_sequence))
                parts += list(value)
            case set():
                entries.append((value, set(value), _restore_set))
                parts += list(value)
            case tuple() | frozenset():
                parts += list(value)
            case _:
                pass
        return parts

    def _layout(self, kind: type) -> tuple[str, ...] | None:
        """Return the slots of an owned class; None for a class whose instances are kept by reference."""
        if kind not in self._layouts:
            self._layouts[kind] = _slots(kind) if self._owned(kind) else None
        return self._layouts[kind]


def restore(snapshot: Snapshot) -> None:
    """Put the contents back into the same containers."""
    for container, contents, put_back in snapshot:
        put_back(container, contents)


def _walkable(values: Collection[Any]) -> list[Any]:
    """Return the members that may hold something mutable; nothing, at C speed, for a flat container."""
    if _ATOMS.issuperset(map(type, values)):
        return []
    return [v for v in values if v.__class__ not in _ATOMS]


def _slots(kind: type) -> tuple[str, ...]:
    return tuple(
        name
        for base in kind.__mro__
        for name in _names(base.__dict__.get("__slots__", ()))
        if name not in ("__dict__", "__weakref__")
    )


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


def _restore_mapping(container: dict[Any, Any], contents: dict[Any, Any]) -> None:
    dict.clear(container)
    dict.update(container, contents)


def _restore_sequence(container: Any, contents: list[Any]) -> None:
    container.clear()
    container.extend(contents)


def _restore_set(container: set[Any], contents: set[Any]) -> None:
    set.clear(container)
    set.update(container, contents)


def _restore_bytes(container: bytearray, contents: bytes) -> None:
    container[:] = contents


def _restore_instance(
    instance: Any, contents: tuple[type, dict[str, Any] | None, dict[str, Any], tuple[str, ...]]
) -> None:
    kind, fields, held, slots = contents
    if instance.__class__ is not kind:
        object.__setattr__(instance, "__class__", kind)
    if fields is not None:
        instance.__dict__.clear()
        instance.__dict__.update(fields)
    for name in slots:
        if name in held:
            object.__setattr__(instance, name, held[name])
        elif hasattr(instance, name):
            object.__delattr__(instance, name)
