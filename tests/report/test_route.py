"""What is shown of a route before it is used."""

from __future__ import annotations

from relup.planner import find_route
from relup.report.route import route_lines
from relup.report.text import plan_lines
from tests.planner.versions import versions


def test_a_route_of_one_hop_is_its_plan() -> None:
    known = versions("1+2=call")
    route = find_route(known["1"], known["2"])
    assert list(route_lines(route)) == list(plan_lines(route.hops[0]))


def test_a_longer_route_has_its_path_its_cost_and_every_plan() -> None:
    known = versions("1~2.9=two 1~2.10=two 2.9~3 2.10~3=call")
    route = find_route(known["1"], known["3"], known.values(), via=["2.10"])
    lines = list(route_lines(route))
    assert lines[:2] == [
        "shop 1 → 2.10 → 3 (2 hops, applied as one upgrade)",
        "cost: 1 lossy step(s), 2 module(s) suspended",
    ]
    assert lines[2:3] == [str(route.warnings[0])]
    first, second = (lines.index(f"── hop {n} of 2 ──") for n in (1, 2))
    assert lines[first + 1 : second - 1] == list(plan_lines(route.hops[0]))
    assert lines[second + 1 :] == list(plan_lines(route.hops[1]))
