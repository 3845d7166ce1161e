"""`--relup-at-every-boundary`: the tests of a user, each with an upgrade where it may go wrong.

A test that uses the fixture and knows nothing of upgrades is run as it is, and then again from its setup to its
teardown for every group of boundaries: as one test of pytest's, with one report, so that it works with `-n`, with
parameters, in classes, and with plugins for asynchronous tests. What differs first is what the report of the test says.
A test of which nothing could be tried is not passed but skipped, with the reason; a run in which nothing was tried at
all has failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from relup.diagnostics import InvalidInput
from relup.model.release import Release
from relup.testing.plugin import FIXTURE, WATCH, places
from relup.testing.trial import Reports, Trial, Verdict
from relup.testing.watching import Watch
from relup.testing.ways import locate, read

PROPERTY = "relup"
"""What a verdict is called among the properties of a report, in which it comes from the workers of `-n`."""


class AtEveryBoundary:
    """What pytest asks when the option is given."""

    def __init__(self, config: pytest.Config) -> None:
        """Read the release of the command line; raise `UsageError` with everything that is wrong with it."""
        self._config = config
        self._unpacked = TemporaryDirectory(prefix="relup-")
        self._goals: dict[Path, Release] = {}
        self._said: dict[str, str] = {}
        self._runs = 0
        if given := config.getoption("relup_upgrade"):
            try:
                self._goal(given, [config.invocation_params.dir])
            except InvalidInput as error:
                raise pytest.UsageError(f"--relup-upgrade {given}: {error}") from None

    # ── running ────────────────────────────────────────────────────────────────────────────────────────

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test that uses the fixture, or has the marker, and report of it what the trial says."""
        if FIXTURE not in getattr(item, "fixturenames", ()) and item.get_closest_marker("relup") is None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in _told(item, self._verdict(item, partial(self._once, item, nextitem))):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _once(self, item: pytest.Item, nextitem: pytest.Item | None, watch: Watch | None) -> Reports:
        """Run a test from setup to teardown, as pytest does, without telling anybody."""
        item.stash[WATCH] = watch
        getattr(item, "_report_sections", []).clear()  # what an earlier run printed
        runner: Any = self._config.pluginmanager.getplugin("runner")
        reports: Reports = runner.runtestprotocol(item, log=False, nextitem=nextitem)
        return reports

    def _verdict(self, item: pytest.Item, once: Any) -> Verdict:
        server, upgrade, wrong = self._wanted(item)
        if wrong:
            return Verdict("misused", wrong, once(None))
        if not server and not upgrade:
            return Verdict(
                "nothing", "has no marker relup, and no option says what to try, so it ran as it is", once(None)
            )
        try:
            goal = self._goal(upgrade, self._places(item))
        except InvalidInput as error:
            return Verdict("misused", str(error), once(None))
        mode = self._config.getoption("relup_boundaries")
        return Trial(server, goal, upgrade, mode, Path(self._unpacked.name)).run(once)

    def _wanted(self, item: pytest.Item) -> tuple[str, str, str]:
        """Return the server and the release that are meant for a test, and what is wrong with what is said of them."""
        marker = item.get_closest_marker("relup")
        said: Mapping[str, Any] = marker.kwargs if marker else {}
        if marker and (marker.args or said.keys() - {"server", "upgrade"}):
            return "", "", "the marker is relup(upgrade=RELEASE, server=NAME)"
        server = self._config.getoption("relup_server") or said.get("server", "")
        upgrade = self._config.getoption("relup_upgrade") or said.get("upgrade", "")
        if marker and not (server or upgrade):
            return "", "", "the marker relup says neither upgrade= nor server="
        if bool(server) != bool(upgrade):
            lacking = ("upgrade=", "--relup-upgrade") if server else ("server=", "--relup-server")
            return "", "", f"{lacking[0]} of the marker relup, or {lacking[1]}, is missing"
        return str(server), str(upgrade), ""

    def _places(self, item: pytest.Item) -> list[Path]:
        """Return where the release is looked for: one of the command line where that was given."""
        if self._config.getoption("relup_upgrade"):
            return [self._config.invocation_params.dir]
        here, folder, root = places(item)
        return [folder, root, here]

    def _goal(self, release: str, looked: Sequence[Path]) -> Release:
        path = locate(release, looked)
        if path not in self._goals:
            self._goals[path] = read(path, Path(self._unpacked.name))
        return self._goals[path]

    # ── telling ────────────────────────────────────────────────────────────────────────────────────────

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the verdicts, those of workers too."""
        for name, value in report.user_properties:
            if name == PROPERTY and isinstance(value, dict):
                self._said[report.nodeid] = value["said"]
                self._runs += value["runs"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Let a run fail in which nothing was tried: nobody should take it for a test of upgrades."""
        self._unpacked.cleanup()
        worker, only_collects = hasattr(self._config, "workerinput"), self._config.getoption("collectonly")
        if exitstatus == pytest.ExitCode.OK and not (self._runs or worker or only_collects):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say for each test how many boundaries there were, and what was tried."""
        terminalreporter.section("relup: upgrades at message boundaries")
        for line in self._lines():
            terminalreporter.line(line)

    def _lines(self) -> Iterator[str]:
        yield from (f"{test}: {said.splitlines()[0]}" for test, said in sorted(self._said.items()))
        if not self._runs:
            yield "nothing was tried: this run says nothing about upgrades"


def _told(item: pytest.Item, verdict: Verdict) -> Reports:
    """Return the reports of a test with what the verdict says."""
    reports = list(verdict.reports)
    failed = next((r for r in reports if not r.passed), None)
    match verdict.end:
        case "differs" | "misused":
            _fail(failed or _of_call(reports), verdict.said)
        case "upgrade_fails":
            _explain(failed or _of_call(reports), verdict.said)
        case "nothing" if failed is None:
            report = _of_call(reports)
            report.outcome = "skipped"
            report.longrepr = (str(item.path), (item.location[1] or 0) + 1, f"it {verdict.said}")
    reports[-1].user_properties.append((PROPERTY, {"said": verdict.said, "runs": verdict.runs}))
    return reports


def _of_call(reports: Sequence[pytest.TestReport]) -> pytest.TestReport:
    return next((r for r in reports if r.when == "call"), reports[-1])


def _fail(report: pytest.TestReport, said: str) -> None:
    """Let a report say that its test fails, and why, beside what it says already."""
    report.outcome = "failed"
    if (crash := getattr(report.longrepr, "reprcrash", None)) is not None:
        crash.message = f"{said.splitlines()[0]}: {crash.message}"
        report.longrepr.addsection("relup", said)  # type: ignore[union-attr]  # what has the one has the other
    else:
        _explain(report, said)


def _explain(report: pytest.TestReport, said: str) -> None:
    """Let a report say that its test fails, and why, before what it says already."""
    report.outcome = "failed"
    report.longrepr = f"{said}\n\n{report.longreprtext}".rstrip()
