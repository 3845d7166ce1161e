"""One upgrade in progress on a BEAM node: each effect is one question to the agent in it.

The journal, the old states and the way back are the agent's; here is what makes its answers readable: which
instruction a failure belongs to, and who it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from itertools import chain
from types import TracebackType

from relup.diagnostics import Diagnostic, Refused
from relup.executor import UNSAID, EffectFailed, Limits, Preparation, Side, TargetLost
from relup.executor.rehearsal import Rehearsal
from relup.model.instructions import CodeChange, Load, Suspension, Verify
from relup.model.naming import describe
from relup.model.relup import Relup
from relup.model.windows import Cut, Segment, Window, probes, segments
from relup.targets.beam.agent import Agent
from relup.targets.beam.architecture import other_architecture
from relup.targets.beam.configuration import config_changes, provided_otherwise, turned
from relup.targets.beam.environments import Environments
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.files import Beam, read_beams, with_code
from relup.targets.beam.preparing import check_base, concerned, ready, set_otherwise, unfound
from relup.targets.beam.protocols import loaded_as_well, protocols
from relup.targets.beam.rehearsing import Script, rehearse
from relup.targets.beam.requests import (
    DEFAULT_LIMIT,
    EVER,
    Request,
    asking,
    becoming,
    calling,
    changing,
    configuring,
    loading,
    selecting,
    suspending,
)
from relup.targets.beam.saying import (
    STANDING_STILL,
    busy,
    config_change_failed,
    deaths,
    misunderstood,
    process,
    raised,
    said_no,
    silent_ones,
    unreachable,
    what_changes,
    words,
)
from relup.targets.beam.terms import Atom, Term
from relup.targets.beam.timing import Timing
from relup.targets.beam.vetting import vet
from relup.targets.beam.way_back import Group, WayBack, back_from_call, back_from_window

_VERIFY: Request = (Atom("verify"),)


class BeamTransaction(AbstractAsyncContextManager["BeamTransaction"]):
    """The `Transaction` of a BEAM node."""

    def __init__(self, agent: Agent, relup: Relup, way_back: WayBack, limits: Limits = UNSAID) -> None:
        """Upgrade the node that *agent* is in, by one hop of an upgrade that *way_back* takes back."""
        self._agent = agent
        self._way_back = way_back
        self._relup = relup
        self._windows = [s for s in segments(relup.script) if isinstance(s, Window)]
        self._places = {c.module: c.location for w in self._windows for c in (*w.code, *w.changes(), *w.suspensions)}
        self._first = way_back.windows + 1
        self._timing = Timing(limits)
        self._limits = limits
        self._script: Script | None = None
        self._open = False
        self._final = False
        self._done = False
        self._become: Request = ()
        self._become_again: Request = ()
        """Let applications be what the goal has, and what the base has."""
        self._environments = Environments()
        self._protocols: Mapping[int, Sequence[Beam]] = {}
        self.notes: list[Diagnostic] = []
        """What is to be said though all is done."""
        self._ahead: list[tuple[Request, Term]] = []
        """What was answered already to the questions that come next."""
        self._loaded: Window | None = None
        self._unloaded: Window | None = None
        """Of the open window: the code of which one is current, or is not any more."""
        way_back.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo a window that is still open; where all is done, what follows the window is done here.

        That is decided then, and done by the agent, whether or not anybody hears of it.
        """
        if self._open:
            # whoever leaves it open has failed already and says so; an agent that is gone has undone it by itself
            with suppress(EffectFailed):
                await self.rollback()
        with suppress(BridgeError):
            await (self._settle() if self._done else self._environments.take_back(self._agent, self._way_back))

    # ── before the window ──────────────────────────────────────────────────────────────────────────────

    async def prepare(self, segments: Sequence[Segment]) -> Preparation:
        """Compare what runs with the plan's base, and ready the code of every window, in both directions."""
        try:
            return await self._prepared(segments)
        except BridgeError as error:
            raise Refused([error.diagnostic]) from error

    async def _prepared(self, segments: Sequence[Segment]) -> Preparation:
        await check_base(self._agent, self._relup)
        base, goal = with_code(self._relup.base), with_code(self._relup.goal)
        changes = config_changes(base, goal)
        self._become, self._become_again = becoming(base, goal, changes), becoming(goal, base, turned(changes))
        self._environments = Environments(configuring(base, goal, changes))
        files = read_beams(goal, [c.module for w in self._windows for c in w.code if isinstance(c, Load)])
        self._protocols = protocols(base, goal, self._windows)
        await vet(self._agent.bridge, [*files.values(), *chain.from_iterable(self._protocols.values())])
        self._script = Script(self._agent, self._relup, base, goal, changes, self._limits, self._first)
        said = [d async for d in set_otherwise(self._agent, changes)]
        said += await other_architecture(self._agent.bridge, base, goal)
        for window in self._windows:
            beams = [*(files[c.module] for c in window.code if isinstance(c, Load)), *self._beside(window)]
            said += [d async for d in ready(self._agent, self._number(window), window, beams, base)]
        self._way_back.windows += len(self._windows)
        counts = []
        for segment in segments:
            count, more = await self._concerned(segment) if isinstance(segment, Window) else (0, [])
            counts.append(count)
            said += more
        if wrong := [d for d in said if d.severity == "error"]:
            raise Refused(wrong)
        return Preparation(tuple(counts), (*said, *provided_otherwise(base, goal), *loaded_as_well(self._protocols)))

    async def _concerned(self, window: Window) -> tuple[int, list[Diagnostic]]:
        count, said = await concerned(self._agent, window, self._beside(window))
        return count, [*said, *[d async for d in unfound(self._agent, window)]]

    async def rehearse(self, segments: Sequence[Segment]) -> Rehearsal:
        """Change copies of the states in an Erlang beside the node, and back."""
        assert self._script is not None, "what is rehearsed is prepared"
        try:
            return await rehearse(self._script, segments)
        except BridgeError as error:
            raise Refused([error.diagnostic]) from error

    async def remember(self) -> None:
        """Nothing is to be done before the window: each process keeps its own state in it."""

    # ── the window ─────────────────────────────────────────────────────────────────────────────────────

    async def select(self, suspensions: Sequence[Suspension]) -> int:
        """Take the census in the node, and watch whom it finds."""
        await self._begin()
        self._open = True
        self._timing.open(suspensions)
        match await self._ask(*selecting(suspensions)):
            case ("ok", int(count)):
                return count
            case ("mute", list(mute)):
                raise EffectFailed(*(unreachable(who, suspensions[0].location) for who in mute))
            case ("silent", list(silent)):
                raise EffectFailed(silent_ones(silent))
            case other:
                raise misunderstood(other)

    async def suspend(self) -> int:
        """Suspend all, and let each keep its old state."""
        match await self._ask(*suspending(self._timing.suspend())):
            case ("ok", int(count)):
                return count
            case ("unkept", list(who)):
                place = next((self._places.get(m) for m in self._timing.modules), None)
                message = "the state of {} cannot be kept aside, so it could not be put back"
                raise EffectFailed(*(Diagnostic("state_not_kept", message.format(process(w)), place) for w in who))
            case ("late", list(who)):
                place = next((self._places.get(m) for m in self._timing.modules), None)
                raise EffectFailed(*(busy(w, place) for w in who))
            case other:
                raise misunderstood(other)

    async def load(self, window: Window) -> None:
        """Make the new code current, all modules at once.

        The changes of states that follow are asked for with it: each question alone is a way there and back.
        """
        changes = [self._changing(change, "goal") for change in window.after]
        await self._exchange(window, "goal", changes)
        self._loaded = window

    async def unload(self, window: Window) -> None:
        """Make the code current again that was there before."""
        await self._exchange(window, "base")
        self._unloaded = window

    async def _exchange(self, window: Window, side: Side, then: Sequence[Request] = ()) -> None:
        answer, *more = await self._ask(Atom("in_turn"), [loading(self._number(window), side), *then])
        self._ahead = [*zip(then, more, strict=False)]
        match answer:
            case "ok":
                pass
            case ("error", list(reasons)):
                place = window.code[0].location
                raise EffectFailed(*(Diagnostic("load_failed", f"{m}: {words(why)}", place) for m, why in reasons))
            case other:
                raise misunderstood(other)

    async def change_code(self, change: CodeChange, towards: Side) -> None:
        """Let the suspended processes change their states, all at once for each module."""
        match await self._next(self._changing(change, towards)):
            case ("ok" | "born", list(_)) as verified:
                self._ahead = self._ahead or [(_VERIFY, verified)]
            case ("failed", module, list(failed)):
                place, what = self._places.get(str(module)), _what(change, str(module))
                raise EffectFailed(*(raised(what, who, reason, place) for who, reason in failed))
            case ("late", module, list(late)):
                place, what = self._places.get(str(module)), _what(change, str(module))
                message = "{} for {} did not return in time"
                raise EffectFailed(
                    *(Diagnostic("code_change_timeout", message.format(what, process(w)), place) for w in late)
                )
            case other:
                raise misunderstood(other)

    async def call(self, cut: Cut, towards: Side) -> None:
        """Carry out a call in the node."""
        request = calling(cut, self._timing.call(inside=self._open))
        if request is None:
            raise EffectFailed(Diagnostic("not_yet", f"{describe(cut)} is not carried out on this node", cut.location))
        if self._open:
            answer = await self._ask(Atom("inside"), request, back_from_call(cut, DEFAULT_LIMIT))
        else:
            await self._begin()
            answer = await self._call_between(cut, request, towards)
        match answer:
            case "ok":
                pass
            case ("failed", reason):
                raise EffectFailed(Diagnostic("call_failed", f"{describe(cut)} failed: {words(reason)}", cut.location))
            case _:
                raise EffectFailed(Diagnostic("call_failed", f"{describe(cut)} did not return in time", cut.location))

    async def _call_between(self, cut: Cut, request: Request, towards: Side) -> Term:
        """Carry out a call between two windows, after which another way leads back."""
        way_back = self._way_back
        if towards == "base":
            undo: Group = [calling(cut, EVER) or ()]
            answer = await self._ask(Atom("taking_back"), request, way_back.without(undo))
            if answer == "ok":
                way_back.remove(undo)
            return answer
        group: Group = [back_from_call(cut, EVER)]
        answer = await self._ask(Atom("leading_back"), request, [group, *way_back.groups()])
        if answer == "ok":
            way_back.add(group)
        return answer

    async def probe(self, probe: Verify) -> None:
        """Ask a function of the new code, while everybody stands still."""
        if (answer := await self._ask(Atom("ask"), *asking(probe))) != "ok":
            raise EffectFailed(said_no(probe, answer, STANDING_STILL))

    async def verify(self) -> Sequence[Diagnostic]:
        """Check that nobody was born into the window unseen; return who died."""
        match await self._next(_VERIFY):
            case ("ok", list(died)):
                message = "{} died in the window: its state is lost; what replaces it starts at the version after it"
                return [Diagnostic("died_in_window", message.format(process(p)), severity="warning") for p in died]
            case ("born", list(born)):
                message = (
                    "{} came up in the window, unseen before the code was replaced: its state may be of either version"
                )
                raise EffectFailed(*(Diagnostic("born_in_window", message.format(process(p))) for p in born))
            case other:
                raise misunderstood(other)

    async def commit(self, *, final: bool) -> None:
        """Decide: who resumes the last window lets the applications be those of the goal, in one request."""
        self._final = final

    async def resume(self) -> None:
        """Let every process go on; from here on the way back is the downgrade."""
        way_back = self._way_back
        if self._loaded is not None:
            way_back.add(back_from_window(self._loaded, self._number(self._loaded), self._relup))
        if self._unloaded is not None:
            way_back.remove(back_from_window(self._unloaded, self._number(self._unloaded), self._relup))
        if self._final:
            way_back.close(self._relup, [self._become_again])
        # with a deadline, the way back is given up by whoever confirms; with probes, when they were asked again
        decided = way_back.is_over and self._agent.confirm_within is None and not probes(self._relup.script)
        after = [self._become] if self._final else []
        self._open = False  # whoever is lost from here on is answered by what the agent made of it
        await self._ask(
            Atom("resume"), [] if decided else way_back.groups(), [*after, Atom("decided")] if decided else after
        )
        self._loaded, self._unloaded, self._done = None, None, self._final

    async def _settle(self) -> None:
        """Wait until applications are told what changed."""
        match await self._agent.ask(Atom("settled")):
            case list(failed):
                self.notes += [config_change_failed(why) for _, why in failed]
            case other:
                raise misunderstood(other)

    async def rollback(self) -> Sequence[Diagnostic]:
        """Put code and states back and resume. Raises `EffectFailed` with what remains."""
        self._open, self._loaded, self._unloaded = False, None, None
        match await self._ask(Atom("rollback")):
            case ("ok", list(died), list(killed), []):
                return [
                    *deaths(died, "died in the window"),
                    *deaths(killed, "was of the new code alone and was ended"),
                ]
            case ("ok", _, _, list(remains)):
                raise EffectFailed(*(Diagnostic("not_restored", words(r)) for r in remains))
            case other:
                raise misunderstood(other)

    # ── how ──────────────────────────────────────────────────────────────────────────────────────────────

    def _beside(self, window: Window) -> Sequence[Beam]:
        return self._protocols.get(self._windows.index(window), ())

    def _number(self, window: Window) -> int:
        return self._first + self._windows.index(window)

    def _changing(self, change: CodeChange, towards: Side) -> Request:
        concerned = {c.module for c in change.changes}
        window = next(w for w in self._windows if concerned <= set(_concerning(w)))
        return changing(change, self._number(window), towards, self._timing.change())

    async def _begin(self) -> None:
        try:
            await self._environments.have(self._agent, self._way_back)
        except BridgeError as error:
            raise TargetLost(error.diagnostic) from error

    async def _next(self, request: Request) -> Term:
        match self._ahead:
            case [(asked, answer), *more] if asked == request:
                self._ahead = more
                return answer
            case _:
                return await self._ask(*request)

    async def _ask(self, *request: Term) -> Term:
        self._ahead = []
        try:
            return await self._agent.ask(*request)
        except BridgeError as error:
            raise TargetLost(error.diagnostic) from error


def _what(change: CodeChange, module: str) -> str:
    return what_changes(module, next((c.migrate for c in change.changes if c.module == module), None))


def _concerning(window: Window) -> Iterator[str]:
    yield from (s.module for s in window.suspensions)
    yield from window.modules()
