"""What bodies do to the process outside their namespaces: seen where it can be, undone where it can be, always said.

Comparing global state before and after would blame bodies for what other threads did meanwhile, and undoing that
would break them. So the functions through which the process is changed are watched while bodies run: a wrapper
that passes everybody's calls on and records those of the staging thread. Only a few plain lists, which nobody
changes in a running program, are compared, and what the texts of the bodies assign elsewhere (see `assignments`).

Not seen: what a body does through C libraries, files and sockets it opens, and everything in threads it starts.
A body that hangs, or calls `os._exit`, takes the process with it; the rehearsal runs bodies in a copy first.
"""

from __future__ import annotations

import abc
import atexit
import codecs
import copyreg
import functools
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from relup.runtime.code.view import ModulesView
from relup.runtime.code.writes import MISSING

Undo: TypeAlias = Callable[[], object]


class Recorded(NamedTuple):
    """One side effect: a sentence, and how to undo it (None: it stays)."""

    sentence: str
    undo: Undo | None


class Effects:
    """The journal of one staging."""

    def __init__(self, view: ModulesView) -> None:
        self._view = view
        self._recorded: list[Recorded] = []
        self._originals: dict[int, Any] = {}
        self._lists: list[tuple[str, list[Any], list[Any]]] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Record what the staging thread does to the process in the block."""
        self._lists = [(name, owner, list(owner)) for name, owner in _lists()]
        with ExitStack() as stack:
            for owner, name, record in _WATCHED:
                stack.enter_context(self._watch(owner, name, record))
            yield

    def compare(self) -> None:
        """Record what happened to the plain lists since the last time."""
        lists, self._lists = self._lists, []
        for name, owner, before in lists:
            self._recorded += _compared(name, owner, before)

    def record(self, found: Iterable[Recorded]) -> None:
        """Enter effects that somebody else found."""
        self._recorded += found

    @contextmanager
    def _watch(self, owner: Any, name: str, record: Callable[..., Recorded | None]) -> Iterator[None]:
        original = vars(owner)[name]

        @functools.wraps(original)
        def watching(*args: Any, **named: Any) -> Any:
            found = None
            if self._view.mine():
                with suppress(TypeError):  # the call itself will complain
                    found = record(*args, **named)
            result = original(*args, **named)
            if found is not None:
                self._recorded.append(found)
            return result

        self._originals[id(watching)] = original
        setattr(owner, name, watching)
        try:
            yield
        finally:
            if vars(owner)[name] is watching:
                setattr(owner, name, original)

    def originals(self) -> dict[int, Any]:
        """Return what bodies should hold instead of the wrappers, by identity."""
        return dict(self._originals)

    def notes(self) -> tuple[str, ...]:
        """Return what bodies did, one sentence each."""
        late = (f"a body imported {name}, which stays loaded" for name, m in self._view.late.items() if not _pure(m))
        return (*(r.sentence for r in self._recorded), *late)

    def undo(self) -> None:
        """Undo what can be undone, the latest first; what fails is left, for the rest matters more."""
        self.compare()
        while self._recorded:
            recorded = self._recorded.pop()
            if recorded.undo is not None:
                with suppress(Exception):
                    recorded.undo()
        late, self._view.late = self._view.late, {}
        for name, module in reversed(late.items()):
            if _pure(module) and self._view.real.get(name) is module:
                del self._view.real[name]
                parent, _, tail = name.rpartition(".")
                namespace = getattr(self._view.real.get(parent), "__dict__", {})
                if namespace.get(tail) is module:
                    del namespace[tail]


def _pure(module: ModuleType) -> bool:
    """Say whether a module can be loaded again: an extension module lives as long as the process."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return isinstance(origin, str) and origin.endswith((".py", ".pyc"))


def _lists() -> list[tuple[str, list[Any]]]:
    return [
        ("sys.path", sys.path),
        ("sys.meta_path", sys.meta_path),
        ("sys.path_hooks", sys.path_hooks),
        ("warnings.filters", warnings.filters),  # type: ignore[list-item]
    ]


def _compared(name: str, owner: list[Any], before: list[Any]) -> Iterator[Recorded]:
    known = {id(item) for item in before}
    added = [item for item in owner if id(item) not in known]
    if added:
        yield Recorded(f"a body added {len(added)} to {name}", lambda: _without(owner, added))
    if [item for item in owner if id(item) in known] != before:
        yield Recorded(f"a body took or moved entries of {name}", lambda: owner.__setitem__(slice(None), before))


def _without(owner: list[Any], items: list[Any]) -> None:
    gone = {id(item) for item in items}
    owner[:] = [item for item in owner if id(item) not in gone]


def _name(value: object) -> str:
    return str(getattr(value, "__qualname__", None) or type(value).__qualname__)


def _atexit(function: Callable[..., Any], *_: Any, **__: Any) -> Recorded:
    return Recorded(f"a body registered {_name(function)} with atexit", lambda: atexit.unregister(function))


def _codec(search: Callable[[str], Any]) -> Recorded:
    return Recorded(f"a body registered the codec search {_name(search)}", lambda: codecs.unregister(search))


def _thread(thread: threading.Thread) -> Recorded:
    return Recorded(f"a body started the thread {thread.name!r}, which runs on", None)


def _signal(number: int, handler: Any) -> Recorded:
    before = signal.getsignal(number)
    return Recorded(
        f"a body set the handler of {signal.Signals(number).name} to {_name(handler)}",
        lambda: signal.signal(number, before),
    )


def _handler(logger: logging.Logger, handler: logging.Handler) -> Recorded | None:
    if handler in logger.handlers:
        return None
    return Recorded(
        f"a body added a {_name(handler)} to the logger {logger.name!r}", lambda: logger.removeHandler(handler)
    )


def _environment(key: Any, *_: Any) -> Recorded:
    name = os.fsdecode(key)
    before = os.environ.get(name)
    undo = (lambda: os.environ.pop(name, None)) if before is None else (lambda: os.environ.__setitem__(name, before))
    return Recorded(f"a body changed the environment variable {name}", undo)


def _reducer(kind: type, *_: Any) -> Recorded:
    before = copyreg.dispatch_table.get(kind, MISSING)

    def undo() -> None:
        if before is MISSING:
            copyreg.dispatch_table.pop(kind, None)
        else:
            copyreg.dispatch_table[kind] = before  # type: ignore[assignment]

    return Recorded(f"a body registered how {_name(kind)} is pickled", undo)


def _abstract(cls: type, subclass: type) -> Recorded:
    return Recorded(f"a body registered {_name(subclass)} with the abstract class {_name(cls)}", None)


_WATCHED: tuple[tuple[Any, str, Callable[..., Recorded | None]], ...] = (
    (atexit, "register", _atexit),
    (codecs, "register", _codec),
    (threading.Thread, "start", _thread),
    (signal, "signal", _signal),
    (logging.Logger, "addHandler", _handler),
    (os, "putenv", _environment),
    (os, "unsetenv", _environment),
    (copyreg, "pickle", _reducer),
    (abc.ABCMeta, "register", _abstract),
)
