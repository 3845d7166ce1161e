"""A thousand upgrades and downgrades of one node in a row, under load: what grows, what slows down, what gets lost.

    python -m benchmarks.soak [--target python|beam] [--rounds 1000] [--minutes 60] [--check]

One node runs for the whole time, in a process of its own; several senders send numbered messages to the servers that
are upgraded, and each server counts what is missing, doubled or out of order. Every round one controller connects and
leads the node from the version that runs to the other one, as `relup apply` and `relup downgrade` do, but that

- every tenth round leads to a release whose `code_change` raises, and is rolled back;
- every twentieth round loses its controller in the middle of the window;
- every twentieth round has a deadline on its way up, and is confirmed in time; every seventh is confirmed without one.

Twenty times what runs is confirmed, so that only the code that runs is needed, and everything is counted: by the
kernel (memory, descriptors, threads), and in the node. The first of these counts comes after caches have filled and is
what the others are compared with. What counts as growth is the slope of a straight line through all of them, times the
rounds: memory goes up and down by itself, and a leak does not. `--check` ends with 1 when a bound is missed.

The memory of a BEAM node may grow by 60 KB a round: Erlang's JIT tells debuggers of each function that is ever loaded,
whoever loads it, and takes that back of none (OTP 25: some 35 KB for the agent of each upgrade).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from relup.document.route import route_to_data
from relup.model.relup import Relup
from relup.model.route import Route

Kind: TypeAlias = Literal["plain", "fails", "lost", "deadline"]
Apply: TypeAlias = Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
"""Asks a node to apply a plan with options, and returns the outcome."""
OPTIONS = {"dry_run": False, "allow_irreversible": False, "strict": False}
DEADLINE = 600.0
"""Seconds in which an upgrade has to be confirmed that has a deadline."""
CHECKPOINTS = 20
WARM = 50
"""Rounds before the first count that others are compared with; half of them in a short run."""
QUIET = 0.5
"""Seconds of traffic without an upgrade after each count, to compare with."""
MOST_SLOWER = 1.25
"""How much more processor time of the node an upgrade may take in the last quarter than in the first."""
LEAST_TRAFFIC = 0.3
"""How much of the traffic there has to be while one upgrade follows the other, and their controllers run beside it."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the senders sent and the servers got."""

    sent: int
    received: int
    wrong: int
    """How often a number was not the one after the one before."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """How one upgrade ended."""

    status: str
    milliseconds: float
    """From the connection to its end."""
    window: float
    said: str = ""
    """Why it did not come about, if it did not."""


class Ways:
    """The plans between the versions of a node, and the version that runs."""

    def __init__(self, plans: Mapping[tuple[int, int], Relup]) -> None:
        self._plans = {way: route_to_data(Route((relup,))) for way, relup in plans.items()}
        self.vsn = 1

    def upgrade(self, kind: Kind, apply: Apply) -> Upgrade:
        """Lead the node to the other version, or try to, by what asks it to apply a plan with some options."""
        goal = 3 if kind == "fails" else 3 - self.vsn
        within = DEADLINE if kind == "deadline" and goal > self.vsn else None
        begin = time.perf_counter()
        outcome = apply(self._plans[self.vsn, goal], {**OPTIONS, "confirm": within})
        took = (time.perf_counter() - begin) * 1000
        if outcome["status"] == "done":
            self.vsn = goal
        said = "; ".join(d["message"] for d in outcome.get("diagnostics", ()))
        return Upgrade(outcome["status"], took, sum(w["milliseconds"] for w in outcome["windows"]), said)


class Subject(Protocol):
    """A node under load, and how it is upgraded."""

    def upgrade(self, kind: Kind) -> Upgrade:
        """Lead the node to the other version, or try to."""

    def confirm(self) -> None:
        """Make what runs permanent, and purge what does not."""

    def counts(self) -> Mapping[str, float]:
        """Return how much there is of everything, after a confirm; see that every server has its version."""

    def traffic(self) -> Traffic:
        """Return what was sent and received until now."""

    def processor(self) -> float:
        """Return the seconds of processor time that the node has taken."""

    def stop(self) -> Traffic:
        """Let the senders stop, and return the whole when everything has arrived."""


@dataclass(frozen=True, slots=True)
class Target:
    """How to start a node of one kind, and how much of what may be more at the end."""

    start: Callable[[Path], AbstractContextManager[Subject]]
    most: Mapping[str, float]
    """The growth that is allowed over the whole run, in the unit of the count; what is not named may not grow."""
    by_design: frozenset[str]
    """What grows with each upgrade because it has to."""
    each: Mapping[str, float] = field(default_factory=dict)
    """The growth that is allowed for each round, beside."""


@dataclass(frozen=True, slots=True)
class Load:
    """What passed in some time: messages received, and processor time of the node, in seconds."""

    seconds: float
    messages: int
    processor: float

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


@dataclass(frozen=True, slots=True)
class Part:
    """The rounds between two counts, and a while without upgrades after them."""

    rounds: int
    upgrading: Load
    quiet: Load

    @property
    def milliseconds(self) -> float:
        """The node's processor time for an upgrade, without that for the messages that were handled meanwhile."""
        messages = self.upgrading.messages * self.quiet.processor / max(1, self.quiet.messages)
        return (self.upgrading.processor - messages) * 1000 / self.rounds


@dataclass(slots=True)
class Course:
    """What was seen on the way."""

    rounds: int
    at: list[int] = field(default_factory=list)
    counted: list[Mapping[str, float]] = field(default_factory=list)
    upgrades: list[tuple[Kind, Upgrade]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    """The upgrades that ended otherwise than they had to."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table: what there was at first and at the end, and the growth that a line through all gives."""

    what: str
    first: float
    last: float
    growth: float
    most: float | None
    """None where it is told, and not bounded."""

    @property
    def missed(self) -> bool:
        return self.most is not None and self.growth > self.most

    def __str__(self) -> str:
        bound = "" if self.most is None else f"(at most {self.most:,.4g})"
        numbers = "".join(f"{n:>16,.10g}" for n in (round(self.first, 2), round(self.last, 2), round(self.growth, 2)))
        return f"  {self.what:34}{numbers}  {bound:22}{'MISSED' if self.missed else ''}".rstrip()


def processor_of(pid: int) -> float:
    """Return the seconds of processor time that a process has taken."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def kind_of(number: int) -> Kind:
    """Return what happens to the upgrade of a round."""
    match number % 20:
        case 3 | 13:
            return "fails"
        case 6:
            return "lost"
        case 9:
            return "deadline"
        case _:
            return "plain"


ENDINGS: Mapping[Kind, tuple[str, ...]] = {
    "plain": ("done",),
    "deadline": ("done",),
    "fails": ("rolled_back",),
    "lost": ("done", "rolled_back"),
}


def soak(
    subject: Subject,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
    *,
    counts: int = CHECKPOINTS,
    quiet_for: float = QUIET,
) -> Course:
    """Upgrade again and again, and count so many times in between; begin no more when *seconds* are over."""
    course = Course(rounds)
    every, until = max(1, rounds // counts), time.monotonic() + seconds
    for first in range(0, rounds, every):
        if time.monotonic() > until:
            break
        numbers = range(first, min(rounds, first + every))
        with passing(subject) as upgrading:
            for number in numbers:
                _round(subject, number, course)
        subject.confirm()
        assert (wrong := subject.traffic().wrong) == 0, f"round {numbers[-1]}: {wrong} messages"
        course.at.append(numbers[-1] + 1)
        course.counted.append(subject.counts())
        with passing(subject) as quiet:
            time.sleep(quiet_for)
        part = Part(len(numbers), *upgrading, *quiet)
        course.parts.append(part)
        took = statistics.median(u.milliseconds for _, u in course.upgrades[first:])
        rates = f"{part.upgrading.rate:8,.0f} messages/s, without {part.quiet.rate:8,.0f}"
        say(f"  {course.at[-1]:6,} rounds, {took:6.0f} ms each, {part.milliseconds:6.1f} ms of the node's; {rates}")
    return course


def _round(subject: Subject, number: int, course: Course) -> None:
    kind = kind_of(number)
    upgrade = subject.upgrade(kind)
    course.upgrades.append((kind, upgrade))
    if upgrade.status not in ENDINGS[kind]:
        course.surprises.append(f"round {number}, {kind}: {upgrade.status}: {upgrade.said}")
    if kind == "deadline" or number % 7 == 6:
        subject.confirm()


@contextmanager
def passing(subject: Subject) -> Iterator[list[Load]]:
    """Measure what passes in the block; the list has it after the block."""
    found = list[Load]()
    begin, messages, processor = time.perf_counter(), subject.traffic().received, subject.processor()
    yield found
    seconds, used = time.perf_counter() - begin, subject.processor() - processor
    found.append(Load(seconds, subject.traffic().received - messages, used))


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return by how much *ys* grow with each of *xs*, by a line through all of them."""
    return statistics.linear_regression(xs, ys).slope if len(xs) > 1 else 0.0


def figures(course: Course, target: Target) -> Iterator[Figure]:
    """Yield what there was of everything, from the first count after the start on."""
    warm = min(WARM, course.rounds // 2)
    kept = [(n, counted) for n, counted in zip(course.at, course.counted, strict=True) if n >= warm]
    xs = [n for n, _ in kept]
    span = xs[-1] - xs[0]
    for what in kept[0][1]:
        ys = [counted[what] for _, counted in kept]
        most = None if what in target.by_design else target.most.get(what, 0) + target.each.get(what, 0) * span
        growth = slope(xs, ys) * span
        yield Figure(what, ys[0], ys[-1], growth if abs(growth) > 1e-6 else 0.0, most)


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the first quarter and of the last."""
    part = max(1, len(values) // 4)
    return statistics.median(values[:part]), statistics.median(values[-part:])


def speed(course: Course, whole: Traffic) -> Iterator[Figure]:
    """Yield what upgrades took, and what the traffic was meanwhile."""
    first, last = quarters([p.milliseconds for p in course.parts])
    yield Figure("processor time of the node, ms", first, last, last - first, first * (MOST_SLOWER - 1))
    for what, kinds in TIMED.items():
        if took := [u.milliseconds for kind, u in course.upgrades if kind in kinds]:
            first, last = quarters(took)
            yield Figure(f"{what}, ms", first, last, last - first, None)
    first, last = quarters([u.window for kind, u in course.upgrades if kind != "lost"])
    yield Figure("its window, ms", first, last, last - first, None)
    for what, rates in (
        ("messages/s, without upgrades", [p.quiet.rate for p in course.parts]),
        ("messages/s, with upgrades", [p.upgrading.rate for p in course.parts]),
    ):
        first, last = quarters(rates)
        yield Figure(what, first, last, last - first, None)
    share = statistics.median(p.upgrading.rate / p.quiet.rate for p in course.parts)
    yield Figure("share of it that is lacking, %", 0, (1 - share) * 100, (1 - share) * 100, (1 - LEAST_TRAFFIC) * 100)
    lost = abs(whole.sent - whole.received)
    yield Figure("messages sent, received, lost", whole.sent, whole.received, lost, 0)
    yield Figure("messages doubled or out of order", 0, whole.wrong, whole.wrong, 0)
    yield Figure("upgrades that ended otherwise", 0, len(course.surprises), len(course.surprises), 0)


TIMED: Mapping[str, tuple[Kind, ...]] = {
    "an upgrade": ("plain", "deadline"),
    "one that fails": ("fails",),
    "one whose controller dies": ("lost",),
}


def run(name: str, target: Target, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Figure]:
    """Let one node go through all of it; return the table."""
    with tempfile.TemporaryDirectory() as folder, target.start(Path(folder)) as subject:
        say(f"{name}: {rounds:,} rounds")
        begin = time.perf_counter()
        course = soak(subject, rounds, seconds, say)
        took = time.perf_counter() - begin
        found = [*speed(course, subject.stop()), *figures(course, target)]
    endings = Counter(f"{kind} {upgrade.status}" for kind, upgrade in course.upgrades)
    said = ", ".join(f"{what} {number}" for what, number in sorted(endings.items()))
    say(f"{name}: {course.at[-1]:,} of {rounds:,} rounds in {took:,.0f} s: {said}")
    say(f"  {'':34}{'first':>16}{'last':>16}{'growth':>16}")
    for line in (*found, *course.surprises):
        say(str(line))
    return found


@contextmanager
def _python(folder: Path) -> Iterator[Subject]:
    from benchmarks.soak_python import running  # noqa: PLC0415  it imports what is above

    with running(folder) as subject:
        yield subject


@contextmanager
def _beam(folder: Path) -> Iterator[Subject]:
    from benchmarks.soak_beam import running  # noqa: PLC0415  as above

    with running(folder) as subject:
        yield subject


MEBI = 2.0**20
TARGETS = {
    "python": Target(
        _python,
        {
            "memory of the node, MB": 4,
            "file descriptors": 1,
            "threads of the system": 1,
            "asyncio tasks": 1,
            "gc objects": 200,
            "allocated blocks": 2_000,
        },
        frozenset({"history file, bytes"}),
    ),
    "beam": Target(
        _beam,
        {
            "memory of the node, MB": 8,
            "nodes known": 1,
            "memory: processes, KB": 50,
            "memory: total, KB": 1_000,
            "memory: binary, KB": 500,
            "memory: system, KB": 700,
            "memory: code, KB": 50,
            "memory: ets, KB": 20,
        },
        frozenset({"history file, bytes"}),
        {"memory of the node, MB": 0.06},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=[*TARGETS], action="append", help="default: both")
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--minutes", type=float, default=60.0, help="end each target early after so long")
    parser.add_argument("--check", action="store_true", help="end with 1 when a bound is missed")
    options = parser.parse_args()
    missed = list[Figure]()
    for name in options.target or TARGETS:
        found = run(name, TARGETS[name], options.rounds, options.minutes * 60, lambda text: print(text, flush=True))
        missed += [f for f in found if f.missed]
    print(f"{len(missed)} bounds missed" if missed else "all bounds hold")
    sys.exit(1 if missed and options.check else 0)


if __name__ == "__main__":
    main()
