"""`apply` and `downgrade`: plan against what runs, show, ask, and let the node do it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relup.cli.adopt import adopted
from relup.cli.known import known_releases
from relup.cli.live import unpacked
from relup.cli.output import Output
from relup.cli.reach import connect, home_of, withdraw
from relup.diagnostics import Diagnostic, InvalidInput, Location, Refused, errors
from relup.document import read_document, read_release
from relup.document.route import route_to_data
from relup.executor import Limits
from relup.model.appup import Appup
from relup.model.instructions import Direction
from relup.model.otp_relup import OtpRelup
from relup.model.release import Application, Release
from relup.model.relup import Relup
from relup.model.route import Route
from relup.model.shortened import shortened
from relup.planner import find_route
from relup.planner.emulator import losing_all
from relup.planner.lint import check_route
from relup.report.route import route_lines
from relup.report.text import outcome_lines
from relup.targets.limits import limits_to_data
from relup.targets.python.home import Home, changed_in_place
from relup.targets.python.outcomes import outcome_from_data
from relup.targets.trust import check_file, trusted

if TYPE_CHECKING:
    from relup.cli.reach import Client


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
    strict: bool = False
    rehearse: bool = True
    allow_restart: bool = False
    suspend_timeout: float | None = None
    code_change_timeout: float | None = None
    window: float | None = None
    retries: int = 0
    import_timeout: float | None = None

    @property
    def limits(self) -> Limits:
        """How long it may hold others up."""
        return Limits(self.suspend_timeout, self.code_change_timeout, self.window, self.retries, self.import_timeout)


def apply(output: Output, request: Request, new: str) -> int:
    """Upgrade to a release folder, or by a saved plan, which was looked at already and is applied as it is."""
    home = home_of(request.node)
    with home.reading():
        return _apply(output, request, new, home)


def _apply(output: Output, request: Request, new: str, home: Home) -> int:
    wanted = _wanted(Path(new), _unpack(home))
    if isinstance(wanted, Route) and (request.through or request.via):
        raise click.UsageError("a saved plan is applied as it is: --through and --via are for a release")
    with connect(request.node) as client:
        if isinstance(wanted, Route):
            if found := check_file(Path(new), trusted(os.environ)):
                raise Refused(found)
            _check(output, wanted, losing_all(wanted), strict=request.strict)
            return _carry_out(output, client, request, adopted(wanted, unpacked(), home.releases))
        running = running_release(known := client.ask("releases"), wanted)
        route = _route(output, request, running, wanted)
        if route.base.vsn == route.goal.vsn:
            output.result({"status": "nothing_to_do"}, [f"{request.node} runs {running} already"])
            return 0
        _check(output, route, chain(check_route(route), losing_all(route)), strict=request.strict)
        return _carry_out(output, client, request, route, known["number"])


def _check(output: Output, route: Route, found: Iterable[Diagnostic], *, strict: bool) -> None:
    """Say what was found beside the plan. Raises `InvalidInput` for errors, and `Refused` for warnings if *strict*."""
    said = {d for warnings in (route.warnings, *(hop.warnings for hop in route.hops)) for d in warnings}
    more = [d for d in dict.fromkeys(found) if d not in said]
    if wrong := errors(more):
        raise InvalidInput(wrong)
    warned = [d for d in (*sorted(said, key=str), *more) if d.severity == "warning"]
    if strict and warned:
        raise Refused(warned)
    output.say(str(d) for d in more)


def downgrade(output: Output, request: Request, vsn: str | None) -> int:
    """Go back to a release that ran on this node before."""
    with home_of(request.node).reading(), connect(request.node) as client:
        records = client.ask("releases")
        running = running_release(records)
        goal = _recorded(_earlier(records, vsn), "which ran before")
        route = _way_down(output, request, running, goal)
        output.say(map(str, losing_all(route)))
        return _carry_out(output, client, request, route, records["number"])


def _unpack(home: Home) -> Path:
    """Return where wheels are unpacked for a node: in its home, unless it has none yet."""
    return home.releases if home.path.is_dir() else unpacked()


def _wanted(path: Path, unpack: Path) -> Release | Route:
    """Return the release or the saved plan at *path*; raise `InvalidInput` for what is neither."""
    match read_document(path, unpack=unpack):
        case Release() | Route() as wanted:
            return wanted
        case Relup() as hop:
            return Route((hop,))
        case Appup():
            what = "an appup"
        case OtpRelup():
            what = "a relup file of OTP"
        case Application():
            what = "an .app file"
    message = f"this is {what}, and neither a release nor a plan that `relup plan -o` wrote"
    raise InvalidInput([Diagnostic("nothing_to_apply", message, Location(str(path), 1, 1))])


def _recorded(record: dict[str, str], which: str) -> Release:
    """Return a release that the node has a record of.

    Raises `InvalidInput` that says which one cannot be read, and `Refused` for a folder that holds another one now.
    """
    runs = f"{record['name']} {record['vsn']}, {which},"
    try:
        found = read_release(Path(record["root"]))
    except InvalidInput as error:
        if any(d.code == "duplicate_distribution" for d in error.diagnostics):
            changed = changed_in_place(record["root"], runs, "two versions of distributions, as pip leaves them")
            raise Refused([changed, *error.diagnostics]) from None
        what = f"{runs} cannot be read"
        raise InvalidInput(replace(d, message=f"{what}: {d.message}") for d in error.diagnostics) from None
    if (found.name, found.vsn) != (record["name"], record["vsn"]):
        raise Refused([changed_in_place(record["root"], runs, str(found))])
    return found


def running_release(records: dict[str, Any], wanted: Release | None = None) -> Release:
    """Return the release that runs. Raises `Refused` when its folder is not any more what was started from it."""
    found = _recorded(records["current"], "which runs")
    now, then = {a.name: a.vsn for a in found.applications}, records["applications"]
    changed = [f"{n} {now.get(n, 'no more')}" for n in sorted(now.keys() | then.keys()) if now.get(n) != then.get(n)]
    if not changed and wanted is not None and wanted.root == found.root:
        changed = [f"other files of {m}" for m in records["drift"]]
    if changed:
        raise Refused([changed_in_place(found.root, f"{found}, which runs,", shortened(changed))])
    return found


def _way_down(output: Output, request: Request, running: Release, goal: Release) -> Route:
    """Return the route on which every hop goes down; what came by a mixed one may have to go back by one."""
    try:
        return _route(output, request, running, goal, "down")
    except InvalidInput as error:
        if all(d.code != "no_route" for d in error.diagnostics):
            raise
        return _route(output, request, running, goal)


def _route(
    output: Output, request: Request, running: Release, goal: Release, direction: Direction | None = None
) -> Route:
    known = known_releases(output, request.through, (goal, running), unpack=_unpack(home_of(request.node)))
    return find_route(running, goal, known, direction, request.via)


def _earlier(records: dict[str, Any], vsn: str | None) -> dict[str, Any]:
    """Return the release to go down to: the one of that vsn, or the one that ran before the current."""
    current, before = records["current"], records["way_back"]
    wanted = [i for i in before if vsn is None or i["vsn"] == vsn]
    if wanted:
        found: dict[str, Any] = wanted[-1]
        return found
    what = f"no release {vsn!r}" if vsn else "no release"
    leads = f"it leads to {', '.join(i['vsn'] for i in reversed(before)) or 'nothing'}"
    message = f"{what} is on the way back from {current['vsn']}: {leads}"
    hint = None
    if vsn in (i["vsn"] for i in records["installed"] if i != current):
        hint = f"release {vsn!r} has run here, and was left: `relup apply` goes there"
    raise Refused([Diagnostic("no_such_release", message, hint=hint)])


def _carry_out(output: Output, client: Client, request: Request, route: Route, number: int | None = None) -> int:
    """Show a plan and apply it; one that was made just now, after the upgrade of that *number*, is asked about."""
    output.say(route_lines(route))
    restarts = [*losing_all(route)]
    if number is not None and not request.yes and not request.dry_run:
        _ask(_restart_question(route, request.node) if restarts else f"Apply {route} to {request.node}?")
    elif restarts and not (request.allow_restart or request.dry_run):
        raise Refused(_not_allowed(restarts))
    options = {
        "dry_run": request.dry_run,
        "confirm": request.confirm_within,
        "allow_irreversible": request.allow_irreversible,
        "strict": request.strict,
        "rehearse": request.rehearse,
        "limits": limits_to_data(request.limits),
    }
    with _interruptible(request.node), output.progress() as show:
        data = client.ask(
            "apply",
            lambda event: show(f"{event['phase']}: {event['message']}"),
            plan=route_to_data(route),
            options=options,
            number=number,
        )
    outcome = outcome_from_data(data)
    known = [d for warnings in (route.warnings, *(hop.warnings for hop in route.hops)) for d in warnings]
    known += losing_all(route)
    output.result(data, outcome_lines(outcome, known))
    return outcome.exit_code


@contextmanager
def _interruptible(node: str) -> Iterator[None]:
    """Stop the upgrade when the user interrupts; once the node was touched, say that it does not stop for that."""
    try:
        yield
    except KeyboardInterrupt:
        said = f"the node ends the upgrade by itself: `relup history {node}` tells how"
        if withdraw(node):
            said = "the upgrade was stopped, with nothing touched"
        click.echo(said, err=True)
        raise


def _restart_question(route: Route, node: str) -> str:
    return f"{route} restarts {node}, and every state in it is lost. Go on?"


def _not_allowed(restarts: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Refuse a loss of all states that nobody was asked about: a --yes is meant for upgrades that keep them."""
    for warning in restarts:
        yield replace(warning, severity="error", hint="--allow-restart goes on all the same")


def _ask(question: str) -> None:
    """Ask whether to go on. Raises `Refused` for a no, and a usage error when there is nobody to ask."""
    if not sys.stdin.isatty():
        raise click.UsageError("not a terminal, so nobody can be asked: say --yes, or apply a saved plan")
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise Refused([Diagnostic("not_agreed", "nothing was done")])
