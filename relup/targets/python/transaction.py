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
import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from copy import deepcopy
from functools import partial
from time import perf_counter
from types import GeneratorType, NoneType, TracebackType
from typing import Any, TypeAlias

from relup.diagnostics import Diagnostic, Location, Refused, in_words
from relup.executor import EffectFailed, Preparation, Side
from relup.model.instructions import CodeChange, Load, ModuleChange, Suspension, Verify
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.windows import Cut, Segment, Window
from relup.runtime import Down, Node, NoReply, Process, Reply, Stop, suspension
from relup.runtime.code.keeping import put
from relup.targets.python import preflight
from relup.targets.python.added_specs import AddedSpecs
from relup.targets.python.blame import place_of
from relup.targets.python.calls import Calls
from relup.targets.python.exchange import Exchange
from relup.targets.python.held import Replaced, old_objects_held
from relup.targets.python.journal import Called, Changed, Decided, Entry, States, undo
from relup.targets.python.probes import STANDING_STILL, ask
from relup.targets.python.snapshot import Memory, Snapshot, holds
from relup.targets.python.snapshot import changed as spoilt
from relup.targets.python.stage import Stage
from relup.targets.python.threads import is_cancelled

Decide: TypeAlias = Callable[[Release], Callable[[], None]]
"""Makes a release the one that runs, durably, and returns what takes that back."""
COURTESY = 0.005
"""Seconds of work outside the window after which the event loop gets its turn."""
_NO_STATES = frozenset({NoneType, Reply, NoReply, Stop, GeneratorType, type})
"""What a `code_change` returns by mistake."""
DEFAULT_TIMEOUT = 5.0
"""Seconds for a process to suspend, to change its state, or for a call that others stand still for (OTP's)."""


class PythonTransaction(AbstractAsyncContextManager["PythonTransaction"]):
    """The `Transaction` of a Python node."""

    def __init__(self, node: Node, running: Release, relup: Relup, decide: Decide, begun: Callable[[], None]) -> None:
        """Upgrade *node*, which runs *running*.

        *begun* is told before the first process is touched; *decide* makes the goal durable at the final commit.
        """
        self._node = node
        self._running = running
        self._relup = relup
        self._decide = decide
        self._begun: Callable[[], None] | None = begun
        self._calls = Calls(node, relup)
        self._stage = Stage(node.code, relup)
        self._memory = Memory(self._owned)
        self._remembered: dict[Process, tuple[object, Any, Snapshot]] = {}
        self._selected: dict[Process, float | None] = {}
        self._places: dict[str, Location | None] = {}
        self._limits: dict[str, float | None] = {}
        self._open = False
        self._started: set[Process] = set()
        self._journal: list[Entry] = []
        self._specs = AddedSpecs()
        self._collects = False
        self._awaited = False
        """Whether something was awaited in the open window since its code was exchanged."""
        self._exchange = Exchange(self._stage, self._memory, self._journal)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind: an open window is undone, and so is code that was never made current."""
        try:
            if self._open or self._journal:
                await self.rollback()
        finally:
            self._stage.close()

    # ── before the window ──────────────────────────────────────────────────────────────────────────────

    async def prepare(self, segments: Sequence[Segment]) -> Preparation:
        """Check base and files, read and run the new code off to the side, remember the states."""
        problems = [*preflight.check_base(self._relup, self._running, self._node), *preflight.check_whole(self._relup)]
        if problems:
            raise Refused(problems)
        windows = [s for s in segments if isinstance(s, Window)]
        await self._stage.prepare(windows)
        concerned = [self._census(s.suspensions) if isinstance(s, Window) else {} for s in segments]
        if stuck := [d for s, found in zip(segments, concerned, strict=True) for d in self._stuck_calls(s, found)]:
            raise Refused(stuck)
        users = [p for processes in concerned for p in processes]
        notes = self._stage.check_classes(windows, {p.reference: None for p in users})
        processes = list(self._node.processes.values())
        sees = self._stage.migrates(windows)
        places = {code.module: code.location for w in windows for code in w.code}
        migrated = [(c.module, m.cls) for w in windows for c in w.code if isinstance(c, Load) for m in c.instances]
        replaced = Replaced(self._stage.replaced, migrated)
        held = await old_objects_held(processes, self._stage.variables(), replaced, sees, places)
        await self._remember(users)
        forecast = await self._stage.count_instances()
        return Preparation(tuple(map(len, concerned)), (*self._stage.notes, *notes, *held), tuple(forecast))

    def _stuck_calls(self, segment: Segment, suspended: Mapping[Process, object]) -> Iterator[Diagnostic]:
        """Find calls inside a window to a supervisor that the window holds: nobody would answer them."""
        names = {p.name for p in suspended if p.name}
        for call in segment.calls if isinstance(segment, Window) else ():
            to = call.call.args[0] if call.call.module == "supervisor" and call.call.args else None
            if isinstance(to, str) and to in names:
                message = f"apply: {call.call.function} asks {to!r} inside the window that suspends it"
                hint = "leave out `window: inside`, or make the call before or after the update of the supervisor"
                yield Diagnostic("call_to_suspended", message, call.location, hint=hint)

    async def _remember(self, processes: Iterable[Process]) -> None:
        turn = perf_counter()
        for process in processes:
            if (rest := process.rest) is not None:
                state = process.state
                self._remembered[process] = rest, state, self._memory.remember(state)
            if perf_counter() - turn > COURTESY:
                await asyncio.sleep(0)
                turn = perf_counter()

    def _owned(self, kind: type) -> bool:
        """Say whether instances of a class are state: classes of the release, old or new."""
        return self._node.code.loaded(kind.__module__)

    # ── the window ─────────────────────────────────────────────────────────────────────────────────────

    async def select(self, suspensions: Sequence[Suspension]) -> int:
        """Find every process in scope; from here on nothing is born into it."""
        self._begin()
        self._open = True
        self._places = {s.module: s.location for s in suspensions}
        self._limits = {s.module: _seconds(s) for s in suspensions}
        self._node.births.close(self._places)
        self._selected = self._census(suspensions)
        return len(self._selected)

    def _begin(self) -> None:
        """Tell, once, that something is about to be touched. Raises `EffectFailed` when that cannot be recorded."""
        begun, self._begun = self._begun, None
        try:
            if begun:
                begun()
        except OSError as error:
            raise EffectFailed(Diagnostic("record_not_written", f"the history: {error}")) from error

    async def suspend(self) -> int:
        """Hold the selected processes at a message boundary, and what one of them started while it was drained."""
        self._collects = gc.isenabled()
        gc.disable()
        waiting = dict(self._selected)
        while waiting:
            stuck = await suspension.suspend(self._node, list(waiting), waiting)
            if stuck:
                raise EffectFailed(*(_stuck(s, waiting, self._places) for s in stuck))
            limit = max((t for t in waiting.values() if t is not None), default=None)
            waiting = dict.fromkeys(self._born(), limit)
            self._selected |= waiting
        return len(self._selected)

    def _census(self, suspensions: Sequence[Suspension]) -> dict[Process, float | None]:
        """Return the processes that use these modules, each with its time to suspend in seconds."""
        seconds = {s.module: _seconds(s) for s in suspensions}
        if not seconds:
            return {}
        found: dict[Process, float | None] = {}
        for process in self._node.processes.values():
            for module in process.modules:
                if module in seconds:
                    found.setdefault(process, seconds[module])
        return found

    def _members(self, module: str) -> list[Process]:
        """Return the selected processes that use *module* and are still alive."""
        if self._places.keys() == {module}:
            return [p for p in self._selected if p.alive]
        return [p for p in self._selected if p.alive and module in p.modules]

    def _born(self) -> list[Process]:
        """Return the processes in scope that came up although the gate was closed, and are not selected yet."""
        born = self._node.births.born
        return [p for p in born if p.alive and p not in self._selected and p not in self._started]

    async def load(self, window: Window) -> None:
        """Swap the window's modules in."""
        if staged := self._stage.of(window):
            self._stage.purge_before(staged)
            self._exchange.exchange(window, self._stage.passage(window), staged.swap, staged.undo)

    async def unload(self, window: Window) -> None:
        """Swap the window's modules back."""
        if staged := self._stage.of(window):
            there = self._stage.passage(window).carry
            bound = there.bound() if there else []

            def redo() -> None:
                staged.redo()
                put(bound)

            self._exchange.exchange(
                window, self._stage.passage(window, back=True), partial(staged.undo, keep=True), redo
            )

    async def change_code(self, change: CodeChange, towards: Side) -> None:
        """Call `code_change` of every selected process of these modules, and give it the state it returns."""
        self._exchange.hold()
        for part in change.changes:
            vsn = self._stage.vsn(part.module, change.mode, towards)
            states = States()
            self._journal.append(states)
            old_vsn = Down(vsn) if change.mode == "down" else vsn
            members = self._members(part.module)
            if towards == "goal":
                self._specs.note(members)
            await self._change(members, part, old_vsn, states.changed)
            if towards == "base":
                self._specs.take_back(members)

    async def _change(
        self, members: Sequence[Process], part: ModuleChange, old_vsn: Any, changed: list[Changed]
    ) -> None:
        """Change the states of *members*; everything in this loop is paid for by all that stand still."""
        remembered, remember = self._remembered.get, self._memory.remember
        extra = deepcopy(part.extra)
        shared = extra.__class__ not in (dict, list)
        limit = self._limits.get(part.module, DEFAULT_TIMEOUT)
        for process in members:
            state = process.state
            known = remembered(process)
            if known is None or known[1] is not state or known[0] is not process.rest or not holds(known[2]):
                snapshot = remember(state)
            else:
                snapshot = known[2]
            try:
                new = process.change_code(part.module, old_vsn, extra if shared else extra.copy())
                if hasattr(new, "__await__"):
                    self._settle()
                    new = await _within(limit, new)
                    changed.append((process, state, spoilt(snapshot)))
                else:
                    changed.append((process, state, snapshot))
            except BaseException as error:
                changed.append((process, state, spoilt(snapshot)))
                if is_cancelled():
                    raise
                raise EffectFailed(_raised(process, part, error)) from error
            if new.__class__ in _NO_STATES and (new is not None or state is not None):
                raise EffectFailed(_no_state(process, part, new))
            process.state = new

    def _settle(self) -> None:
        """Before others run, forget what no `code_change` changed in place: what they write there is theirs.

        As long as nothing is awaited nobody else can write, so this is left until it is needed.
        """
        self._awaited = True
        for entry in self._journal:
            if isinstance(entry, States):
                entry.settle()

    async def call(self, cut: Cut, towards: Side) -> None:
        """Make a call in the node; one made inside a window is bounded in time, and taken back with the window."""
        self._begin()
        if not self._open:
            await self._calls.make(cut, towards)
            return
        self._settle()
        before = set(self._node.processes.values())
        await _within(DEFAULT_TIMEOUT, self._calls.make(cut, towards))
        self._started |= set(self._node.processes.values()) - before
        self._journal.append(Called(lambda: self._calls.take_back(cut, towards)))

    async def probe(self, probe: Verify) -> None:
        """Ask a function of the new code, while everybody stands still, and for no longer than it may take."""
        self._settle()
        await ask(self._node, probe, STANDING_STILL)

    async def verify(self) -> Sequence[Diagnostic]:
        """Check that every process in scope still stands, and that none was born into the window unseen."""
        faults = [Diagnostic("born_in_window", f"{p.label} came up in the window") for p in self._born()]
        free = [p for p in self._selected if not p.holds and p.alive]
        faults += [Diagnostic("released_in_window", f"{p.label} was let go by others") for p in free]
        if faults:
            raise EffectFailed(*faults)
        return [*self._deaths(), *self._exchange.finish(awaited=self._awaited)]

    def _deaths(self) -> list[Diagnostic]:
        dead = [p for p in self._selected if not p.alive]
        message = "{} died in the window: its state is lost; what replaces it starts at the version that runs after it"
        return [Diagnostic("died_in_window", message.format(p.label), severity="warning") for p in dead]

    async def commit(self, *, final: bool) -> None:
        """Make the goal durable; from here on the way back is the downgrade."""
        if not final:
            return
        self._begin()
        try:
            self._journal.append(Decided(self._decide(self._relup.goal)))
        except OSError as error:
            raise EffectFailed(Diagnostic("record_not_written", f"the release record: {error}")) from error

    async def resume(self) -> None:
        """Let every held process go on, and forget how to roll this window back."""
        self._journal.clear()
        self._specs.settle()
        self._release()

    async def rollback(self) -> Sequence[Diagnostic]:
        """Undo the journal, last first, and resume. Raises `EffectFailed` with what could not be undone."""
        remains: list[Diagnostic] = []
        deaths = self._deaths()
        if any(isinstance(entry, Called) for entry in self._journal):
            self._settle()
        try:
            while self._journal:
                remains += await undo(self._journal.pop())
        finally:
            self._specs.forget()
            self._release()
        if remains:
            raise EffectFailed(*remains)
        return deaths

    def _release(self) -> None:
        selected, self._selected = self._selected, {}
        suspension.resume(self._node, selected)
        self._node.births.open()
        self._open = self._awaited = False
        self._exchange.begin()
        if self._collects:
            self._collects = False
            gc.enable()


async def _within(limit: float | None, work: Awaitable[Any]) -> Any:
    """Await *work*, which others stand still for, for at most *limit* seconds. Raises `TimeoutError`."""
    try:
        async with asyncio.timeout(limit) as bound:
            return await work
    except TimeoutError:
        if bound.expired():
            raise TimeoutError(f"did not end within {limit} s") from None
        raise


def _seconds(suspended: Suspension) -> float | None:
    match suspended.timeout:
        case "infinity":
            return None
        case "default":
            return DEFAULT_TIMEOUT
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
    message = f"code_change of {part.module!r} failed in {process.label}: {in_words(error)}{place_of(error)}"
    return Diagnostic("code_change_failed", message, part.location)


def _no_state(process: Process, part: ModuleChange, value: object) -> Diagnostic:
    what = "None" if value is None else f"a {type(value).__name__}"
    message = f"code_change of {part.module!r} returned {what} for {process.label}; it returns the new state"
    return Diagnostic(
        "bad_return_value", message, part.location, hint="does it miss a return?" if value is None else None
    )
