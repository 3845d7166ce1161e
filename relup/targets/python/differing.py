"""How two states differ, part by part, each as it was when it was written down."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain, compress, islice
from operator import is_, is_not
from time import perf_counter
from types import NoneType
from typing import Any, TypeAlias

from relup.diagnostics import in_words
from relup.runtime.pid import Pid
from relup.targets.python.components import IMMUTABLE, Parts, members_of, parts_of, short, type_name, typed
from relup.targets.python.containers import identity
from relup.targets.python.snapshot import Attributes, Memory, Snapshot, holds

MOST = 20_000
"""Parts that are compared of those of which it is not clear at once that they are the same."""
DEEP = 50
"""Levels down to which parts are compared at once where some are known to differ."""
SECONDS = 5.0
"""How long one pair of states is compared in detail."""
LONGEST = 300
"""Characters of a path, from which on nothing is added to it."""
TOGETHER = 128
"""States that are compared at once, or parts of one: where not all are alike each is looked at."""
_EXACT = frozenset({int, bool, str, bytes, NoneType, Pid, range, slice})
"""Of these what is equal is the same."""
_Below: TypeAlias = tuple[Sequence[Any], Sequence[Any]]
"""What values consisted of, and what others consist of that may be the same."""
_NOTHING: _Below = (), ()


class Beyond(str):
    """Said in place of a difference: what was not compared."""

    __slots__ = ()


def _same_things(old: Collection[Any], new: Collection[Any]) -> bool:
    """Say whether two collections have the same objects, or equal ones that never change, in the same order."""
    if len(old) != len(new):
        return False
    if all(map(is_, old, new)):
        return True
    if not IMMUTABLE.issuperset(map(type, old)) or not all(map(is_, map(type, old), map(type, new))):
        return False
    # what is equal may be written otherwise: 0.0 and -0.0, 1.0 and 1.00, noon here and there
    return [*old] == [*new] if _EXACT.issuperset(map(type, old)) else [*map(repr, old)] == [*map(repr, new)]


def _flat(collections: Iterable[Iterable[Any]]) -> list[Any]:
    return [*chain.from_iterable(collections)]


def _members(old: Sequence[Collection[Any]], new: Sequence[Collection[Any]]) -> _Below | None:
    """Return the members of these; None where they have not as many."""
    return (_flat(old), _flat(new)) if [*map(len, old)] == [*map(len, new)] else None


def _entries(old: Sequence[dict[Any, Any]], new: Sequence[dict[Any, Any]]) -> _Below | None:
    """Return the values of these mappings, and keys that may change; None where these have not the same keys."""
    keys = _members(old, new)
    if keys is None or not _same_things(*keys):
        return None
    were, are = _flat(map(dict.values, old)), _flat(map(dict.values, new))
    return (were, are) if IMMUTABLE.issuperset(map(type, keys[0])) else ([*were, *keys[0]], [*are, *keys[1]])


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


class _Seen:
    """Which parts of two states were compared with each other."""

    __slots__ = ("_first", "_more")

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._more: set[tuple[int, int]] = set()
        """What was compared besides with those that had been compared before."""

    def fresh(self, olds: Sequence[Any], news: Sequence[Any]) -> _Below:
        """Return those that were not, and know them from here on."""
        first, keys = self._first, dict(zip(map(identity, olds), map(identity, news), strict=True))
        if len(keys) == len(olds) and first.keys().isdisjoint(keys):
            first.update(keys)
            return olds, news
        pairs = {(identity(old), identity(new)): (old, new) for old, new in zip(olds, news, strict=True)}
        left = {key: pair for key, pair in pairs.items() if first.get(key[0]) != key[1] and key not in self._more}
        self._more.update(left)
        return [old for old, _ in left.values()], [new for _, new in left.values()]


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

    def unlike(self, olds: Sequence[Any], news: Sequence[Any], levels: int = MOST) -> Iterator[int]:
        """Yield the numbers of those of *news* that are not clearly what parts of the states were."""
        for first in range(0, len(olds), TOGETHER):
            some = olds[first : first + TOGETHER], news[first : first + TOGETHER]
            if not self.alike(*some, levels):
                pairs = enumerate(zip(*some, strict=True), first)
                yield from (n for n, (old, new) in pairs if not self.alike((old,), (new,), levels))

    def alike(self, olds: Sequence[Any], news: Sequence[Any], levels: int = MOST) -> bool:
        """Say, fast, whether *news* are what parts of the states were, all that they lead to included.

        They are compared level by level: what is done for many together is done at C speed.
        """
        try:
            return self._alike(olds, news, levels)
        except Exception:  # raised by the program's own
            return False

    def _alike(self, olds: Sequence[Any], news: Sequence[Any], levels: int) -> bool:
        seen = _Seen()
        for _ in range(levels):
            kinds = set(map(type, olds))
            if IMMUTABLE.issuperset(kinds):
                return _same_things(olds, news)
            if not all(map(is_, map(type, olds), map(type, news))):
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

    def _below(self, kind: type, olds: Sequence[Any], news: Sequence[Any], seen: _Seen) -> _Below | None:
        """Return what values of a type consisted of, and consist of; None where it is not clear that they are alike.

        Nothing is returned of what is the same by its identity, or was *seen* before.
        """
        if kind in IMMUTABLE:
            return _NOTHING if _same_things(olds, news) else None
        if any(map(is_, olds, news)) and self.unchanged:
            others = [*map(is_not, olds, news)]
            olds, news = [*compress(olds, others)], [*compress(news, others)]
        olds, news = seen.fresh(olds, news)
        if not olds:
            return _NOTHING
        held: list[Any] = [*map(self._held.get, map(identity, olds))]
        if kind is frozenset or kind is set:
            were = olds if kind is frozenset else held
            flat = None not in were and IMMUTABLE.issuperset(map(type, _flat(were)))
            return _NOTHING if flat and [*map(typed, were)] == [*map(typed, news)] else None
        if issubclass(kind, tuple) and not any(held):
            return _members([*map(members_of, olds)], [*map(members_of, news)])
        if None in held:
            return _NOTHING if all(map(is_, olds, news)) else None
        if not self._several.keys().isdisjoint(map(identity, olds)):
            return None
        if kind is dict or kind is OrderedDict:
            return _entries(held, news)
        if kind is list or (kind is deque and [d.maxlen for d in held] == [d.maxlen for d in news]):
            return _members(held, news)
        return _attributes(kind, held, news) if type(held[0]) is tuple else None

    def parts(self, value: Any) -> Parts | None:
        """Return what a value was and what it consisted of; None for what is one thing."""
        key = identity(value)
        return parts_of(value, self._several.get(key) or ([self._held[key]] if key in self._held else ()))


class Now:
    """States as they are."""

    def __init__(self, memory: Memory) -> None:
        """Look at states as *memory* writes them down."""
        self._memory = memory

    def parts(self, value: Any) -> Parts | None:
        """Return what a value is and what it consists of; None for what is one thing."""
        return parts_of(value, self._memory.contents(value))


def differences(old: Any, then: Then, new: Any, now: Then | Now, *, exact: bool = False) -> Iterator[str]:
    """Yield where *new* differs from what *old* was, the shallow parts first: `state['rows'][0]: 3 → '3'`.

    Classes of two versions are the same to it if they are called the same, unless it is to be *exact*. What is clearly
    the same is passed over at once. Of what is not, so many parts are looked at; the last line says so (`Beyond`).
    """
    try:
        yield from _differences(old, then, new, now, exact=exact)
    except Exception as error:  # raised by the program's own
        yield Beyond(f"it was not compared further: {in_words(error)}")


def _differences(old: Any, then: Then, new: Any, now: Then | Now, *, exact: bool) -> Iterator[str]:
    pending, seen, beyond = deque([("state", old, new)]), set[tuple[int, int]](), ""
    unlike, until = partial(then.unlike, levels=DEEP), perf_counter() + SECONDS
    while pending:
        path, old, new = pending.popleft()
        if (identity(old), identity(new)) in seen or then.alike((old,), (new,), DEEP):
            continue
        seen.add((identity(old), identity(new)))
        was, is_now = then.parts(old), now.parts(new)
        if was is None or is_now is None:
            if was is not is_now or not _same(old, new):
                other = type(old) is not type(new) and short(old) == short(new)
                yield f"{path}: {short(old)} → {short(new)}{' (of another version)' if other else ''}"
            continue
        if (names := (type_name(was.kind), type_name(is_now.kind)))[0] != names[1]:
            yield f"{path}: a {names[0]} → a {names[1]}"
            continue
        if exact and was.kind is not is_now.kind:
            yield f"{path}: a {names[0]} → a {names[0]} of another version"
            continue
        yield from (f"- {path}{step}: {short(v)}" for step, v in was.without(is_now))
        yield from (f"+ {path}{step}: {short(v)}" for step, v in is_now.without(was))
        if was.ordered and was.entries.keys() == is_now.entries.keys() and [*was.entries] != [*is_now.entries]:
            yield f"{path}: its keys are in another order"
        members, nameless = was.of_sets(is_now)
        if members:
            yield f"{path}{{…}}: {members}"
        elif nameless:
            beyond = beyond or f"{path}{{…}}: members of a set that are told apart by who they are were not compared"
        if was.hidden:
            beyond = beyond or f"{path}: what a {was.hidden} keeps to itself was not compared"
        room = 0 if perf_counter() > until else MOST - len(seen) - len(pending)
        more = ((_longer(path, step), v, w) for step, v, w in was.beside(is_now, unlike))
        pending += islice(more, max(room, 0))
        if not beyond and (first := next((path for path, *_ in more), "")):
            beyond = f"{first}: it was not compared, for there is too much that may differ"
    if beyond:
        yield Beyond(beyond)


def _longer(path: str, step: str) -> str:
    """Return a path with a step more, of which no more is shown than people read."""
    return path if path.endswith("…") else f"{path}{step}" if len(path) < LONGEST else f"{path}…"


def _same(old: Any, new: Any) -> bool:
    """Say whether two things are the same, or of a kind that cannot be compared."""
    kind = type(old)
    if old is new or kind is not type(new):
        return old is new
    if kind in IMMUTABLE:
        return _same_things((old,), (new,))
    if getattr(kind, "__eq__", None) is object.__eq__:
        return not issubclass(kind, type)
    try:
        return bool(old == new or (old != old and new != new))  # noqa: PLR0124  # a NaN
    except Exception:  # raised by a comparison of the program's own
        return False
