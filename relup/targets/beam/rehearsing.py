"""A rehearsal for a BEAM node: the script of an upgrade, and its inverse, on copies of its states in another Erlang.

The node is only read, while everybody goes on. What is read is handed on as it came, and no state is a value here. In
the peer each state is changed by the function that OTP would call, with the code that would be loaded then; what that
returns is the state for what follows, so the inverse finds what the script left. Who does not answer, or has too much,
is named and left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from relup.diagnostics import Diagnostic, RelupError
from relup.executor import EffectFailed, Limits, Side
from relup.executor.rehearsal import Failure, ModuleRehearsal, Rehearsal, Way, round_trip_differs, verdict_of
from relup.model.instructions import CodeChange
from relup.model.naming import describe
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.shortened import shortened
from relup.model.windows import Segment, Window, inverse
from relup.targets.beam.agent import Agent
from relup.targets.beam.configuration import Change, turned
from relup.targets.beam.files import Beam, consolidated_folder, ebin_of, read_beams
from relup.targets.beam.found import Changed, failure, lost, module_found, unread
from relup.targets.beam.peer import ANSWERING, Peer, PeerLost, peer
from relup.targets.beam.requests import changing, limits_of, sent
from relup.targets.beam.saying import misunderstood, what_changes, words
from relup.targets.beam.terms import Atom, Term, characters

LONGEST = 30_000
"""Milliseconds for one `code_change`, also where an appup says it may take as long as it likes."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a transaction has ready."""

    agent: Agent
    relup: Relup
    base: Release
    """As the plan has it, and with its code; so is the goal."""
    goal: Release
    config: Sequence[Change]
    limits: Limits
    first: int
    """The number of the first window; each has one, by which the agent knows it."""

    def release(self, side: Side) -> Release:
        """Return one of the two."""
        return self.goal if side == "goal" else self.base


async def rehearse(script: Script, parts: Sequence[Segment]) -> Rehearsal:
    """Rehearse a script on the states that there are now. Raises `BridgeError` when the node is lost."""
    began = perf_counter()
    run = _Run(script, [p for p in parts if isinstance(p, Window)])
    try:
        await run.go()
    except PeerLost as error:
        run.failures.append(lost(error, run.at))
    except (RelupError, EffectFailed) as error:
        run.failures += [_not_begun(str(d)) for d in error.diagnostics]
    if left := [*_left_out(parts)]:
        message = f"not rehearsed, for it is done outside of all states: {shortened(left)}"
        run.note("call_not_rehearsed", message)
    return run.found((perf_counter() - began) * 1000)


def _not_begun(why: str) -> Failure:
    message = f"it could not be rehearsed: {why}"
    return Failure(Diagnostic("not_rehearsable", message, severity="warning"), "")


@dataclass(slots=True)
class _Run:
    """One run through the script and back."""

    script: Script
    windows: Sequence[Window]
    at: Diagnostic | None = None
    """What is being done: its place, and what it is in words."""
    window: float = 0.0
    """Milliseconds that the windows take, as far as it is known."""
    there: dict[str, int] = field(default_factory=dict)
    """How many processes of each module there are."""
    modules: list[ModuleRehearsal] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    def note(self, code: str, message: str) -> None:
        """Say something beside what failed."""
        self.notes.append(Diagnostic(code, message, severity="note"))

    def found(self, milliseconds: float) -> Rehearsal:
        """Return what was found."""
        modules, failures, notes = tuple(self.modules), tuple(self.failures), tuple(self.notes)
        return Rehearsal(verdict_of(failures), 0.0, milliseconds, self.window, modules, failures, notes)

    async def go(self) -> None:
        """Start the peer, let it begin where the node is, and run the script and its inverse as far as they go well."""
        if not any(w.changes() for w in self.windows):
            self.note("no_state_changes", "no state changes, so there is nothing to rehearse")
            return
        async with peer(self.script.goal, self.script.agent.bridge.erts) as beside:
            copies = await self._copies()  # read while the other one boots
            await beside.ready()
            if isinstance(copies, bytes) and await self._begun(beside, copies) and await self._there(beside):
                await self._back(beside)

    async def _copies(self) -> bytes | None:
        """Return copies of the states, and say of whom there are none."""
        suspended = dict.fromkeys(s.module for w in self.windows for s in w.suspensions)
        changed = dict.fromkeys(c.module for w in self.windows for c in w.changes())
        request = Atom("copies"), [*map(Atom, suspended)], [*map(Atom, changed)]
        match await self.script.agent.ask(*request):
            case ("ok", bytes(copies), dict(left), list(counts)):
                self.there = {str(module): count for module, count in counts}
                self.notes += unread(left)
                return copies
            case ("failed", why):
                self.failures.append(_not_begun(words(why)))
                return None
            case other:
                raise misunderstood(other)

    async def _begun(self, beside: Peer, copies: bytes) -> bool:
        """Have the peer be as the node is."""
        swapped = dict.fromkeys(c.module for w in self.windows for c in w.code)
        await beside.ask(Atom("states"), copies, [*map(Atom, swapped)])
        await beside.ask(Atom("environment"), [*self.script.config])
        return all([await self._load(beside, window, "base") for window in self.windows])

    async def _load(self, beside: Peer, window: Window, side: Side) -> bool:
        """Let one side of a window's code be current; say whether it is."""
        release = self.script.release(side)
        beams = [*_code(window, release).values()]
        gone = [Atom(c.module) for c in window.code if c.module not in {b.module for b in beams}]
        await beside.ask(Atom("folders"), [characters(f) for f in _folders(release)])
        match await beside.ask(Atom("load"), [*map(sent, beams)], gone):
            case ("ok", int(nanoseconds)):
                self.window += nanoseconds / 1e6 if side == "goal" else 0.0
                return True
            case ("failed", why):
                self.failures.append(_not_begun(f"{release} is not loaded beside the node: {words(why)}"))
                return False
            case other:
                raise misunderstood(other)

    async def _there(self, beside: Peer) -> bool:
        for number, window in enumerate(self.windows, self.script.first):
            if not (
                await self._changes(beside, number, window, window.before, "there")
                and await self._load(beside, window, "goal")
                and await self._changes(beside, number, window, window.after, "there")
            ):
                return False
        return True

    async def _back(self, beside: Peer) -> None:
        """Run the inverse, and compare what it leaves with what there was."""
        await beside.ask(Atom("environment"), turned(self.script.config))
        for number, window in [*enumerate(self.windows, self.script.first)][::-1]:
            undoing, no_way = inverse(window, self.script.relup.way_back or ())
            if no_way:
                message = f"the way back was not rehearsed: no appup says how {shortened(no_way)} goes back down"
                self.note("way_back_not_rehearsed", message)
                return
            if not (
                await self._changes(beside, number, undoing, undoing.before, "back")
                and await self._load(beside, window, "base")
                and await self._changes(beside, number, undoing, undoing.after, "back")
            ):
                return
        match await beside.ask(Atom("compare")):
            case ("compared", list(differing)):
                self._compared(differing)
            case other:
                raise misunderstood(other)

    async def _changes(
        self, beside: Peer, number: int, window: Window, changes: Sequence[CodeChange], way: Way
    ) -> bool:
        """Change the copies of a window; say whether all of them could be."""
        limits = limits_of(window.suspensions, self.script.limits.code_change)
        for change in changes:
            _, _, side, mode, asked = changing(change, number, "goal" if way == "there" else "base", limits)
            vsns = await self.script.agent.ask(Atom("old_vsns"), [(module, number, mode, side) for module, *_ in asked])
            for part, (module, extra, limit, by), vsn in zip(change.changes, asked, vsns, strict=True):
                what = what_changes(part.module, part.migrate) + (" on the way back" if way == "back" else "")
                self.at = Diagnostic(way, what, part.location)
                within = min(limit, LONGEST)
                answer = await beside.ask(
                    Atom("change"), module, vsn, extra, by, within, within=within / 1000 + ANSWERING
                )
                self._changed(Changed.read(answer), part.module, way)
        return not self.failures

    def _changed(self, changed: Changed, module: str, way: Way) -> None:
        found = module_found(changed, module, way)
        self.modules.append(found)
        assert self.at is not None
        self.failures += [failure(f, self.at) for f in changed.failures]
        if way == "there":
            every = max(self.there.get(module, 0), found.processes)
            self.window += found.milliseconds * every / max(found.processes, 1)
            self.notes += changed.notes(module, every)

    def _compared(self, differing: Sequence[Term]) -> None:
        """Say whose state is another one after the way there and back."""
        by_module: dict[str, list[str]] = {}
        for module, label, line in differing:
            by_module.setdefault(str(module), []).append(f"in {words(label)}: {words(line)}")
        for module, found in by_module.items():
            self.notes.append(round_trip_differs(module, found))
        self.modules = [
            replace(m, same=m.processes - len(by_module.get(m.module, []))) if m.way == "back" else m
            for m in self.modules
        ]


def _code(window: Window, release: Release) -> Mapping[str, Beam]:
    """Return the code of a window as a release has it."""
    return read_beams(release, [c.module for c in window.code if release.code.module(c.module)])


def _folders(release: Release) -> Iterator[str]:
    """Yield where a release has its code: protocols with all that implements them first."""
    if folder := consolidated_folder(release):
        yield str(folder)
    for application in release.applications:
        if ebin := ebin_of(application, release):
            yield str(ebin)


def _left_out(parts: Sequence[Segment]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Window):
            yield from map(describe, part.calls)
            yield from map(describe, part.asks)
        else:
            yield describe(part)
