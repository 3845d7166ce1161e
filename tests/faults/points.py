"""Where a fault can strike inside a node, and what strikes there.

The shop's own functions, and the transaction of the node, say where they are; in the order in which they do so the
points of one plan are numbered, which is how a step is found again. Nothing is pretended here: processes are killed,
the kernel refuses to write, code raises.
"""

from __future__ import annotations

import asyncio
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.faults.kernel import refuse

Work = Callable[[], Any]
GONE = 5.0
"""Seconds in which a process that was killed is gone."""


@dataclass(slots=True)
class Faults:
    """What is to strike in this process, and what has been reached so far."""

    strikes: dict[tuple[int, str], str] = field(default_factory=dict)
    """By the number of the point and the moment."""
    seen: list[str] = field(default_factory=list)
    moments: list[tuple[int, str]] = field(default_factory=list)
    """The order in which points were entered and left."""
    struck: list[str] = field(default_factory=list)
    controller: int = 0
    notes: dict[str, bool] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    limits: list[tuple[int, tuple[int, int]]] = field(default_factory=list)

    def arm(self, strikes: list[tuple[int, str, str]], controller: int = 0) -> None:
        """Begin a run."""
        self.strikes = {(number, moment): action for number, moment, action in strikes}
        self.controller = controller
        self.seen.clear()
        self.moments.clear()
        self.struck.clear()

    def reach(self, point: str) -> int:
        """Note that *point* is reached; return its number."""
        self.seen.append(point)
        return len(self.seen) - 1

    def due(self, number: int, moment: str) -> str | None:
        """Return what strikes now, once."""
        self.moments.append((number, moment))
        action = self.strikes.pop((number, moment), None)
        if action:
            self.struck.append(f"{action} {moment} {self.seen[number]}")
        return action

    def limit(self, what: int, soft: int) -> None:
        """Let the kernel refuse what goes beyond, until `mend`."""
        before = resource.getrlimit(what)
        self.limits.append((what, before))
        resource.setrlimit(what, (soft, before[1]))

    def mend(self) -> None:
        """Take the limits away, and let go who waits."""
        while self.limits:
            resource.setrlimit(*self.limits.pop())
        self.strikes.clear()
        self.gate.set()
        self.gate = asyncio.Event()


@cache
def faults() -> Faults:
    """Return the faults of this process."""
    return Faults()


def at(point: str, subject: Any = None, work: Work = lambda: None) -> Any:
    """Do *work*, unless something strikes before it; what strikes after it may take the place of its result."""
    number = faults().reach(point)
    if action := faults().due(number, "before"):
        USER[action](subject)
    result = work()
    if action := faults().due(number, "after"):
        given = USER[action](result if subject is None else subject)
        return result if given is _NOTHING else given
    return result


def note(what: str, there: bool) -> None:
    """Do something outside of every state, as a call of an appup does."""
    faults().notes[what] = there


async def waiting() -> None:
    """Wait in a callback until the run is over."""
    await faults().gate.wait()


_NOTHING = object()


def _raising(error: Callable[[], BaseException]) -> Callable[[Any], Any]:
    def act(subject: Any) -> Any:
        raise error()

    return act


def _spoiling(subject: Any) -> Any:
    """Change what was given, wherever that is possible, and raise."""
    if isinstance(subject, dict) and "rows" in subject:
        rows = subject.pop("rows")
        rows.clear()
        subject["seed"] = -1
        subject["vsn"] = 99
    raise ValueError("changed in place, then failed")


def _recursing(subject: Any) -> Any:
    return _recursing([subject])


async def _hanging() -> None:
    await asyncio.Event().wait()


async def _deaf() -> None:
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def _looping(subject: Any) -> Any:
    while True:
        pass


def _threading(subject: Any) -> Any:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return _NOTHING


def kill_self(number: int) -> None:
    """End this process by a signal, at once."""
    os.kill(os.getpid(), number)
    signal.pause()


def _controller(*signals: signal.Signals) -> Callable[[Any], Any]:
    def act(subject: Any) -> Any:
        pid = faults().controller
        for number in signals:
            os.kill(pid, number)
        if signal.SIGKILL in signals:
            watched = os.pidfd_open(pid)
            select.select([watched], [], [], GONE)
            os.close(watched)
        return _NOTHING

    return act


def _limiting(what: int, soft: int) -> Callable[[Any], Any]:
    def act(subject: Any) -> Any:
        faults().limit(what, soft)
        return _NOTHING

    return act


def _refusing(what: str) -> Callable[[Any], Any]:
    def act(subject: Any) -> Any:
        refuse(what)
        return _NOTHING

    return act


EVERYWHERE: dict[str, Callable[[Any], Any]] = {
    "node killed": lambda subject: kill_self(signal.SIGKILL),
    "controller killed": _controller(signal.SIGKILL),
    "Ctrl-C once": _controller(signal.SIGINT),
    "Ctrl-C twice": _controller(signal.SIGINT, signal.SIGINT),
    "controller stands still": _controller(signal.SIGSTOP),
    "disk full": _limiting(resource.RLIMIT_FSIZE, 0),
    "no descriptors": _limiting(resource.RLIMIT_NOFILE, 0),
    "fsync fails": _refusing("fsync"),
    "rename fails": _refusing("rename"),
    "read-only": _refusing("create"),
}
"""What may strike at any point of a node, whoever is at work there."""
USER: dict[str, Callable[[Any], Any]] = EVERYWHERE | {
    "raises": _raising(lambda: ValueError("a fault")),
    "out of memory": _raising(MemoryError),
    "cancelled": _raising(asyncio.CancelledError),
    "interrupts": _raising(KeyboardInterrupt),
    "sys.exit": lambda subject: sys.exit(3),
    "os._exit": lambda subject: os._exit(3),
    "segfault": lambda subject: kill_self(signal.SIGSEGV),
    "recursion": _recursing,
    "spoils, raises": _spoiling,
    "returns None": lambda subject: None,
    "returns a class": lambda subject: dict,
    "hangs": lambda subject: _hanging(),
    "ignores cancelling": lambda subject: _deaf(),
    "endless loop": _looping,
    "starts a thread": _threading,
}
"""What code of a release may do."""
