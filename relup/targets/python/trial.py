"""The script of an upgrade, and its inverse, on the states that a copy of the node has.

Every `code_change` is called with the state that its process has, as in the window; what it returns is the state for
what follows, so the inverse finds what the script left. Whatever an appup wants called is called as well: functions of
the program, and what OTP's own modules do with children and applications. Of those who were there when the node was
copied nobody runs, so who asks them for an answer cannot be tried; that is left out, and what comes after it is not
blamed for it. A process that was busy when the node was copied is left out.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from time import perf_counter
from types import GeneratorType, NoneType
from typing import Any, TypeAlias

from relup.diagnostics import Diagnostic, Location, in_words
from relup.executor import EffectFailed, Side, taking_back
from relup.executor.rehearsal import Way
from relup.model.instructions import Apply, CodeChange, Load, ModuleChange, Verify
from relup.model.naming import describe
from relup.model.shortened import shortened
from relup.model.windows import Cut, Segment, Window, inverse
from relup.runtime import Down, NoReply, Process, Reply, Stop
from relup.runtime.context import inside
from relup.targets.python.blame import place_of, program_frames
from relup.targets.python.calls import OTP_MODULES, called
from relup.targets.python.copied import Copied
from relup.targets.python.cut_off import effects
from relup.targets.python.differing import Now, Then, differences
from relup.targets.python.excuses import excuse
from relup.targets.python.failing import changed_not, no_state
from relup.targets.python.forked import Place, Say
from relup.targets.python.held import Replaced, still_held
from relup.targets.python.origins import Origins
from relup.targets.python.script import Script
from relup.targets.python.tally import SAMPLES, Tally
from relup.targets.python.wire import diagnostic_to_data

LINES, FAILURES, LENGTH = 12, 5, 2000
Ask: TypeAlias = Callable[..., Awaitable[Any]]
Tried: TypeAlias = tuple[BaseException | None, Any]
"""What was raised, or else what was returned."""
NO_STATES = frozenset({NoneType, Reply, NoReply, Stop, GeneratorType, type})
"""What a `code_change` returns by mistake."""


@dataclass(slots=True)
class Trial:
    """One run through the script and back, in a copy of the node."""

    script: Script
    parts: Sequence[Segment]
    say: Say
    place: Place
    origins: Origins = field(init=False)
    copied: Copied = field(init=False)
    concerned: dict[tuple[str, ...], list[Process]] = field(default_factory=dict)
    """Who was copied, and stands still in a window that suspends these modules."""
    left_out: list[str] = field(default_factory=list)
    """Why what is called later may fail here alone."""
    failed: bool = False

    def __post_init__(self) -> None:
        self.origins = Origins(self.script.memory, self.place)
        self.copied = Copied(self.script.node, self.left_out)

    async def run(self) -> None:
        """Run the script, then its inverse, as far as both go well."""
        node = self.script.node
        self.place.be()
        node.loop = asyncio.get_running_loop()
        self.copied.stand_still()
        with inside(node):
            self._write_down_first()
            if await self._there():
                await self._look_for_old_objects()
                if await self._back():
                    self._compare()
        self.say({"end": True})

    async def _there(self) -> bool:
        for part in self.parts:
            match part:
                case Window():
                    well = await self._window(part)
                case _:
                    well = await self._call(part, "there", self.script.call_limit(inside=False))
            if not well:
                return False
        return True

    def _write_down_first(self) -> None:
        """Write states down before anything changes, where others than their own `code_change` may reach into them."""
        windows = [part for part in self.parts if isinstance(part, Window)]
        changes = [(w, m) for w in windows for c in (*w.before, *w.after) for m in c.changes]
        migrates = any(isinstance(c, Load) and c.instances for w in windows for c in w.code)
        if len(changes) > 1 or migrates:
            for window, change in changes:
                self.origins.write_down(self._members(window, change.module), change.module)
        if migrates:
            others = defaultdict[str, list[Process]](list)
            for process in (p for w in windows for p in self._concerned(w) if p not in self.copied.busy):
                others[process.reference.module].append(process)
            for module, processes in others.items():
                self.origins.write_down(processes, module)

    async def _window(self, window: Window) -> bool:
        if not await self._changes(window, window.before, "there", "goal"):
            return False
        loading = perf_counter()
        if not await self._exchange(window, self.script.steps.load, "there"):
            return False
        self.say({"load": (perf_counter() - loading) * 1000})
        if not await self._changes(window, window.after, "there", "goal"):
            return False
        steps: list[Apply | Verify] = [*window.calls, *window.asks]
        for step in steps:
            await self._call(step, "there", self.script.call_limit(inside=True))
        return not self.failed

    async def _back(self) -> bool:
        """Run the inverse; say whether there is one."""
        for part in reversed(self.parts):
            match part:
                case Window():
                    well = await self._window_back(part)
                case _:
                    well = await self._call_back(part, self.script.call_limit(inside=False))
            if not well:
                return False
        return True

    async def _window_back(self, window: Window) -> bool:
        undoing, lost = inverse(window, self.script.relup.way_back or ())
        if lost:
            what = f"no appup says how {shortened(lost)} goes back down"
            self._note("way_back_not_rehearsed", f"the way back was not rehearsed: {what}")
            return False
        if wrong := self.script.stage.prepare_way_back(window, undoing):
            self._note("way_back_not_rehearsed", f"the way back was not rehearsed: {wrong[0].message}")
            return False
        for call in reversed(window.calls):
            await self._call_back(call, self.script.call_limit(inside=True))
        if not await self._changes(undoing, undoing.before, "back", "base"):
            return False
        if not await self._exchange(window, self.script.steps.unload, "back"):
            return False
        return await self._changes(undoing, undoing.after, "back", "base")

    async def _exchange(self, window: Window, exchange: Callable[[Window], Awaitable[None]], way: Way) -> bool:
        """Exchange the code of a window, for which functions of the program may migrate instances."""
        what = f"the exchange of {shortened(window.modules())}"
        if window.code:
            self._begin(way, what, window.code[0].location)
        tried = effects.listen()
        self.place.be(Place.CALL, self.script.call_limit(inside=True))
        try:
            await exchange(window)
        except EffectFailed as failure:
            for found in failure.diagnostics:
                self._failure(found, failure.__cause__, tried)
        else:
            self._note_refused(what, tried)
        self.place.be()
        return not self.failed

    # ── calls ──────────────────────────────────────────────────────────────────────────────────────────

    async def _call_back(self, step: Cut, limit: float) -> bool:
        """Call what takes a call back."""
        with suppress(EffectFailed):  # that nothing does was said with the plan
            await self._call(taking_back(step), "back", limit)
        return not self.failed

    async def _call(self, step: Cut | Verify, way: Way, limit: float) -> bool:
        """Make a call; what OTP's own modules do is left out once something was that it may need."""
        match step:
            case Verify(call):
                await self._try(step, way, called(call), limit)
            case Apply(call) if call.module not in OTP_MODULES:
                await self._try(step, way, called(call), limit)
            case _ if self.left_out:
                self._leave_out(step, self.left_out[0])
            case _:
                await self._try(step, way, self.script.steps.make(step, "goal" if way == "there" else "base"), limit)
        return not self.failed

    async def _try(self, step: Cut | Verify, way: Way, work: Awaitable[Any], limit: float) -> None:
        """Wait for a call, and say whether it went well."""
        self._begin(way, describe(step), step.location)
        tried = effects.listen()
        self.place.be(Place.CALL, limit)
        error, answer = await _tried(work, limit)
        self.place.be()
        if isinstance(error, EffectFailed):
            error = error.__cause__ or error
        why = tried[0] if tried else excuse(error)
        own = isinstance(step, Apply | Verify) and step.call.module not in OTP_MODULES
        if error is not None and why and not own:
            self._leave_out(step, why)
        elif error is not None:
            message = f"{describe(step)} failed: {in_words(error)}{place_of(error)}"
            self._failure(Diagnostic("call_failed", message, step.location), error, tried or self.left_out)
        elif isinstance(step, Verify) and answer is False:
            found = Diagnostic("verify_failed", f"{describe(step)} returned False", step.location)
            self._failure(found, None, tried or self.left_out)
        else:
            self._note_refused(describe(step), tried)

    def _leave_out(self, step: Cut | Verify, why: str) -> None:
        self.left_out.append(f"it comes after what is not rehearsed: {describe(step)}")
        self._note("call_not_rehearsed", f"not rehearsed, for {why}: {describe(step)}")

    # ── states ─────────────────────────────────────────────────────────────────────────────────────────

    def _concerned(self, window: Window) -> list[Process]:
        """Return the processes of a window that were there when the node was copied, and are still."""
        modules = tuple(suspension.module for suspension in window.suspensions)
        if modules not in self.concerned:
            found = self.script.steps.census(window.suspensions)
            self.concerned[modules] = self.copied.among(found)
        return [p for p in self.concerned[modules] if p.alive]

    def _members(self, window: Window, module: str) -> list[Process]:
        """Return those of them that use *module* and stood between two messages."""
        found, busy = self._concerned(window), self.copied.busy
        if {suspension.module for suspension in window.suspensions} == {module}:
            return [p for p in found if p not in busy]
        return [p for p in found if p not in busy and module in p.modules]

    async def _changes(self, window: Window, changes: Sequence[CodeChange], way: Way, towards: Side) -> bool:
        """Change the states of a window; say whether all of them could be."""
        if not changes:
            return not self.failed
        found = self._concerned(window)
        if way == "there" and (busy := [p.label for p in found if p in self.copied.busy]):
            self._note("busy_not_rehearsed", f"not rehearsed, for they were busy just then: {shortened(busy)}")
        for change in changes:
            for part in change.changes:
                vsn = self.script.stage.vsn(part.module, change.mode, towards)
                members = self._members(window, part.module)
                self._begin(way, f"code_change of {part.module!r}", part.location)
                limit = self.script.limit(window, part.module)
                tally = await self._change(members, part, way, Down(vsn) if change.mode == "down" else vsn, limit)
                self.say({"module": asdict(tally.sum(part.module, way))})
        return not self.failed

    async def _change(
        self, members: Sequence[Process], part: ModuleChange, way: Way, old_vsn: Any, limit: float
    ) -> Tally:
        """Change the states of the processes of a module, and look whether they are changed in place.

        On the way back not all are looked at: only what is reported depends on it.
        """
        origins = self.origins
        looked_at = members if way == "there" else origins.looked_at(members)
        old = [(p, p.state) for p in looked_at[:SAMPLES]] if way == "there" else []
        snapshots = origins.write_down(looked_at, part.module)
        tally = Tally(containers=sum(map(len, snapshots)))
        began = perf_counter()
        await self._change_each(members, part, old_vsn, limit, tally)
        beside, began = perf_counter() - began - sum(tally.took), perf_counter()
        thens, now = [*map(Then, snapshots)], Now(self.script.memory)
        for then in thens:
            self.place.be()
            tally.mutates = tally.mutates or not then.unchanged
        if way == "there":  # a window takes that, too; whether states are what was written down is asked there as well
            self.say({"beside": (beside + (perf_counter() - began if tally.mutates else 0)) * 1000})
        for process, state in old:
            if process in tally.changed[:SAMPLES]:
                tally.sample(process, islice(differences(state, thens[0], process.state, now), LINES))
        return tally

    async def _change_each(
        self, members: Sequence[Process], part: ModuleChange, old_vsn: Any, limit: float, tally: Tally
    ) -> None:
        """Call `code_change` for each; everything in this loop is done as often as there are processes."""
        extra, tried = deepcopy(part.extra), effects.listen()
        shared = extra.__class__ not in (dict, list)
        at, took, changed, usual = self.place.next, tally.took.append, tally.changed.append, set[type]()
        self.place.be(seconds=limit)
        for process in members:
            at(process.pid)
            error, new = None, None
            began = perf_counter()
            try:
                new = process.change_code(part.module, old_vsn, extra if shared else extra.copy())
                if type(new) not in usual:
                    if hasattr(type(new), "__await__"):
                        new = await _within(limit, new)
                    else:
                        usual.add(type(new))
            except BaseException as raised:
                error = raised
            seconds = perf_counter() - began
            if error is None and (type(new) not in NO_STATES or new is process.state is None):
                took(seconds)
                changed(process)
                process.state = new
            else:
                tally.failed += 1
                if tally.failed <= FAILURES:
                    wrong = no_state(process, part, new) if error is None else changed_not(process, part, error)
                    self._failure(wrong, error, tried)
            if tried:
                if error is None and not tally.refused:
                    self._note_refused(f"code_change of {part.module!r}", tried)
                tally.refused, tried = True, effects.listen()
        self.place.be()

    def _failure(self, diagnostic: Diagnostic, error: BaseException | None, tried: Sequence[str]) -> None:
        """Say what failed, or that it cannot be tried here."""
        self.failed = True
        message = diagnostic.message[:LENGTH]
        if why := tried[0] if tried else excuse(error):
            message = f"{message}; it cannot be rehearsed, for {why}"
            diagnostic = Diagnostic("not_rehearsable", message, diagnostic.location, "warning")
        said = diagnostic_to_data(replace(diagnostic, message=message))
        self.say({"failure": said, "traceback": "".join(line[:LENGTH] for line in program_frames(error))})

    async def _look_for_old_objects(self) -> None:
        """Name what new states still hold of the code that was replaced."""
        stage = self.script.stage
        places = {code.module: code.location for w in self.parts if isinstance(w, Window) for code in w.code}
        for found in await still_held(
            self.origins.processes(), Replaced(stage.replaced, current=stage.current), places
        ):
            self.say({"note": diagnostic_to_data(found)})

    def _compare(self) -> None:
        """Say whose state is another one after the way there and back."""
        same, found = self.origins.compare()
        for difference in found:
            self.say({"note": diagnostic_to_data(difference)})
        self.say({"same": same})

    def _begin(self, way: Way, what: str, location: Location | None) -> None:
        self.say({"begin": diagnostic_to_data(Diagnostic(way, what, location))})

    def _note_refused(self, what: str, tried: Sequence[str]) -> None:
        """Say that something went well all the same."""
        if tried:
            self._note("effect_refused", f"{what} went well, although {tried[0]}")

    def _note(self, code: str, message: str) -> None:
        self.say({"note": diagnostic_to_data(Diagnostic(code, message, severity="note"))})


async def _tried(work: Awaitable[Any], limit: float) -> Tried:
    try:
        return None, await _within(limit, work)
    except BaseException as error:
        return error, None


async def _within(limit: float, work: Awaitable[Any]) -> Any:
    """Wait for *work*, and end it before the parent does."""
    return await asyncio.wait_for(work, limit * 0.8)
