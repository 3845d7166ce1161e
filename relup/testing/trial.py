"""One test, run as it is, and then with an upgrade at one boundary of each group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from relup.diagnostics import RelupError
from relup.executor import Options, Outcome
from relup.executor.outcome import Emit
from relup.model.release import Release
from relup.report.text import outcome_lines
from relup.testing.live import AsyncNode
from relup.testing.seen import Boundary, Seen, alike
from relup.testing.watching import Watch, is_older
from relup.testing.ways import way_to

Mode: TypeAlias = Literal["alike", "all", "shapes"]
Reports: TypeAlias = Sequence[pytest.TestReport]
Once: TypeAlias = Callable[[Watch | None], Reports]
"""Runs the test once and returns its reports."""
End: TypeAlias = Literal["same", "differs", "upgrade_fails", "nothing", "misused"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one test."""

    end: End
    said: str
    reports: Reports
    boundaries: int = 0
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: an upgrade to *goal*, wherever *server* is about to handle a message."""

    server: str
    goal: Release
    called: str
    """How the user calls *goal*."""
    mode: Mode
    unpacked: Path

    def run(self, once: Once) -> Verdict:
        """Run the test as it is, and with upgrades until one makes a difference."""
        watch = self._watch()
        reports = once(watch)
        plain = watch.seen
        if not all(r.passed for r in reports):
            return Verdict("nothing", "is not passed as it is, so nothing was tried", reports)
        if why := self._forgotten(plain) or self._misused(plain):
            return Verdict("misused", why, reports)
        if why := self._unreached(plain):
            return Verdict("nothing", why, reports)
        if why := self._without_way(plain):
            return Verdict("misused", why, reports)
        return self._search(once, plain, reports)

    def _search(self, once: Once, plain: Seen, reports: Reports) -> Verdict:
        end = Boundary(len(plain.boundaries) + 1, plain.boundaries[-1].server, "")
        boundaries = (*plain.boundaries, end)
        done, runs = set[int](), list[Seen]()
        for boundary in boundaries:
            if boundary.number in done:
                continue
            watch = self._watch(boundary.number, len(plain.boundaries))
            found = once(watch)
            runs.append(watch.seen)
            if verdict := self._verdict(once, boundary, plain, watch.seen, found):
                if verdict.end == "nothing":
                    return replace(verdict, reports=reports)  # of the run in which the test passed
                return replace(verdict, runs=len(runs))
            done |= {other.number for other in boundaries if self._covers(plain, watch.seen, boundary, other)}
        return self._same(plain, runs, reports)

    def _verdict(self, once: Once, boundary: Boundary, plain: Seen, run: Seen, reports: Reports) -> Verdict | None:
        """Return what a run says against the upgrade, once it is sure that the test alone does not say it."""
        count = len(plain.boundaries) + 1
        place = f"boundary {boundary.number} of {count}, {boundary.where}, whose state is {run.state}"
        where = f"the first that differs is {place}"
        if ended := "\n".join(_ended(run)):
            said = f"{where}: upgrading to {self.goal} there does not succeed\n{ended}"
            return Verdict("upgrade_fails", said, reports, count)
        if (failed := _failed(reports)) is None:
            return None
        if (alone := self._alone(once, run, failed)) is not None:
            said = f"does not pass twice in one process, so nothing can be said of upgrades: {alone}"
            return Verdict("nothing", said, reports, count)
        said = f"{where}: upgraded to {self.goal} there, the test {_how(failed)}"
        if not self._again(once, run.injected, len(plain.boundaries)):
            said += "; not reproducible: it did not when the same was tried again"
        return Verdict("differs", said, reports, count)

    def _alone(self, once: Once, run: Seen, failed: pytest.TestReport) -> str | None:
        """Return how the test fails of itself when it is run another time; None when it does not.

        What differs in a second run of a test may be due to the test: it draws, measures time, or leaves something.
        """
        again = _failed(once(self._watch())) if run.injected else failed
        return None if again is None else f"it {_how(again)}{_crash(again)}"

    def _again(self, once: Once, at: int, last: int) -> bool:
        """Say whether the test fails once more where it is upgraded there once more."""
        watch = self._watch(at, last)
        return (_failed(once(watch)) is not None or any(_ended(watch.seen))) and bool(watch.seen.injected)

    def _watch(self, at: int = 0, last: int = 0) -> Watch:
        async def upgrade(node: AsyncNode, emit: Emit) -> Outcome:
            route = await asyncio.to_thread(way_to, node.release, self.goal, self.unpacked)
            return await node.apply(route, Options(), emit)

        return Watch(self.server, self.goal, upgrade, at, last)

    def _covers(self, plain: Seen, run: Seen, tried: Boundary, other: Boundary) -> bool:
        """Say whether the run that was upgraded at *tried* makes one at *other* unnecessary."""
        if run.injected != tried.number or not tried.number < other.number or not other.message:
            return False
        match self.mode:
            case "all":
                return False
            case "shapes":
                return tried.shape == other.shape
            case "alike":
                return alike(plain, run, tried.number, other.number)

    # ── what is said ───────────────────────────────────────────────────────────────────────────────────

    def _forgotten(self, plain: Seen) -> str:
        """Say that another release has the version of the one that was started."""
        mine = self.goal.fingerprints(), self.goal.extensions()
        for release in plain.releases.values() if not self._has_older(plain) else ():
            if str(release) == str(self.goal) and (release.fingerprints(), release.extensions()) != mine:
                return f"{self.called} is also {release}: was its vsn forgotten?"
        return ""

    def _without_way(self, plain: Seen) -> str:
        """Say that no plan leads from what was started to the release that is to be tried."""
        for release in plain.releases.values():
            if is_older(release, self.goal, release.vsn):
                try:
                    way_to(release, self.goal, self.unpacked)
                except RelupError as error:
                    return f"{release} cannot be upgraded to {self.called}: {error}"
        return ""

    def _misused(self, plain: Seen) -> str:
        """Say that there is no such server, where there should be, or that several may be meant."""
        classes = sorted(name for name in plain.servers if name.startswith(f"{self.server}:"))
        if self.server in plain.servers or len(classes) == 1:
            return ""
        if classes:
            return f"several servers of the test's nodes are of module {self.server!r}: say {' or '.join(classes)}"
        if plain.servers and self._has_older(plain):
            there = ", ".join(sorted(plain.servers))
            return f"no process of the test's nodes is called {self.server!r}, or of that class: there are {there}"
        return ""

    def _unreached(self, plain: Seen) -> str:
        if plain.upgrades_itself:
            return "upgrades its node itself, so it ran as it is"
        if not plain.releases:
            return "starts no node, so nothing was tried"
        if not self._has_older(plain):
            return f"starts {', '.join(plain.releases)}, which {self.goal} is no upgrade of, so nothing was tried"
        return "" if plain.boundaries else f"sends no message to {self.server!r}, so nothing was tried"

    def _has_older(self, plain: Seen) -> bool:
        return any(is_older(release, self.goal, release.vsn) for release in plain.releases.values())

    def _same(self, plain: Seen, runs: Sequence[Seen], reports: Reports) -> Verdict:
        count = len(plain.boundaries) + 1
        lost = sum(not run.injected for run in runs)
        if lost == len(runs):
            said = f"did not come again to any of its {count} boundaries, so nothing was tried"
            return Verdict("nothing", said, reports, count)
        said = f"{count} boundaries in {len(runs)} groups, {len(runs) - lost} upgrades: no difference"
        if lost:
            said += f"; {lost} boundaries were not met again: the test takes another course each time"
        if strays := sum(bool(run.injected) and not _repeats(plain, run) for run in runs):
            said += f"; {strays} runs did not repeat what came before the boundary"
        return Verdict("same", said, reports, count, len(runs) - lost)


def _failed(reports: Reports) -> pytest.TestReport | None:
    return next((r for r in reports if not r.passed), None)


def _how(report: pytest.TestReport) -> str:
    return f"{'fails' if report.failed else 'is skipped'} in its {report.when}"


def _crash(report: pytest.TestReport) -> str:
    """Return what the report of a failure says first."""
    said = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
    return f": {said.splitlines()[0]}" if said else ""


def _ended(run: Seen) -> Iterator[str]:
    """Yield why the upgrade is no success, if it is none."""
    match run.error, run.outcome:
        case RelupError(diagnostics=diagnostics), _:
            yield from (f"  {d}" for d in diagnostics)
        case Exception() as error, _:
            yield f"  {type(error).__name__}: {error}"
        case None, Outcome(status=status) as outcome if status != "done":
            yield from (f"  {line}" for line in outcome_lines(outcome))


def _repeats(plain: Seen, run: Seen) -> bool:
    """Say whether the server was sent the same kinds of messages until the upgrade, in the same kinds of states."""
    before = slice(run.injected - 1)
    return [b.shape for b in plain.boundaries[before]] == [b.shape for b in run.boundaries[before]]
