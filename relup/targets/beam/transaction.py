"""One upgrade in progress on a BEAM node: each effect is one question to the agent in it.

The journal, the old states and the way back are the agent's; here is what makes its answers readable: which
instruction a failure belongs to, and who it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType

from relup.diagnostics import Diagnostic, Refused, RelupError
from relup.executor import EffectFailed, Preparation, Side
from relup.model.instructions import CodeChange, Load, Suspension
from relup.model.naming import describe, shortened
from relup.model.relup import Relup
from relup.model.windows import Cut, Segment, Window, segments
from relup.targets.beam.agent import Agent
from relup.targets.beam.configuration import config_changes, provided_otherwise, turned
from relup.targets.beam.environments import Environments
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.files import Beam, read_beams, with_code
from relup.targets.beam.looking import other_code
from relup.targets.beam.protocols import loaded_as_well, protocols
from relup.targets.beam.requests import (
    DEFAULT_LIMIT,
    EVER,
    Limits,
    Request,
    becoming,
    calling,
    changing,
    configuring,
    limits_of,
    loading,
    selecting,
    suspending,
)
from relup.targets.beam.saying import (
    busy,
    deaths,
    holders,
    misunderstood,
    nobody,
    outside,
    process,
    raised,
    silent_ones,
    unfit,
    unreachable,
    what_changes,
    words,
)
from relup.targets.beam.terms import Atom, Term, characters
from relup.targets.beam.way_back import Group, WayBack, back_from_call, back_from_window


class BeamTransaction(AbstractAsyncContextManager["BeamTransaction"]):
    """The `Transaction` of a BEAM node."""

    def __init__(self, agent: Agent, relup: Relup, way_back: WayBack) -> None:
        """Upgrade the node that *agent* is in, by one hop of an upgrade that *way_back* takes back."""
        self._agent = agent
        self._way_back = way_back
        self._relup = relup
        self._windows = [s for s in segments(relup.script) if isinstance(s, Window)]
        self._places = {c.module: c.location for w in self._windows for c in (*w.code, *w.changes(), *w.suspensions)}
        self._first = way_back.windows + 1
        self._limits: Limits = {}
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
        self._verified: Term | None = None
        """What became of the processes until the last effect, where nobody needs to be asked again."""
        self._loaded: Window | None = None
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
        await self._check_base()
        base, goal = with_code(self._relup.base), with_code(self._relup.goal)
        changes = config_changes(base, goal)
        self._become, self._become_again = becoming(base, goal, changes), becoming(goal, base, turned(changes))
        self._environments = Environments(configuring(base, goal, changes))
        files = read_beams(goal, [c.module for w in self._windows for c in w.code if isinstance(c, Load)])
        self._protocols = protocols(base, goal, self._windows)
        for window in self._windows:
            await self._ready(window, files)
        self._way_back.windows += len(self._windows)
        counts, notes = [], list[Diagnostic]()
        for segment in segments:
            count, said = await self._concerned(segment) if isinstance(segment, Window) else (0, [])
            counts.append(count)
            notes += said
            notes += [d async for d in self._unfound(segment)] if isinstance(segment, Window) else []
        notes += [*provided_otherwise(base, goal), *loaded_as_well(self._protocols)]
        return Preparation(tuple(counts), tuple(notes))

    async def _check_base(self) -> None:
        """Compare the code that runs of the applications that change; those that do not may have been patched."""
        base, goal = self._relup.base, self._relup.goal
        changing = [a for a in base.applications if (g := goal.application(a.name)) is None or g.vsn != a.vsn]
        planned = {m: digest for a in changing for m, digest in a.fingerprints.items()}
        running = dict(await self._agent.ask(Atom("digests"), [Atom(m) for m in planned]))
        loaded = {m: digest.hex() for m, digest in running.items() if isinstance(digest, bytes)}
        other = [*other_code(base, planned, loaded)]
        if other:
            message = f"the node runs other code of {shortened(other)} than the plan's base {base}"
            raise Refused([Diagnostic("stale_base", message, hint="plan against what the node was started from")])

    async def _ready(self, window: Window, files: Mapping[str, Beam]) -> None:
        beams = [*(files[c.module] for c in window.code if isinstance(c, Load)), *self._beside(window)]
        news = [*map(_sent, beams)]
        gone = [Atom(c.module) for c in window.code if not isinstance(c, Load)]
        request = Atom("prepare"), self._number(window), news, gone
        answer = await self._agent.ask(*request, [])
        match answer:
            case ("error", list(problems)) if lost := [str(m) for why, m, _ in problems if why == "no_old_code"]:
                answer = await self._agent.ask(*request, self._known(lost))
        match answer:
            case "ok":
                pass
            case ("error", list(problems)):
                raise Refused([unfit(why, m, who, self._places.get(str(m))) for why, m, who in problems])
            case other:
                raise misunderstood(other)

    def _known(self, modules: Sequence[str]) -> list[Term]:
        """Return the base's code of modules whose files the node does not have, as when they were loaded from here."""
        try:
            return [_sent(beam) for beam in read_beams(with_code(self._relup.base), modules).values()]
        except RelupError:
            return []

    async def _concerned(self, window: Window) -> tuple[int, list[Diagnostic]]:
        """Return how many processes a window suspends, and what is to be said of them."""
        modules = [Atom(s.module) for s in window.suspensions]
        code = [Atom(c.module) for c in (*window.code, *self._beside(window))]
        match await self._agent.ask(Atom("concerned"), modules, code):
            case ("ok", int(count), list(beyond), list(mute), [], list(lingering), list(holding)):
                pass
            case ("ok", _, _, _, list(silent), _, _):
                raise Refused([silent_ones(silent)])
            case other:
                raise misunderstood(other)
        place = window.suspensions[0].location if window.suspensions else None
        stand = {entry[0] for entry in lingering}
        wrong = [self._lingers(window, lingering)] if lingering else []
        wrong += [unreachable(who, place) for who in mute if who[0] not in stand]
        if wrong:
            raise Refused(wrong)
        notes = [outside(beyond, place)] if beyond else []
        return count, [*notes, holders(holding, window.code[0].location)] if holding and window.code else notes

    async def _unfound(self, window: Window) -> AsyncIterator[Diagnostic]:
        """Yield which functions of somebody else would find no state: a module may not be what child specs name."""
        migrated = {c.module for c in window.changes() if c.migrate}
        for suspension in window.suspensions:
            if suspension.module in migrated:
                match await self._agent.ask(Atom("concerned"), [Atom(suspension.module)], []):
                    case ("ok", 0, [], [], *_):
                        yield nobody(suspension)
                    case _:
                        pass

    def _lingers(self, window: Window, who: Iterable[Term]) -> Diagnostic:
        names = shortened([process(w) for w in who])
        message = f"{names}: their stacks stand in code that is replaced, and a way back would have to kill them"
        return Diagnostic("lingering", message, next((c.location for c in window.code), None))

    # ── the window ─────────────────────────────────────────────────────────────────────────────────────

    async def select(self, suspensions: Sequence[Suspension]) -> int:
        """Take the census in the node, and watch whom it finds."""
        await self._begin()
        self._open = True
        self._verified = None
        self._limits = limits_of(suspensions)
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
        match await self._ask(*suspending(self._limits)):
            case ("ok", int(count)):
                return count
            case ("unkept", list(who)):
                place = next((self._places.get(m) for m in self._limits), None)
                message = "the state of {} cannot be kept aside, so it could not be put back"
                raise EffectFailed(*(Diagnostic("state_not_kept", message.format(process(w)), place) for w in who))
            case ("late", list(who)):
                place = next((self._places.get(m) for m in self._limits), None)
                raise EffectFailed(*(busy(w, place) for w in who))
            case other:
                raise misunderstood(other)

    async def load(self, window: Window) -> None:
        """Make the new code current, all modules at once."""
        await self._exchange(window, "goal")
        self._loaded = window

    async def unload(self, window: Window) -> None:
        """Make the code current again that was there before."""
        await self._exchange(window, "base")
        self._loaded = None

    async def _exchange(self, window: Window, side: Side) -> None:
        self._verified = None
        match await self._ask(*loading(self._number(window), side)):
            case "ok":
                pass
            case ("error", list(reasons)):
                place = window.code[0].location
                raise EffectFailed(*(Diagnostic("load_failed", f"{m}: {words(why)}", place) for m, why in reasons))
            case other:
                raise misunderstood(other)

    async def change_code(self, change: CodeChange, towards: Side) -> None:
        """Let the suspended processes change their states, all at once for each module."""
        match await self._ask(*self._changing(change, towards)):
            case ("ok" | "born", list(_)) as verified:
                self._verified = verified
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
        request = calling(cut, DEFAULT_LIMIT if self._open else EVER)
        if request is None:
            raise EffectFailed(Diagnostic("not_yet", f"{describe(cut)} is not carried out on this node", cut.location))
        self._verified = None
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
        way_back, undone = self._way_back, towards == "base"
        group: Group = [back_from_call(cut, EVER)]
        after = way_back.groups()[1:] if undone else [group, *way_back.groups()]
        answer = await self._ask(Atom("leading_back"), request, after)
        if answer == "ok":
            way_back.drop() if undone else way_back.add(group)
        return answer

    async def verify(self) -> Sequence[Diagnostic]:
        """Check that nobody was born into the window unseen; return who died."""
        match self._verified or await self._ask(Atom("verify")):
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
        elif self._open:
            way_back.drop()
        if self._final:
            way_back.close(self._relup, [self._become_again])
        # with a deadline, the way back is given up by whoever confirms
        back = [] if way_back.is_over and self._agent.confirm_within is None else way_back.groups()
        self._open = False  # whoever is lost from here on is answered by what the agent made of it
        await self._ask(Atom("resume"), back, [self._become] if self._final else [])
        self._loaded, self._done = None, self._final

    async def _settle(self) -> None:
        """Wait until applications are told what changed, and leave the agent the way back where it may be needed."""
        match await self._agent.ask(Atom("settled")):
            case list(failed):
                self.notes += [_config_change_failed(why) for _, why in failed]
            case other:
                raise misunderstood(other)
        if self._way_back.is_over:
            await self._agent.until_confirmed(self._way_back.groups())

    async def rollback(self) -> Sequence[Diagnostic]:
        """Put code and states back and resume. Raises `EffectFailed` with what remains."""
        self._open = False
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
        return changing(change, self._number(window), towards, self._limits)

    async def _begin(self) -> None:
        try:
            await self._environments.have(self._agent, self._way_back)
        except BridgeError as error:
            raise EffectFailed(error.diagnostic) from error

    async def _ask(self, *request: Term) -> Term:
        try:
            return await self._agent.ask(*request)
        except BridgeError as error:
            raise EffectFailed(error.diagnostic) from error


def _sent(beam: Beam) -> Term:
    return Atom(beam.module), characters(beam.path), beam.binary


def _config_change_failed(why: Term) -> Diagnostic:
    message = f"applications were not all told what changed in their environments: {words(why)}"
    return Diagnostic("config_change_failed", message, severity="warning")


def _what(change: CodeChange, module: str) -> str:
    return what_changes(module, next((c.migrate for c in change.changes if c.module == module), None))


def _concerning(window: Window) -> Iterator[str]:
    yield from (s.module for s in window.suspensions)
    yield from window.modules()
