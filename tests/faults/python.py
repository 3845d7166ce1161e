"""The matrix on Python nodes: every fault at every point of a plan of two hops, and at those of its way back."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from relup.diagnostics import RelupError
from tests.faults.oracle import (
    check_exit,
    check_history,
    check_messages,
    check_modules,
    check_pids,
    check_quiet,
    check_version,
    version,
    versions,
)
from tests.faults.result import Case, End, Moment, Result, Strike
from tests.faults.scenes import in_a_scene, on_the_wire, scene_cases, wire_cases
from tests.faults.station import NAME, Command, Station, Stranded
from tests.faults.table import Fault, fault, faults_at, why_not

MOMENTS: tuple[Moment, ...] = ("before", "after")
WAIT = 20.0
"""Seconds after which a run that does not end is stranded."""
ENDS: dict[int | None, End] = {0: "done", 4: "refused", 5: "rolled back", 7: "busy", 6: "told"}
VIEW = "await node.faults.view()"


@dataclass(frozen=True, slots=True)
class Reached:
    """The points of one upgrade."""

    points: tuple[str, ...]
    same: frozenset[int]
    """Those after which the next one is entered at once."""


def run(station: Station, case: Case) -> Result:
    """Make one run, and leave the node as it was before, or none."""
    started = time.monotonic()
    try:
        end, why = _run(station, case)
    except (Stranded, RelupError, AssertionError, OSError) as error:
        end, why = "MIXED", [f"{type(error).__name__}: {error}"]
    seconds = time.monotonic() - started
    if end == "MIXED" or why:
        station.forget()
    return Result(case, "MIXED" if why else end, seconds, tuple(why))


def _run(station: Station, case: Case) -> tuple[End, list[str]]:
    point = case.strikes[-1].point
    if point.startswith("wire: "):
        return on_the_wire(station, case)
    if point in ("confirm", "plan"):
        return in_a_scene(station, case)
    if not station.alive():
        station.forget()
        station.start()
    about = [fault(s.fault) for s in case.strikes]
    before = station.ask(VIEW)
    strikes = [(s.number, s.moment, s.fault) for s in case.strikes]
    options = [o for f in about for o in f.options]
    with station.command("apply", NAME, station.plan("1", "3"), *options) as command:
        station.ask(f"node.faults.begin({strikes!r}, {command.pid})")
        began = time.monotonic()
        command.begin()
        _await_end(station, command, about)
        took = time.monotonic() - began
        late = [f"it took {took:.1f} s"] if took > busy() * max(f.seconds for f in about) else []
        if any(f.ends_node for f in about) and not station.alive(0.2):
            return _booted(station, case, command, late)
        station.ask("node.faults.mend()")
        logs = station.ask("await node.faults.logs()")
        view = station.ask(VIEW)
        why = [*late, *_judge(station, case, command, before, view, logs)]
        end = _end(station, command, view)
        if not why:
            why += _home(station, view, before, about, told=end == "told")
        return end, why


def busy() -> float:
    """Return how many times slower than alone everything is on this machine just now."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _await_end(station: Station, command: Command, about: Sequence[Fault]) -> None:
    """Wait until the command has ended, and the upgrade too. Raises `Stranded`."""
    stands = any(f.name == "controller stands still" for f in about)
    if not stands and not command.ended(max(WAIT, *(busy() * f.seconds for f in about))):
        raise Stranded(f"the command does not end: {_frames(station)}")
    if station.alive() and not _idle(station, about):
        raise Stranded("the upgrade does not end")
    if stands:
        signal.pidfd_send_signal(_pidfd(command), signal.SIGCONT)
        if not command.ended(WAIT):
            raise Stranded("the command does not end once it goes on")


def _pidfd(command: Command) -> int:
    return os.pidfd_open(command.pid)


def _frames(station: Station) -> str:
    try:
        return str(station.ask("node.faults.where()"))
    except RelupError as error:
        return f"and the node is silent: {error}"


def _idle(station: Station, about: Sequence[Fault]) -> bool:
    try:
        return bool(station.ask(f"await node.faults.idle({WAIT})"))
    except RelupError:
        if any(f.ends_node for f in about):
            return not station.alive(WAIT)
        raise


def _booted(station: Station, case: Case, command: Command, late: list[str]) -> tuple[End, list[str]]:
    """Check that a node that ended boots the permanent release, and can be asked what was done."""
    station.end()
    station.start()
    view = station.ask(VIEW)
    why = [*late, *check_version("1", view), *check_modules(station.code, view), *check_quiet(view)]
    if version(station.code, view) != "1":
        why.append("it does not boot the permanent release")
    stopped = any(s.fault == "node is stopped" for s in case.strikes)  # an upgrade may come to its end before
    if command.exit_code not in (5, 6, 4, 130, -9, *((0,) if stopped else ())):
        why.append(f"the command ended with {command.exit_code}: {command.output.read_text()[-300:]}")
    if station.history()[-1]["what"] != "start":
        why.append("the history does not end with the start")
    return "booted", why


def _judge(station: Station, case: Case, command: Command, before: Any, view: Any, logs: Any) -> Iterator[str]:
    about = [fault(s.fault) for s in case.strikes]
    victims = [v for f in about for v in f.victims]
    runs = version(station.code, view)
    if len(view["struck"]) < len(case.strikes):
        yield f"only {view['struck']} struck"
    yield from check_quiet(view)
    yield from check_modules(station.code, view)
    yield from check_pids(before, view, victims)
    yield from check_messages(logs, victims)
    yield from check_exit(command.exit_code, runs)
    if runs is not None:
        yield from check_version(runs, view, told=command.exit_code == 6)
    elif command.exit_code != 6:
        yield f"several versions run: {versions(station.code, view)}"
    if command.exit_code == 6 and not command.output.read_text().strip():
        yield "nothing is said of what remains"
    if command.exit_code == 6 and runs == "1":
        yield f"an operator is called where everything is as it was: {command.output.read_text()[-500:]}"
    if not any(f.writes_fail for f in about):
        upgrades = [e for e in station.history() if e["what"] in ("upgrade", "downgrade")]
        if runs and upgrades:
            yield from check_history(upgrades[-1], runs, command.exit_code)
    yield from (f"{op} meanwhile was answered {code}" for op, code in view["said"] if code not in _SAID[op])
    if "Traceback" in command.output.read_text():
        yield "the command shows a traceback"


_SAID = {"apply": (7,), "confirm": (7,), "status": (0,)}


def _end(station: Station, command: Command, view: Any) -> End:
    runs = version(station.code, view)
    if command.exit_code in ENDS:
        return ENDS[command.exit_code]
    return {"3": "done", "1": "rolled back"}.get(runs or "", "told")  # type: ignore[return-value]


def _home(station: Station, view: Any, before: Any, about: Sequence[Fault], *, told: bool) -> list[str]:
    """Lead the node back to where it was, and see that it is there; a node that is of no use any more ends."""
    runs = version(station.code, view)
    if any(f.spoils_node for f in about) or runs is None:
        station.forget()
        return []
    if runs != "1":
        station.ask("node.faults.begin([])")
        with station.command("apply", NAME, station.plan(runs, "1")) as command:
            command.begin()
            if not command.ended(WAIT) or command.exit_code:
                return [f"it does not go down again: {command.exit_code}: {command.output.read_text()[-500:]}"]
        logs = station.ask("await node.faults.logs()")
        view = station.ask(VIEW)
        victims = [v for f in about for v in f.victims]
        down = [*check_quiet(view), *check_modules(station.code, view), *check_pids(before, view, victims)]
        # what a call did and could not take back was told
        down += [*check_messages(logs, ()), *check_version("1", view, told=told)]
        if down:
            return [f"on the way down: {d}" for d in down]
    if told or any(f.name in ("a process is born", "spawn storm", "starts a thread") for f in about):
        station.forget()
    return []


def reached(station: Station, strikes: Sequence[Strike] = ()) -> Reached:
    """Return what an upgrade reaches once *strikes* struck."""
    station.forget()
    station.start()
    with station.command("apply", NAME, station.plan("1", "3")) as command:
        station.ask(f"node.faults.begin({[(s.number, s.moment, s.fault) for s in strikes]!r}, {command.pid})")
        command.begin()
        if not command.ended(WAIT):
            raise Stranded("the upgrade does not end")
        assert command.exit_code == (5 if strikes else 0), command.output.read_text()
    points, moments = station.ask("node.faults.reached()")
    station.ask("await node.faults.logs()")
    station.forget()
    return Reached(tuple(points), frozenset(_same_as_next(moments)))


def _same_as_next(moments: Sequence[tuple[int, str]]) -> Iterator[int]:
    """Yield the points after which the next one is entered at once: both are the same moment of the upgrade."""
    for (number, moment), (_, following) in pairwise(moments):
        if moment == "after" and following == "before":
            yield number


def cases(station: Station) -> tuple[list[Case], Counter[str]]:
    """Return every run of the matrix, and how many were left out, by reason."""
    there = reached(station)
    last = max(n for n, point in enumerate(there.points) if point == "effect commit")
    late = Strike(last, there.points[last], "before", "fails")
    back = reached(station, [late])
    left: Counter[str] = Counter()
    found = [Case((strike,)) for strike in _strikes(there, 0, left)]
    found += [Case((late, strike), recovery=True) for strike in _strikes(back, last + 1, left)]
    return [*found, *wire_cases(station), *scene_cases()], left


def _strikes(run: Reached, first: int, left: Counter[str]) -> Iterator[Strike]:
    for number, point in list(enumerate(run.points))[first:]:
        for name in faults_at(point):
            for moment in MOMENTS:
                reason = why_not(name, point, moment, same=number in run.same)
                if reason is None:
                    yield Strike(number, point, moment, name)
                else:
                    left[reason] += 1
