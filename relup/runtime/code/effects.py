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
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import CellType, FunctionType, ModuleType
from typing import Any, NamedTuple, TypeAlias

from relup.runtime.code.lists import Listed, change, lists
from relup.runtime.code.view import ModulesView
from relup.runtime.code.writes import MISSING

Undo: TypeAlias = Callable[[], object]


class Recorded(NamedTuple):
    """One side effect: a sentence, how to undo it (None: it stays), and how to do it again.

    What can be done again is undone when the bodies have run, and is done again by the swap.
    """

    sentence: str
    undo: Undo | None
    redo: Undo | None = None


def do(step: Undo | None) -> None:
    """Take one step of an effect; what fails is left, for the rest matters more."""
    if step is not None:
        with suppress(Exception):
            step()


def parts(step: Undo | None) -> Iterator[object]:
    """Return what one step of an effect is made of: the function, and what it remembers."""
    pending: list[object] = [] if step is None else [step]
    while pending:
        part = pending.pop()
        yield part
        if type(part) in (FunctionType, partial):
            pending += [*(getattr(part, "__closure__", None) or ()), *getattr(part, "args", ())]
        elif type(part) is CellType:
            pending.append(part.cell_contents)
        elif type(part) in (list, tuple):
            yield from (p for p in gc.get_referents(part) if type(p) is tuple)


class Effects:
    """The journal of one staging."""

    def __init__(self, view: ModulesView, is_old: Callable[[object], bool] = lambda value: False) -> None:
        """Watch the thread of *view*; *is_old* says what belongs to the versions that are replaced."""
        self._view = view
        self._is_old = is_old
        self._recorded: list[Recorded] = []
        self._originals: dict[int, Any] = {}
        self._lists: list[Listed] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Record what the staging thread does to the process in the block."""
        self._lists = lists()
        with ExitStack() as stack:
            for owner, name, record in _WATCHED:
                stack.enter_context(self._watch(owner, name, record))
            yield

    def compare(self) -> None:
        """Record what happened to the plain lists since the last time."""
        before, self._lists = self._lists, []
        for listed in before:
            self._recorded += _compared(listed, self._is_old)

    def postpone(self) -> tuple[Recorded, ...]:
        """Undo what can be done again, and return it: it is the swap's business from now on."""
        later = tuple(r for r in self._recorded if r.redo is not None)
        for recorded in reversed(later):
            do(recorded.undo)
        self._recorded = [Recorded(r.sentence, None) if r.redo is not None else r for r in self._recorded]
        return later

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
            do(recorded.undo)
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


def _compared(listed: Listed, is_old: Callable[[object], bool]) -> Iterator[Recorded]:
    """Say what happened to a list; in the end it holds what bodies left there, without what old code had entered."""
    name, owner, before, now = listed.name, listed.owner, listed.before, list(listed.owner)
    known = {id(item) for item in before}
    kept = [item for item in now if id(item) in known]
    after = [item for item in now if id(item) not in known or not is_old(item)]
    sentences = [f"a body added {len(now) - len(kept)} to {name}"] if len(kept) < len(now) else []
    sentences += [f"a body took or moved entries of {name}"] if kept != before else []
    sentences += [f"what old code had entered into {name} leaves with it"] if len(after) < len(now) else []
    undo: Undo = partial(change, owner, (after, now), before)
    redo: Undo = partial(change, owner, (before,), after)
    for sentence in sentences:
        yield Recorded(sentence, undo, redo)
        undo = redo = _nothing


def _nothing() -> None:
    """Have nothing more to do: the sentence before this one does both."""


def _name(value: object) -> str:
    return str(getattr(value, "__qualname__", None) or type(value).__qualname__)


def _atexit(function: Callable[..., Any], *args: Any, **named: Any) -> Recorded:
    return Recorded(
        f"a body registered {_name(function)} with atexit",
        lambda: atexit.unregister(function),
        lambda: atexit.register(function, *args, **named),
    )


def _fork(**_: Any) -> Recorded:
    return Recorded("a body registered what is called before and after a fork, which stays", None)


def _codec(search: Callable[[str], Any]) -> Recorded:
    sentence = f"a body registered the codec search {_name(search)}"
    return Recorded(sentence, lambda: codecs.unregister(search), lambda: codecs.register(search))


def _codec_errors(name: str, handler: Callable[[UnicodeError], Any]) -> Recorded:
    sentence = f"a body registered {_name(handler)} for codec errors, as {name!r}"
    try:
        before = codecs.lookup_error(name)
    except LookupError:
        return Recorded(f"{sentence}, which stays", None)
    return Recorded(sentence, lambda: codecs.register_error(name, before), lambda: codecs.register_error(name, handler))


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
        f"a body added a {_name(handler)} to the logger {logger.name!r}",
        lambda: logger.removeHandler(handler),
        lambda: logger.addHandler(handler),
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
    (codecs, "register_error", _codec_errors),
    (os, "register_at_fork", _fork),
    (threading.Thread, "start", _thread),
    (signal, "signal", _signal),
    (logging.Logger, "addHandler", _handler),
    (os, "putenv", _environment),
    (os, "unsetenv", _environment),
    (copyreg, "pickle", _reducer),
    (abc.ABCMeta, "register", _abstract),
)
