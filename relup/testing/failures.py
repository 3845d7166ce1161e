"""What is told in a test when an upgrade did not end as the test says."""

from __future__ import annotations

from typing import Literal, TypeAlias

from relup.diagnostics import Refused
from relup.executor import Outcome
from relup.model.release import Release
from relup.report.text import outcome_lines

End: TypeAlias = Literal["done", "rolled_back", "refused"]
"""How a test may expect an upgrade to end."""


class UpgradeFailed(AssertionError):
    """An upgrade ended otherwise than expected; `outcome` is what came of it."""

    def __init__(self, route: str, outcome: Outcome, expect: str = "done") -> None:
        self.outcome = outcome
        super().__init__(f"{route}: expected {_said(expect)!r}, ended {how(outcome)}")


def how(outcome: Outcome) -> str:
    """Return how an upgrade ended, with a line for everything that there is to say of it."""
    return "\n  ".join((repr(_said(outcome.status)), *outcome_lines(outcome)))


def _said(status: str) -> str:
    return status.replace("_", " ")


def refused(base: Release, goal: Release, error: Refused) -> Outcome:
    """Return a refusal as an outcome: nothing was touched."""
    return Outcome("refused", base.vsn, goal.vsn, diagnostics=error.diagnostics)
