"""A rehearsal on a Python node: the script of an upgrade, and its inverse, on all real states in a fork of the node.

In the child every `code_change` is called with the state that its process has, as in the window; what it returns is the
state for what follows, so the inverse finds what the script left. What runs beside that is not: a process that is busy
when the node is forked is not tried, and neither is what an `apply` does, because it is done outside of all states.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from itertools import islice
from signal import Signals
from sys import getsizeof
from time import perf_counter
from types import GeneratorType, NoneType
from typing import Any

from relup.diagnostics import Diagnostic
from relup.executor import Side
from relup.executor.rehearsal import Failure, ModuleRehearsal, Rehearsal, Sample, Verdict, Way
from relup.model.instructions import CodeChange, Load, ModuleChange, Suspension
from relup.model.naming import describe, shortened
from relup.model.relup import Relup
from relup.model.windows import Segment, Window, inverse
from relup.runtime import Down, Node, NoReply, Process, Reply, Stop
from relup.targets.python import forked
from relup.targets.python.differing import Then, differences, type_name
from relup.targets.python.failing import changed_not, no_state
from relup.targets.python.forked import Ended, Place, Say
from relup.targets.python.outcomes import module_from_data
from relup.targets.python.reach import Reader
from relup.targets.python.snapshot import Memory, Snapshot, holds
from relup.targets.python.stage import Stage
from relup.targets.python.wire import diagnostic_from_data, diagnostic_to_data

PATIENCE = 5.0
"""Seconds for one `code_change`, where nobody said another limit (OTP's)."""
SAMPLES, LINES, SIZED, FAILURES = 3, 12, 50, 5
_LARGEST = 20_000
"""Objects of a state that are looked at for its size."""
NO_STATES = frozenset({NoneType, Reply, NoReply, Stop, GeneratorType, type})
"""What a `code_change` returns by mistake."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a transaction has ready."""

    node: Node
    relup: Relup
    stage: Stage
    memory: Memory
    census: Callable[[Sequence[Suspension]], Mapping[Process, object]]
    load: Callable[[Window], Awaitable[None]]
    unload: Callable[[Window], Awaitable[None]]
    patience: float = PATIENCE


async def rehearse(script: Script, parts: Sequence[Segment]) -> Rehearsal:
    """Rehearse a script on the states that there are now; the node stands still for the fork alone."""

    async def work(say: Say, place: Place) -> None:
        await _Child(script, parts, say, place).run()

    return _judged(script, parts, await forked.in_child(work, script.patience))


# ── in the child ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Child:
    """One run through the script and back."""

    script: Script
    parts: Sequence[Segment]
    say: Say
    place: Place
    before: dict[Process, tuple[Any, Snapshot]] = field(default_factory=dict)
    """The state of each process before the first change, and what it held."""
    modules: dict[Process, str] = field(default_factory=dict)
    failed: bool = False

    async def run(self) -> None:
        """Run the script, then its inverse, as far as both go well."""
        self.script.node.loop = asyncio.get_running_loop()  # what waits for an answer here gets none, and is overdue
        windows = [p for p in self.parts if isinstance(p, Window)]
        for window in windows:
            if not await self._changes(window, window.before, "there", "goal"):
                return
            loading = perf_counter()
            await self.script.load(window)
            self.say({"load": (perf_counter() - loading) * 1000})
            if not await self._changes(window, window.after, "there", "goal"):
                return
        if await self._back(windows):
            self._compare()
        self.say({"end": True})

    async def _back(self, windows: Sequence[Window]) -> bool:
        """Run the inverse; say whether there is one."""
        for window in reversed(windows):
            undoing, lost = inverse(window, self.script.relup.way_back or ())
            carried = [c.module for c in window.code if isinstance(c, Load) and (c.keep or c.instances)]
            if lost or carried:
                what = (
                    f"no appup says how {shortened(lost)} goes back down" if lost else f"{shortened(carried)} carries"
                )
                self._note("way_back_not_rehearsed", f"the way back was not rehearsed: {what}", "note")
                return False
            if not await self._changes(undoing, undoing.before, "back", "base"):
                return False
            await self.script.unload(window)
            if not await self._changes(undoing, undoing.after, "back", "base"):
                return False
        return True

    async def _changes(self, window: Window, changes: Sequence[CodeChange], way: Way, towards: Side) -> bool:
        """Change the states of a window; say whether all of them could be."""
        found = [p for p in self.script.census(window.suspensions) if p.alive]
        idle = [p for p in found if p.rest is not None]
        if changes and len(idle) < len(found):
            busy = shortened([p.label for p in found if p.rest is None])
            self._note("busy_not_rehearsed", f"not rehearsed, for they were busy just then: {busy}", "note")
        for change in changes:
            for part in change.changes:
                vsn = self.script.stage.vsn(part.module, change.mode, towards)
                members = [p for p in idle if part.module in p.modules]
                await self._change(members, part, Down(vsn) if change.mode == "down" else vsn, way)
        return not self.failed

    async def _change(self, members: Sequence[Process], part: ModuleChange, old_vsn: Any, way: Way) -> None:
        self.say({"begin": diagnostic_to_data(Diagnostic(way, part.module, part.location))})
        total, longest, slowest, failures, mutates = 0.0, 0.0, "", 0, False
        samples: list[Sample] = []
        for process in members:
            self.place.be(process.pid)
            state = process.state
            snapshot = self.script.memory.remember(state)
            self.before.setdefault(process, (state, snapshot))
            self.modules[process] = part.module
            refused = len(forked.effects)
            began = perf_counter()
            try:
                new = process.change_code(part.module, old_vsn, deepcopy(part.extra))
                if hasattr(new, "__await__"):
                    new = await asyncio.wait_for(new, self.script.patience * 0.8)
            except BaseException as error:
                failures += 1
                if failures <= FAILURES:
                    self._failure(changed_not(process, part, error), error, forked.effects[refused:])
                continue
            took = perf_counter() - began
            total += took
            if took > longest:
                longest, slowest = took, process.label
            mutates = mutates or not holds(snapshot)
            if new.__class__ in NO_STATES and (new is not None or state is not None):
                failures += 1
                self._failure(no_state(process, part, new), None, [])
                continue
            if len(samples) < SAMPLES:
                then, now = Then(state, snapshot), Then(new, self.script.memory.remember(new))
                samples.append(Sample(process.label, tuple(islice(differences(then, now), LINES))))
            process.state = new
        self.failed = self.failed or failures > 0
        states = [p.state for p in members]
        types = Counter(type_name(type(s)) for s in states)
        sizes = [*map(_size, states[:SIZED])]
        size = round(sum(sizes) / len(sizes) * len(states)) if sizes else 0
        names = tuple(name for name, _ in types.most_common(5))
        found = ModuleRehearsal(
            part.module, way, len(members), failures, total * 1000, longest * 1000, slowest, mutates, size, names,
            tuple(samples),
        )  # fmt: skip
        self.say({"module": asdict(found)})

    def _failure(self, diagnostic: Diagnostic, error: BaseException | None, effects: Sequence[str]) -> None:
        """Say what failed, or that it cannot be tried here."""
        why = f"it would have done something outside: {effects[0]}" if effects else _unfit(error)
        if why:
            message = f"{diagnostic.message}; it cannot be rehearsed, for {why}"
            diagnostic = Diagnostic("not_rehearsable", message, diagnostic.location, "warning")
        trace = "".join(traceback.format_exception(error)) if error is not None else ""
        self.say({"failure": diagnostic_to_data(diagnostic), "traceback": trace})

    def _compare(self) -> None:
        """Say whose state is another one after the way there and back."""
        differing: dict[str, list[str]] = {}
        for process, (state, snapshot) in self.before.items():
            now = Then(process.state, self.script.memory.remember(process.state))
            if (first := next(differences(Then(state, snapshot), now), None)) is not None:
                differing.setdefault(self.modules[process], []).append(f"in {process.label}: {first}")
        for module, found in differing.items():
            more = f", and {len(found) - 1} more differ" if len(found) > 1 else ""
            message = f"the states of {module} are not the same after the way there and back: {found[0]}{more}"
            self._note("round_trip_differs", message, "warning")
        same = Counter(self.modules.values()) - Counter({m: len(found) for m, found in differing.items()})
        self.say({"same": dict(same)})

    def _note(self, code: str, message: str, severity: Any) -> None:
        self.say({"note": diagnostic_to_data(Diagnostic(code, message, severity=severity))})


def _unfit(error: BaseException | None) -> str:
    """Return why what was raised says nothing about the upgrade itself; nothing if it does."""
    match error:
        case forked.Effect():
            return "it would have done something outside"
        case MemoryError():
            return f"it takes more than {forked.MORE_MEMORY >> 20} MB beside what the node has"
        case TimeoutError():
            return "it waits for somebody"
        case OSError(errno=9):
            return "it uses a file or a connection of the node"
        case _:
            return ""


def _size(state: Any) -> int:
    """Return how many bytes a state takes, as far as it is looked at."""
    read, pending, seen, size = Reader(), [state], set[int](), 0
    while pending and len(seen) < _LARGEST:
        value = pending.pop()
        if id(value) not in seen:
            seen.add(id(value))
            size += getsizeof(value)
            pending += read(value)
    return size


# ── in the parent ──────────────────────────────────────────────────────────────────────────────────────


def _judged(script: Script, parts: Sequence[Segment], ended: Ended) -> Rehearsal:
    """Return what the child said, and what became of it."""
    said = [(key, value) for line in ended.said for key, value in line.items()]
    failures = [
        Failure(diagnostic_from_data(line["failure"]), line["traceback"]) for line in ended.said if "failure" in line
    ]
    notes = [diagnostic_from_data(v) for k, v in said if k == "note"]
    if not any(key == "end" for key, _ in said) and not failures:
        failures.append(_death(script, said, ended))
    if left := [*_left_out(parts)]:
        message = f"not rehearsed, for it is done outside of all states: {shortened(left)}"
        notes.append(Diagnostic("calls_not_rehearsed", message, severity="note"))
    verdict: Verdict = "ok"
    if failures:
        unfit = all(f.diagnostic.code == "not_rehearsable" for f in failures)
        verdict = "not_rehearsable" if unfit else "failed"
    modules = tuple(module_from_data(v) for k, v in said if k == "module")
    window = sum(m.milliseconds for m in modules if m.way == "there") + sum(v for k, v in said if k == "load")
    return Rehearsal(verdict, ended.stall, ended.seconds * 1000, window, modules, tuple(failures), tuple(notes))


def _left_out(parts: Sequence[Segment]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Window):
            yield from map(describe, part.calls)
            yield from map(describe, part.asks)
        else:
            yield describe(part)


def _death(script: Script, said: Sequence[tuple[str, Any]], ended: Ended) -> Failure:
    """Say in whose `code_change` the child hung or died."""
    begun = [diagnostic_from_data(v) for k, v in said if k == "begin"]
    what, place = (f"code_change of {begun[-1].message!r}", begun[-1].location) if begun else ("the rehearsal", None)
    process = next((p for p in script.node.processes.values() if p.pid == ended.at), None)
    who = f" in {process.label}" if process else ""
    if broken := next((v for k, v in said if k == "broken"), ""):
        return Failure(Diagnostic("not_rehearsable", f"{what}{who}: the rehearsal broke", place, "warning"), broken)
    if ended.status is None:
        where = _innermost(ended.stack)
        message = f"{what}{who} does not come back in a copy of the node, where no other thread is{where}"
        return Failure(Diagnostic("not_rehearsable", message, place, "warning"), ended.stack)
    return Failure(
        Diagnostic("code_change_failed", f"{what}{who} ends the node: {_how(ended.status)}", place), ended.stack
    )


def _how(status: int) -> str:
    return f"by {Signals(-status).name}" if status < 0 else f"with exit code {status}"


def _innermost(stack: str) -> str:
    lines = [line.strip() for line in stack.splitlines() if line.strip().startswith("File ")]
    return f": it is at {lines[0]}" if lines else ""
