"""The hops that there are between known releases.

Fifty releases make 2,450 pairs, and a plan takes a millisecond. So each pair is first asked for entries, which is
cheap, and planned only when somebody wants to take that way, once. A way whose plan is wrong is none, but it is
remembered why: it may be all that is missing from a route.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import get_args

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.model.instructions import Direction
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.versions import natural
from relup.planner.cost import hop_cost
from relup.planner.legs import lacking
from relup.planner.networks import nx
from relup.planner.planning import plan


@dataclass(frozen=True, slots=True)
class Way:
    """From one version to another, in one direction."""

    start: str
    end: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.start} → {self.end}"


class Ways:
    """Every way between the versions of one release; plans are kept, so that each is made once."""

    def __init__(self, releases: Iterable[Release]) -> None:
        """Take the *releases*; raise `InvalidInput` when two of them are one version with different contents."""
        given = tuple(releases)
        problems = [d for found in ambiguous(given).values() for d in found]
        if problems:
            raise InvalidInput(sorted(problems, key=str))
        self.releases = _by_version(given)
        self._open = {
            (start, end): tuple(self._with_entries(start, end)) for start, end in permutations(self.releases, 2)
        }
        self._plans: dict[Way, Relup | tuple[Diagnostic, ...]] = {}

    def _with_entries(self, start: str, end: str) -> Iterator[Way]:
        for direction in get_args(Direction):
            way = Way(start, end, direction)
            if not any(lacking(direction, *self.ends(way))):
                yield way

    def between(self, start: str, end: str, allowed: Sequence[Direction]) -> Iterator[Way]:
        """Yield the ways for which every changed application has an entry, whatever their plans hold."""
        return (way for way in self._open[start, end] if way.direction in allowed)

    def graph(self, points: Sequence[str], leg: tuple[str, str], allowed: Sequence[Direction]) -> nx.DiGraph[str]:
        """Return what may be on the way from one of *points* to the next: a route leads through its ends once."""
        start, end = leg
        barred = {points[0], points[-1]} - {*leg}
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(v for v in self.releases if v not in barred)
        graph.add_edges_from(
            (x, y) for x, y in permutations(graph, 2) if x != end and y != start and any(self.between(x, y, allowed))
        )
        return graph

    def hop(self, start: str, end: str, allowed: Sequence[Direction]) -> Relup | None:
        """Return the cheapest plan, the first allowed direction when they cost the same; None when there is none."""
        plans = [p for way in self.between(start, end, allowed) if isinstance(p := self.plan(way), Relup)]
        return min(plans, key=lambda p: (hop_cost(p), allowed.index(p.direction)), default=None)

    def plan(self, way: Way) -> Relup | tuple[Diagnostic, ...]:
        """Return the plan, or everything that is wrong with it."""
        if way not in self._plans:
            self._plans[way] = self._planned(way)
        return self._plans[way]

    def _planned(self, way: Way) -> Relup | tuple[Diagnostic, ...]:
        try:
            return plan(self.releases[way.start], self.releases[way.end], way.direction)
        except (InvalidInput, Refused) as error:
            return error.diagnostics

    def wrong(self) -> dict[Way, tuple[Diagnostic, ...]]:
        """Return what is wrong with the ways that were tried, in the order of their versions."""
        found = {way: p for way, p in self._plans.items() if not isinstance(p, Relup)}
        return dict(sorted(found.items(), key=lambda item: _reading_order(item[0])))

    def ends(self, way: Way) -> tuple[Release, Release]:
        """Return the newer and the older release, as the direction has them: the newer one's appups are asked."""
        start, end = self.releases[way.start], self.releases[way.end]
        return (end, start) if way.direction == "up" else (start, end)


def direction_by_number(start: str, end: str) -> Direction:
    """Return where the versions point, when nothing else says it."""
    return "down" if natural(end) < natural(start) else "up"


def _by_version(releases: Iterable[Release]) -> Mapping[str, Release]:
    """Return the releases by version, oldest first."""
    found: dict[str, Release] = {}
    for release in releases:
        found.setdefault(release.vsn, release)
    return {vsn: found[vsn] for vsn in sorted(found, key=natural)}


def ambiguous(releases: Iterable[Release]) -> dict[str, list[Diagnostic]]:
    """Return the versions that releases with different contents have, and what is to be said of them."""
    first: dict[str, Release] = {}
    found: dict[str, list[Diagnostic]] = {}
    for release in releases:
        other = first.setdefault(release.vsn, release)
        if replace(other, root="") != replace(release, root=""):
            found.setdefault(release.vsn, []).append(_ambiguous(other, release))
    return found


def _ambiguous(one: Release, other: Release) -> Diagnostic:
    message = f"there are two different releases {one}: one in {one.root or '?'}, one in {other.root or '?'}"
    hint = "give one of them a version of its own, or leave its folder out"
    return Diagnostic("ambiguous_release", message, other.location, hint=hint)


def _reading_order(way: Way) -> tuple[object, ...]:
    return natural(way.start), natural(way.end), way.direction
