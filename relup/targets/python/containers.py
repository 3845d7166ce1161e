"""How the contents of Python's own containers are read, put back, and looked through.

The methods are those of the base types, whatever a subclass made of them.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any, TypeAlias

ATOMS: frozenset[type] = frozenset(
    {int, float, complex, bool, str, bytes, NoneType, type, range, FunctionType, BuiltinFunctionType}
)
CONTAINERS: frozenset[type] = frozenset(
    {dict, defaultdict, OrderedDict, Counter, list, deque, set, bytearray, array, tuple, frozenset}
)
ARGS: Any = vars(BaseException)["args"]
"""What reads and writes the arguments of an error, whatever its class makes of that name."""
WITH_CONTENTS = (dict, list, deque, set, tuple, frozenset, bytearray, array, BaseException)
_ALL = slice(None)


def walkable(values: Collection[Any]) -> list[Any]:
    """Return the members that may hold something mutable; nothing, at C speed, for a flat container."""
    if ATOMS.issuperset(map(type, values)):
        return []
    return [v for v in values if type(v) not in ATOMS]


def _walkable_entries(contents: dict[Any, Any]) -> list[Any]:
    found = walkable(contents.values())
    return found if ATOMS.issuperset(map(type, contents)) else found + walkable(contents)


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


def restore_args(error: BaseException, args: tuple[Any, ...]) -> None:
    """Put the arguments of an error back."""
    ARGS.__set__(error, args)


def _restore_bytes(container: bytearray, contents: bytearray) -> None:
    bytearray.__setitem__(container, _ALL, contents)


def _restore_array(container: array[Any], contents: array[Any]) -> None:
    array.__setitem__(container, _ALL, contents)


Way: TypeAlias = tuple[Callable[[Any], Any], Callable[[Any, Any], None] | None, Callable[[Any], list[Any]]]
"""What copies the contents, what puts them back (None where they never change), and what of the copy is walked."""
_WAYS: Mapping[type, Way] = {
    OrderedDict: (_read_ordered, _restore_ordered, _walkable_entries),  # before what it extends
    dict: (_read_mapping, _restore_mapping, _walkable_entries),
    list: (list.copy, _restore_list, walkable),
    deque: (_read_deque, _restore_deque, walkable),
    set: (_read_set, _restore_set, walkable),
    tuple: (_read_tuple, None, walkable),
    frozenset: (_read_frozen, None, walkable),
    BaseException: (ARGS.__get__, restore_args, walkable),
    bytearray: (_read_bytes, _restore_bytes, _nothing),
    array: (_read_array, _restore_array, _nothing),
}
_AT_ONCE: Mapping[type, Callable[[Any], Any]] = {dict: dict.copy, deque: deque.copy, set: set.copy}
"""What copies the contents of exactly these."""


def way_of(kind: type) -> Way:
    """Return that of a container; of one that extends another, that of the other."""
    read, put_back, walk = _WAYS.get(kind) or next(way for base, way in _WAYS.items() if issubclass(kind, base))
    return _AT_ONCE.get(kind, read), put_back, walk
