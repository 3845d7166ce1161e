"""Why there is no route, and what would make one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, permutations

from relup.diagnostics import Diagnostic
from relup.model.instructions import Direction
from relup.model.release import Release
from relup.model.shortened import shortened
from relup.planner.legs import entry, lacking, pairs
from relup.planner.networks import nx
from relup.planner.ways import Way, Ways, direction_by_number


def no_route(
    ways: Ways, points: Sequence[str], allowed: Sequence[Direction], strangers: Sequence[Release]
) -> Iterator[Diagnostic]:
    """Say how far the ways lead from one of *points* towards the next, what is missing, and what is wrong on the way.

    *strangers* are releases that were given and can be on no route.
    """
    for leg in pairwise(points):
        graph = ways.graph(points, leg, allowed)
        sound = nx.subgraph_view(graph, filter_edge=lambda x, y: ways.hop(x, y, allowed) is not None)
        from_here, to_there = nx.descendants(sound, leg[0]), nx.ancestors(sound, leg[1])
        if leg[1] not in from_here:
            if len(ways.releases) > 2:
                reach = _reach(graph, leg, from_here, to_there)
                yield _absent(ways, leg, reach, _missing(ways, graph, leg, allowed))
            else:
                yield _nothing_known(ways, leg, strangers)
            yield from _wrong(ways, {leg[0], *from_here}, {leg[1], *to_there})
            return
    raise AssertionError("there is a route over every leg")


def _nothing_known(ways: Ways, leg: tuple[str, str], strangers: Sequence[Release]) -> Diagnostic:
    given = f": {shortened(list(dict.fromkeys(map(str, strangers))))} cannot be between them" if strangers else ""
    message = f"no release between {leg[0]} and {leg[1]} is known, so there is no route either{given}"
    hint = "name the folder of the releases in between: --through DIR"
    return Diagnostic("no_route", message, ways.releases[leg[1]].location, hint=hint)


def _absent(ways: Ways, leg: tuple[str, str], reach: str, missing: Sequence[Way]) -> Diagnostic:
    lacks = [d for way in missing for d in lacking(way.direction, *ways.ends(way))]
    hint = f"{' and '.join(_entries(ways, missing))} would close the gap" if lacks else None
    return Diagnostic("no_route", reach, lacks[0].location if lacks else ways.releases[leg[1]].location, hint=hint)


def _reach(graph: nx.DiGraph[str], leg: tuple[str, str], from_here: Collection[str], to_there: Collection[str]) -> str:
    start, end = leg
    if len(graph) == 2:
        return f"no route leads from {start} to {end}: no other release may stand between them"
    over, near, far = (
        shortened([v for v in graph if v in these]) or "no other" for these in ({*graph} - {*leg}, from_here, to_there)
    )
    return (
        f"no route leads from {start} to {end} over {over}: "
        f"from {start} the appups lead to {near}; to {end} they lead from {far}"
    )


# ── what is missing ────────────────────────────────────────────────────────────────────────────────────


def _missing(ways: Ways, graph: nx.DiGraph[str], leg: tuple[str, str], allowed: Sequence[Direction]) -> list[Way]:
    """Return the ways that would have to be added: those that need the fewest entries, and lead from near to near.

    Ways that exist cost nothing, also when they are wrong: mending them comes first, and is said beside it.
    """
    direction = allowed[0] if len(allowed) == 1 else direction_by_number(*leg)
    place = {v: n for n, v in enumerate(ways.releases)}
    wanted: nx.DiGraph[str] = nx.DiGraph()
    wanted.add_nodes_from(graph)
    for start, end in permutations(graph, 2):
        if graph.has_edge(start, end):
            wanted.add_edge(start, end, weight=0)
        elif direction_by_number(start, end) == direction or (start, end) == leg:
            way = Way(start, end, direction)
            entries = sum(1 for _ in lacking(direction, *ways.ends(way)))
            wanted.add_edge(start, end, weight=entries * len(place) ** 2 + abs(place[start] - place[end]))
    path = nx.dijkstra_path(wanted, *leg)
    return [Way(*hop, direction) for hop in pairwise(path) if not graph.has_edge(*hop)]


def _entries(ways: Ways, missing: Sequence[Way]) -> Iterator[str]:
    for way in missing:
        for pair in pairs(*ways.ends(way)):
            if entry(way.direction, pair) is None:
                which = "an `up` entry from" if way.direction == "up" else "a `down` entry to"
                yield f"{which} {pair.older.vsn} in the appup of {pair.newer.name} {pair.newer.vsn}"


# ── what is wrong ──────────────────────────────────────────────────────────────────────────────────────


def _wrong(ways: Ways, from_here: Collection[str], to_there: Collection[str]) -> Iterator[Diagnostic]:
    """Yield what is wrong with ways out of what can be reached, and into what leads to the end; each fault once."""
    heard: set[object] = set()
    for way, problems in ways.wrong().items():
        if (way.start in from_here and way.end not in from_here) or (way.end in to_there and way.start not in to_there):
            for problem in problems:
                if (problem.code, problem.location or problem.message) not in heard:
                    heard.add((problem.code, problem.location or problem.message))
                    yield replace(problem, message=f"the way {way} exists but is wrong: {problem.message}")
