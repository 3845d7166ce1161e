"""Apply a route to a target as one upgrade: hop by hop, all of it or nothing.

Each hop is a transaction of its own, and new traffic runs between them. So when a later hop fails, its own
windows are rolled back, and the hops before it are undone by their downgrades, last first: the node ends at
the goal of the route or at its base. What can be known of the later hops is checked before the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from relup.diagnostics import Diagnostic, Refused, RelupError
from relup.executor.hop import Tell, apply_hop, check_reversible, losses
from relup.executor.outcome import Emit, Event, Outcome, Phase
from relup.executor.target import Target
from relup.model.relup import Relup
from relup.model.route import Route
from relup.model.windows import segments

log = logging.getLogger("relup.executor")


@dataclass(frozen=True, slots=True)
class Options:
    """How an upgrade is to be carried out."""

    dry_run: bool = False
    """Stop after `prepare`: everything that can be known without touching a process."""
    allow_irreversible: bool = False
    """Go on although a late failure could not undo what was done before it."""


@dataclass(slots=True)
class _Journey:
    """A route on its way: the hops that were made, and what came of every one that was tried."""

    target: Target
    tell: Tell
    clock: Callable[[], float]
    done: list[Relup] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    async def hop(self, relup: Relup, *, dry_run: bool = False) -> Outcome:
        """Apply one hop; a refusal that is not the first hop's is a failure like any other."""
        try:
            outcome = await apply_hop(relup, self.target, self.tell, self.clock, dry_run=dry_run)
        except RelupError as refusal:
            if not self.outcomes:
                raise
            outcome = Outcome("rolled_back", relup.base.vsn, relup.goal.vsn, diagnostics=refusal.diagnostics)
        self.outcomes.append(outcome)
        return outcome


async def install(
    plan: Relup | Route,
    target: Target,
    *,
    owner: str,
    emit: Emit,
    clock: Callable[[], float],
    options: Options = Options(),
) -> Outcome:
    """Apply *plan* to *target* and return how it ended.

    Raises `Busy` and `Refused` with nothing touched. (OTP: `release_handler:install_release/1`.)
    """
    route = Route((plan,)) if isinstance(plan, Relup) else plan
    if not options.allow_irreversible:
        _refuse(list(_irreversible(route)))
    async with target.hold(owner):
        _refuse([d for hop in route.hops[1:] for d in await target.inspect(hop)])
        journey = _Journey(target, _teller(emit, clock), clock)
        try:
            await _travel(journey, route, options)
        except BaseException:
            await _go_back(journey)
            raise
    return _sum(route, journey)


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
        if len(route.hops) > 1:
            journey.tell("hop", f"{number} of {len(route.hops)}: {hop}")
        outcome = await journey.hop(hop, dry_run=options.dry_run)
        match outcome.status:
            case "done":
                journey.done.append(hop)
            case "rolled_back":
                await _go_back(journey)
                return
            case "ready" | "operator_needed":
                return


async def _go_back(journey: _Journey) -> None:
    """Undo the hops that were made, by their downgrades; stop at one that does not succeed."""
    while journey.done:
        made = journey.done.pop()
        back = made.back()
        if back is None:
            message = f"{made} was carried out and is not undone: no appup leads back"
            stays = Diagnostic("no_way_back", message)
            journey.outcomes.append(Outcome("operator_needed", made.goal.vsn, made.base.vsn, diagnostics=(stays,)))
            return
        journey.tell("downgrade", str(back))
        outcome = await journey.hop(replace(back, warnings=tuple(losses(segments(made.script)))))
        if outcome.status != "done":
            journey.outcomes[-1] = replace(outcome, status="operator_needed")
            return


def _sum(route: Route, journey: _Journey) -> Outcome:
    """Return what all hops came to: the way there is over when one failed, whatever the way back did."""
    outcomes, worst_first = journey.outcomes, ("operator_needed", "rolled_back", "ready", "done")
    return Outcome(
        min((o.status for o in outcomes), key=worst_first.index),
        route.base.vsn,
        route.goal.vsn,
        tuple(w for o in outcomes for w in o.windows),
        (*route.warnings, *dict.fromkeys(d for o in outcomes for d in o.diagnostics)),
    )
