"""Apply one plan to a target: a fold over its segments, with a way back.

In a window, failure means rollback from the target's journal. Windows that were resumed before the failure
have handled new messages: they are undone by their downgrade, never by putting a snapshot back, in reverse
order together with the calls between them. What cannot be undone is known beforehand and refused
(`no_way_back`), unless the caller allows it; what then remains is said exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from relup.diagnostics import Diagnostic, Refused, RelupError, in_words
from relup.executor.limits import UNSAID, Limits
from relup.executor.outcome import Outcome, Phase, Status, WindowReport
from relup.executor.rehearsal import Rehearsal
from relup.executor.stops import Stops
from relup.executor.target import EffectFailed, Side, Target, Transaction, taking_back
from relup.model.instructions import Apply, Call, CodeChange, Stop
from relup.model.naming import describe, describe_call
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.shortened import shortened
from relup.model.windows import Segment, Window, inverse, segments

Tell: TypeAlias = Callable[[Phase, str], None]
"""Says what happens now."""


@dataclass(slots=True)
class _Run:
    """One fold: what was done so far, and whom to tell."""

    relup: Relup
    transaction: Transaction
    tell: Tell
    clock: Callable[[], float]
    limits: Limits
    stops: Stops
    opened: float = 0.0
    """When the window that is open was opened."""
    done: list[Segment] = field(default_factory=list)
    windows: list[WindowReport] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    def closed(self, window: Window, processes: int) -> float:
        """Note that a window is over, committed or rolled back; return its length in milliseconds."""
        milliseconds = (self.clock() - self.opened) * 1000
        self.windows.append(WindowReport(milliseconds, processes, window.modules()))
        return milliseconds

    def check_time(self, window: Window) -> None:
        """Raise `EffectFailed` when the open window takes longer than it may."""
        limit = self.limits.window
        if limit is not None and self.clock() - self.opened > limit:
            message = f"the window of {shortened(window.modules())} was open for longer than {limit:g} s"
            raise EffectFailed(
                Diagnostic("window_timeout", message, next((s.location for s in window.suspensions), None))
            )


class Interrupted(BaseException):
    """An upgrade was ended from outside, by its cause; `outcome` is what came of it."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome)


async def apply_hop(
    relup: Relup,
    target: Target,
    tell: Tell,
    clock: Callable[[], float],
    stops: Stops,
    *,
    dry_run: bool,
    strict: bool = False,
    rehearse: bool = False,
    limits: Limits = UNSAID,
) -> Outcome:
    """Apply *relup* to *target*, which its owner holds, and return how it ended.

    A *dry_run* stops before anything is touched. *strict* refuses what `prepare` and a rehearsal warn of; *rehearse*
    has the script tried on a copy of the states first, where the target can.
    Raises `Refused` with nothing touched, and `Interrupted` once all is undone, when it was interrupted or *stops*
    know of somebody who wanted that meanwhile.
    """
    parts = segments(relup.script)
    outcome = Outcome("done", relup.base.vsn, relup.goal.vsn, diagnostics=relup.warnings)
    async with target.begin(relup, limits) as transaction:
        run = _Run(relup, transaction, tell, clock, limits, stops)
        run.tell("prepare", "new code is read and run off to the side")
        try:
            preparation = await transaction.prepare(parts)
        except RelupError:
            raise
        except Exception as error:  # nothing has been touched yet, which is what an upgrade that is undone comes to
            return replace(outcome, status="rolled_back", diagnostics=_as_failure(error).diagnostics)
        if strict and (warned := [d for d in preparation.notes if d.severity == "warning"]):
            raise Refused([replace(d, severity="error") for d in warned])
        outcome = replace(outcome, diagnostics=(*outcome.diagnostics, *preparation.notes))
        if rehearse and (found := await _rehearse(run, parts)):
            outcome = replace(outcome, rehearsals=(found,), diagnostics=(*outcome.diagnostics, *found.said(strict)))
            if found.speaks_against(strict):
                return replace(outcome, status="refused")
        if dry_run:
            said = (*outcome.diagnostics, *preparation.forecast)
            windows = tuple(_forecast(parts, preparation.processes))
            return replace(outcome, status="ready", windows=windows, diagnostics=said)
        try:
            await transaction.remember()
            await _fold(run, parts)
        except BaseException as error:
            status, diagnostics = await _undone(run, _as_failure(error))
            rehearsed = (d for r in outcome.rehearsals for d in r.said(strict))
            failed = replace(outcome, status=status, diagnostics=(*diagnostics, *rehearsed), windows=tuple(run.windows))
            if cause := stops.asked if isinstance(error, Exception) else error:
                raise Interrupted(failed) from cause
            return failed
    return replace(outcome, diagnostics=(*outcome.diagnostics, *run.notes), windows=tuple(run.windows))


async def _rehearse(run: _Run, parts: Sequence[Segment]) -> Rehearsal | None:
    found = await run.transaction.rehearse(parts)
    if found:
        states = sum(m.processes for m in found.modules if m.way == "there")
        run.tell("rehearse", f"{states} state(s) in {found.milliseconds:.0f} ms: {found.verdict.replace('_', ' ')}")
    return found


def _as_failure(error: BaseException) -> EffectFailed:
    """Return *error* as a failed effect: what no target raises on purpose is undone all the same."""
    if isinstance(error, EffectFailed):
        return error
    return EffectFailed(Diagnostic("interrupted", f"the upgrade was interrupted: {in_words(error)}"))


def _forecast(parts: Sequence[Segment], processes: Sequence[int]) -> list[WindowReport]:
    return [WindowReport(0.0, n, w.modules()) for w, n in zip(parts, processes, strict=True) if isinstance(w, Window)]


async def _fold(run: _Run, parts: Sequence[Segment]) -> None:
    for part in parts:
        last = part is parts[-1]
        match part:
            case Window():
                await _patiently(run, partial(_window, run, part, final=last))
            case _:
                run.tell("call", describe(part))
                await run.transaction.call(part, "goal")
                run.done.append(part)
    if not parts or not isinstance(parts[-1], Window):
        await _decide(run)


async def _decide(run: _Run) -> None:
    """Commit a plan whose last segment is no window; there is nothing to resume."""
    try:
        await run.stops.after(run.transaction.commit(final=True))
    except BaseException as error:
        await _rollback(run, _as_failure(error))
        raise
    await run.stops.after(run.transaction.resume())


async def _patiently(run: _Run, work: Callable[[], Awaitable[None]]) -> None:
    """Do *work*, which opens a window; when somebody did not suspend in time, let all go on and try again later."""
    for number, pause in enumerate((*run.limits.pauses(), None), start=1):
        try:
            await work()
        except _Stranded:
            raise
        except EffectFailed as failure:
            if not failure.may_pass:
                raise
            if pause is None:
                raise EffectFailed(*_tried(failure.diagnostics, number)) from failure
            run.tell("suspend", f"{failure.diagnostics[0].message}; all go on, and it is tried again in {pause:g} s")
        else:
            return
        await asyncio.sleep(pause)


def _tried(found: Sequence[Diagnostic], times: int) -> Iterator[Diagnostic]:
    """Say how often it was tried, where that was more than once."""
    return (replace(d, message=f"{d.message}; it was tried {times} times") if times > 1 else d for d in found)


async def _window(run: _Run, window: Window, *, final: bool) -> None:
    transaction = run.transaction
    run.opened, processes = run.clock(), 0
    try:
        run.tell("suspend", f"{await transaction.select(window.suspensions)} process(es)")
        run.opened = run.clock()
        processes = await transaction.suspend()
        run.check_time(window)
        await _change(run, window.before, "goal")
        await transaction.load(window)
        run.tell("load", f"{len(window.code)} module(s)")
        await _change(run, window.after, "goal")
        for call in window.calls:
            await transaction.call(call, "goal")
        for probe in window.asks:
            await transaction.probe(probe)
            run.tell("verify", f"{describe_call(probe.call)} says yes")
        run.notes += await transaction.verify()
        run.check_time(window)
        await run.stops.after(transaction.commit(final=final))
    except BaseException as error:
        await _rollback(run, _as_failure(error))
        run.closed(window, processes)
        raise
    await run.stops.after(transaction.resume())
    run.done.append(window)
    milliseconds = run.closed(window, processes)
    run.tell("resume", f"{processes} process(es) go on after {milliseconds:.1f} ms")
    if run.stops.asked and not final:
        raise run.stops.asked


async def _change(run: _Run, changes: Sequence[CodeChange], towards: Side) -> None:
    for change in changes:
        await run.transaction.change_code(change, towards)
        run.tell("code_change", f"{change.mode}: {', '.join(c.module for c in change.changes)}")


async def _rollback(run: _Run, failure: EffectFailed) -> None:
    try:
        run.notes += await run.stops.after(run.transaction.rollback())
    except EffectFailed as remains:
        raise _Stranded(failure, remains) from failure
    run.tell("rollback", "the window is undone")


class _Stranded(EffectFailed):
    """A failure whose rollback failed as well: `remains` says what is left."""

    def __init__(self, failure: EffectFailed, remains: EffectFailed) -> None:
        self.remains, self.lost = remains, remains.lost
        super().__init__(*failure.diagnostics, *remains.diagnostics)


async def _undone(run: _Run, failure: EffectFailed) -> tuple[Status, tuple[Diagnostic, ...]]:
    try:
        return await run.stops.after(_undo(run, failure))
    except asyncio.CancelledError as again:
        return "operator_needed", (*failure.diagnostics, *_as_failure(again).diagnostics)


async def _undo(run: _Run, failure: EffectFailed) -> tuple[Status, tuple[Diagnostic, ...]]:
    """Take back the segments that were done, last first; return the status and what is to be said."""
    remains: list[Diagnostic] = []
    if isinstance(failure, _Stranded):
        remains += failure.remains.diagnostics
    for part in reversed(run.done):
        try:
            await _take_back(run, part)
        except Exception as second:
            found = _as_failure(second)
            remains += found.diagnostics
            if isinstance(part, Window) and part.code and not found.lost:
                remains.append(_stays(part, run.relup.goal))
    status: Status = "operator_needed" if remains else "rolled_back"
    said = (*failure.diagnostics, *(d for d in remains if d not in failure.diagnostics))
    return status, (*said, *run.notes, *losses(run.done))


def losses(done: Sequence[Segment]) -> Iterator[Diagnostic]:
    """Say what going back could not keep: states as they were, where processes had run since or were ended."""
    for part in done:
        match part:
            case Window() if part.changes():
                modules = ", ".join(c.module for c in part.changes())
                message = f"{modules} had gone on at the new version: what was handled since was migrated down"
                yield Diagnostic("migrated_down", message, part.changes()[0].location, "note")
            case Stop() | Apply(Call("application", "stop") | Call("supervisor", "terminate_child")):
                message = f"{describe(part)} was taken back by a new start: the states of its processes are lost"
                yield Diagnostic("state_lost", message, part.location, "note")
            case _:
                pass


async def _take_back(run: _Run, part: Segment) -> None:
    match part:
        case Window():
            run.limits = run.limits.going_back()
            await _patiently(run, partial(_downgrade, run, part))
        case _:
            back = taking_back(part)
            run.tell("downgrade", describe(back))
            await run.transaction.call(back, "base")


async def _downgrade(run: _Run, window: Window) -> None:
    """Migrate a window that was resumed back down: its processes have handled messages since."""
    back, lost = inverse(window, run.relup.way_back or ())
    if lost:
        raise EffectFailed(*_no_way_back(window, lost, "cannot go back"))
    run.tell("downgrade", f"{len(window.code)} module(s) go back, states are migrated down")
    transaction = run.transaction
    try:
        await transaction.select(back.suspensions)
        await transaction.suspend()
        for call in reversed(window.calls):
            await transaction.call(taking_back(call), "base")
        await _change(run, back.before, "base")
        await transaction.unload(window)
        await _change(run, back.after, "base")
        await transaction.verify()
        await transaction.commit(final=False)
    except BaseException as error:
        await _rollback(run, _as_failure(error))
        raise
    await transaction.resume()


def _stays(window: Window, goal: Release) -> Diagnostic:
    message = f"what stays at {goal}: {', '.join(window.modules())}"
    return Diagnostic("not_taken_back", message, window.code[0].location)


def check_reversible(relup: Relup) -> Iterator[Diagnostic]:
    """Find early windows that could not be undone should a later segment fail."""
    for part in segments(relup.script)[:-1]:
        if isinstance(part, Window):
            yield from _no_way_back(part, inverse(part, relup.way_back or ())[1], "could not be undone")


def _no_way_back(window: Window, lost: Sequence[str], consequence: str) -> list[Diagnostic]:
    places = {c.module: c.location for c in (*window.code, *window.changes())}
    return [
        Diagnostic(
            "no_way_back",
            f"a later step follows the window of {module!r}; should it fail, {module!r} {consequence}, "
            "because no appup says how its state goes back down",
            places[module],
            hint="write the down entry, say `window: inside` for an apply that needs no running process, "
            "or allow it with --allow-irreversible",
        )
        for module in lost
    ]
