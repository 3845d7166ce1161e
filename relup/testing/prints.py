"""Whether two states are the same, asked when one of them is gone.

States are compared that existed one after the other, often in one object that a server changes in place. So each is
written down as a *print*: equal prints mean that nothing which a print can see is different. What it cannot see into (a
socket, a generator, a lock, a connection to a database) is written as something that equals nothing, itself included:
a print may call two things different that are the same, and never the other way round.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from relup.runtime import Pid
from relup.targets.python.reach import parts
from relup.testing.copying import Owned, is_data, pickled

_WRITTEN: frozenset[type] = frozenset({int, float, complex, bool, str, bytes, type(None), range, slice, Pid})


class Printer:
    """Writes the prints of one run of a test."""

    def __init__(self, owned: Owned, *, within_run: bool) -> None:
        """With *within_run*, classes and functions of two versions differ; without, they are what they are called."""
        self._owned = owned
        self._name = _identity if within_run else _name

    def print(self, *values: Any) -> Hashable:
        """Return what is the same for values that are the same in kind, parts, order, and in what they share."""
        seen: dict[int, int] = {}
        tokens: list[Hashable] = []
        pending: list[Any] = [iter(values)]
        while pending:
            for value in pending[-1]:
                tokens.append(token := self._token(value, seen))
                if isinstance(token, _Inside):
                    pending.append(token.parts)
                    break
            else:
                pending.pop()
                tokens.append(None)
        return tuple(t.kind if isinstance(t, _Inside) else t for t in tokens)

    def _token(self, value: Any, seen: dict[int, int]) -> Hashable:
        kind = type(value)
        if kind in _WRITTEN:
            return kind, repr(value)
        if id(value) in seen:
            return "again", seen[id(value)]
        seen[id(value)] = len(seen)
        match value:
            case Enum():
                return self._name(kind), value.name
            case type() | FunctionType() | BuiltinFunctionType() | ModuleType():
                return self._name(value)
            case bytearray() | array():
                return kind, bytes(value)
            case set() | frozenset() if self._plainly_ordered(value):
                return kind, tuple(sorted(map(repr, value)))
            case MethodType() | partial():
                return _Inside(self._name(kind), (part for _, part in parts(value)))
        if is_data(kind, self._owned) and not isinstance(value, set | frozenset):
            return _Inside(self._name(kind), _written(value))
        return self._name(kind), pickled(value) or object()

    def _plainly_ordered(self, value: Any) -> bool:
        return all(type(member) in _WRITTEN for member in value)


class _Inside:
    """A token of something whose parts come next."""

    def __init__(self, kind: Hashable, inside: Iterator[Any]) -> None:
        self.kind = kind
        self.parts = inside


def _written(value: Any) -> Iterator[Any]:
    """Yield what a value consists of: how each part is written, and the part."""
    for path, part in parts(value):
        yield path
        yield part


def _name(thing: Any) -> Hashable:
    """Return what a class, function or module is called; functions that have variables of their own equal nobody."""
    called = getattr(thing, "__qualname__", getattr(thing, "__name__", ""))
    return getattr(thing, "__module__", None), called, object() if getattr(thing, "__closure__", None) else None


def _identity(thing: Any) -> Hashable:
    """Return which one it is; by number, because whoever holds old code would keep it from being purged."""
    return getattr(thing, "__qualname__", ""), id(thing)
