"""One upgrade in progress on a Python node.

It runs inside the node, in the event loop, and owns what it holds: whatever ends it (a failure, a cancelled
task, a bug) ends in `rollback`. Between the first suspend and the last resume nothing is awaited that could
let a process in scope run; new ones of the same modules wait at the births gate.

Old states are kept by reference, with a memory of what their mutable parts held. That memory is taken before
the window, while everything runs, and taken again in the window only for a process that has handled a message
since (as a live migration copies again only the pages that were written meanwhile).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from copy import deepcopy
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias

from relup.diagnostics import Diagnostic, Location, Refused
from relup.executor import UNSAID, EffectFailed, Limits, Preparation, Side, taking_back
from relup.executor.rehearsal import Rehearsal
from relup.model.instructions import CodeChange, Load, ModuleChange, Suspension, Verify
from relup.model.naming import describe
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.windows import Cut, Segment, Window
from relup.runtime import Down, Node, Process, suspension
from relup.runtime.code.keeping import put
from relup.targets.python import preflight
from relup.targets.python.added_specs import AddedSpecs
from relup.targets.python.bounded import Overdue, within
from relup.targets.python.calls import Calls
from relup.targets.python.exchange import Exchange
from relup.targets.python.failing import changed_not, deaths, no_state, overdue, stuck
from relup.targets.python.held import Replaced, old_objects_held
from relup.targets.python.journal import Called, Changed, Decided, Entry, States, undo
from relup.targets.python.probes import STANDING_STILL, ask, patience
from relup.targets.python.rehearsing import rehearse
from relup.targets.python.remembering import Remembering
from relup.targets.python.script import Script, Steps
from relup.targets.python.snapshot import Memory
from relup.targets.python.snapshot import changed as spoilt
from relup.targets.python.stage import Stage
from relup.targets.python.threads import is_cancelled
from relup.targets.python.timing import DEFAULT_TIMEOUT, Timing, said
from relup.targets.python.trial import NO_STATES
from relup.targets.python.watchdog import Overrun, Step, Watchdog

Decide: TypeAlias = Callable[[Release], Callable[[], None]]
"""Makes a release the one that runs, durably, and returns what takes that back."""


class PythonTransaction(AbstractAsyncContextManager["PythonTransaction"]):
    """The `Transaction` of a Python node."""

    def __init__(
        self,
        node: Node,
        running: Release,
        relup: Relup,
        decide: Decide,
        *,
        begun: Callable[[], None],
        watchdog: Watchdog,
        limits: Limits = UNSAID,
    ) -> None:
        """Upgrade *node*, which runs *running*.

        *begun* is told before the first process is touched; *decide* makes the goal durable at the final commit;
        *watchdog* interrupts what does not come back.
        """
        self._node = node
        self._running = running
        self._relup = relup
        self._decide = decide
        self._begun: Callable[[], None] | None = begun
        self._calls = Calls(node, relup)
        self._stage = Stage(node.code, relup, limits.imports)
        self._memory = Memory(self._owned)
        self._remembering = Remembering(self._memory)
        self._users: Sequence[Process] = ()
        self._selected: dict[Process, float | None] = {}
        self._places: dict[str, Location | None] = {}
        self._limits = limits
        self._timing = Timing(limits, node.loop.time)
        self._watchdog = watchdog
        self._open = False
        self._started: set[Process] = set()
        self._journal: list[Entry] = []
        self._specs = AddedSpecs()
        self._collects = False
        self._awaited = False
        """Whether something was awaited in the open window since its code was exchanged."""
        self._exchange = Exchange(self._stage, self._memory, self._journal, self._migrating)

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
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
        self._users = users
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

    async def rehearse(self, segments: Sequence[Segment]) -> Rehearsal:
        """Run the script, and its inverse, in a fork of the node."""
        steps = Steps(self._census, self.load, self.unload, self._calls.make)
        script = Script(self._node, self._relup, self._stage, self._memory, self._limits, steps)
        self._remembering.about_to_rehearse(self._users)
        found = await rehearse(script, segments)
        self._remembering.rehearsed(found.unspoilt)
        return found

    async def remember(self) -> None:
        """Write down what the mutable parts of states hold, but where a rehearsal saw that none of them is changed."""
        await self._remembering.take(self._users)

    def _owned(self, kind: type) -> bool:
        """Say whether instances of a class are state: classes of the release, old or new."""
        return self._node.code.loaded(kind.__module__)

    # ── the window ─────────────────────────────────────────────────────────────────────────────────────

    async def select(self, suspensions: Sequence[Suspension]) -> int:
        """Find every process in scope; from here on nothing is born into it."""
        self._begin()
        self._open = True
        self._places = {s.module: s.location for s in suspensions}
        self._timing.open(suspensions)
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
        waiting = {p: self._timing.suspend(t) for p, t in self._selected.items()}
        while waiting:
            late = await suspension.suspend(self._node, list(waiting), waiting)
            if late:
                raise EffectFailed(*(stuck(s, waiting, self._places) for s in late))
            limit = max((t for t in waiting.values() if t is not None), default=None)
            waiting = dict.fromkeys(self._born(), limit)
            self._selected |= waiting
        return len(self._selected)

    def _census(self, suspensions: Sequence[Suspension]) -> dict[Process, float | None]:
        """Return the processes that use these modules, each with its time to suspend in seconds."""
        seconds = {s.module: said(s) for s in suspensions}
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

    def _migrating(self) -> AbstractContextManager[Step]:
        return self._watchdog.step("the migration of instances", self._timing.call())

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
        if towards == "base":
            self._remembering.rehearsed(())  # of the way back not all was seen
        for part in change.changes:
            vsn = self._stage.vsn(part.module, change.mode, towards)
            states = States()
            self._journal.append(states)
            old_vsn = Down(vsn) if change.mode == "down" else vsn
            members = self._members(part.module)
            if towards == "goal":
                self._specs.note(members)
            what, limit = f"code_change of {part.module!r} in {{0.label}}", self._timing.code_change(part.module)
            with self._watchdog.step(what, limit) as step:
                await self._change(members, part, old_vsn, states.changed, step)
            if towards == "base":
                self._specs.take_back(members)

    async def _change(
        self, members: Sequence[Process], part: ModuleChange, old_vsn: Any, changed: list[Changed], step: Step
    ) -> None:
        """Change the states of *members*; everything in this loop is paid for by all that stand still."""
        remembered = self._remembering.of
        extra = deepcopy(part.extra)
        shared = extra.__class__ not in (dict, list)
        for process in members:
            state = process.state
            snapshot = remembered(process, part.module)
            step.at = process
            try:
                new = process.change_code(part.module, old_vsn, extra if shared else extra.copy())
                if hasattr(new.__class__, "__await__"):
                    self._settle()
                    new = await within(self._timing.code_change(part.module), new)
                    changed.append((process, state, spoilt(snapshot)))
                else:
                    changed.append((process, state, snapshot))
            except BaseException as error:
                step.at = None
                changed.append((process, state, spoilt(snapshot)))
                self._remembering.failed(process, part.module)
                if is_cancelled():
                    raise
                raise EffectFailed(changed_not(process, part, step.overran() if step.overrun else error)) from error
            if step.overrun:
                raise EffectFailed(changed_not(process, part, step.overran()))
            if new.__class__ in NO_STATES and (new is not None or state is not None):
                raise EffectFailed(no_state(process, part, new))
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
            making = self._calls.make(cut, towards)
            await self._bounded(cut, towards, making, self._timing.call_outside(), self._timing.held_outside())
            return
        self._settle()
        before = set(self._node.processes.values())
        await self._bounded(cut, towards, self._calls.make(cut, towards), self._timing.call())
        self._started |= set(self._node.processes.values()) - before
        self._journal.append(Called(lambda: self._take_back(cut, towards)))

    async def _take_back(self, cut: Cut, towards: Side) -> None:
        back: Side = "base" if towards == "goal" else "goal"
        await self._bounded(taking_back(cut), back, self._calls.take_back(cut, towards), DEFAULT_TIMEOUT)

    async def _bounded(
        self, cut: Cut, towards: Side, work: Coroutine[Any, Any, None], limit: float | None, held: float | None = None
    ) -> None:
        """Do *work* for at most *limit* seconds, and let it not keep the loop from turning for longer than *held*."""
        try:
            with self._watchdog.step("{0}", limit if held is None else held) as step:
                step.at = describe(cut)
                try:
                    await within(limit, work)
                except (Overdue, Overrun) as error:
                    step.at = None
                    said = overdue(step.overran() if step.overrun else error)
                    raise EffectFailed(Diagnostic("call_failed", f"{describe(cut)} {said}", cut.location)) from error
        except EffectFailed as failed:
            if isinstance(failed.__cause__, Overdue | Overrun):
                await self._give_up(cut, towards, failed)
            raise

    async def _give_up(self, cut: Cut, towards: Side, failed: EffectFailed) -> None:
        try:
            await within(DEFAULT_TIMEOUT, self._calls.give_up(cut, towards))
        except Overdue as late:
            message = f"{describe(cut)} may come to its end all the same: what takes it back {late}"
            raise EffectFailed(*failed.diagnostics, Diagnostic("not_restored", message, cut.location)) from late

    async def probe(self, probe: Verify) -> None:
        """Ask a function of the new code, while everybody stands still, and for no longer than it may take."""
        self._settle()
        with self._watchdog.step("{0}", patience(probe)) as step:
            step.at = describe(probe)
            await ask(self._node, self._watchdog, probe, STANDING_STILL)

    async def verify(self) -> Sequence[Diagnostic]:
        """Check that every process in scope still stands, and that none was born into the window unseen."""
        faults = [Diagnostic("born_in_window", f"{p.label} came up in the window") for p in self._born()]
        free = [p for p in self._selected if not p.holds and p.alive]
        faults += [Diagnostic("released_in_window", f"{p.label} was let go by others") for p in free]
        if faults:
            raise EffectFailed(*faults)
        return [*deaths(list(self._selected)), *self._exchange.finish(awaited=self._awaited)]

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
        self._remembering.settle()
        self._specs.settle()
        self._release()

    async def rollback(self) -> Sequence[Diagnostic]:
        """Undo the journal, last first, and resume. Raises `EffectFailed` with what could not be undone."""
        remains: list[Diagnostic] = []
        dead = [*deaths(list(self._selected)), *self._remembering.unsure()]
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
        return dead

    def _release(self) -> None:
        selected, self._selected = self._selected, {}
        suspension.resume(self._node, selected)
        self._node.births.open()
        self._open = self._awaited = False
        self._exchange.begin()
        if self._collects:
            self._collects = False
            gc.enable()
