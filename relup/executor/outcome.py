"""What an upgrade came to, and what was seen on the way, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from relup.diagnostics import Diagnostic, OperatorNeeded, Refused, RolledBack
from relup.executor.rehearsal import Rehearsal

Phase: TypeAlias = Literal[
    "hop", "prepare", "rehearse", "suspend", "load", "code_change", "verify", "resume", "call", "rollback", "downgrade"
]
Status: TypeAlias = Literal["ready", "refused", "done", "rolled_back", "operator_needed"]

EXIT_CODES: dict[Status, int] = {
    "ready": 0,
    "refused": Refused.exit_code,
    "done": 0,
    "rolled_back": RolledBack.exit_code,
    "operator_needed": OperatorNeeded.exit_code,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One step of an upgrade, as it happens."""

    phase: Phase
    message: str
    at: float
    """Seconds on the executor's clock."""


Emit: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class WindowReport:
    """One window that was opened."""

    milliseconds: float
    """From the first process suspended to the last one resumed."""
    processes: int
    modules: tuple[str, ...]
    going_back: bool = False
    """Whether it was a window of the way back, after a later hop had failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an upgrade ended.

    `ready` is a dry run that found nothing against it. `refused` is what a rehearsal spoke against: nothing was
    touched.
    """

    status: Status
    base: str
    goal: str
    windows: tuple[WindowReport, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    rehearsals: tuple[Rehearsal, ...] = ()

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return EXIT_CODES[self.status]
