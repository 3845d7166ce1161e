"""The way from one release to another when no appup knows it: over releases in between.

Users skip releases; authors write entries from the release before. So the known releases are a graph, whose
edges are the plans that can be made, and the cheapest path through it is the route. Guessing would be worse
than refusing: an entry that exists and is wrong is not routed around unasked, of routes that cost the same it
is said which was taken and why, and a route that goes up and down is taken only when there is no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby, islice, pairwise, product
from typing import TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.model.instructions import Direction
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.route import Route
from relup.model.shortened import shortened
from relup.model.versions import natural
from relup.planner.absence import no_route
from relup.planner.cost import Cost, hop_cost, route_cost
from relup.planner.legs import FILE_PROBLEM, NO_RELUP, lacking
from relup.planner.names import did_you_mean
from relup.planner.networks import nx
from relup.planner.planning import plan
from relup.planner.ways import Way, Ways, ambiguous, direction_by_number

Path: TypeAlias = tuple[str, ...]
"""Versions, from the base to the goal."""
_MOST = 5
"""How many routes of the same cost are looked at: one to take, three to name, one to know that there are more."""
_MISSING = {NO_RELUP, FILE_PROBLEM}
_NEVER = {"different_releases", "different_kinds"}


def find_route(
    base: Release,
    goal: Release,
    known: Iterable[Release] = (),
    direction: Direction | None = None,
    via: Sequence[str] = (),
) -> Route:
    """Return the route from *base*, which runs, to *goal*: one hop when there is an entry, else the cheapest.

    It leads through *known* releases of the same name, and through the versions *via*, in that order. With a
    *direction* every hop has it; without one, hops of one direction are preferred to a route that mixes them.
    Neighbours of one version with different contents are left out. Raises what `plan` raises; where an entry is
    missing, InvalidInput with that and with what would close the gap. OTP has no counterpart: it looks up direct
    entries only.
    """
    passed = [v for v, _ in groupby(v for v in via if v not in (base.vsn, goal.vsn))]
    direct = _planned(base, goal, direction, passed)
    if isinstance(direct, Relup) and not passed:
        return Route((direct,))
    faults = () if isinstance(direct, Relup) else direct
    return _over_others(base, goal, known, direction=direction, passed=passed, faults=faults)


def _planned(
    base: Release, goal: Release, direction: Direction | None, passed: Sequence[str]
) -> Relup | tuple[Diagnostic, ...]:
    """Return the plan that needs no releases in between, or why there is none; raise what a route is no answer to."""
    try:
        return plan(base, goal, direction)
    except (InvalidInput, Refused) as error:
        if not _routable(error, passed):
            raise
        return error.diagnostics


def _over_others(
    base: Release,
    goal: Release,
    known: Iterable[Release],
    *,
    direction: Direction | None,
    passed: Sequence[str],
    faults: tuple[Diagnostic, ...],
) -> Route:
    """Return the cheapest route over known releases; *faults* are those of the direct way."""
    given = sorted(known, key=lambda r: r.root)
    strangers = [r for r in given if (r.name, r.kind) != (base.name, base.kind)]
    beside = [r for r in given if (r.name, r.kind) == (base.name, base.kind) and r.vsn not in (base.vsn, goal.vsn)]
    doubtful = ambiguous(beside)
    if wrong := (*_all(ambiguous([base, goal])), *(d for vsn in passed for d in doubtful.get(vsn, ()))):
        raise InvalidInput((*faults, *wrong))
    ways = Ways([base, goal, *(r for r in beside if r.vsn not in doubtful)])
    _check_known(base, ways, passed)
    points = (base.vsn, *passed, goal.vsn)
    preferences = _preferences(base, goal, direction)
    for allowed in preferences:
        if paths := _cheapest(ways, points, allowed):
            route = _route(ways, paths, allowed, passed)
            return replace(route, warnings=(*route.warnings, *_left_out(ways, route, faults), *_untold(doubtful)))
    strangers += [r for r in beside if r.vsn in doubtful]
    raise InvalidInput((*faults, *_all(doubtful), *no_route(ways, points, preferences[-1], strangers)))


def _routable(error: InvalidInput | Refused, passed: Sequence[str]) -> bool:
    """Say whether a route may be the answer: an entry is missing, or is not what is wanted."""
    codes = {d.code for d in error.diagnostics}
    return not codes & _NEVER and bool(passed or codes & _MISSING)


def _all(doubtful: Mapping[str, Sequence[Diagnostic]]) -> Iterator[Diagnostic]:
    return chain.from_iterable(doubtful.values())


def _check_known(base: Release, ways: Ways, passed: Sequence[str]) -> None:
    unknown = [v for v in passed if v not in ways.releases]
    if unknown:
        versions = ", ".join(ways.releases)
        raise InvalidInput(
            Diagnostic(
                "unknown_version",
                f"no release {base.name} {vsn!r} is known; known are {versions}",
                base.location,
                hint=did_you_mean(vsn, ways.releases.keys()),
            )
            for vsn in unknown
        )


def _preferences(base: Release, goal: Release, direction: Direction | None) -> list[tuple[Direction, ...]]:
    """Return which directions hops may have, the best choice first."""
    if direction:
        return [(direction,)]
    first = direction_by_number(base.vsn, goal.vsn)
    second: Direction = "down" if first == "up" else "up"
    return [(first,), (second,), (first, second)]


# ── the search ─────────────────────────────────────────────────────────────────────────────────────────


def _cheapest(ways: Ways, points: Path, allowed: Sequence[Direction]) -> list[Path]:
    """Return the cheapest paths over *points*; of those that cost the same, the one over newer versions first."""
    legs = [list(islice(_leg(ways, points, leg, allowed), _MOST)) for leg in pairwise(points)]
    return [_joined(parts) for parts in islice(product(*legs), _MOST)]


def _joined(parts: Sequence[Path]) -> Path:
    return (*(v for part in parts for v in part[:-1]), parts[-1][-1])


def _leg(ways: Ways, points: Path, leg: tuple[str, str], allowed: Sequence[Direction]) -> Iterator[Path]:
    """Yield the cheapest paths from one point to the next, one by one: there may be millions."""

    def cost(x: str, y: str, _: object) -> Cost | None:
        hop = ways.hop(x, y, allowed)
        return hop_cost(hop) if hop else None

    start, end = leg
    graph = ways.graph(points, leg, allowed)
    between = (nx.descendants(graph, start) | {start}) & (nx.ancestors(graph, end) | {end})
    if end in between:
        before, _ = nx.dijkstra_predecessor_and_distance(graph.subgraph(between), start, weight=cost)  # type: ignore[arg-type]  # a Cost adds and compares as numbers do
        cheapest: nx.DiGraph[str] = nx.DiGraph((x, y) for y in before for x in before[y])
        if end in cheapest:
            useful = nx.ancestors(cheapest, end) | {end}
            edges = [(x, y) for x, y in cheapest.edges if x in useful and y in useful]
            newest_first: nx.DiGraph[str] = nx.DiGraph(sorted(edges, key=lambda edge: natural(edge[1]), reverse=True))
            yield from map(tuple, nx.all_simple_paths(newest_first, start, end))


# ── what is said about it ──────────────────────────────────────────────────────────────────────────────


def _route(ways: Ways, paths: Sequence[Path], allowed: Sequence[Direction], passed: Sequence[str]) -> Route:
    chosen, *others = paths
    hops = tuple(hop for leg in pairwise(chosen) if (hop := ways.hop(*leg, allowed)))
    route = Route(hops)
    return Route(hops, (_note(ways, route, passed), *_mixed(route), *_tie(chosen, others)))


def _note(ways: Ways, route: Route, passed: Sequence[str]) -> Diagnostic:
    direct = _direct(route)
    why = next((f"{d.message}; " for d in lacking(direct.direction, *ways.ends(direct))), "")
    over = f" over {', '.join(passed)}" if passed else ""
    message = f"{why}the cheapest route{over} is {route}: {route_cost(route)}"
    return Diagnostic("route", message, severity="note")


def _direct(route: Route) -> Way:
    return Way(route.base.vsn, route.goal.vsn, route.direction)


def _mixed(route: Route) -> Iterator[Diagnostic]:
    if len({hop.direction for hop in route.hops}) > 1:
        turns = ", ".join(f"{hop.direction} to {hop.goal.vsn}" for hop in route.hops)
        message = f"this route does not keep to one direction, and no other leads there: {turns}"
        yield Diagnostic("route_mixed", message, severity="warning")


def _tie(chosen: Path, others: Sequence[Path]) -> Iterator[Diagnostic]:
    if others:
        stretches = [" → ".join(_detour(chosen, other)) for other in others[: _MOST - 2]]
        more = " and others" if len(others) > len(stretches) else ""
        message = f"{', '.join(stretches)}{more} would cost the same; the one over newer versions is taken"
        elsewhere = [v for v in others[0] if v not in chosen] or others[0][1:-1]
        hint = f"{' '.join(f'--via {v}' for v in elsewhere)} chooses {stretches[0]}"
        yield Diagnostic("route_tie", message, severity="note", hint=hint)


def _detour(chosen: Path, other: Path) -> Path:
    """Return the stretch on which *other*, a path as long as *chosen*, leaves it, with both its ends."""
    differ = [n for n, (one, two) in enumerate(zip(chosen, other, strict=True)) if one != two]
    return other[differ[0] - 1 : differ[-1] + 2]


def _left_out(ways: Ways, route: Route, faults: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    """Name the ways that are wrong, and with them the direct one, if it has *faults* beside entries that it lacks."""
    wrong = {_direct(route): [d for d in faults if d.code not in _MISSING]} | ways.wrong()
    first = {way: problems[0] for way, problems in wrong.items() if problems}
    if first:
        named = shortened([f"{way} [{problem.code}]" for way, problem in first.items()])
        location = next(iter(first.values())).location
        yield Diagnostic("ways_left_out", f"left out, as their plans are wrong: {named}", location, "warning")


def _untold(doubtful: Mapping[str, Sequence[Diagnostic]]) -> Iterator[Diagnostic]:
    for d in _all(doubtful):
        yield replace(d, severity="warning", message=f"left out: {d.message}")
