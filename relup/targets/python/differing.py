"""How two states differ, part by part, each as it was when it was written down."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import chain, compress, islice
from operator import is_, is_not
from reprlib import Repr
from typing import Any, TypeAlias

from relup.targets.python.containers import identity
from relup.targets.python.layouts import Layout, python_made
from relup.targets.python.reach import ATOMS, Step
from relup.targets.python.snapshot import Attributes, Memory, Snapshot, holds

MOST = 20_000
"""Parts that are compared of those of which it is not clear at once that they are the same."""
DEEP = 50
"""Levels down to which states are compared at once."""
TOGETHER = 128
"""States that are compared at once, or parts of one: where not all are alike each is looked at."""
_IMMUTABLE = ATOMS - {bytearray} | {date, datetime, time, timedelta, Decimal}
_IN_PARTS = (dict, list, deque, set, tuple, bytearray, array, BaseException)
"""Of an instance of a class that extends one of these, each part is compared."""
_Below: TypeAlias = tuple[Sequence[Any], Sequence[Any]]
"""What values consisted of, and what others consist of that may be the same."""
_NOTHING: _Below = (), ()
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


def short(value: Any) -> str:
    """Return a value in a few words."""
    try:
        return _SHORT.repr(value)
    except Exception:  # of the program's own, or of a number of too many digits
        return f"<a {type(value).__qualname__}>"


def type_name(kind: type) -> str:
    """Return what a type is called, with its module unless that is Python's own."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


@dataclass(frozen=True, slots=True, eq=False)
class _As:
    """An instance of a class that extends one of Python's own types, as an instance of that."""

    base: Any
    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _As) and self.base.__eq__(self.value, other.value) is True

    __hash__ = None  # type: ignore[assignment]  # what is compared with it is all that matters

    def __repr__(self) -> str:
        return str(self.base.__repr__(self.value))


class Beyond(str):
    """Said in place of a difference: what was not compared."""

    __slots__ = ()


def _same_things(old: Collection[Any], new: Collection[Any]) -> bool:
    """Say whether two collections have the same objects, or equal ones of the same types, in the same order."""
    return len(old) == len(new) and (
        all(map(is_, old, new)) or ([*map(type, old)] == [*map(type, new)] and [*old] == [*new])
    )


def _flat(collections: Iterable[Iterable[Any]]) -> list[Any]:
    return [*chain.from_iterable(collections)]


def _members(old: Sequence[Collection[Any]], new: Sequence[Collection[Any]]) -> _Below | None:
    """Return the members of these; None where they have not as many."""
    return (_flat(old), _flat(new)) if [*map(len, old)] == [*map(len, new)] else None


def _entries(old: Sequence[dict[Any, Any]], new: Sequence[dict[Any, Any]]) -> _Below | None:
    """Return the values of these mappings; None where they have not the same keys in the same order."""
    keys = _members(old, new)
    same = keys is not None and _same_things(*keys)
    return (_flat(map(dict.values, old)), _flat(map(dict.values, new))) if same else None


def _attributes(kind: type, old: Sequence[Attributes], new: Sequence[Any]) -> _Below | None:
    """Return the attributes of these instances; None where they have others, or consist of more than attributes."""
    layout = old[0][0]
    if not layout.is_all or any(was.kind is not kind for was, _, _ in old):
        return None
    fields = [fields for _, fields, _ in old]
    now = [*map(layout.attributes, new)]
    if layout.slots:
        fields += [dict(filled) for _, _, filled in old]
        now += map(layout.filled, new)
    return _entries(fields, now)


class Then:
    """States as their snapshot has them, whatever has become of their objects since."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Know what *snapshot* was taken of."""
        self._snapshot = snapshot

    @cached_property
    def unchanged(self) -> bool:
        """Whether no object of the states has changed since."""
        return holds(self._snapshot)

    @cached_property
    def _held(self) -> Mapping[int, Any]:
        """What each container held, by its identity; of several entries of one the last."""
        return {identity(container): contents for container, contents, _ in self._snapshot}

    @cached_property
    def _several(self) -> Mapping[int, Sequence[Any]]:
        """What those held that have several entries, as an instance that is a container as well has."""
        if len(self._held) == len(self._snapshot):
            return {}
        held: dict[int, list[Any]] = {}
        for container, contents, _ in self._snapshot:
            held.setdefault(identity(container), []).append(contents)
        return {key: found for key, found in held.items() if len(found) > 1}

    def unlike(self, olds: Sequence[Any], news: Sequence[Any]) -> Iterator[int]:
        """Yield the numbers of those of *news* that are not clearly what parts of the states were."""
        for first in range(0, len(olds), TOGETHER):
            some = olds[first : first + TOGETHER], news[first : first + TOGETHER]
            if not self.alike(*some):
                pairs = enumerate(zip(*some, strict=True), first)
                yield from (
                    n for n, (old, new) in pairs if type(old) is not type(new) or not self.alike((old,), (new,))
                )

    def alike(self, olds: Sequence[Any], news: Sequence[Any]) -> bool:
        """Say, fast, whether *news* are what parts of the states were, all that they lead to included.

        They are compared level by level: what is done for many together is done at C speed.
        """
        seen = dict[int, int]()  # what was compared last with what, by identity
        for _ in range(DEEP):
            kinds = set(map(type, olds))
            if _IMMUTABLE.issuperset(kinds):
                return _same_things(olds, news)
            if [*map(type, olds)] != [*map(type, news)]:
                return False
            below: tuple[list[Any], list[Any]] = [], []
            for kind in kinds:
                some = olds, news
                if len(kinds) > 1:
                    of_kind = [type(old) is kind for old in olds]
                    some = [*compress(olds, of_kind)], [*compress(news, of_kind)]
                if (parts := self._below(kind, *some, seen)) is None:
                    return False
                below[0].extend(parts[0])
                below[1].extend(parts[1])
            olds, news = below
        return False

    def _below(self, kind: type, olds: Sequence[Any], news: Sequence[Any], seen: dict[int, int]) -> _Below | None:
        """Return what values of a type consisted of, and consist of; None where it is not clear that they are alike.

        Nothing is returned of what is the same by its identity, or was *seen* before.
        """
        if kind in _IMMUTABLE:
            return _NOTHING if _same_things(olds, news) else None
        if any(map(is_, olds, news)) and self.unchanged:
            others = [*map(is_not, olds, news)]
            olds, news = [*compress(olds, others)], [*compress(news, others)]
        fresh = dict(zip(map(identity, olds), map(identity, news), strict=True))
        if len(fresh) < len(olds) or not seen.keys().isdisjoint(fresh):
            pairs = {(identity(old), identity(new)): (old, new) for old, new in zip(olds, news, strict=True)}
            left = [pair for (old, new), pair in pairs.items() if seen.get(old) != new]
            olds, news = [old for old, _ in left], [new for _, new in left]
        if not olds:
            return _NOTHING
        seen.update(fresh)
        held: list[Any] = [*map(self._held.get, map(identity, olds))]
        if issubclass(kind, tuple) and not any(held):
            return _members([*map(_tuple, olds)], [*map(_tuple, news)])
        if None in held:
            return _NOTHING if all(map(is_, olds, news)) else None
        if not self._several.keys().isdisjoint(map(identity, olds)):
            return None
        if kind is dict:
            return _entries(held, news)
        if kind is list or kind is deque:
            return _members(held, news)
        return _attributes(kind, held, news) if type(held[0]) is tuple else None

    def parts(self, value: Any) -> Parts | None:
        """Return what a value was and what it consisted of; None for what is one thing."""
        key = identity(value)
        return _parts(value, self._several.get(key) or ([self._held[key]] if key in self._held else ()))


class Now:
    """States as they are."""

    def __init__(self, memory: Memory) -> None:
        """Look at states as *memory* writes them down."""
        self._memory = memory

    def parts(self, value: Any) -> Parts | None:
        """Return what a value is and what it consists of; None for what is one thing."""
        return _parts(value, self._memory.contents(value))


def _parts(value: Any, held: Sequence[Any]) -> Parts | None:
    """Return what a value consists of that *held* that."""
    was: type = type(value)
    if not held:
        return _of_tuple(value) if isinstance(value, tuple) else None
    found = _of_tuple(value) if isinstance(value, tuple) else Parts(was)
    base: Any = next(kind for kind in was.__mro__ if not python_made(kind))
    if base.__eq__ is not object.__eq__ and not issubclass(base, _IN_PARTS):
        found.named[f" as {base.__name__}"] = _As(base, value)
    for contents in held:
        if isinstance(contents, tuple) and contents and isinstance(contents[0], Layout):
            layout, fields, filled = contents
            found.kind = layout.kind
            found.named |= {f".{key}": v for key, v in {**fields, **filled}.items()}
        elif isinstance(contents, dict):
            found.entries |= {(type(key), key): v for key, v in contents.items()}
        elif isinstance(contents, set | bytearray):
            found.named["{…}"] = frozenset(contents) if isinstance(contents, set) else bytes(contents)
        else:
            found.items = contents
    return found


@dataclass(slots=True)
class Parts:
    """What a value consisted of: parts that have a name, the entries of a mapping, the items of a sequence."""

    kind: type
    named: dict[str, Any] = field(default_factory=dict)
    """By how that is written after the value."""
    entries: dict[tuple[type, Any], Any] = field(default_factory=dict)
    """By key, with its type: 1 and True are not the same."""
    items: Sequence[Any] = ()

    def without(self, other: Parts) -> Iterator[Step]:
        """Yield what *other* has not."""
        yield from ((name, v) for name, v in self.named.items() if name not in other.named)
        yield from ((f"[{short(key[1])}]", v) for key, v in self.entries.items() if key not in other.entries)
        yield from ((f"[{n}]", self.items[n]) for n in range(len(other.items), len(self.items)))

    def beside(self, other: Parts, then: Then) -> Iterator[tuple[str, Any, Any]]:
        """Yield what both have, but for what is clearly what it was *then*."""
        yield from ((name, v, other.named[name]) for name, v in self.named.items() if name in other.named)
        keys = [key for key in self.entries if key in other.entries]
        old, new = [self.entries[key] for key in keys], [other.entries[key] for key in keys]
        yield from ((f"[{short(keys[n][1])}]", old[n], new[n]) for n in then.unlike(old, new))
        both = min(len(self.items), len(other.items))
        old, new = [*islice(self.items, both)], [*islice(other.items, both)]
        yield from ((f"[{n}]", old[n], new[n]) for n in then.unlike(old, new))


def _tuple(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a tuple of whatever class consists of."""
    return value if type(value) is tuple else tuple(tuple.__iter__(value))


def _of_tuple(value: tuple[Any, ...]) -> Parts:
    names: Any = getattr(type(value), "_fields", None)
    items = _tuple(value)
    if isinstance(names, tuple) and len(names) == len(items):
        return Parts(type(value), {f".{name}": v for name, v in zip(names, items, strict=True)})
    return Parts(type(value), items=items)


def differences(old: Any, then: Then, new: Any, now: Then | Now, *, exact: bool = False) -> Iterator[str]:
    """Yield where *new* differs from what *old* was, the shallow parts first: `state['rows'][0]: 3 → '3'`.

    Classes of two versions are the same to it if they are called the same, unless it is to be *exact*. What is clearly
    the same is passed over at once. Of what is not, so many parts are looked at; the last line says so (`Beyond`).
    """
    pending, seen, beyond = deque([("state", old, new)]), set[tuple[int, int]](), ""
    while pending:
        path, old, new = pending.popleft()
        if (identity(old), identity(new)) in seen or then.alike((old,), (new,)):
            continue
        seen.add((identity(old), identity(new)))
        was, is_now = then.parts(old), now.parts(new)
        if was is None or is_now is None:
            if was is not is_now or not _same(old, new):
                looks = " (of another version)" if short(old) == short(new) else ""
                yield f"{path}: {short(old)} → {short(new)}{looks}"
            continue
        if (names := (type_name(was.kind), type_name(is_now.kind)))[0] != names[1]:
            yield f"{path}: a {names[0]} → a {names[1]}"
            continue
        if exact and was.kind is not is_now.kind:
            yield f"{path}: a {names[0]} → a {names[0]} of another version"
            continue
        yield from (f"- {path}{step}: {short(v)}" for step, v in was.without(is_now))
        yield from (f"+ {path}{step}: {short(v)}" for step, v in is_now.without(was))
        room = MOST - len(seen) - len(pending)
        more = ((path + step, v, w) for step, v, w in was.beside(is_now, then))
        pending += islice(more, max(room, 0))
        beyond = beyond or next((path for path, *_ in more), "")
    if beyond:
        yield Beyond(f"{beyond}: it was not compared, for there is too much that may differ")


def _same(old: Any, new: Any) -> bool:
    """Say whether two things are the same, or of a kind that cannot be compared."""
    if old is new or (type(old) is type(new) and getattr(type(old), "__eq__", None) is object.__eq__):
        return True
    try:
        return type(old) is type(new) and bool(old == new or (old != old and new != new))  # noqa: PLR0124  # a NaN
    except Exception:  # raised by a comparison of the program's own
        return False
