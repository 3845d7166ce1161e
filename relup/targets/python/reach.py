"""What a state reaches, step by step, and how a step is written.

For a question about code (is there anything in here that an upgrade replaces?) more counts than for one about data:
bound methods, closures, suspended generators and exceptions carry code too. The walk goes through Python's own
containers and through instances of anybody's classes, without calling their code, and stops at what belongs to the
world: modules, classes, tasks, contexts, loops, threads, loggers, and the node's own machinery.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import Context
from itertools import chain
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    BuiltinMethodType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
    NoneType,
    SimpleNamespace,
    TracebackType,
)
from typing import Any, TypeAlias
from weakref import ReferenceType, WeakKeyDictionary

from relup.runtime import Node, Process
from relup.runtime.code.running import suspended
from relup.runtime.migrate import dict_of, slots_of
from relup.runtime.pid import Pid
from relup.targets.python.containers import identity, walkable_of_all
from relup.targets.python.layouts import python_made

Step: TypeAlias = tuple[str, Any]
"""How a part is written after its owner, and the part."""

ATOMS: frozenset[type] = frozenset(
    {int, float, complex, bool, str, bytes, bytearray, NoneType, range, slice, Pid, BuiltinFunctionType}
)
_COLLECTIONS: frozenset[type] = frozenset({list, tuple, set, frozenset, deque})
WORLD = (
    type,
    ModuleType,
    CodeType,
    FrameType,
    TracebackType,
    ReferenceType,
    Context,
    asyncio.AbstractEventLoop,
    asyncio.Future,
    asyncio.Handle,
    asyncio.BaseTransport,
    threading.Thread,
    logging.Logger,
    logging.Handler,
    Node,
    Process,
)
_READ = (
    ATOMS
    | _COLLECTIONS
    | {object, dict, OrderedDict, defaultdict, SimpleNamespace, functools.partial, BaseException, Exception}
)
"""Types made in C of whose instances everything is read by name."""
_hides: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
_default_factory: Any = vars(defaultdict)["default_factory"]


def plain(value: Any) -> bool:
    """Say, at C speed, whether *value* is data that leads nowhere: an atom, or a container of atoms."""
    kind = type(value)
    if kind in ATOMS:
        return True
    if kind is dict:
        return ATOMS.issuperset(map(type, value.values())) and ATOMS.issuperset(map(type, value))
    return kind in _COLLECTIONS and ATOMS.issuperset(map(type, value))


def parts(value: Any) -> Iterator[Step]:
    """Return what *value* directly consists of; nothing for what belongs to the world."""
    kind = type(value)  # what it really is: proxies answer for others when they are asked for their class
    if issubclass(kind, WORLD):
        return
    if issubclass(kind, FunctionType):
        yield from _of_function(value)
    elif issubclass(kind, MethodType):
        yield from ((".__self__", value.__self__), (".__func__", value.__func__))
    elif issubclass(kind, BuiltinMethodType):
        yield ".__self__", value.__self__
    elif issubclass(kind, GeneratorType | CoroutineType | AsyncGeneratorType):
        frame, below = suspended(value)
        yield from ((f" local {name}", local) for name, local in (frame.f_locals if frame else {}).items())
        yield " awaited", below
    else:
        yield from _of_instance(value)


class Reader:
    """Reads the parts of objects without saying how they are reached: at C speed for what states are made of.

    One reader serves one search: it learns the layout of each class once, and keeps no class alive after it.
    """

    __slots__ = ("_simple",)

    def __init__(self) -> None:
        self._simple: dict[type, bool] = {}

    def __call__(self, value: Any) -> list[Any]:
        """Return the parts of *value* that are no atoms."""
        return self.of_all(type(value), (value,))

    def of_all(self, kind: type, values: Sequence[Any]) -> list[Any]:
        """Return the parts of *values*, all of this type, that are no atoms."""
        if kind is dict:
            found: Sequence[Iterable[Any]] = [*values, *map(dict.values, values)]
        elif kind in _COLLECTIONS:
            found = values
        elif self._is_simple(kind):
            found = [object.__getattribute__(value, "__dict__").values() for value in values]
        else:
            found = [*map(_carefully, values)]
        return walkable_of_all(found, ATOMS)

    def _is_simple(self, kind: type) -> bool:
        """Say whether instances of a class consist of their `__dict__` alone."""
        known = self._simple.get(kind)
        if known is None:
            known = self._simple[kind] = bool(
                dict_of(kind) is not None
                and kind.__basicsize__ <= object.__basicsize__ + 16
                and not issubclass(kind, WORLD)
                and not any(slots_of(kind))
                and not _hides_some(kind)
                and all("__dict__" not in vars(c) or vars(c)["__dict__"] is dict_of(kind) for c in kind.__mro__)
            )
        return known


def _carefully(value: Any) -> list[Any]:
    """Return the parts of an object that may answer with an error; what it hides is not looked at."""
    found: list[Any] = []
    with suppress(Exception):
        found += (part for _, part in parts(value))
    return found


def _of_function(function: FunctionType) -> Iterator[Step]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f" closure {name}", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield from ((" default", d) for d in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()))
    yield from ((f".{key}", v) for key, v in list(vars(function).items()))


def _of_instance(value: Any) -> Iterator[Step]:
    """Return the attributes and the contents of anything else; of a type made in C what else it refers to."""
    kind = type(value)
    named = [*_named(value, kind)]
    yield from named
    if not named or _hides_some(kind):
        known = {identity(part) for part in chain((part for _, part in named), _passed_through(value, kind))}
        yield from ((" inside", v) for v in gc.get_referents(value) if identity(v) not in known)


def _named(value: Any, kind: type) -> Iterator[Step]:
    """Return what has a name in an instance, or a place."""
    if issubclass(kind, dict):
        yield from ((" key", key) for key in list(dict.keys(value)))
        yield from ((f"[{_key(key)}]", v) for key, v in list(dict.items(value)))
        if issubclass(kind, defaultdict):
            yield ".default_factory", _default_factory.__get__(value)
    elif issubclass(kind, list | tuple | deque):
        yield from ((f"[{n}]", v) for n, v in enumerate(_contents(value, kind)))
    elif issubclass(kind, set | frozenset):
        yield from (("{…}", v) for v in _contents(value, kind))
    elif issubclass(kind, functools.partial):
        yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
    if issubclass(kind, BaseException):
        yield from ((f".args[{n}]", v) for n, v in enumerate(value.args))
        errors = ((".__cause__", value.__cause__), (".__context__", value.__context__))
        yield from ((path, e) for path, e in errors if e is not None)
    attributes = dict_of(kind)
    if attributes is not None:
        yield from ((f".{key}", v) for key, v in list(attributes.__get__(value, kind).items()))
    for name in dict.fromkeys(slots_of(kind)):
        try:
            yield f".{name}", object.__getattribute__(value, name)
        except AttributeError:
            continue


def _passed_through(value: Any, kind: type) -> Iterator[Any]:
    """Return what an instance refers to that is no part of it, or has parts with names of their own."""
    yield kind
    if (attributes := dict_of(kind)) is not None:
        yield attributes.__get__(value, kind)
    if issubclass(kind, BaseException):
        yield value.args


def _hides_some(kind: type) -> bool:
    """Say whether instances may refer to more than can be read by name: such as have a base that was made in C."""
    known = _hides.get(kind)
    if known is None:
        known = _hides[kind] = not all(base in _READ or python_made(base) for base in kind.__mro__)
    return known


def _contents(value: Any, kind: type) -> list[Any]:
    """Return what a container holds, as its base type says."""
    base = next(b for b in (list, tuple, deque, set, frozenset) if issubclass(kind, b))
    return list(base.__iter__(value))


def _key(key: Any) -> str:
    return repr(key)[:40] if type(key) in ATOMS else f"a {type(key).__qualname__}"
