"""What is tried, and what came of it, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Moment: TypeAlias = Literal["before", "during", "after"]
End: TypeAlias = Literal["done", "rolled back", "refused", "busy", "told", "booted", "MIXED"]
ENDS: tuple[End, ...] = ("done", "rolled back", "refused", "busy", "told", "booted", "MIXED")
"""`told`: in between, with exit code 6 and everything that remains said; `booted`: the node ended, and the permanent
release runs; `MIXED`: a promise was broken."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault at one point of a run; points are numbered in the order in which they are reached."""

    number: int
    point: str
    moment: Moment
    fault: str

    def __str__(self) -> str:
        return f"{self.fault} {self.moment} {self.point} (#{self.number})"


@dataclass(frozen=True, slots=True)
class Case:
    """One run: the faults that strike in it; the last one is what is tried, those before lead there."""

    strikes: tuple[Strike, ...]
    recovery: bool = False
    """Whether the last one strikes while something is taken back."""

    @property
    def fault(self) -> str:
        """What is tried."""
        return self.strikes[-1].fault

    @property
    def step(self) -> str:
        """The kind of step at which it strikes, for a table."""
        kind = kind_of(self.strikes[-1].point)
        return f"undo: {kind}" if self.recovery else kind

    def __str__(self) -> str:
        return ", then ".join(map(str, self.strikes)) or "no fault"


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    case: Case
    end: End
    seconds: float
    why: tuple[str, ...] = ()
    """What was found wrong."""


def kind_of(point: str) -> str:
    """Return what the point of a step is called in a table: `code_change of s1 to 2` is one of `code_change`."""
    return point.removeprefix("effect ").partition(" of ")[0] if not point.startswith("effect ") else point[7:]
