"""One upgrade in progress on a Python node.

It runs inside the node, in the event loop, and owns what it holds: whatever ends it (a failure, a cancelled
task, a bug) ends in `rollback`. Between the first suspend and the last resume nothing is awaited that could
let a process in scope run; new ones of the same modules wait at the births gate.

Old states are kept by reference, with a memory of what their mutable parts held. That memory is taken before
the window, while everything runs, and taken again in the window only for a process that has handled a message
since (as a live migration copies again only the pages that were written meanwhile).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from inspect import isawaitable
from time import perf_counter
from types import TracebackType
from typing import Any, TypeAlias

from relup.diagnostics import Diagnostic, Location, Refused
from relup.executor import EffectFailed, Preparation, Side
from relup.model.instructions import Apply, CodeChange, ModuleChange, Suspension
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.windows import Cut, Segment, Window
from relup.runtime import Down, Node, Process, suspension
from relup.runtime.code import CodeError
from relup.targets.python import preflight
from relup.targets.python.calls import Calls
from relup.targets.python.journal import Called, Decided, Entry, States, Swapped, undo
from relup.targets.python.snapshot import Memory, Snapshot
from relup.targets.python.stage import Stage

Decide: TypeAlias = Callable[[Release], Callable[[], None]]
"""Makes a release the one that runs, durably, and returns what takes that back."""
COURTESY = 0.005
"""Seconds of work outside the window after which the event loop gets its turn."""
DEFAULT_SUSPEND_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a state held while its process rested."""

    waiter: object
    """What the process awaited then: another one, or one that is done, means that it has been awake since."""
    state: Any
    snapshot: Snapshot

    def holds_for(self, process: Process) -> bool:
        """Say whether the process has rested ever since, with the same state."""
        return _rests(process) and process.waiter is self.waiter and process.state is self.state


class PythonTransaction(AbstractAsyncContextManager["PythonTransaction"]):
    """The `Transaction` of a Python node."""

    def __init__(self, node: Node, running: Release, relup: Relup, decide: Decide) -> None:
        """Upgrade *node*, which runs *running*; *decide* makes the goal durable at the final commit."""
        self._node = node
        self._running = running
        self._relup = relup
        self._decide = decide
        self._calls = Calls(node, relup)
        self._stage = Stage(node.code, relup)
        self._memory = Memory(self._owned)
        self._remembered: dict[Process, Remembered] = {}
        self._held: dict[Process, None] = {}
        self._journal: list[Entry] = []
        self._scope: set[str] = set()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind: an open window is undone, and so is code that was never made current."""
        if self._held or self._journal:
            await self.rollback()
        self._stage.close()

    # ── before the window ──────────────────────────────────────────────────────────────────────────────

    async def prepare(self, segments: Sequence[Segment]) -> Preparation:
        """Check base and files, read and run the new code off to the side, remember the states."""
        problems = [*preflight.check_base(self._relup, self._running, self._node)]
        problems += await asyncio.to_thread(lambda: list(preflight.check_goal(self._relup.goal)))
        if problems:
            raise Refused(problems)
        windows = [s for s in segments if isinstance(s, Window)]
        await self._stage.prepare(windows)
        concerned = [self._concerned(s.suspensions) if isinstance(s, Window) else [] for s in segments]
        await self._remember(p for processes in concerned for p in processes)
        return Preparation(tuple(map(len, concerned)), tuple(self._stage.notes))

    async def _remember(self, processes: Iterable[Process]) -> None:
        turn = perf_counter()
        for process in processes:
            if _rests(process):
                snapshot = self._memory.remember(process.state)
                self._remembered[process] = Remembered(process.waiter, process.state, snapshot)
            if perf_counter() - turn > COURTESY:
                await asyncio.sleep(0)
                turn = perf_counter()

    def _owned(self, kind: type) -> bool:
        """Say whether instances of a class are state: classes of the release, old or new."""
        return self._node.code.loaded(kind.__module__)

    # ── the window ─────────────────────────────────────────────────────────────────────────────────────

    async def suspend(self, suspensions: Sequence[Suspension]) -> int:
        """Hold every process in scope at a message boundary, callers before callees."""
        self._scope |= {s.module for s in suspensions}
        self._node.births.close(self._scope)
        deadlines = self._deadlines(suspensions)
        while deadlines:
            self._held |= dict.fromkeys(deadlines)
            stuck = await suspension.suspend(self._node, list(deadlines), deadlines)
            if stuck:
                places = {s.module: s.location for s in suspensions}
                raise EffectFailed(*(_stuck(s, deadlines, places) for s in stuck))
            deadlines = {p: limit for p, limit in self._deadlines(suspensions).items() if p not in self._held}
        return len(self._held)

    def _concerned(self, suspensions: Sequence[Suspension]) -> list[Process]:
        return list(self._deadlines(suspensions))

    def _deadlines(self, suspensions: Sequence[Suspension]) -> dict[Process, float | None]:
        """Return the processes that use these modules, each with its time to suspend in seconds."""
        seconds = {s.module: _seconds(s) for s in suspensions}
        found: dict[Process, float | None] = {}
        for process in self._node.processes.values():
            for module in process.modules:
                if module in seconds:
                    found.setdefault(process, seconds[module])
        return found

    async def load(self, window: Window) -> None:
        """Swap the window's modules in."""
        self._swap(window, undone=False)

    async def unload(self, window: Window) -> None:
        """Swap the window's modules back."""
        self._swap(window, undone=True)

    def _swap(self, window: Window, *, undone: bool) -> None:
        staged = self._stage.of(window)
        if staged is None:
            return
        try:
            staged.undo() if undone else staged.swap()
        except CodeError as error:
            raise EffectFailed(Diagnostic("load_failed", str(error), window.code[0].location)) from error
        self._journal.append(Swapped(staged, undone))

    async def change_code(self, change: CodeChange, towards: Side) -> None:
        """Call `code_change` of every held process of these modules, and give it the state it returns."""
        for part in change.changes:
            vsn = self._stage.vsn(part.module, change.mode, towards)
            states = States()
            self._journal.append(states)
            for process in self._held:
                if part.module in process.modules and process.pid in self._node.processes:
                    await self._change(process, part, Down(vsn) if change.mode == "down" else vsn, states)

    async def _change(self, process: Process, part: ModuleChange, old_vsn: Any, states: States) -> None:
        states.changed.append((process, process.state, self._snapshot(process)))
        try:
            state = process.change_code(part.module, old_vsn, part.extra)
            if isawaitable(state):
                state = await state
        except (Exception, SystemExit) as error:
            raise EffectFailed(_raised(process, part, error)) from error
        if state is None and process.state is not None:
            raise EffectFailed(_nothing(process, part))
        process.state = state

    def _snapshot(self, process: Process) -> Snapshot:
        remembered = self._remembered.get(process)
        if remembered and remembered.holds_for(process):
            return remembered.snapshot
        return self._memory.remember(process.state)

    async def call(self, cut: Cut, towards: Side) -> None:
        """Make a call in the node; one made inside a window is taken back with it."""
        await self._calls.make(cut, towards)
        if self._held and isinstance(cut, Apply):
            self._journal.append(Called(self._calls.taking_back(cut)))

    async def verify(self) -> None:
        """Check that every process in scope stands still: none was born into the window unseen."""
        missed = [
            p for p in self._node.processes.values() if p not in self._held and self._scope.intersection(p.modules)
        ]
        if self._scope and missed:
            raise EffectFailed(
                *(Diagnostic("born_in_window", f"{p.label} came up while the window was open") for p in missed)
            )

    async def commit(self, *, final: bool) -> None:
        """Make the goal durable; from here on the way back is the downgrade."""
        if not final:
            return
        try:
            self._journal.append(Decided(self._decide(self._relup.goal)))
        except OSError as error:
            raise EffectFailed(Diagnostic("record_not_written", f"the release record: {error}")) from error

    async def resume(self) -> None:
        """Let every held process go on, and forget how to roll this window back."""
        self._journal.clear()
        self._release()

    async def rollback(self) -> None:
        """Undo the journal, last first, and resume. Raises `EffectFailed` with what could not be undone."""
        remains: list[Diagnostic] = []
        while self._journal:
            try:
                await undo(self._journal.pop())
            except Exception as error:
                remains.append(Diagnostic("undo_failed", f"{type(error).__name__}: {error}"))
        self._release()
        if remains:
            raise EffectFailed(*remains)

    def _release(self) -> None:
        held, self._held = list(self._held), {}
        self._scope = set()
        suspension.resume(self._node, held)
        self._node.births.open()


def _rests(process: Process) -> bool:
    return process.waiter is not None and not process.waiter.done()


def _seconds(suspended: Suspension) -> float | None:
    match suspended.timeout:
        case "infinity":
            return None
        case "default":
            return DEFAULT_SUSPEND_TIMEOUT
        case milliseconds:
            return milliseconds / 1000


def _stuck(
    stuck: suspension.Stuck, deadlines: Mapping[Process, float | None], places: Mapping[str, Location | None]
) -> Diagnostic:
    process = stuck.process
    place = next((places[m] for m in process.modules if m in places), None)
    message = f"{process.label} did not suspend within {deadlines[process]} s: it is in {stuck.function}"
    return Diagnostic("suspend_timeout", message, place)


def _raised(process: Process, part: ModuleChange, error: BaseException) -> Diagnostic:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    message = f"code_change of {part.module!r} failed in {process.label}: {type(error).__name__}: {error}{place}"
    return Diagnostic("code_change_failed", message, part.location)


def _nothing(process: Process, part: ModuleChange) -> Diagnostic:
    message = f"code_change of {part.module!r} returned None for {process.label}, which has a state"
    return Diagnostic("bad_return_value", message, part.location, hint="does it miss a return?")
