"""One upgrade in progress on a BEAM node: each effect is one question to the agent in it.

The journal, the old states and the way back are the agent's; here is what makes its answers readable: which
instruction a failure belongs to, and who it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType

from relup.diagnostics import Diagnostic, Refused
from relup.document.erlang.fingerprint import fingerprint
from relup.executor import EffectFailed, Preparation, Side, taking_back
from relup.model.instructions import Apply, Call, CodeChange, Load, Start, Stop, Suspension
from relup.model.naming import describe, shortened
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.windows import Cut, Segment, Window, inverse, segments
from relup.targets.beam.agent import Agent
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.files import Beam, consolidated, ebin_of, read_beams, with_code
from relup.targets.beam.saying import (
    busy,
    deaths,
    misunderstood,
    mute_supervisors,
    outside,
    process,
    raised,
    unreachable,
    words,
)
from relup.targets.beam.terms import Atom, Term
from relup.targets.beam.wire import to_node

DEFAULT_LIMIT = 5_000
"""Milliseconds for a process to suspend, to change its state, or for a call (OTP's)."""
_EVER = 2**40


class BeamTransaction(AbstractAsyncContextManager["BeamTransaction"]):
    """The `Transaction` of a BEAM node."""

    def __init__(self, agent: Agent, relup: Relup) -> None:
        """Upgrade the node that *agent* is in."""
        self._agent = agent
        self._relup = relup
        self._windows = [s for s in segments(relup.script) if isinstance(s, Window)]
        self._places = {c.module: c.location for w in self._windows for c in (*w.code, *w.changes(), *w.suspensions)}
        self._limits: Mapping[str, int] = {}
        self._open = False
        self._final = False
        self._done = False
        self._after: list[Term] = []
        self._before: list[Term] = []
        """What applications become, and what they were, where that may have to be done without anybody here."""
        self._returning: list[list[Term]] = []
        self._verified: Term | None = None
        """What became of the processes until the last effect, where nobody needs to be asked again."""
        self._loaded: Window | None = None
        self._back: list[list[Term]] = []

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo a window that is still open; where all is done, what follows the window is done here."""
        if self._open:
            await self.rollback()
        elif self._done:
            await self._settle()

    # ── before the window ──────────────────────────────────────────────────────────────────────────────

    async def prepare(self, segments: Sequence[Segment]) -> Preparation:
        """Compare what runs with the plan's base, and ready the code of every window, in both directions."""
        await self._check_base()
        base, goal = self._relup.base, with_code(self._relup.goal)
        self._after = list(_becoming(base, goal))
        self._before = list(_becoming(goal, with_code(base))) if self._agent.confirm_within else []
        files = read_beams(goal, [c.module for w in self._windows for c in w.code if isinstance(c, Load)])
        for number, window in enumerate(self._windows, start=1):
            await self._ready(number, window, files)
        counts, notes = [], list[Diagnostic]()
        for segment in segments:
            count, said = await self._concerned(segment) if isinstance(segment, Window) else (0, [])
            counts.append(count)
            notes += said
        return Preparation(tuple(counts), tuple(notes))

    async def _check_base(self) -> None:
        """Compare the code that runs of the applications that change; those that do not may have been patched."""
        base, goal = self._relup.base, self._relup.goal
        changing = [a for a in base.applications if (g := goal.application(a.name)) is None or g.vsn != a.vsn]
        planned = {m: digest for a in changing for m, digest in a.fingerprints.items()}
        running = dict(await self._agent.ask(Atom("digests"), [Atom(m) for m in planned]))
        loaded = {m: digest.hex() for m, digest in running.items() if isinstance(digest, bytes)}
        other = [m for m, digest in loaded.items() if digest not in (planned[m], _consolidated(base, m))]
        if other:
            message = f"the node runs other code of {shortened(other)} than the plan's base {base}"
            raise Refused([Diagnostic("stale_base", message, hint="plan against what the node was started from")])

    async def _ready(self, number: int, window: Window, files: Mapping[str, Beam]) -> None:
        beams = [files[c.module] for c in window.code if isinstance(c, Load)]
        news = [(Atom(b.module), [*map(ord, str(b.path))], b.binary) for b in beams]
        gone = [Atom(c.module) for c in window.code if not isinstance(c, Load)]
        match await self._agent.ask(Atom("prepare"), number, news, gone):
            case "ok":
                pass
            case ("error", list(problems)):
                raise Refused([self._unfit(*problem) for problem in problems])
            case other:
                raise misunderstood(other)

    def _unfit(self, reason: Term, module: Term, who: Term) -> Diagnostic:
        name, place = str(module), self._places.get(str(module))
        match reason:
            case "not_purged":
                users = shortened([process(w) for w in who])
                return Diagnostic("not_purged", f"old code of {name!r} is still in use, by {users}", place)
            case "sticky":
                return Diagnostic("sticky_directory", f"{name!r} is of OTP's own, which a running node keeps", place)
            case "on_load":
                message = f"{name!r} has an -on_load function: it cannot be loaded together with others, nor taken back"
                return Diagnostic(
                    "on_load", message, place, hint="restart the node for it, or move it to a module apart"
                )
            case "no_old_code":
                message = f"the node's own file of {name!r} is gone or holds other code: it could not be taken back"
                return Diagnostic("no_old_code", message, place)
            case _:
                return Diagnostic("bad_code", f"module {name!r} cannot be loaded: {words(reason)}", place)

    async def _concerned(self, window: Window) -> tuple[int, list[Diagnostic]]:
        """Return how many processes a window suspends, and what is to be said of them."""
        modules, code = [Atom(s.module) for s in window.suspensions], [Atom(c.module) for c in window.code]
        match await self._agent.ask(Atom("concerned"), modules, code):
            case ("ok", int(count), list(beyond), list(mute), [], list(lingering)):
                pass
            case ("ok", _, _, _, list(silent), _):
                raise Refused([mute_supervisors(silent)])
            case other:
                raise misunderstood(other)
        place = window.suspensions[0].location if window.suspensions else None
        stand = {entry[0] for entry in lingering}
        wrong = [self._lingers(window, lingering)] if lingering else []
        wrong += [unreachable(who, place) for who in mute if who[0] not in stand]
        if wrong:
            raise Refused(wrong)
        return count, [outside(beyond, place)] if beyond else []

    def _lingers(self, window: Window, who: Iterable[Term]) -> Diagnostic:
        names = shortened([process(w) for w in who])
        message = f"{names}: their stacks stand in code that is replaced, and a way back would have to kill them"
        return Diagnostic("lingering", message, next((c.location for c in window.code), None))

    # ── the window ─────────────────────────────────────────────────────────────────────────────────────

    async def select(self, suspensions: Sequence[Suspension]) -> int:
        """Take the census in the node, and watch whom it finds."""
        self._open = True
        self._verified = None
        self._limits = _limits(suspensions)
        match await self._ask(*_selecting(suspensions)):
            case ("ok", int(count)):
                return count
            case ("mute", list(mute)):
                raise EffectFailed(*(unreachable(who, suspensions[0].location) for who in mute))
            case ("silent", list(silent)):
                raise EffectFailed(mute_supervisors(silent))
            case other:
                raise misunderstood(other)

    async def suspend(self) -> int:
        """Suspend all, and let each keep its old state."""
        match await self._ask(*_suspending(self._limits)):
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
        await self._exchange(window, "new")
        self._loaded = window

    async def unload(self, window: Window) -> None:
        """Make the code current again that was there before."""
        await self._exchange(window, "old")
        self._loaded = None

    async def _exchange(self, window: Window, side: str) -> None:
        self._verified = None
        match await self._ask(*self._loading(window, side)):
            case "ok":
                pass
            case ("error", list(reasons)):
                place = window.code[0].location
                raise EffectFailed(*(Diagnostic("load_failed", f"{m}: {words(why)}", place) for m, why in reasons))
            case other:
                raise misunderstood(other)

    async def change_code(self, change: CodeChange, towards: Side) -> None:
        """Let the suspended processes change their states, all at once for each module."""
        match await self._ask(*self._changing(change, towards, self._limits)):
            case ("ok" | "born", list(_)) as verified:
                self._verified = verified
            case ("failed", module, list(failed)):
                place = self._places.get(str(module))
                raise EffectFailed(*(raised(str(module), who, reason, place) for who, reason in failed))
            case ("late", module, list(late)):
                place = self._places.get(str(module))
                message = "code_change of {} for {} did not return in time"
                raise EffectFailed(
                    *(Diagnostic("code_change_timeout", message.format(module, process(w)), place) for w in late)
                )
            case other:
                raise misunderstood(other)

    async def call(self, cut: Cut, towards: Side) -> None:
        """Carry out a call in the node."""
        request = _calling(cut, DEFAULT_LIMIT if self._open else _EVER)
        if request is None:
            raise EffectFailed(Diagnostic("not_yet", f"{describe(cut)} is not carried out on this node", cut.location))
        self._verified = None
        if self._open:
            answer = await self._ask(*request)
        else:
            back = self._turned(cut, towards)
            answer = await self._ask(Atom("leading_back"), request, back)
            self._back = back if answer == "ok" else self._back
        match answer:
            case "ok":
                pass
            case ("failed", reason):
                raise EffectFailed(Diagnostic("call_failed", f"{describe(cut)} failed: {words(reason)}", cut.location))
            case _:
                raise EffectFailed(Diagnostic("call_failed", f"{describe(cut)} did not return in time", cut.location))

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
        self._returning = self._returned()
        self._back = [] if self._final else self._returning
        await self._ask(Atom("resume"), self._back, self._after if self._final else [])
        self._open, self._loaded, self._done = False, None, self._final

    async def _settle(self) -> None:
        """Wait until applications are told what changed, and leave the agent the way back where it may be needed."""
        await self._ask(Atom("settled"))
        await self._agent.until_confirmed([*self._returning, [(Atom("become"), self._before)]])

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

    # ── what leads back, should everybody else be gone ─────────────────────────────────────────────────

    def _returned(self) -> list[list[Term]]:
        """Return what leads back once the open window is resumed: its downgrade first, or one less."""
        window = self._loaded
        if window is None:
            return self._back[1:]
        back, lost = inverse(window, self._relup.way_back or ())
        return self._back if lost else [self._downgrading(window, back), *self._back]

    def _downgrading(self, window: Window, back: Window) -> list[Term]:
        limits = _limits(back.suspensions)
        calls = [_taken_back(call, DEFAULT_LIMIT) for call in reversed(window.calls)]
        return [
            _selecting(back.suspensions),
            _suspending(limits),
            *(call for call in calls if call is not None),
            *(self._changing(change, "base", limits) for change in back.before),
            self._loading(window, "old"),
            *(self._changing(change, "base", limits) for change in back.after),
            Atom("verify"),
            (Atom("resume"), [], []),
        ]

    def _turned(self, cut: Cut, towards: Side) -> list[list[Term]]:
        """Return what leads back once a call between two windows is made."""
        if towards == "base":
            return self._back[1:]
        back = _taken_back(cut, _EVER)
        return self._back if back is None else [[back], *self._back]

    def _loading(self, window: Window, side: str) -> tuple[Term, ...]:
        return Atom("load"), self._windows.index(window) + 1, Atom(side)

    def _changing(self, change: CodeChange, towards: Side, limits: Mapping[str, int]) -> tuple[Term, ...]:
        concerned = {c.module for c in change.changes}
        number = next(n for n, w in enumerate(self._windows, 1) if concerned <= set(_concerning(w)))
        changes = [
            (Atom(c.module), to_node(c.extra) if c.extra is not None else [], limits.get(c.module, DEFAULT_LIMIT))
            for c in change.changes
        ]
        return Atom("change_code"), number, Atom("new" if towards == "goal" else "old"), Atom(change.mode), changes

    async def _ask(self, *request: Term) -> Term:
        try:
            return await self._agent.ask(*request)
        except BridgeError as error:
            raise EffectFailed(error.diagnostic) from error


def _consolidated(release: Release, module: str) -> str | None:
    path = consolidated(release, module)
    found = fingerprint(path) if path else None
    return found if isinstance(found, str) else None


def _concerning(window: Window) -> Iterator[str]:
    yield from (s.module for s in window.suspensions)
    yield from window.modules()


def _becoming(base: Release, goal: Release) -> Iterator[Term]:
    """Yield the applications whose versions change: their names, folders and `.app` files."""
    for application in goal.applications:
        before, ebin = base.application(application.name), ebin_of(application, goal)
        if before and before.vsn != application.vsn and ebin:
            file = ebin / f"{application.name}.app"
            yield Atom(application.name), [*map(ord, str(ebin))], file.read_bytes()


def _limits(suspensions: Iterable[Suspension]) -> dict[str, int]:
    return {s.module: _milliseconds(s.timeout) for s in suspensions}


def _selecting(suspensions: Iterable[Suspension]) -> tuple[Term, ...]:
    return Atom("select"), [Atom(s.module) for s in suspensions]


def _suspending(limits: Mapping[str, int]) -> tuple[Term, ...]:
    return Atom("suspend"), {Atom(m): ms for m, ms in limits.items()}


def _calling(cut: Cut, limit: int) -> tuple[Term, ...] | None:
    match cut:
        case Apply(Call(module, function, args)):
            return Atom("call"), (Atom(module), Atom(function), [to_node(a) for a in args]), limit
        case Stop(modules):
            return Atom("stop"), [Atom(m) for m in modules]
        case Start(modules):
            return Atom("start"), [Atom(m) for m in modules]
        case _:
            return None


def _taken_back(cut: Cut, limit: int) -> tuple[Term, ...] | None:
    with suppress(EffectFailed):
        return _calling(taking_back(cut), limit)
    return None


def _milliseconds(timeout: int | str) -> int:
    match timeout:
        case int():
            return timeout
        case "infinity":
            return _EVER
        case _:
            return DEFAULT_LIMIT
