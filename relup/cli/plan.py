"""`plan`: the ordered script between two releases, or the route, shown or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from relup.cli.known import known_releases
from relup.cli.live import unpacked
from relup.cli.otp import Text, give, relup_text
from relup.cli.output import Output, json_text, write_file
from relup.document import read_release
from relup.document.explanation import explanation_to_data
from relup.document.membership import members_to_data
from relup.document.route import route_to_data, write_route
from relup.model.relup import Relup
from relup.model.route import Route
from relup.planner import explain, find_route, members
from relup.planner import plan as make_plan
from relup.report.explain import explain_lines
from relup.report.membership import members_lines
from relup.report.route import route_lines


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    old: str
    new: str
    file: str | None
    form: str
    explain: bool
    through: Sequence[str]
    via: Sequence[str]
    libraries: Sequence[str]


def plan(output: Output, request: Request) -> int:
    """Plan from one release to another, and show it or write it."""
    if request.form == "otp" and request.explain:
        raise click.UsageError("OTP's relup file has no room for what --explain shows")
    base, goal = (read_release(Path(path), request.libraries, unpacked()) for path in (request.old, request.new))
    known = known_releases(output, request.through, (goal, base), request.libraries)
    route = find_route(base, goal, known, via=request.via)
    if request.form == "otp":
        return give(output, _otp_text(route), request.file)
    modules = [members(hop.base, hop.goal, hop.script) for hop in route.hops]
    explanations = [explain(hop.base, hop.goal, hop.direction) for hop in route.hops] if request.explain else []
    data = route_to_data(route)
    if request.file:
        write_file(request.file, f"{json_text(data)}\n" if request.form == "json" else write_route(route))
    data |= {"modules": [*map(members_to_data, modules)]}
    data |= {"explanations": [*map(explanation_to_data, explanations)]} if explanations else {}
    lines = [line for explanation in explanations for line in ("", *explain_lines(explanation))]
    output.result(data, [*route_lines(route), *(line for hop in modules for line in members_lines(hop)), *lines])
    return 0


def _otp_text(route: Route) -> Text:
    """Return OTP's relup file, which leads both ways. Raises `InvalidInput` with what a missing way back lacks."""
    match route.hops:
        case (Relup(way_back=None) as hop,):
            make_plan(hop.goal, hop.base, "down" if hop.direction == "up" else "up")
        case _:
            pass
    return relup_text(route)
