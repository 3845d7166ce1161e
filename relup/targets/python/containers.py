"""How the contents of Python's own containers are read, put back, and looked through.

The methods are those of the base types, whatever a subclass made of them.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from operator import is_
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any, NamedTuple

ATOMS: frozenset[type] = frozenset(
    {int, float, complex, bool, str, bytes, NoneType, type, range, FunctionType, BuiltinFunctionType}
)
CONTAINERS: frozenset[type] = frozenset(
    {dict, defaultdict, OrderedDict, Counter, list, deque, set, bytearray, array, tuple, frozenset}
)
ARGS: Any = vars(BaseException)["args"]
"""What reads and writes the arguments of an error, whatever its class makes of that name."""
WITH_CONTENTS = (dict, list, deque, set, tuple, frozenset, bytearray, array, BaseException)
_FACTORY: Any = vars(defaultdict)["default_factory"]
_ALL = slice(None)
AT_ONCE = 10_000
"""Values that are looked at at once: what is done for many together is done at C speed."""
identity: Callable[[Any], int] = object.__hash__
"""Tells objects apart as `id` does; of that every audit hook is told, and a copy of a node has one."""


def by_type(values: Collection[Any]) -> Mapping[type, Sequence[Any]]:
    """Return values by what they really are: proxies answer for others when they are asked for their class."""
    found: dict[type, list[Any]] = {kind: [] for kind in map(type, values)}
    if len(found) == 1:
        return {kind: [*values] for kind in found}
    for value in values:
        found[type(value)].append(value)
    return found


def unseen(pending: list[Any], seen: set[int]) -> Mapping[type, Sequence[Any]]:
    """Take the last of *pending*, many at once, and return, by type, those that were not seen before."""
    fresh = dict(zip(map(identity, pending[-AT_ONCE:]), pending[-AT_ONCE:], strict=True))
    del pending[-AT_ONCE:]
    for key in seen.intersection(fresh):
        del fresh[key]
    seen.update(fresh)
    return by_type(fresh.values())


def walkable(values: Collection[Any]) -> list[Any]:
    """Return the members that may hold something mutable; nothing, at C speed, for a flat container."""
    if ATOMS.issuperset(map(type, values)):
        return []
    return [v for v in values if type(v) not in ATOMS]


def _walkable_entries(contents: dict[Any, Any]) -> list[Any]:
    found = walkable(contents.values())
    return found if ATOMS.issuperset(map(type, contents)) else found + walkable(contents)


def walkable_of_all(containers: Sequence[Iterable[Any]], atoms: frozenset[type] = ATOMS) -> list[Any]:
    """Return the members of all of these that are no *atoms*: that may hold something mutable."""
    if atoms.issuperset(map(type, chain.from_iterable(containers))):
        return []
    return [v for v in chain.from_iterable(containers) if type(v) not in atoms]


def _walkable_entries_of_all(mappings: Sequence[dict[Any, Any]]) -> list[Any]:
    return walkable_of_all([*mappings, *map(dict.values, mappings)])


def _read_mapping(value: dict[Any, Any]) -> dict[Any, Any]:
    """Return a copy, at C speed and without asking keys for their hashes, unless the class iterates in its own way."""
    return dict.copy(value) if type(value).__iter__ is dict.__iter__ else dict(dict.items(value))


def _read_default(value: defaultdict[Any, Any]) -> defaultdict[Any, Any]:
    return defaultdict(_FACTORY.__get__(value), _read_mapping(value))


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


def _restore_default(container: defaultdict[Any, Any], contents: defaultdict[Any, Any]) -> None:
    _FACTORY.__set__(container, contents.default_factory)
    _restore_mapping(container, contents)


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


def same_entries(now: Mapping[Any, Any], then: Mapping[Any, Any], base: Any = dict) -> bool:
    """Say whether a mapping has the very same keys and values, in the same order; *base* is what reads it."""
    if type(now) is dict:
        return len(now) == len(then) and all(map(is_, now, then)) and all(map(is_, now.values(), then.values()))
    return (
        base.__len__(now) == len(then)
        and all(map(is_, base.keys(now), then))
        and all(map(is_, base.values(now), then.values()))
    )


def same_all_entries(now: Sequence[Any], then: Sequence[Mapping[Any, Any]]) -> bool:
    """Say the same of many dictionaries, at C speed."""
    return (
        [*map(dict.__len__, now)] == [*map(len, then)]
        and _same_flat(map(dict.keys, now), then)
        and _same_flat(map(dict.values, now), [m.values() for m in then])
    )


def _same_all_lists(now: Sequence[Any], then: Sequence[list[Any]]) -> bool:
    return [*map(list.__len__, now)] == [*map(len, then)] and _same_flat(map(list.__iter__, now), then)


def _same_flat(now: Iterable[Iterable[Any]], then: Iterable[Iterable[Any]]) -> bool:
    return all(map(is_, chain.from_iterable(now), chain.from_iterable(then)))


def _same_members(base: Any) -> Callable[[Any, Any], bool]:
    return lambda now, then: base.__len__(now) == len(then) and all(map(is_, base.__iter__(now), then))


def _same_default(now: defaultdict[Any, Any], then: defaultdict[Any, Any]) -> bool:
    return _FACTORY.__get__(now) is then.default_factory and same_entries(now, then)


def _same_ordered(now: OrderedDict[Any, Any], then: OrderedDict[Any, Any]) -> bool:
    return same_entries(now, then, OrderedDict)


def _same_set(now: set[Any], then: set[Any]) -> bool:
    return set.__len__(now) == len(then) and {*map(identity, set.__iter__(now))} == {*map(identity, then)}


def _same_args(now: BaseException, then: tuple[Any, ...]) -> bool:
    args = ARGS.__get__(now)
    return len(args) == len(then) and all(map(is_, args, then))


def _equal(base: Any) -> Callable[[Any, Any], bool]:
    return lambda now, then: base.__ne__(now, then) is False


class Way(NamedTuple):
    """How the contents of a container are read, put back, compared, and looked through."""

    read: Callable[[Any], Any]
    """What copies them."""
    put_back: Callable[[Any, Any], None] | None
    """None where they never change."""
    holds: Callable[[Any, Any], bool]
    """What says whether a container holds the very same things still; equal ones are others."""
    walk: Callable[[Any], list[Any]]
    """What returns the members of a copy that may hold something mutable."""
    walk_all: Callable[[Sequence[Any]], list[Any]]
    """The same for many copies."""


_ENTRIES = _walkable_entries, _walkable_entries_of_all
_MEMBERS = walkable, walkable_of_all
_NOTHING = _nothing, _nothing
_WAYS: Mapping[type, Way] = {
    OrderedDict: Way(_read_ordered, _restore_ordered, _same_ordered, *_ENTRIES),  # before what it extends
    defaultdict: Way(_read_default, _restore_default, _same_default, *_ENTRIES),
    dict: Way(_read_mapping, _restore_mapping, same_entries, *_ENTRIES),
    list: Way(list.copy, _restore_list, _same_members(list), *_MEMBERS),
    deque: Way(_read_deque, _restore_deque, _same_members(deque), *_MEMBERS),
    set: Way(_read_set, _restore_set, _same_set, *_MEMBERS),
    tuple: Way(_read_tuple, None, is_, *_MEMBERS),
    frozenset: Way(_read_frozen, None, is_, *_MEMBERS),
    BaseException: Way(ARGS.__get__, restore_args, _same_args, *_MEMBERS),
    bytearray: Way(_read_bytes, _restore_bytes, _equal(bytearray), *_NOTHING),
    array: Way(_read_array, _restore_array, _equal(array), *_NOTHING),
}
HOLDS: Mapping[Any, Callable[[Any, Any], bool]] = {way.put_back: way.holds for way in _WAYS.values() if way.put_back}
"""What compares, by what puts back."""
HOLD_ALL: Mapping[Any, Callable[[Any, Any], bool]] = {
    _restore_mapping: same_all_entries,
    _restore_list: _same_all_lists,
}
"""The same for many containers, where that is faster."""
_EXACTLY: Mapping[type, Callable[[Any], Any]] = {dict: dict.copy, deque: deque.copy, set: set.copy}
"""What copies the contents of exactly these."""


def way_of(kind: type) -> Way:
    """Return that of a container; of one that extends another, that of the other."""
    way = _WAYS.get(kind) or next(way for base, way in _WAYS.items() if issubclass(kind, base))
    return way._replace(read=_EXACTLY.get(kind, way.read))
