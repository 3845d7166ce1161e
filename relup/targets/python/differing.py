"""How two states differ, part by part, each as it was when it was written down."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import islice
from operator import is_
from reprlib import Repr
from typing import Any

from relup.targets.python.layouts import Layout, python_made
from relup.targets.python.reach import ATOMS, Step
from relup.targets.python.snapshot import Memory, Snapshot, holds

MOST = 20_000
"""Parts that are compared of those of which it is not clear at once that they are the same."""
DEEP = 50
"""Levels down to which two states are compared without writing the newer one down."""
_IMMUTABLE = ATOMS - {bytearray} | {date, datetime, time, timedelta, Decimal}
_IN_PARTS = (dict, list, deque, set, tuple, bytearray, array, BaseException)
"""Of an instance of a class that extends one of these, each part is compared."""
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


def clearly_same(state: Any, snapshot: Snapshot, value: Any) -> bool:
    """Say, at once, whether *value* is what a small state was by its snapshot; no, where a closer look is needed."""
    kind = type(state)
    if type(value) is not kind:
        return False
    if kind in _IMMUTABLE:
        return bool(state == value)
    if len(snapshot) != 1 or snapshot[0][0] is not state:
        return False
    contents = snapshot[0][1]
    if kind is dict:
        return _flatly_same(contents, value)
    if type(contents) is not tuple:
        return False
    layout, fields, held = contents
    return (
        layout.kind is kind
        and layout.is_all
        and _flatly_same(fields, layout.attributes(value))
        and (not layout.slots or _flatly_same(held, layout.filled(value)))
    )


def _flatly_same(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> bool:
    """Say whether two mappings have the same, in the same order, and nothing that may change."""
    values = old.values()
    return _IMMUTABLE.issuperset(map(type, values)) and _same_things(old, new) and _same_things(values, new.values())


def _same_things(old: Collection[Any], new: Collection[Any]) -> bool:
    """Say whether two collections have the same objects, or equal ones of the same types, in the same order."""
    return len(old) == len(new) and (
        all(map(is_, old, new)) or ([*map(type, old)] == [*map(type, new)] and [*old] == [*new])
    )


class Then:
    """A state as its snapshot has it, whatever has become of its objects since."""

    def __init__(self, state: Any, snapshot: Snapshot) -> None:
        """Know a state by its *snapshot*."""
        self.state = state
        self._snapshot = snapshot

    @cached_property
    def _unchanged(self) -> bool:
        """Whether no object of the state has changed since."""
        return holds(self._snapshot)

    @cached_property
    def _held(self) -> Mapping[int, Any]:
        """What each container held, by its identity; of several entries of one the last."""
        return {id(container): contents for container, contents, _ in self._snapshot}

    @cached_property
    def _several(self) -> Mapping[int, Sequence[Any]]:
        """What those held that have several entries, as an instance that is a container as well has."""
        if len(self._held) == len(self._snapshot):
            return {}
        held: dict[int, list[Any]] = {}
        for container, contents, _ in self._snapshot:
            held.setdefault(id(container), []).append(contents)
        return {key: found for key, found in held.items() if len(found) > 1}

    def clearly_alike(self, old: Any, new: Any, levels: int = DEEP) -> bool:
        """Say, fast, whether *new* is what a part of the state was, all that it leads to included."""
        kind = type(old)
        if type(new) is not kind or not levels:
            return False
        if kind in _IMMUTABLE:
            return bool(old == new)
        if new is old and self._unchanged:
            return True
        key = id(old)
        if key not in self._held:
            return old is new or (issubclass(kind, tuple) and self._alike_members(_tuple(old), _tuple(new), levels))
        contents = self._held[key]
        if kind is dict:
            return self._alike_fields(contents, new, levels)
        if kind is list:
            return self._alike_members(contents, new, levels)
        if type(contents) is not tuple or key in self._several:
            return False
        layout, fields, held = contents
        return (
            layout.kind is kind
            and layout.is_all
            and self._alike_fields(fields, layout.attributes(new), levels)
            and (not layout.slots or self._alike_fields(held, layout.filled(new), levels))
        )

    def _alike_fields(self, old: Mapping[Any, Any], new: Mapping[Any, Any], levels: int) -> bool:
        return _same_things(old, new) and self._alike_members(old.values(), new.values(), levels)

    def _alike_members(self, old: Collection[Any], new: Collection[Any], levels: int) -> bool:
        if _IMMUTABLE.issuperset(map(type, old)):
            return _same_things(old, new)
        return len(old) == len(new) and all(self.clearly_alike(a, b, levels - 1) for a, b in zip(old, new, strict=True))

    def parts(self, value: Any) -> Parts | None:
        """Return what a value was and what it consisted of; None for what is one thing."""
        key = id(value)
        return _parts(value, self._several.get(key) or ([self._held[key]] if key in self._held else ()))


class Now:
    """A state as it is."""

    def __init__(self, state: Any, memory: Memory) -> None:
        """Look at a state as *memory* writes states down."""
        self.state = state
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

    def beside(self, other: Parts, alike: Callable[[Any, Any], bool]) -> Iterator[tuple[str, Any, Any]]:
        """Yield what both have, but for what is clearly *alike*."""
        yield from ((name, v, other.named[name]) for name, v in self.named.items() if name in other.named)
        for key, v in self.entries.items():
            if key in other.entries and not alike(v, other.entries[key]):
                yield f"[{short(key[1])}]", v, other.entries[key]
        for n, (v, w) in enumerate(zip(self.items, other.items, strict=False)):
            if not alike(v, w):
                yield f"[{n}]", v, w


def _tuple(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a tuple of whatever class consists of."""
    return value if type(value) is tuple else tuple(tuple.__iter__(value))


def _of_tuple(value: tuple[Any, ...]) -> Parts:
    names: Any = getattr(type(value), "_fields", None)
    items = _tuple(value)
    if isinstance(names, tuple) and len(names) == len(items):
        return Parts(type(value), {f".{name}": v for name, v in zip(names, items, strict=True)})
    return Parts(type(value), items=items)


def differences(before: Then, after: Then | Now, *, exact: bool = False) -> Iterator[str]:
    """Yield where *after* differs, and how, the shallow parts first: `state['rows'][0]: 3 → '3'`.

    Classes of two versions are the same to it if they are called the same, unless it is to be *exact*. What is clearly
    the same is passed over at once. Of what is not, so many parts are looked at; the last line says so (`Beyond`).
    """
    pending, seen, beyond = deque([("state", before.state, after.state)]), set[tuple[int, int]](), ""
    while pending:
        path, old, new = pending.popleft()
        if (id(old), id(new)) in seen or before.clearly_alike(old, new):
            continue
        seen.add((id(old), id(new)))
        was, now = before.parts(old), after.parts(new)
        if was is None or now is None:
            if was is not now or not _same(old, new):
                looks = " (of another version)" if short(old) == short(new) else ""
                yield f"{path}: {short(old)} → {short(new)}{looks}"
            continue
        if (names := (type_name(was.kind), type_name(now.kind)))[0] != names[1]:
            yield f"{path}: a {names[0]} → a {names[1]}"
            continue
        if exact and was.kind is not now.kind:
            yield f"{path}: a {names[0]} → a {names[0]} of another version"
            continue
        yield from (f"- {path}{step}: {short(v)}" for step, v in was.without(now))
        yield from (f"+ {path}{step}: {short(v)}" for step, v in now.without(was))
        room = MOST - len(seen) - len(pending)
        more = ((path + step, v, w) for step, v, w in was.beside(now, before.clearly_alike))
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
