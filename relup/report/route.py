"""A route as lines of text: one hop as its plan; several with what they have in common first."""

from __future__ import annotations

from collections.abc import Iterator

from relup.model.route import Route
from relup.planner import route_cost
from relup.report.text import plan_lines


def route_lines(route: Route) -> Iterator[str]:
    """Describe a route: for one hop its plan, for more the path, its cost, why it is this one, and every plan."""
    if len(route.hops) == 1 and not route.warnings:
        yield from plan_lines(route.hops[0])
        return
    yield f"{route} ({len(route.hops)} hops, applied as one upgrade)"
    yield f"cost: {route_cost(route)}"
    yield from map(str, route.warnings)
    for number, hop in enumerate(route.hops, start=1):
        yield ""
        yield f"── hop {number} of {len(route.hops)} ──"
        yield from plan_lines(hop)
