"""What a value consists of, as far as that can be seen without calling the program's code."""

from __future__ import annotations

from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from reprlib import Repr
from typing import Any, TypeAlias

from relup.targets.python.containers import identity
from relup.targets.python.layouts import Layout, python_made
from relup.targets.python.reach import ATOMS, Step

Unlike: TypeAlias = Callable[[Sequence[Any], Sequence[Any]], Iterable[int]]
"""Returns the numbers of those that are not clearly the same."""
IMMUTABLE = ATOMS - {bytearray} | {date, datetime, time, timedelta, Decimal}
_IN_PARTS = (dict, list, deque, set, tuple, bytearray, array, BaseException)
"""Of an instance of a class that extends one of these, each part is compared."""
_FIXED: Mapping[type, Sequence[str]] = {deque: ("maxlen",), array: ("typecode",)}
"""What beside its items makes one of these what it is."""
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


@dataclass(slots=True)
class Parts:
    """What a value consisted of: parts that have a name, the entries of a mapping, the items of a sequence."""

    kind: type
    named: dict[str, Any] = field(default_factory=dict)
    """By how that is written after the value."""
    entries: dict[tuple[type, Any], Any] = field(default_factory=dict)
    """By key, with its type: 1 and True are not the same."""
    ordered: bool = False
    """Whether the order of the entries counts."""
    items: Sequence[Any] = ()
    members: Sequence[Any] | None = None
    """Those of a set."""
    hidden: str = ""
    """The type made in C that keeps something in an instance of which nothing can be seen."""

    def without(self, other: Parts) -> Iterator[Step]:
        """Yield what *other* has not."""
        yield from ((name, v) for name, v in self.named.items() if name not in other.named)
        yield from ((f"[{short(key[1])}]", v) for key, v in self.entries.items() if key not in other.entries)
        yield from ((f"[{n}]", self.items[n]) for n in range(len(other.items), len(self.items)))

    def beside(self, other: Parts, unlike: Unlike) -> Iterator[tuple[str, Any, Any]]:
        """Yield what both have, but for what is clearly not *unlike*."""
        yield from ((name, v, other.named[name]) for name, v in self.named.items() if name in other.named)
        keys = [key for key in self.entries if key in other.entries]
        old, new = [self.entries[key] for key in keys], [other.entries[key] for key in keys]
        yield from ((f"[{short(keys[n][1])}]", old[n], new[n]) for n in unlike(old, new))
        mutable = {key: key[1] for key in other.entries if key[0] not in IMMUTABLE}
        yield from ((f" key {short(key[1])}", key[1], mutable[key]) for key in keys if key in mutable)
        both = min(len(self.items), len(other.items))
        old, new = [*islice(self.items, both)], [*islice(other.items, both)]
        yield from ((f"[{n}]", old[n], new[n]) for n in unlike(old, new))
        theirs = {identity(member): member for member in other.members or ()}
        same = [m for m in self.members or () if type(m) not in IMMUTABLE and identity(m) in theirs]
        yield from (("{…}", member, member) for member in same)

    def of_sets(self, other: Parts) -> tuple[str, bool]:
        """Return how the members of two sets differ, and whether some cannot be told from each other."""
        if self.members is None or other.members is None:
            return "", False
        ours, theirs = ({identity(m): m for m in members} for members in (self.members, other.members))
        gone, come = [ours[k] for k in ours.keys() - theirs.keys()], [theirs[k] for k in theirs.keys() - ours.keys()]
        nameless = [[m for m in members if _is_nameless(m)] for members in (gone, come)]
        gone, come = ([m for m in members if not _is_nameless(m)] for members in (gone, come))
        if typed(gone) != typed(come) or len(nameless[0]) != len(nameless[1]):
            return f"{short(frozenset(self.members))} → {short(frozenset(other.members))}", False
        return "", bool(nameless[0])


def parts_of(value: Any, held: Sequence[Any]) -> Parts | None:
    """Return what a value consists of that *held* that."""
    was: type = type(value)
    if issubclass(was, frozenset):
        return Parts(was, members=[*frozenset.__iter__(value)])
    if not held:
        return _of_tuple(value) if issubclass(was, tuple) else None
    found = _of_tuple(value) if issubclass(was, tuple) else Parts(was)
    base: Any = next(kind for kind in was.__mro__ if not python_made(kind))
    if not issubclass(base, _IN_PARTS) and base is not object:
        if base.__eq__ is object.__eq__:
            found.hidden = base.__name__
        else:
            found.named[f" as {base.__name__}"] = _As(base, value)
    for contents in held:
        match contents:
            case (Layout(kind=kind), fields, filled):
                found.kind = kind
                found.named |= {f".{key}": v for key, v in {**fields, **filled}.items()}
            case dict():
                found.entries |= {(type(key), key): v for key, v in contents.items()}
                found.ordered = type(contents) is OrderedDict
                if type(contents) is defaultdict:
                    found.named[".default_factory"] = contents.default_factory
            case set():
                found.members = [*contents]
            case bytearray():
                found.named["{…}"] = bytes(contents)
            case _:
                found.items = contents
                found.named |= {f".{name}": getattr(contents, name) for name in _FIXED.get(type(contents), ())}
    return found


def _is_nameless(member: object) -> bool:
    """Say whether a member of a set is told from others by who it is, not by what it says."""
    return getattr(type(member), "__hash__", None) is object.__hash__


def members_of(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a tuple of whatever class consists of."""
    return value if type(value) is tuple else tuple(tuple.__iter__(value))


def _of_tuple(value: tuple[Any, ...]) -> Parts:
    names: Any = getattr(type(value), "_fields", None)
    items = members_of(value)
    if isinstance(names, tuple) and len(names) == len(items):
        return Parts(type(value), {f".{name}": v for name, v in zip(names, items, strict=True)})
    return Parts(type(value), items=items)


def typed(members: Iterable[Any]) -> set[tuple[type, Any]]:
    """Return members of a set with their types: 1 and True are not the same."""
    return {(type(member), member) for member in members}
