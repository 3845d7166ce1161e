"""The planner's one door: two releases in, one plan out, or everything that keeps it from being made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from relup.diagnostics import Diagnostic, InvalidInput, Refused, errors
from relup.model.instructions import Direction
from relup.model.policy import NOT_ON_THIS_NODE, check_policy
from relup.model.release import Release
from relup.model.relup import Relup
from relup.planner.advice import advise, advise_back
from relup.planner.closure import check_closure
from relup.planner.collection import uncollected
from relup.planner.coverage import check_coverage, check_unversioned, notes
from relup.planner.emulator import check_emulator, check_restart, is_before_r15, restarting_last
from relup.planner.extensions import check_extensions
from relup.planner.legs import Leg, check_appups, check_files, choose, lacking, lacking_down, leg
from relup.planner.lint import check_way
from relup.planner.migrations import check_migrations
from relup.planner.names import check_names
from relup.planner.order import Rank
from relup.planner.translation import Stages, check, stages


def plan(
    base: Release,
    goal: Release,
    direction: Direction | None = None,
    rank: Rank | None = None,
    *,
    restart_emulator: bool = False,
    warnings_as_errors: bool = False,
) -> Relup:
    """Return the plan from *base*, which runs, to *goal*, and the way back if the appups know one.

    Up, goal's appups say how; down, base's. Without a *direction* it is the one for which they have entries.
    *rank* breaks ties between modules that do not depend on each other, the lower the earlier.
    With *restart_emulator* the node restarts as the last step; with *warnings_as_errors* nothing may be warned of.
    Raises InvalidInput with everything that is wrong, or Refused when nothing is but the node's kind cannot
    carry out what the appups ask for. OTP's counterpart is `systools:make_relup`, with the same two options.
    """
    options = {"restart_emulator": restart_emulator, "warnings_as_errors": warnings_as_errors}
    return planned(base, goal, direction, rank, **options).relup


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made of."""

    relup: Relup
    leg: Leg
    stages: Stages


@uncollected
def planned(
    base: Release,
    goal: Release,
    direction: Direction | None,
    rank: Rank | None,
    *,
    restart_emulator: bool,
    warnings_as_errors: bool,
) -> Planned:
    """Return what `plan` returns, and how it came about; raise what it raises."""
    _raise(tuple(check_same(base, goal)))
    chosen = direction or choose(base, goal)
    way = chosen or "up"
    newer, older = (goal, base) if way == "up" else (base, goal)
    there = leg(way, newer, older, restart_emulator=restart_emulator)
    back = leg(_opposite(way), newer, older, restart_emulator=restart_emulator)
    no_way_back = tuple(lacking(_opposite(way), newer, older))
    legs = [there] if no_way_back else [there, back]
    found = [
        *check_emulator(base, goal),
        *(d for taken in legs if taken.direction == "up" for d in check_restart(older, taken.instructions())),
        *check_extensions(base, goal),
        *check_files(base, goal),
        *check_appups(newer, older),
        *lacking(way, newer, older),
        *(() if chosen else lacking_down(base, goal)),
        *_check_leg(there),
        *check_unversioned(there),
    ]
    found += [*_irreversible(no_way_back), *_news(_check_leg(back), found)]
    up, down = (there, back) if way == "up" else (back, there)
    both_ways = () if no_way_back else advise_back(up.instructions(), down.instructions())
    advice = (*advise(there.instructions()), *both_ways)
    _raise([*errors(found), *(_treated_as_errors([*found, *advice]) if warnings_as_errors else ())])
    made = _translated(there, rank)
    way_back = None if no_way_back else _translated(back, rank).script
    _raise(tuple(check_closure([(there, made.script), *([(back, way_back)] if way_back else [])])))
    relup = Relup(
        direction=way,
        base=base,
        goal=goal,
        script=made.script,
        way_back=way_back,
        warnings=(*found, *advice, *notes(there)),
    )
    return Planned(relup, there, made)


def _translated(taken: Leg, rank: Rank | None) -> Stages:
    made = stages(taken.direction, taken.scripts(), taken.after.applications, taken.before.applications, rank)
    late = taken.direction == "up" and is_before_r15(taken.before)
    return replace(made, script=restarting_last(made.script)) if late else made


def _opposite(direction: Direction) -> Direction:
    return "down" if direction == "up" else "up"


def check_same(base: Release, goal: Release) -> Iterator[Diagnostic]:
    """Find two releases that are no versions of one release."""
    if base.name != goal.name:
        message = f"{goal} is another release than {base}: an upgrade leads from one version of a release to another"
        yield Diagnostic("different_releases", message, goal.location)
    if base.kind != goal.kind:
        message = f"{base} is a release of a {base.kind} node, {goal} of a {goal.kind} node"
        yield Diagnostic("different_kinds", message, goal.location)


def _check_leg(taken: Leg) -> Iterator[Diagnostic]:
    before, after = taken.before.applications, taken.after.applications
    known = {m for a in (*before, *after) for m in a.modules}
    yield from taken.faults
    yield from check(taken.scripts(), after, before)
    yield from check_names(taken.instructions(), known, taken.after.kind)
    yield from check_policy(taken.instructions(), taken.after.kind)
    yield from check_migrations(taken)
    if not taken.faults:
        yield from check_coverage(taken)
        yield from check_way(taken)


def _irreversible(lacks: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    for d in lacks:
        message = f"after this upgrade there is no way back: {d.message}"
        yield Diagnostic("irreversible", message, d.location, "warning", d.hint)


def _news(found: Iterable[Diagnostic], known: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    """Drop what was said of the same line before: an inverse list repeats the faults of the list it comes from."""
    heard = {(d.code, d.location) for d in known if d.location}
    return (d for d in found if (d.code, d.location) not in heard)


def _treated_as_errors(found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    for d in found:
        if d.severity == "warning":
            message = f"{d.message} [{d.code}], and warnings are treated as errors"
            yield Diagnostic("warnings_treated_as_errors", message, d.location, hint=d.hint)


def _raise(wrong: Sequence[Diagnostic]) -> None:
    if wrong:
        raise (Refused if all(d.code == NOT_ON_THIS_NODE for d in wrong) else InvalidInput)(wrong)
