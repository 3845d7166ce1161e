"""Saved routes: what comes back, and what is found wrong where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from relup.diagnostics import InvalidInput
from relup.document.route import checked_route, read_route, route_from_data, route_to_data, write_route
from relup.document.yaml_reader import read_yaml
from relup.model.route import Route
from tests.document import strategies

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(strategies.routes)
def test_a_route_comes_back_from_json(route: Route) -> None:
    assert route_from_data(json.loads(json.dumps(route_to_data(route)))) == route


@quick
@given(strategies.routes)
def test_a_route_of_one_hop_is_an_ordinary_plan(route: Route) -> None:
    assert ("hops" in route_to_data(route)) == (len(route.hops) > 1)


def hop(base: str, goal: str, **more: Any) -> dict[str, Any]:
    script = ["point_of_no_return", {"load": "shop.cart"}]
    ends = {"base": {"name": "shop", "vsn": base}, "goal": {"name": "shop", "vsn": goal}}
    return {"direction": "up", **ends, "script": script, **more}


def test_a_route_comes_back_from_a_file(tmp_path: Path) -> None:
    route = route_from_data({"hops": [hop("1", "2"), hop("2", "3")]})
    file = tmp_path / "plan.yaml"
    file.write_text(write_route(route))
    assert read_route(file) == route
    assert str(route) == "shop 1 → 2 → 3"
    assert (route.base.vsn, route.goal.vsn) == ("1", "3")


WRONG = {
    "a gap between hops": ({"hops": [hop("1", "2"), hop("3", "4")]}, ["broken_route"]),
    "no hop": ({"hops": []}, ["too_few_items"]),
    "a hop that is wrong": ({"hops": [hop("1", "2"), hop("2", "3", direction="sideways")]}, ["unknown_value"]),
    "what is no hop": ({"hops": ["x"]}, ["wrong_type"]),
    "an unknown key": ({"hops": [hop("1", "2")], "hop": 1}, ["unknown_key"]),
}


@pytest.mark.parametrize(("data", "codes"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_with_a_route_is_found(data: dict[str, Any], codes: list[str]) -> None:
    with pytest.raises(InvalidInput) as error:
        checked_route(read_yaml(json.dumps(data), "route.json"))
    assert [d.code for d in error.value.diagnostics] == codes
    assert all(d.location for d in error.value.diagnostics)


@pytest.mark.parametrize("data", [{"hops": []}, {"hops": [{}]}, {"hops": 1}, {}])
def test_data_that_is_no_route_is_refused_and_never_a_traceback(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        route_from_data(data)
