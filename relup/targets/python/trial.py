"""The script of an upgrade, and its inverse, on the states that a copy of the node has.

Every `code_change` is called with the state that its process has, as in the window; what it returns is the state for
what follows, so the inverse finds what the script left. Functions of the program that an appup wants called are called
as well. Nobody else runs in a copy: who is asked for an answer does not give one, so whatever asks cannot be tried, and
neither can what OTP's own modules do with processes. A process that was busy when the node was copied is left out.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from itertools import islice
from sys import getsizeof
from time import perf_counter
from types import GeneratorType, NoneType
from typing import Any, NoReturn

from relup.diagnostics import Diagnostic, Location, in_words
from relup.executor import EffectFailed, Side, taking_back
from relup.executor.rehearsal import ModuleRehearsal, Sample, Way
from relup.model.instructions import Apply, Call, CodeChange, Load, ModuleChange, Suspension, Verify
from relup.model.naming import describe, shortened
from relup.model.relup import Relup
from relup.model.windows import Cut, Segment, Window, inverse
from relup.runtime import Down, Node, NoReply, Process, Reply, Stop
from relup.runtime.context import inside
from relup.targets.python import forked
from relup.targets.python.blame import place_of, program_frames
from relup.targets.python.calls import OTP_MODULES, called
from relup.targets.python.differing import Then, differences, type_name
from relup.targets.python.failing import changed_not, no_state
from relup.targets.python.forked import Place, Say
from relup.targets.python.held import Replaced, still_held
from relup.targets.python.reach import Reader
from relup.targets.python.snapshot import Memory, Snapshot, holds
from relup.targets.python.stage import Stage
from relup.targets.python.wire import diagnostic_to_data

PATIENCE = 5.0
"""Seconds for one `code_change`, where nobody said another limit (OTP's)."""
SAMPLES, LINES, SIZED, FAILURES, COMPARED = 3, 12, 50, 5, 1000
_LARGEST = 20_000
"""Objects of a state that are looked at for its size."""
NO_STATES = frozenset({NoneType, Reply, NoReply, Stop, GeneratorType, type})
"""What a `code_change` returns by mistake."""


class Unanswered(RuntimeError):
    """Somebody who does not run in a copy was asked for an answer."""


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


@dataclass(slots=True)
class Trial:
    """One run through the script and back, in a copy of the node."""

    script: Script
    parts: Sequence[Segment]
    say: Say
    place: Place
    before: dict[Process, tuple[Any, Snapshot]] = field(default_factory=dict)
    """The state of each process before the first change, and what it held."""
    modules: dict[Process, str] = field(default_factory=dict)
    idle: frozenset[Process] = frozenset()
    """Who stood between two messages when the node was copied."""
    failed: bool = False

    async def run(self) -> None:
        """Run the script, then its inverse, as far as both go well."""
        node = self.script.node
        node.loop = asyncio.get_running_loop()
        self.idle = frozenset(p for p in node.processes.values() if p.rest is not None)
        for name, stand_in in {"call": self._unanswered, "stop": self._unanswered, "system": self._at_once}.items():
            setattr(node, name, stand_in)
        with inside(node):
            if await self._there():
                await self._look_for_old_objects()
                if await self._back():
                    self._compare()
        self.say({"end": True})

    async def _unanswered(self, server: Any, *_: Any, **__: Any) -> NoReturn:
        who = f"it asks {server!r} for an answer"
        forked.effects.append(who)
        raise Unanswered(f"{who}, who does not run in a rehearsal")

    async def _at_once(self, server: Any, action: Callable[[Process], Any], *_: Any, **__: Any) -> Any:
        """Do with a process what it would do itself at its next message boundary, where it stands."""
        return action(self.script.node.process(server))

    async def _there(self) -> bool:
        for part in self.parts:
            match part:
                case Window():
                    well = await self._window(part)
                case _:
                    well = await self._call(part, "there")
            if not well:
                return False
        return True

    async def _window(self, window: Window) -> bool:
        if not await self._changes(window, window.before, "there", "goal"):
            return False
        loading = perf_counter()
        await self.script.load(window)
        self.say({"load": (perf_counter() - loading) * 1000})
        if not await self._changes(window, window.after, "there", "goal"):
            return False
        steps: list[Apply | Verify] = [*window.calls, *window.asks]
        for step in steps:
            await self._call(step, "there")
        return not self.failed

    async def _back(self) -> bool:
        """Run the inverse; say whether there is one."""
        for part in reversed(self.parts):
            match part:
                case Window():
                    well = await self._window_back(part)
                case _:
                    with suppress(EffectFailed):  # that nothing takes it back was said with the plan
                        await self._call(taking_back(part), "back")
                    well = not self.failed
            if not well:
                return False
        return True

    async def _window_back(self, window: Window) -> bool:
        undoing, lost = inverse(window, self.script.relup.way_back or ())
        carried = [c.module for c in window.code if isinstance(c, Load) and (c.keep or c.instances)]
        if lost or carried:
            what = f"{shortened(carried)} carries over what is kept or migrated"
            if lost:
                what = f"no appup says how {shortened(lost)} goes back down"
            self._note("way_back_not_rehearsed", f"the way back was not rehearsed: {what}", "note")
            return False
        if not await self._changes(undoing, undoing.before, "back", "base"):
            return False
        await self.script.unload(window)
        return await self._changes(undoing, undoing.after, "back", "base")

    # ── calls ──────────────────────────────────────────────────────────────────────────────────────────

    async def _call(self, step: Cut | Verify, way: Way) -> bool:
        """Call a function of the program; what is done with processes is left out, and said."""
        match step:
            case Apply(Call(module) as call) | Verify(Call(module) as call) if module not in OTP_MODULES:
                self._begin(way, describe(step), step.location)
                refused = len(forked.effects)
                try:
                    answer = await asyncio.wait_for(called(call), self.script.patience * 0.8)
                except BaseException as error:
                    message = f"{describe(step)} failed: {in_words(error)}{place_of(error)}"
                    found = Diagnostic("call_failed", message, step.location)
                    self._failure(found, error, forked.effects[refused:])
                else:
                    if isinstance(step, Verify) and answer is False:
                        found = Diagnostic("verify_failed", f"{describe(step)} returned False", step.location)
                        self._failure(found, None, forked.effects[refused:])
            case _:
                message = f"not rehearsed, for it is done with running processes: {describe(step)}"
                self._note("call_not_rehearsed", message, "note")
        return not self.failed

    # ── states ─────────────────────────────────────────────────────────────────────────────────────────

    async def _changes(self, window: Window, changes: Sequence[CodeChange], way: Way, towards: Side) -> bool:
        """Change the states of a window; say whether all of them could be."""
        found = [p for p in self.script.census(window.suspensions) if p.alive]
        idle = [p for p in found if p in self.idle]
        if changes and len(idle) < len(found):
            busy = shortened([p.label for p in found if p not in self.idle])
            self._note("busy_not_rehearsed", f"not rehearsed, for they were busy just then: {busy}", "note")
        for change in changes:
            for part in change.changes:
                vsn = self.script.stage.vsn(part.module, change.mode, towards)
                members = [p for p in idle if part.module in p.modules]
                await self._change(members, part, Down(vsn) if change.mode == "down" else vsn, way)
        return not self.failed

    async def _change(self, members: Sequence[Process], part: ModuleChange, old_vsn: Any, way: Way) -> None:
        self._begin(way, f"code_change of {part.module!r}", part.location)
        tally, tried, extra = _Tally(), len(forked.effects), deepcopy(part.extra)
        shared = extra.__class__ not in (dict, list)
        for process in members:
            self.place.be(process.pid)
            state = process.state
            snapshot = self.script.memory.remember(state)
            self.before.setdefault(process, (state, snapshot))
            self.modules[process] = part.module
            began, refused = perf_counter(), len(forked.effects)
            try:
                new = process.change_code(part.module, old_vsn, extra if shared else deepcopy(extra))
                if hasattr(new, "__await__"):
                    new = await asyncio.wait_for(new, self.script.patience * 0.8)
            except BaseException as error:
                found: tuple[Diagnostic, BaseException | None] = changed_not(process, part, error), error
            else:
                tally.took(process, perf_counter() - began)
                tally.mutates = tally.mutates or not holds(snapshot)
                if new.__class__ not in NO_STATES or (new is None and state is None):
                    if len(tally.samples) < SAMPLES:
                        then, now = Then(state, snapshot), Then(new, self.script.memory.remember(new))
                        tally.sample(process, new, islice(differences(then, now), LINES))
                    process.state = new
                    continue
                found = no_state(process, part, new), None
            tally.failed += 1
            if tally.failed <= FAILURES:
                self._failure(*found, forked.effects[refused:])
        self.failed = self.failed or tally.failed > 0
        if not tally.failed and (effects := forked.effects[tried:]):
            self._note("effect_refused", f"code_change of {part.module!r} went well, although {effects[0]}", "note")
        self.say({"module": asdict(tally.sum(part.module, way, [p.state for p in members]))})

    def _failure(self, diagnostic: Diagnostic, error: BaseException | None, effects: Sequence[str]) -> None:
        """Say what failed, or that it cannot be tried here."""
        why = effects[0] if effects else next(filter(None, map(_unfit, _causes(error))), "")
        if why:
            message = f"{diagnostic.message}; it cannot be rehearsed, for {why}"
            diagnostic = Diagnostic("not_rehearsable", message, diagnostic.location, "warning")
        self.failed = True
        self.say({"failure": diagnostic_to_data(diagnostic), "traceback": "".join(program_frames(error))})

    async def _look_for_old_objects(self) -> None:
        """Name what new states still hold of the code that was replaced."""
        stage = self.script.stage
        places = {code.module: code.location for w in self.parts if isinstance(w, Window) for code in w.code}
        ticking = asyncio.create_task(self._ticking())
        for found in await still_held(self.before, Replaced(stage.replaced, current=stage.current), places):
            self.say({"note": diagnostic_to_data(found)})
        ticking.cancel()

    async def _ticking(self) -> None:
        """Be seen to get on, as long as the loop turns."""
        while True:
            self.place.be(0)
            await asyncio.sleep(0)

    def _compare(self) -> None:
        """Say whose state is another one after the way there and back; a great many differ in the same way."""
        differing: dict[str, list[str]] = {}
        same, unlike = Counter[str](), Counter[str]()
        for process, (state, snapshot) in self.before.items():
            self.place.be(process.pid)
            then, module = Then(state, snapshot), self.modules[process]
            found = differing.setdefault(module, [])
            if then.clearly_is(process.state):
                same[module] += 1
            elif len(found) == COMPARED:
                unlike[module] += 1
            elif first := self._difference(then, process.state):
                found.append(f"in {process.label}: {first}")
            else:
                same[module] += 1
        for module, found in differing.items():
            if found:
                more = f", and {len(found) - 1} more differ" if len(found) > 1 else ""
                more += f"; {unlike[module]} were not looked at as closely" if unlike[module] else ""
                message = f"the states of {module} are not the same after the way there and back: {found[0]}{more}"
                self._note("round_trip_differs", message, "warning")
        self.say({"same": {module: same[module] for module in differing}})

    def _difference(self, then: Then, state: Any) -> str | None:
        return next(differences(then, Then(state, self.script.memory.remember(state)), exact=True), None)

    def _begin(self, way: Way, what: str, location: Location | None) -> None:
        self.place.be(0)
        self.say({"begin": diagnostic_to_data(Diagnostic(way, what, location))})

    def _note(self, code: str, message: str, severity: Any) -> None:
        self.say({"note": diagnostic_to_data(Diagnostic(code, message, severity=severity))})


@dataclass(slots=True)
class _Tally:
    """What is counted over the processes of one module."""

    total: float = 0.0
    longest: float = 0.0
    last: float = 0.0
    slowest: str = ""
    failed: int = 0
    mutates: bool = False
    samples: list[Sample] = field(default_factory=list)

    def took(self, process: Process, seconds: float) -> None:
        self.total, self.last = self.total + seconds, seconds
        if seconds > self.longest:
            self.longest, self.slowest = seconds, process.label

    def sample(self, process: Process, new: Any, lines: Iterator[str]) -> None:
        self.samples.append(Sample(process.label, self.last * 1000, _size(new), tuple(lines)))

    def sum(self, module: str, way: Way, states: Sequence[Any]) -> ModuleRehearsal:
        types = Counter(type_name(type(s)) for s in states)
        sizes = [*map(_size, states[:SIZED])]
        return ModuleRehearsal(
            module,
            way,
            len(states),
            self.failed,
            self.total * 1000,
            self.longest * 1000,
            self.slowest,
            self.mutates,
            round(sum(sizes) / len(sizes) * len(states)) if sizes else 0,
            tuple(name for name, _ in types.most_common(5)),
            tuple(self.samples),
        )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unfit(error: BaseException) -> str:
    """Return why what was raised says nothing about the upgrade itself; nothing if it does."""
    match error:
        case MemoryError():
            return f"it takes more than {forked.MORE_MEMORY >> 20} MB beside what the node has"
        case TimeoutError():
            return "it waits for somebody"
        case OSError(errno=errno.EBADF):
            return "it uses a file or a connection of the node"
        case _ if type(error).__module__ == "sqlite3":
            return "it uses a database of the node"
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
