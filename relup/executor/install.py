"""Apply a route to a target as one upgrade: hop by hop, all of it or nothing.

Each hop is a transaction of its own, and new traffic runs between them. So when a later hop fails, its own
windows are rolled back, and the hops before it are undone by their downgrades, last first: the node ends at
the goal of the route or at its base. What can be known of the later hops is checked before the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from relup.diagnostics import Diagnostic, Refused, RelupError
from relup.executor.hop import Interrupted, Tell, apply_hop, check_reversible, losses
from relup.executor.limits import UNSAID, Limits
from relup.executor.outcome import Emit, Event, Outcome, Phase
from relup.executor.stops import Stops
from relup.executor.target import EffectFailed, Target
from relup.model.relup import Relup
from relup.model.route import Route
from relup.model.windows import probes, segments

log = logging.getLogger("relup.executor")


@dataclass(frozen=True, slots=True)
class Options:
    """How an upgrade is to be carried out."""

    dry_run: bool = False
    """Stop after `prepare`: everything that can be known without touching a process."""
    allow_irreversible: bool = False
    """Go on although a late failure could not undo what was done before it."""
    strict: bool = False
    """Refuse what is only warned of beforehand."""
    rehearse: bool = False
    """Try the script on a copy of the states first, where the target can."""
    asks_again: bool = True
    """Ask what was asked in the windows once more when everybody runs, and go back where that is answered by no."""
    limits: Limits = UNSAID
    """How long it may hold others up."""


@dataclass(slots=True)
class _Journey:
    """A route on its way: the hops that were made, and what came of every one that was tried."""

    target: Target
    tell: Tell
    clock: Callable[[], float]
    limits: Limits
    stops: Stops = field(default_factory=Stops)
    done: list[Relup] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    async def hop(
        self,
        relup: Relup,
        *,
        dry_run: bool = False,
        strict: bool = False,
        rehearse: bool = False,
        limits: Limits | None = None,
    ) -> Outcome:
        """Apply one hop; a refusal that is not the first hop's is a failure like any other.

        Raises `Interrupted` for whatever else ends it.
        """
        untouched = Outcome("rolled_back", relup.base.vsn, relup.goal.vsn)
        try:
            limits = limits or self.limits
            outcome = await apply_hop(
                relup,
                self.target,
                self.tell,
                self.clock,
                self.stops,
                dry_run=dry_run,
                strict=strict,
                rehearse=rehearse,
                limits=limits,
            )
        except RelupError as refusal:
            if not self.outcomes:
                raise
            return replace(untouched, diagnostics=refusal.diagnostics)
        except Interrupted:
            raise
        except BaseException as error:
            raise Interrupted(untouched) from error
        # what refuses a later hop leaves the node where an earlier one led
        return replace(outcome, status="rolled_back") if outcome.status == "refused" and self.outcomes else outcome


async def install(
    plan: Relup | Route,
    target: Target,
    *,
    owner: str,
    emit: Emit,
    clock: Callable[[], float],
    options: Options = Options(),
    interrupted: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Apply *plan* to *target* and return how it ended.

    Raises `Busy` and `Refused` with nothing touched. An upgrade that is ended from outside is undone first; then
    *interrupted* is told how it ended, and what ended it is raised again.
    (OTP: `release_handler:install_release/1`.)
    """
    route = Route((plan,)) if isinstance(plan, Relup) else plan
    _refuse([*_broken(route), *(() if options.allow_irreversible else _irreversible(route))])
    async with target.hold(owner):
        _refuse([d for hop in _later(route) for d in await target.inspect(hop)])
        journey = _Journey(target, _teller(emit, clock), clock, options.limits)
        cause: BaseException | None = None
        try:
            await _travel(journey, route, options)
            if options.asks_again:
                await _ask_again(journey, route)
        except Interrupted as stopped:
            journey.outcomes.append(stopped.outcome)
            cause = stopped.__cause__
        if journey.outcomes[-1].status == "rolled_back":
            await journey.stops.after(_go_back(journey))
        if cause := cause or journey.stops.asked:
            interrupted(_sum(route, journey))
            raise cause from None
    return _sum(route, journey)


def _later(route: Route) -> Iterator[Relup]:
    """Yield what may have to be applied after the first hop: those that follow, and the way back over those before."""
    yield from route.hops[1:]
    yield from (back for hop in route.hops[:-1] if (back := hop.back()))


def _teller(emit: Emit, clock: Callable[[], float]) -> Tell:
    """Return what says what happens now. Whoever listens cannot change what happens."""

    def tell(phase: Phase, message: str) -> None:
        try:
            emit(Event(phase, message, clock()))
        except Exception:
            log.exception("an event could not be told: %s: %s", phase, message)

    return tell


def _refuse(found: Sequence[Diagnostic]) -> None:
    if found:
        raise Refused(found)


def _broken(route: Route) -> Iterator[Diagnostic]:
    for before, after in pairwise(route.hops):
        if before.goal != after.base:
            message = f"the hop {after} does not begin with the release that {before} ends with"
            yield Diagnostic("broken_route", message, after.base.location)


def _irreversible(route: Route) -> Iterator[Diagnostic]:
    for hop in route.hops:
        yield from check_reversible(hop)
    for hop in route.hops[:-1]:
        if hop.way_back is None:
            message = f"a later hop follows {hop}; should it fail the node stays at {hop.goal}: no appup leads back"
            hint = "write the down entries, or allow it with --allow-irreversible"
            yield Diagnostic("no_way_back", message, hint=hint)


async def _travel(journey: _Journey, route: Route, options: Options) -> None:
    for number, hop in enumerate(route.hops, start=1):
        if journey.stops.asked:
            raise Interrupted(Outcome("rolled_back", hop.base.vsn, hop.goal.vsn)) from journey.stops.asked
        if len(route.hops) > 1:
            journey.tell("hop", f"{number} of {len(route.hops)}: {hop}")
        outcome = await journey.hop(hop, dry_run=options.dry_run, strict=options.strict, rehearse=options.rehearse)
        journey.outcomes.append(outcome)
        match outcome.status:
            case "done":
                journey.done.append(hop)
            case _:
                return


async def _ask_again(journey: _Journey, route: Route) -> None:
    """Ask once more what was asked in the windows, now that everybody runs; go back where that is answered by no.

    Nobody was told yet that the upgrade is done, and those who ask want what is bad to be gone.
    """
    asked = probes(route.hops[-1].script)
    if not asked or journey.outcomes[-1].status != "done":
        return
    said_no = Outcome("rolled_back", route.hops[-1].base.vsn, route.goal.vsn)
    try:
        await journey.target.ask_again(asked)
    except EffectFailed as failure:
        journey.outcomes.append(replace(said_no, diagnostics=failure.diagnostics))
    except BaseException as error:
        raise Interrupted(said_no) from error
    else:
        journey.tell("verify", f"{len(asked)} probe(s) say yes again")


async def _go_back(journey: _Journey) -> None:
    """Undo the hops that were made, by their downgrades; stop where one does not succeed, and say where that is."""
    while journey.done and all(o.status != "operator_needed" for o in journey.outcomes):
        made = journey.done.pop()
        journey.outcomes.append(await _back(journey, made))


async def _back(journey: _Journey, made: Relup) -> Outcome:
    back, outcome = made.back(), Outcome("operator_needed", made.goal.vsn, made.base.vsn)
    if back:
        journey.tell("downgrade", str(back))
        try:
            back = replace(back, warnings=tuple(losses(segments(made.script))))
            outcome = await journey.hop(back, limits=journey.limits.going_back())
        except Interrupted as stopped:
            outcome = stopped.outcome
    windows = tuple(replace(w, going_back=True) for w in outcome.windows)
    if outcome.status == "done":
        return replace(outcome, windows=windows)
    why = "no appup leads back" if back is None else "its downgrade failed"
    stays = Diagnostic("not_taken_back", f"{made} was carried out and is not undone, {why}: the node runs {made.goal}")
    return Outcome("operator_needed", outcome.base, outcome.goal, windows, (*outcome.diagnostics, stays))


def _sum(route: Route, journey: _Journey) -> Outcome:
    """Return what all hops came to: the way there is over when one failed, whatever the way back did."""
    outcomes, worst_first = journey.outcomes, ("operator_needed", "rolled_back", "refused", "ready", "done")
    notes = [_not_prepared(route)] if len(route.hops) > 1 and outcomes[-1].status == "ready" else []
    return Outcome(
        min((o.status for o in outcomes), key=worst_first.index),
        route.base.vsn,
        route.goal.vsn,
        tuple(w for o in outcomes for w in o.windows),
        (*route.warnings, *dict.fromkeys(d for o in outcomes for d in o.diagnostics), *notes),
        tuple(r for o in outcomes for r in o.rehearsals),
    )


def _not_prepared(route: Route) -> Diagnostic:
    message = f"of the {len(route.hops)} hops the first was prepared; of the others the files were read and compiled"
    return Diagnostic("later_hops", message, severity="note")
