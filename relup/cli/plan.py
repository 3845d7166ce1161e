"""`plan`: the ordered script between two releases, or the route, shown or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from relup.cli.known import known_releases
from relup.cli.otp import give, relup_text
from relup.cli.output import Output, write_file
from relup.document import read_release
from relup.document.explanation import explanation_to_data
from relup.document.route import route_to_data, write_route
from relup.planner import explain, find_route
from relup.report.explain import explain_lines
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
    base, goal = (read_release(Path(path), request.libraries) for path in (request.old, request.new))
    known = known_releases(output, request.through, (goal, base), request.libraries)
    route = find_route(base, goal, known, via=request.via)
    if request.form == "otp":
        return give(output, relup_text(route), request.file)
    explanations = [explain(hop.base, hop.goal, hop.direction) for hop in route.hops] if request.explain else []
    if request.file:
        write_file(request.file, write_route(route))
    data = route_to_data(route) | ({"explanations": [*map(explanation_to_data, explanations)]} if explanations else {})
    lines = [line for explanation in explanations for line in ("", *explain_lines(explanation))]
    output.result(data, [*route_lines(route), *lines])
    return 0
