"""The matrix on BEAM nodes: every fault at every effect of the controller, and in all code that the node runs then."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relup.targets.beam.standing import beam_home
from tests.faults.beamstation import EFFECT, NODE, BeamStation, heard
from tests.faults.oracle import check_messages
from tests.faults.python import busy
from tests.faults.result import Case, End, Moment, Result, Strike, kind_of
from tests.faults.station import Command, Stranded

MOMENTS: tuple[Moment, ...] = ("before", "after")
WAIT = 60.0
SECONDS, SILENT = 20.0, 15.0
"""How long a run may take on an idle machine (a lease is three seconds), and how much longer where something hangs: a
supervisor that does not answer is asked three times."""
ENDS: dict[int | None, End] = {0: "done", 4: "refused", 5: "rolled back", 7: "busy", 6: "told"}
VERSIONED = ("shop_sup", "shop_stock", "shop_till", "shop_price", "shop_ops")
SEEDS = {"shop_s1": 0, "shop_s2": 1, "shop_s3": 2, "shop_till": 7, "shop_fax": 0, "shop_audit": 0}
KILLS = ("node killed", "node_killed", "node_halts")
LOSSES = ("controller killed", "controller_killed", "Ctrl-C once", "Ctrl-C twice")
RAISING = ("fails", "a bug", "out of memory")
STAYING = frozenset({"hangs", "endless_loop"})
"""What stays in a process until the run is over: it cannot be put back before."""


@dataclass(frozen=True, slots=True)
class View:
    """A node as it is once all is quiet."""

    code: dict[str, Any]
    processes: list[tuple[str, str, str, Any]]
    children: list[tuple[str, str]]
    vsn: str
    notes: dict[str, bool]
    seen: tuple[str, ...]
    struck: tuple[int, ...]
    left: tuple[str, ...]

    @property
    def pids(self) -> dict[str, str]:
        """Who has which name."""
        return {name: pid for name, pid, _, _ in self.processes}

    @property
    def runs(self) -> str | None:
        """The release whose code all modules run, if there is one."""
        found = {self.code[m] for m in VERSIONED}
        (vsn,) = found if len(found) == 1 else (None,)
        other = {"shop_fax": "none", "shop_audit": vsn} if vsn != 1 else {"shop_fax": 1, "shop_audit": "none"}
        return str(vsn) if vsn is not None and all(self.code[m] == v for m, v in other.items()) else None


def look(station: BeamStation) -> View:
    """Ask a node what it is."""
    code, processes, children, vsn, notes, seen, struck, left = station.ask("shop_traffic:view()")
    points = tuple(point for _, point in sorted(seen))
    return View(dict(code), processes, children, vsn, dict(notes), points, tuple(struck), tuple(left))


def run(station: BeamStation, case: Case) -> Result:
    """Make one run, and leave the node as it was before, or none."""
    started = time.monotonic()
    try:
        end, why = _run(station, case)
    except (Stranded, AssertionError, OSError) as error:
        end, why = "MIXED", [f"{type(error).__name__}: {error}"]
    if why:
        station.forget()
    return Result(case, "MIXED" if why else end, time.monotonic() - started, tuple(why))


def _is_effect(strike: Strike) -> bool:
    return strike.point.startswith("effect ")


def _ready(station: BeamStation) -> View:
    if not station.alive():
        station.forget()
        station.start()
    return look(station)


def _arm(station: BeamStation, strikes: Sequence[Strike], controller: int) -> None:
    inside = [f"{{\"{s.point}\", {s.number}, '{s.moment}', {s.fault}}}" for s in strikes if not _is_effect(s)]
    station.ask(f"shop_fault:arm([{', '.join(inside)}], {controller}), shop_traffic:start()")


def _run(station: BeamStation, case: Case) -> tuple[End, list[str]]:
    before = _ready(station)
    faults = {s.fault for s in case.strikes}
    armed = [(s.number, s.moment, s.fault) for s in case.strikes if _is_effect(s)]
    limits = ("--code-change-timeout", 1) if faults & STAYING else ()
    with station.command("apply", station.name, station.plan("1", "3"), *limits, armed=armed) as (command, said):
        _arm(station, case.strikes, command.pid)
        began = time.monotonic()
        command.begin()
        if not command.ended(WAIT):
            raise Stranded(f"the command does not end: {command.output.read_text()[-9000:]}")
        took = time.monotonic() - began
        limit = (SECONDS + (SILENT if faults & STAYING else 0)) * busy()
        why = [f"it took {took:.1f} s"] if took > limit else []
        if faults & set(KILLS):
            return _booted(station, command, why)
        station.ask("shop_fault:mend()")
        if not station.quiet():
            why.append(f"the agent stays: {station.ask(AGENT)}")
        struck = [n for n, moment, _ in heard(said) if moment == "struck"]
        sent, logs = station.ask("shop_traffic:stop()")
        now = look(station)
        if len(struck) + len(now.struck) < len(case.strikes):
            why.append("not everything struck")
        why += _judge(station, case, command, before, now)
        why += _messages(sent, logs, _victims(case))
    if not why:
        why += _home(station, now, faults, told=command.exit_code == 6)
    return _end(command, now), why


AGENT = """
    list_to_binary(io_lib:format("~0p", [case whereis(relup_agent) of undefined -> {gone, [
        {P, process_info(P, [current_stacktrace, initial_call])} || P <- processes(),
        erlang:check_process_code(P, relup_agent)]};
        P -> {process_info(P, [current_stacktrace, messages, dictionary]), nodes(hidden)} end]))
"""
"""Asks what the agent is at, or who has its code."""
VICTIMS = {"a process dies"}
ENDING = ("killed", "out_of_memory", "exits")
"""What ends the process in which it strikes, which may be one of the servers."""


def _victims(case: Case) -> set[str]:
    """Return whose messages may be lost: who ends, and the till, which ends when the stock that it asks does."""
    found = {"s2"} if {s.fault for s in case.strikes} & VICTIMS else set()
    for strike in case.strikes:
        if strike.fault in ENDING and strike.point.startswith("code_change of "):
            found.add(strike.point.split()[2].removeprefix("shop_"))
    return found | ({"till"} if "s1" in found else set())


def _end(command: Command, now: View) -> End:
    if command.exit_code in ENDS:
        return ENDS[command.exit_code]
    by_vsn: dict[str | None, End] = {"1": "rolled back", "3": "done"}
    return by_vsn.get(now.runs, "told")


def _messages(sent: Any, logs: Any, but: Collection[str]) -> Iterator[str]:
    unanswered = [w for _, _, found in sent for w in found if "till" not in but]
    wrong = [*unanswered, *(w for _, _, found in logs for w in found)]
    short = {name.removeprefix("shop_"): [(m[1], m[2]) for m in log] for name, log, _ in logs}
    yield from check_messages({"sent": {n: c for n, c, _ in sent}, "wrong": wrong[:5], "logs": short}, but)


def _judge(station: BeamStation, case: Case, command: Command, before: View, now: View) -> Iterator[str]:
    faults = {s.fault for s in case.strikes}
    code = command.exit_code
    yield from _check_processes(now)
    if now.left:
        yield f"{now.left} stay loaded"
    told = {0: "3", 4: "1", 5: "1", 7: "1"}
    if code in told and now.runs != told[code]:
        yield f"the command ended with {code}, and {now.runs or now.code} runs"
    if code not in (*told, 6, 130, -9, -2):
        yield f"the command ended with {code}: {command.output.read_text()[-300:]}"
    if now.runs is None and code != 6:
        yield f"several versions run: {now.code}"
    if now.runs:
        yield from _check_version(now, told=code == 6)
    if (
        code == 6
        and now.runs
        and now.vsn != now.runs
        and f"what stays at shop {now.runs}: " not in command.output.read_text()
    ):
        yield f"it is not said that {now.runs} stays: {command.output.read_text()[-400:]}"
    if code == 6 and now.runs == "1" and not faults & {"connection cut", "connection_cut", "bridge killed", *STAYING}:
        yield f"an operator is called where everything is as it was: {command.output.read_text()[-400:]}"
    if "Traceback" in command.output.read_text():
        yield f"the command shows a traceback: {command.output.read_text()[-600:]}"
    for name in ("shop_sup", "shop_s1", "shop_s3", "shop_till", *(() if faults & VICTIMS else ("shop_s2",))):
        if before.pids[name] != now.pids.get(name) and not faults & set(ENDING):
            yield f"{name} is another process than before"
    if code in (0, 5, 6):
        entries = beam_home(station.folder / "home", station.name).history()
        said = entries[-1].get("outcome") if entries else None
        if said != {0: "done", 5: "rolled_back", 6: "operator_needed"}[code]:
            yield f"the command ended with {code}, the history with {entries[-1:]}"
    # where something is taken back the node may run what no saved plan begins with, which is seen before the lock is
    if "second upgrade" in faults and (station.folder / "second").read_text() not in ("7", "4"):
        yield f"the second upgrade ended with {(station.folder / 'second').read_text()}"


def _shape(seed: int, vsn: int) -> dict[str, Any]:
    rows: Any = [seed, ("seed", seed)] if vsn == 1 else {"seed": [seed]}
    return {"seed": seed, "vsn": vsn, "rows": rows} | ({"sum": seed} if vsn == 3 else {})


def _check_processes(now: View) -> Iterator[str]:
    modules = {"shop_s1": "shop_stock", "shop_s2": "shop_stock", "shop_s3": "shop_stock"}
    for name, _, standing, state in now.processes:
        if standing != "running":
            yield f"{name} is {standing}"
        vsn = now.code[modules.get(name, name)] if name in SEEDS else None
        if vsn is None:
            continue
        expected = {"name": name, **_shape(SEEDS[name], vsn if isinstance(vsn, int) else 0)}
        if state != expected:
            yield f"{name} has the state {state} under {vsn}"


def _check_version(now: View, *, told: bool = False) -> Iterator[str]:
    vsn = now.runs
    other = "shop_fax" if vsn == "1" else "shop_audit"
    if now.vsn != vsn and not told:  # an application is what its last hop made of it
        yield f"code of {vsn} runs, and the application is said to be {now.vsn}"
    names = {"shop_sup", "shop_s1", "shop_s2", "shop_s3", "shop_till", other}
    if set(now.pids) != names:
        yield f"names of {vsn} are {sorted(names)}, not {sorted(now.pids)}"
    if dict(now.children) != {name: now.pids.get(name) for name in names - {"shop_sup"}}:
        yield f"the children of {vsn} are not {now.children}"
    done = {"ledger": vsn != "1", "mark": vsn == "3"}
    if not told and (wrong := [what for what, there in done.items() if now.notes.get(what, False) != there]):
        yield f"of {vsn} is not what calls did: {wrong}"


def _booted(station: BeamStation, command: Command, why: list[str]) -> tuple[End, list[str]]:
    if station.alive(5.0):
        return "MIXED", [*why, "the node did not end"]
    code = command.exit_code
    station.end()
    station.start(again=True)
    now = look(station)
    why += [*_check_processes(now), *_check_version(now)]
    if now.runs != "1":
        why.append(f"it does not boot the permanent release, but {now.code}")
    if code not in (4, 5, 6, 130):
        why.append(f"the command ended with {code}: {command.output.read_text()[-300:]}")
    return "booted", why


def _home(station: BeamStation, now: View, faults: set[str], *, told: bool) -> list[str]:
    """Lead the node back to where it was, and see that it is there."""
    if now.runs is None or now.runs != now.vsn or faults & {"a process is born", "spawn storm", "spawn_storm"}:
        station.forget()
        return []
    if now.runs == "1":
        return []
    with station.command("apply", station.name, station.plan(now.runs, "1")) as (command, _):
        _arm(station, [], command.pid)
        command.begin()
        if not command.ended(WAIT) or command.exit_code:
            return [f"it does not go down again: {command.exit_code}: {command.output.read_text()[-500:]}"]
        station.quiet()
        sent, logs = station.ask("shop_traffic:stop()")
    down = look(station)
    # what a call did and could not take back was told
    why = [*_check_processes(down), *_check_version(down, told=told), *_messages(sent, logs, ())]
    why += [] if down.runs == "1" else [f"{down.code} runs"]
    return [f"on the way down: {w}" for w in why]


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Reached:
    """What an upgrade reaches: effects of the controller, and points inside the node."""

    effects: tuple[str, ...]
    points: tuple[str, ...]


def reached(station: BeamStation, strikes: Sequence[Strike] = ()) -> Reached:
    """Return what an upgrade reaches once *strikes* struck."""
    _ready(station)
    armed = [(s.number, s.moment, s.fault) for s in strikes]
    with station.command("apply", station.name, station.plan("1", "3"), armed=armed) as (command, said):
        _arm(station, [], command.pid)
        command.begin()
        if not command.ended(WAIT):
            raise Stranded("the upgrade does not end")
        assert command.exit_code == (5 if strikes else 0), command.output.read_text()
        effects = tuple(f"effect {name}" for _, moment, name in heard(said) if moment == "before")
    found = Reached(effects, look(station).seen)
    station.forget()
    return found


def cases(station: BeamStation) -> tuple[list[Case], Counter[str]]:
    """Return every run of the matrix, and how many were left out, by reason."""
    there = reached(station)
    last = max(n for n, effect in enumerate(there.effects) if effect == "effect commit")
    late = Strike(last, there.effects[last], "before", "fails")
    back = reached(station, [late])
    left: Counter[str] = Counter()
    found = [Case((s,)) for s in (*_effects(there.effects, 0, left), *_points(there.points, Counter(), left))]
    again = (*_effects(back.effects, last + 1, left), *_points(back.points, Counter(there.points), left))
    return [*found, *(Case((late, s), recovery=True) for s in again)], left


def _effects(effects: Sequence[str], first: int, left: Counter[str]) -> Iterator[Strike]:
    for number, point in list(enumerate(effects))[first:]:
        for fault in EFFECT:
            for moment in MOMENTS:
                raising = fault in RAISING
                kind = kind_of(point)
                if kind in ("resume", "rollback") and raising:
                    left["the target's own last word: what is raised there would be invented"] += 1
                elif kind == "call" and moment == "after" and raising:
                    left["a call that failed has done nothing, by its own promise"] += 1
                elif moment == "after" and not raising and number + 1 < len(effects):
                    left["the same moment as before the next step"] += 1
                else:
                    yield Strike(number, point, moment, fault)


def _points(points: Sequence[str], passed: Counter[str], left: Counter[str]) -> Iterator[Strike]:
    """Yield what may strike at points of the node, numbered by how often they were reached, but those that *passed*."""
    times = Counter[str]()
    for point in points:
        number, times[point] = times[point], times[point] + 1
        for fault in NODE if number >= passed[point] else ():
            kind = kind_of(point)
            for moment in MOMENTS:
                if kind != "code_change" and fault.startswith("returns_"):
                    left["only a code_change returns a state"] += 1
                elif kind == "call" and moment == "after":
                    left["a call that failed has done nothing, by its own promise"] += 1
                elif point.startswith("init of sup") and fault in ("killed", "out_of_memory"):
                    left["the supervisor of all would end, and the program with it"] += 1
                else:
                    yield Strike(number, point, moment, fault)
