"""What can go wrong around an upgrade: on the wire, before it, and while it is provisional."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from relup.diagnostics import RelupError
from relup.targets.python.client import connect
from tests.faults.oracle import check_messages, check_modules, check_quiet, check_version, version
from tests.faults.result import Case, End, Strike
from tests.faults.station import NAME, Station, Stranded
from tests.faults.wire import FAULTS, deliver, proxied

WAIT = 20.0
VIEW = "await node.faults.view()"
Judged: TypeAlias = tuple[End, list[str]]
SOON = 0.4
"""Seconds to confirm, where nobody does."""


def ready(station: Station) -> None:
    """Have a node that runs release 1."""
    if not station.alive():
        station.forget()
        station.start()
    station.ask("node.faults.begin([])")


def apply(station: Station, *options: object) -> int:
    """Upgrade to release 3; return the exit code."""
    with station.command("apply", NAME, station.plan("1", "3"), *options) as command:
        command.begin()
        if not command.ended(WAIT) or command.exit_code is None:
            raise Stranded("the command does not end")
        return command.exit_code


def told(station: Station, *arguments: object) -> tuple[int, str]:
    """Give a command; return its exit code and what it said."""
    with station.command(*arguments) as command:
        command.begin()
        if not command.ended(WAIT) or command.exit_code is None:
            raise Stranded("the command does not end")
        return command.exit_code, command.output.read_text()


def judge(station: Station, *vsns: str, permanent: str = "1", messages: bool = True) -> Iterator[str]:
    """Find what is not of one of the releases that may run."""
    station.ask("node.faults.mend()")
    logs = station.ask("await node.faults.logs()")
    view = station.ask(VIEW)
    runs = version(station.code, view)
    if runs not in vsns:
        yield f"{runs} runs, not {' or '.join(vsns)}"
    view["records"][0] = "1" if view["records"][0] == permanent else f"{view['records'][0]}, not {permanent}"
    yield from check_version(runs or "?", view) if runs else ()
    yield from check_quiet(view)
    yield from check_modules(station.code, view)
    yield from check_messages(logs, ()) if messages else ()


def wait(station: Station, vsn: str, seconds: float = WAIT) -> None:
    """Wait until the node runs a release. Raises `Stranded`."""
    end = time.monotonic() + seconds
    while station.ask("node.faults.service.handler.running.vsn, node.faults.service.handler.owner") != (vsn, None):
        if time.monotonic() > end:
            raise Stranded(f"it does not come to run {vsn}")
        time.sleep(0.01)


# ── on the wire ────────────────────────────────────────────────────────────────────────────────────────


def wire_cases(station: Station) -> Iterator[Case]:
    """Return every fault at every line that passes between a command and its node."""
    ready(station)
    with (
        proxied(station, None) as (proxy, base),
        station.command("apply", NAME, station.plan("1", "3"), base=base) as c,
    ):
        c.begin()
        assert proxy.pump(c, WAIT)
        assert c.exit_code == 0, c.output.read_text()
    station.forget()
    for number, direction in enumerate(proxy.lines):
        for fault in FAULTS:
            moments = ("before", "during", "after") if fault == "connection cut" else ("before", "after")
            if fault in ("sent twice", "late", "junk before it", "half open"):
                moments = ("before",)
            if direction == "answer" and fault in ("sent twice", "late"):
                continue
            for moment in moments:
                yield Case((Strike(number, f"wire: {direction}", moment, fault),))  # type: ignore[arg-type]


def on_the_wire(station: Station, case: Case) -> Judged:
    """Make a run in which a line does not pass as it should."""
    (strike,) = case.strikes
    ready(station)
    with (
        proxied(station, strike) as (proxy, base),
        station.command("apply", NAME, station.plan("1", "3"), base=base) as c,
    ):
        c.begin()
        ended = proxy.pump(c, WAIT)
        why = [] if proxy.struck else ["nothing struck"]
        if not ended and strike.fault == "half open":
            # nobody hangs up, and nobody speaks: who waits has to be let go by a hand
            if strike.number:
                wait(station, "3")
            os.kill(c.pid, signal.SIGINT)
            ended = c.ended(WAIT)
        if not ended:
            raise Stranded("the command does not end")
        if proxy.held:
            why += _late(station, proxy.held)
        began = strike.number > 0 or (strike.fault not in ("half open",) and strike.moment == "after")
        if began:  # though perhaps not yet: a request that came may be read after what asks here
            wait(station, "3")
        if not station.ask(f"await node.faults.idle({WAIT})"):
            raise Stranded("the upgrade does not end")
        sure = ("3",) if began or strike.fault in ("sent twice", "late") else ("1", "3")
        why += judge(station, *sure)
        if c.exit_code not in (0, 3, 4, 6, 130, -9):
            why.append(f"the command ended with {c.exit_code}")
        if c.exit_code == 0 and version(station.code, station.ask(VIEW)) != "3":
            why.append("the command ended with 0, and 3 does not run")
    if not why:
        why += home(station)
    runs = {0: "done", 3: "refused", 4: "refused"}.get(c.exit_code or 0, "done")
    return (runs if not why else "MIXED"), why  # type: ignore[return-value]


def _late(station: Station, line: bytes) -> list[str]:
    """Let the request of a dead controller arrive when another one has upgraded the node."""
    if apply(station):
        return ["the second controller was not let"]
    answer = json.loads(deliver(station.base / NAME / "control.sock", line))
    return [] if answer.get("error", {}).get("exit_code") == 4 else [f"a late request was answered {answer}"]


def home(station: Station) -> list[str]:
    """Lead the node back to release 1."""
    runs = version(station.code, station.ask(VIEW))
    if runs == "1":
        return []
    station.ask("node.faults.begin([])")
    code, said = told(station, "apply", NAME, station.plan(runs or "3", "1"))
    return [f"on the way down: {said[-500:]}"] if code else [f"on the way down: {w}" for w in judge(station, "1")]


# ── provisional ────────────────────────────────────────────────────────────────────────────────────────


def expires(station: Station) -> Judged:
    """Nobody confirms."""
    if apply(station, "--confirm", SOON):
        return "MIXED", ["it was not applied"]
    wait(station, "1")
    return "rolled back", list(judge(station, "1"))


def confirmed(station: Station) -> Judged:
    """Somebody confirms in time, and twice; the deadline passes."""
    why = [f"apply: {c}" for c in [apply(station, "--confirm", SOON)] if c]
    why += [f"confirm: {told(station, 'confirm', NAME)}" for _ in range(2) if told(station, "confirm", NAME)[0]]
    time.sleep(SOON)
    return "done", [*why, *judge(station, "3", permanent="3")]


def confirmed_late(station: Station) -> Judged:
    """Somebody confirms once the node has gone back: told that it is too late, and nothing else happens."""
    apply(station, "--confirm", SOON)
    wait(station, "1")
    code, said = told(station, "confirm", NAME)
    return "rolled back", [*judge(station, "1"), *([] if code == 4 and "[too_late]" in said else [f"{code}: {said}"])]


def at_the_deadline(delay: float) -> Callable[[Station], Judged]:
    """Somebody confirms as the deadline passes: one of the two wins."""

    def scene(station: Station) -> Judged:
        with connect(station.base, NAME) as client:
            apply(station, "--confirm", SOON)
            station.ask(f"await node.faults.until_deadline({delay})")
            try:
                client.ask("confirm")
                told = 0
            except RelupError as error:
                told = error.exit_code
            time.sleep(SOON)
            if not station.ask(f"await node.faults.idle({WAIT})"):
                raise Stranded("it does not end")
        runs = station.ask("node.faults.service.handler.running.vsn")
        why = [] if runs == "1" or told == 0 else [f"confirm was answered {told}, and release 3 stays"]
        return "done" if runs == "3" else "rolled back", [*why, *judge(station, runs, permanent=runs)]

    return scene


def killed(station: Station) -> Judged:
    """The node is killed before anybody confirms."""
    apply(station, "--confirm", 60)
    return _killed(station, "1")


def killed_confirmed(station: Station) -> Judged:
    """The node is killed after somebody confirmed."""
    apply(station, "--confirm", 60)
    told(station, "confirm", NAME)
    return _killed(station, "3")


def _killed(station: Station, vsn: str) -> Judged:
    station.end()
    station.start()
    station.ask("node.faults.begin([])")
    outside = "node.faults.pretend()" if vsn == "3" else "None"
    station.ask(outside)
    return "booted", list(judge(station, vsn, permanent=vsn))


def clock_jumps(station: Station) -> Judged:
    """The clock on the wall jumps ahead, and back: deadlines do not go by it."""
    apply(station, "--confirm", 60)
    station.ask("[setattr(node.faults, 'wall', 1e9), None][1]")
    why = list(judge(station, "3"))
    station.ask("[setattr(node.faults, 'wall', -1e9), None][1]")
    station.ask("node.faults.begin([])")
    return "done", [*why, *judge(station, "3"), *home(station)]


def built_upon(station: Station) -> Judged:
    """Another upgrade is asked for while one may still go back: refused."""
    apply(station, "--confirm", 60)
    code, said = told(station, "apply", NAME, station.plan("1", "3"))
    return "refused", [*judge(station, "3"), *([said] if code != 4 else []), *home(station)]


# ── before the upgrade ─────────────────────────────────────────────────────────────────────────────────


def changed_files(station: Station) -> Judged:
    """Files change between plan and apply: refused, naming them."""
    file = station.releases["3"] / "shop" / "price.py"
    text = file.read_text()
    file.write_text(text + "# changed\n")
    try:
        with station.command("apply", NAME, station.plan("1", "3")) as command:
            command.begin()
            command.ended(WAIT)
        named = "shop.price" in command.output.read_text()
    finally:
        file.write_text(text)
    why = [] if command.exit_code == 4 and named else [f"{command.exit_code}: {command.output.read_text()}"]
    return "refused", [*why, *judge(station, "1")]


def missing_files(station: Station) -> Judged:
    """The files of a later hop are gone: refused before the first."""
    place, aside = station.releases["3"], station.folder / "aside"
    shutil.move(place, aside)
    try:
        code = apply(station)
    finally:
        shutil.move(aside, place)
    return "refused", [*([] if code in (3, 4) else [f"exit code {code}"]), *judge(station, "1")]


def stale_base(station: Station) -> Judged:
    """The node runs another release than the plan begins with: refused."""
    apply(station)
    code = apply(station)
    return "refused", [*([] if code == 4 else [f"exit code {code}"]), *judge(station, "3"), *home(station)]


SCENES: dict[tuple[str, str], Callable[[Station], Judged]] = {
    ("confirm", "nobody confirms"): expires,
    ("confirm", "confirmed twice"): confirmed,
    ("confirm", "confirmed after it went back"): confirmed_late,
    **{
        ("confirm", f"confirmed {d * 1000:+.0f} ms from the deadline"): at_the_deadline(d)
        for d in (-0.02, -0.005, 0, 0.005, 0.02)
    },
    ("confirm", "node killed before"): killed,
    ("confirm", "node killed after"): killed_confirmed,
    ("confirm", "clock jumps"): clock_jumps,
    ("confirm", "built upon"): built_upon,
    ("plan", "files changed"): changed_files,
    ("plan", "files missing"): missing_files,
    ("plan", "stale base"): stale_base,
}


def scene_cases() -> Iterator[Case]:
    """Return every scene."""
    for step, name in SCENES:
        yield Case((Strike(0, step, "during", name),))


def in_a_scene(station: Station, case: Case) -> Judged:
    """Make a run that is told as a scene."""
    (strike,) = case.strikes
    ready(station)
    end, why = SCENES[strike.point, strike.fault](station)
    if strike.point == "confirm":
        station.forget()
    return end, why
