"""A thousand upgrades and downgrades of one node in a row, under load: what grows, what slows down, what gets lost.

    python -m benchmarks.soak [--target python|beam] [--rounds 1000] [--check]

One node runs for the whole time, in a process of its own; several senders send numbered messages to the servers that
are upgraded, and each server counts what is missing, doubled or out of order. Every round one controller connects and
leads the node from the version that runs to the other one, as `relup apply` and `relup downgrade` do, but that

- every tenth round leads to a release whose `code_change` raises, and is rolled back;
- every twentieth round loses its controller in the middle of the window;
- every twentieth round has a deadline, and is confirmed in time; every seventh is confirmed without one.

Twenty times the upgrade is confirmed, so that only the code that runs is needed, and everything is counted: by the
kernel (memory, descriptors, threads), and in the node. The first of these counts comes after caches have filled and is
what the others are compared with. What counts as growth is the slope of a straight line through all of them, times the
rounds: memory goes up and down by itself, and a leak does not. `--check` ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["plain", "fails", "lost", "deadline"]
CHECKPOINTS = 20
WARM = 50
"""Rounds before the first count that others are compared with; a tenth of them in a short run."""
QUIET = 3.0
"""Seconds of traffic without an upgrade, for comparison."""
MOST_SLOWER = 1.25
"""How much longer an upgrade may take at the end than at the beginning."""
LEAST_TRAFFIC = 0.5
"""How much of the traffic without upgrades there has to be with one after the other."""


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


@dataclass(slots=True)
class Course:
    """What was seen on the way."""

    rounds: int
    at: list[int] = field(default_factory=list)
    counted: list[Mapping[str, float]] = field(default_factory=list)
    upgrades: list[tuple[Kind, Upgrade]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Messages in a second, between two counts."""


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


def kind_of(number: int) -> Kind:
    """Return what happens to the upgrade of a round."""
    match number % 20:
        case 4 | 14:
            return "fails"
        case 9:
            return "lost"
        case 17:
            return "deadline"
        case _:
            return "plain"


def soak(subject: Subject, rounds: int, say: Callable[[str], None]) -> Course:
    """Upgrade again and again, and count in between."""
    course = Course(rounds)
    every = max(1, rounds // CHECKPOINTS)
    since, received = time.perf_counter(), subject.traffic().received
    for number in range(rounds):
        kind = kind_of(number)
        upgrade = subject.upgrade(kind)
        expected = {"plain": ("done",), "deadline": ("done",), "fails": ("rolled_back",), "lost": ("done", "rolled_back")}
        assert upgrade.status in expected[kind], f"round {number}, {kind}: {upgrade}"
        course.upgrades.append((kind, upgrade))
        counting = (number + 1) % every == 0
        if counting:
            now, traffic = time.perf_counter(), subject.traffic()
            course.rates.append((traffic.received - received) / (now - since))
        if counting or kind == "deadline" or number % 7 == 6:
            subject.confirm()
        if counting:
            assert traffic.wrong == 0, f"round {number}: {traffic}"
            course.at.append(number + 1)
            course.counted.append(subject.counts())
            say(f"  {number + 1:6,} rounds, {statistics.median(u.milliseconds for _, u in course.upgrades[-every:]):6.0f}"
                f" ms each, {course.rates[-1]:8,.0f} messages/s")
            since, received = time.perf_counter(), subject.traffic().received
    return course


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return by how much *ys* grow with each of *xs*, by a line through all of them."""
    return statistics.linear_regression(xs, ys).slope if len(xs) > 1 else 0.0


def figures(course: Course, target: Target) -> Iterator[Figure]:
    """Yield what there was of everything, from the first count after the start on."""
    warm = min(WARM, max(1, course.rounds // 10))
    kept = [(n, counted) for n, counted in zip(course.at, course.counted, strict=True) if n >= warm]
    xs = [n for n, _ in kept]
    span = xs[-1] - xs[0]
    for what in kept[0][1]:
        ys = [counted[what] for _, counted in kept]
        most = None if what in target.by_design else target.most.get(what, 0)
        growth = slope(xs, ys) * span
        # a count of things that is the same at both ends and in the middle of its ups and downs has not grown
        yield Figure(what, ys[0], ys[-1], growth if abs(growth) > 1e-6 else 0.0, most)


def speed(course: Course, quiet: float, whole: Traffic) -> Iterator[Figure]:
    """Yield what upgrades took, and what the traffic was meanwhile."""
    tenth = max(1, course.rounds // 10)
    plain = [u for kind, u in course.upgrades if kind in ("plain", "deadline")]
    for what, values in (("upgrade, ms", [u.milliseconds for u in plain]), ("its window, ms", [u.window for u in plain])):
        first, last = (statistics.median(part) for part in (values[:tenth], values[-tenth:]))
        yield Figure(f"{what} (first, last tenth)", first, last, last - first, first * (MOST_SLOWER - 1) + 1)
    for kind in ("fails", "lost"):
        if took := [u.milliseconds for k, u in course.upgrades if k == kind]:
            part = max(1, len(took) // 4)
            first, last = statistics.median(took[:part]), statistics.median(took[-part:])
            yield Figure(f"one that {'fails' if kind == 'fails' else 'is lost'}, ms", first, last, last - first, None)
    rate = statistics.median(course.rates)
    yield Figure("messages/s (without, with upgrades)", quiet, rate, rate - quiet, None)
    lacking = max(0.0, LEAST_TRAFFIC * quiet - min(course.rates))
    yield Figure("messages/s (slowest, fastest part)", min(course.rates), max(course.rates), lacking, 0)
    lost = whole.sent - whole.received
    yield Figure("messages (sent, received, lost)", whole.sent, whole.received, abs(lost), 0)
    yield Figure("messages doubled or out of order", 0, whole.wrong, whole.wrong, 0)


def run(name: str, target: Target, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Let one node go through all of it; return the table."""
    with tempfile.TemporaryDirectory() as folder, target.start(Path(folder)) as subject:
        before = subject.traffic().received
        time.sleep(QUIET if rounds >= 100 else QUIET / 3)
        quiet = (subject.traffic().received - before) / (QUIET if rounds >= 100 else QUIET / 3)
        say(f"{name}: {rounds:,} rounds; without upgrades {quiet:,.0f} messages/s")
        begin = time.perf_counter()
        course = soak(subject, rounds, say)
        took = time.perf_counter() - begin
        found = [*speed(course, quiet, subject.stop()), *figures(course, target)]
    ended = {k: [u.status for kind, u in course.upgrades if kind == k] for k in ("plain", "deadline", "fails", "lost")}
    said = ", ".join(
        f"{k} {s} {ended[k].count(s)}" for k in ended for s in ("done", "rolled_back") if s in ended[k]
    )
    say(f"{name}: {rounds:,} rounds in {took:,.0f} s: {said}")
    say(f"  {'':34}{'first':>16}{'last':>16}{'growth':>16}")
    for figure in found:
        say(str(figure))
    return found


@contextmanager
def _python(folder: Path) -> Iterator[Subject]:
    from benchmarks.soak_python import running

    with running(folder) as subject:
        yield subject


@contextmanager
def _beam(folder: Path) -> Iterator[Subject]:
    from benchmarks.soak_beam import running

    with running(folder) as subject:
        yield subject


MEBI = 2.0**20
TARGETS = {
    "python": Target(
        _python,
        {"memory of the node, MB": 4, "gc objects": 200, "allocated blocks": 2_000, "code objects": 0},
        frozenset({"history file, bytes"}),
    ),
    "beam": Target(
        _beam,
        {
            "memory of the node, MB": 8,
            "memory: total, KB": 1_000,
            "memory: processes, KB": 700,
            "memory: binary, KB": 500,
            "memory: system, KB": 700,
            "memory: code, KB": 50,
            "memory: ets, KB": 20,
        },
        frozenset({"history file, bytes"}),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=[*TARGETS], action="append", help="default: both")
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--check", action="store_true", help="end with 1 when a bound is missed")
    options = parser.parse_args()
    missed = list[Figure]()
    for name in options.target or TARGETS:
        found = run(name, TARGETS[name], options.rounds, lambda text: print(text, flush=True))
        missed += [f for f in found if f.missed]
    print(f"{len(missed)} bounds missed" if missed else "all bounds hold")
    sys.exit(1 if missed and options.check else 0)


if __name__ == "__main__":
    main()
