"""`apply` and `downgrade`: plan against what runs, show, ask, and let the node do it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from relup.cli.known import known_releases
from relup.cli.live import base
from relup.cli.output import Output
from relup.diagnostics import Diagnostic, Refused
from relup.document import read_release
from relup.document.route import read_route, route_to_data
from relup.model.instructions import Direction
from relup.model.release import Release
from relup.model.route import Route
from relup.planner import find_route
from relup.report.route import route_lines
from relup.report.text import outcome_lines
from relup.targets.python.client import Client, connect
from relup.targets.python.outcomes import outcome_from_data


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    node: str
    dry_run: bool
    confirm_within: float | None
    allow_irreversible: bool
    yes: bool
    through: Sequence[str]
    via: Sequence[str]


def apply(output: Output, request: Request, new: str) -> int:
    """Upgrade to a release folder, or by a saved plan, which was looked at already and is applied as it is."""
    path = Path(new)
    saved = read_route(path) if path.is_file() and path.name != "release.yaml" and path.suffix != ".rel" else None
    with connect(base(), request.node) as client:
        if saved:
            return _carry_out(output, client, request, saved, ask=False)
        running = read_release(Path(client.ask("releases")["current"]["root"]))
        route = _route(output, request, running, read_release(path))
        if route.base.vsn == route.goal.vsn:
            output.result({"status": "nothing_to_do"}, [f"{request.node} runs {running} already"])
            return 0
        return _carry_out(output, client, request, route, ask=True)


def downgrade(output: Output, request: Request, vsn: str | None) -> int:
    """Go back to a release that ran on this node before."""
    with connect(base(), request.node) as client:
        records = client.ask("releases")
        running = read_release(Path(records["current"]["root"]))
        goal = read_release(Path(_earlier(records, vsn)["root"]))
        return _carry_out(output, client, request, _route(output, request, running, goal, "down"), ask=True)


def _route(
    output: Output, request: Request, running: Release, goal: Release, direction: Direction | None = None
) -> Route:
    known = known_releases(output, request.through, (goal, running))
    return find_route(running, goal, known, direction, request.via)


def _earlier(records: dict[str, Any], vsn: str | None) -> dict[str, Any]:
    """Return the release to go down to: the one of that vsn, or the one that ran before the current."""
    current = records["current"]
    before = [i for i in records["installed"] if i != current]
    wanted = [i for i in before if vsn is None or i["vsn"] == vsn]
    if wanted:
        found: dict[str, Any] = wanted[-1]
        return found
    known = ", ".join(i["vsn"] for i in before) or "none"
    what = f"release {vsn!r}" if vsn else "an earlier release"
    message = f"{what} has not run on this node; before {current['vsn']} there ran: {known}"
    raise Refused([Diagnostic("no_such_release", message)])


def _carry_out(output: Output, client: Client, request: Request, route: Route, *, ask: bool) -> int:
    output.say(route_lines(route))
    if ask and not request.yes and not request.dry_run:
        _ask(route, request.node)
    options = {
        "dry_run": request.dry_run,
        "confirm": request.confirm_within,
        "allow_irreversible": request.allow_irreversible,
    }
    with _interruptible(request.node), output.progress() as show:
        data = client.ask(
            "apply",
            lambda event: show(f"{event['phase']}: {event['message']}"),
            plan=route_to_data(route),
            options=options,
        )
    outcome = outcome_from_data(data)
    known = [d for warnings in (route.warnings, *(hop.warnings for hop in route.hops)) for d in warnings]
    output.result(data, outcome_lines(outcome, known))
    return outcome.exit_code


@contextmanager
def _interruptible(node: str) -> Iterator[None]:
    """Say, when the user interrupts, that the node does not stop for that."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"the node ends the upgrade by itself: `relup history {node}` tells how", err=True)
        raise


def _ask(route: Route, node: str) -> None:
    """Ask whether to go on. Raises `Refused` for a no, and a usage error when there is nobody to ask."""
    if not sys.stdin.isatty():
        raise click.UsageError("not a terminal, so nobody can be asked: say --yes, or apply a saved plan")
    try:
        agreed = click.confirm(f"Apply {route} to {node}?", err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise Refused([Diagnostic("not_agreed", "nothing was done")])
