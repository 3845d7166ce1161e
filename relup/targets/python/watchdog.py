"""A thread that watches the event loop, and interrupts what an upgrade runs there and does not come back.

All that a node does is done in one thread. A `code_change` that never returns stops everything: its own time limit
too, for that is a timer of the loop. So another thread looks, ten times a second, whether the loop still turns, and
it is looked as often whether the same piece of foreign code has been running for longer than it may.

Such code is interrupted where Python allows it. In the main thread a signal does it: its handler raises `Overrun` in
whatever runs, also in a sleep, a lock or a regular expression; and the handler first looks whose frames there are, so
it can never strike the wrong one. Code that swallows `Overrun` gets it again, at every line, so a handler or a
`finally` that goes on is left as well. In another thread the interpreter is asked to raise it, which it does between
two instructions, once. What is no Python code and waits for nothing cannot be interrupted: that is declared failed
here, so that somebody hears of it, and is undone when it returns.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

from relup.runtime.context import exempt_variable
from relup.runtime.loop import conceive, terminate
from relup.targets.python.stacks import above, callers, in_a_line, is_foreign
from relup.targets.python.ticking import NUMBER, Ticking, ticking

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

TICK = 0.1
"""Seconds between two looks."""
SILENCE = 0.5
"""Seconds without a turn of the loop after which it counts as held up."""
GRACE = 1.0
"""Seconds that code has to end after it was first interrupted."""
_TURNS = 10_000
"""Turns of a loop in which an exception that was asked for has come."""


class Overrun(BaseException):
    """Raised in code that has held the node up for longer than it may."""

    def __init__(self, limit: float = 0.0, stack: Sequence[str] = ()) -> None:
        self.limit = limit
        self.stack = stack
        """Where it struck, innermost first."""
        super().__init__(f"did not return within {limit:g} s")


class Step:
    """Foreign code that an upgrade runs in the loop's thread."""

    __slots__ = ("at", "ended", "frame", "late", "limit", "overrun", "stack", "what")

    def __init__(self, what: str, limit: float | None, frame: FrameType) -> None:
        self.what = what
        self.limit = limit
        """Seconds that it may stay at one thing."""
        self.frame = frame
        """Whatever is called by this frame belongs to it."""
        self.at: object = None
        """What it is at now; None between two things. Written often, so nothing else is done then."""
        self.late: object = None
        """What it has been at for too long."""
        self.overrun = 0
        """How often it was interrupted."""
        self.ended = 0
        """How often the `terminate` of a process that ends meanwhile was: that process ends then, and nothing fails."""
        self.stack: list[str] = []
        """Where it stood when that was first done."""

    def interrupt(self, frame: FrameType | None) -> None:
        """Note that it is interrupted, and where."""
        self.overrun += 1
        self.stack = self.stack or above(frame, self.frame)

    def overran(self) -> Overrun:
        """Return what became of it, whatever the code that was interrupted has made of that."""
        return Overrun(self.limit or 0.0, self.stack)

    def owns(self, frame: FrameType | None) -> bool:
        """Say whether foreign code that belongs to it is running in *frame*."""
        foreign = False
        for caller in callers(frame):
            if caller is self.frame:
                return foreign
            if caller.f_code is conceive.__code__ and foreign and exempt_variable.get():
                return True  # the `init` of a process that the upgrade starts
            foreign = foreign or is_foreign(caller)
        return False

    @staticmethod
    def lets_end(frame: FrameType | None) -> bool:
        """Say whether *frame* is in the `terminate` of a process."""
        foreign = False
        for caller in callers(frame):
            if caller.f_code is terminate.__code__:
                return foreign
            foreign = foreign or is_foreign(caller)
        return False


@dataclass(frozen=True, slots=True)
class Held:
    """The loop does not turn."""

    since: float
    """On the monotonic clock."""
    what: str
    """What an upgrade was at; empty when the program itself holds it up."""
    stack: Sequence[str]
    failed: bool = False
    """Whether what the upgrade was at has failed, and does not end all the same."""

    def __str__(self) -> str:
        what = f"{self.what} " if self.what else ""
        failed = ", was interrupted and does not end" if self.failed else ""
        return (
            f"{what}has held up the event loop for {monotonic() - self.since:.1f} s{failed}: at {in_a_line(self.stack)}"
        )


class Watchdog:
    """The watchdog of one node."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        """Watch the thread that calls this, which runs *loop*."""
        self._loop = loop
        self._ident = threading.get_ident()
        self._step: Step | None = None
        self._seen: tuple[Step | None, object] = None, None
        self._since = 0.0
        self._watched: tuple[Step | None, object, float] = None, None, 0.0
        """The same, as the watchdog's thread sees it."""
        self._turned = monotonic()
        self._asked = False
        self._deciding = threading.Lock()
        """Held by who ends a step, and by who says that it has failed."""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="relup watchdog", daemon=True)
        self._before: Any = None
        self._ticking: Ticking | None = None
        self.on_held: Callable[[Held], None] = lambda held: None
        """Told in the watchdog's thread, at every look while the loop is held up."""

    # ── its life ───────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to watch."""
        if threading.current_thread() is threading.main_thread() and (timer := ticking()):
            self._before = signal.signal(NUMBER, self._tick)
            self._ticking = timer
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._ending.set()
        self._thread.join()
        if self._ticking:
            self._ticking.close()
            self._ticking = None
            signal.signal(NUMBER, self._before)

    # ── what is watched ────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def step(self, what: str, limit: float | None) -> Iterator[Step]:
        """Let no foreign code in the block stay at one thing for longer than *limit* seconds: it gets an `Overrun`.

        Who uses it says in `Step.at` what it is at.
        """
        outer = self._step
        step = Step(what, limit, sys._getframe(2))
        tracing = sys.gettrace()
        self._step = step
        if self._ticking:
            self._ticking.every(TICK)
        try:
            yield step
        finally:
            with self._deciding:
                self._step = outer
            if self._ticking and outer is None:
                self._ticking.every(0)
            self._seen, self._watched = (None, None), (None, None, 0.0)
            step.at = step.late = None
            if step.overrun or step.ended:
                self._settle(tracing)
            del step.frame
        if step.overrun:
            raise step.overran()

    def _settle(self, tracing: Any) -> None:
        """Let an `Overrun` that was asked for come now: to take it back would leave the interpreter looking for it."""
        try:
            for _ in range(_TURNS if self._ticking is None else 0):
                pass
        except Overrun:
            pass
        sys.settrace(tracing)

    # ── in the watchdog's thread ───────────────────────────────────────────────────────────────────────

    def _watch(self) -> None:
        while not self._ending.wait(TICK):
            now = monotonic()
            self._ping()
            if self._ticking is None and (step := self._overdue(now)):
                self._throw(step)
            if now - self._turned > SILENCE:
                self.on_held(self.held())

    def _ping(self) -> None:
        if not self._asked:
            self._asked = True
            try:
                self._loop.call_soon_threadsafe(self._turn)
            except RuntimeError:  # the loop is closed
                self._ending.set()

    def _turn(self) -> None:
        self._turned = monotonic()
        self._asked = False

    def _throw(self, step: Step) -> None:
        """Let the interpreter raise `Overrun` in the loop's thread."""
        frame = sys._current_frames().get(self._ident)
        if owns := step.owns(frame):
            step.interrupt(frame)
        if owns or step.lets_end(frame):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._ident), ctypes.py_object(Overrun))

    def held(self) -> Held:
        """Return who holds the loop up; what has been interrupted in vain has failed from here on."""
        step, frame = self._step, sys._current_frames().get(self._ident)
        at = step and step.at
        if step is None or at is None:
            return Held(self._turned, "", above(frame))
        stack = above(frame, getattr(step, "frame", None))
        return Held(self._turned, step.what.format(at), stack, self._has_failed(step, at, frame))

    def _has_failed(self, step: Step, at: object, frame: FrameType | None) -> bool:
        began = max(self._turned, self._began(step, at))
        if step.limit is None or monotonic() - began <= step.limit + GRACE:
            return False
        with self._deciding:
            if self._step is not step or step.at is not at:
                return False
            step.interrupt(frame)
            return True

    def _began(self, step: Step, at: object) -> float:
        """Return since when it is known to be at this."""
        if self._watched[0] is not step or self._watched[1] is not at:
            self._watched = step, at, monotonic()
        return self._watched[2]

    # ── in either ──────────────────────────────────────────────────────────────────────────────────────

    def _overdue(self, now: float) -> Step | None:
        """Look at what is done; return it when it has been the same for too long."""
        step = self._step
        at = step and step.at
        if step is None or at is None or step is not self._seen[0] or at is not self._seen[1]:
            self._seen, self._since = (step, at), now
        elif step.limit is not None and now - self._since > step.limit:
            step.late = at
            return step
        return None

    # ── in the loop's thread ───────────────────────────────────────────────────────────────────────────

    def _tick(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal: raise `Overrun` where it is meant, and nowhere else."""
        step = self._overdue(monotonic())
        if step is None:
            return
        if step.owns(frame):
            step.interrupt(frame)
        elif step.lets_end(frame):
            step.ended += 1
        else:
            return
        if max(step.overrun, step.ended) > 1:
            self._raise_at_every_line(step, frame)
        raise step.overran()

    def _raise_at_every_line(self, step: Step, frame: FrameType | None) -> None:
        """Let the next line raise as well, be it in a handler or in a `finally`."""

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "line":
                raise step.overran()
            return trace

        for caller in callers(frame):
            if caller is step.frame:
                break
            if is_foreign(caller):
                caller.f_trace = trace
        sys.settrace(lambda frame, event, argument: None)
