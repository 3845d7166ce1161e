"""What a rehearsal found: the script, and then its inverse, run on a copy of the real states, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from relup.diagnostics import Diagnostic

Verdict: TypeAlias = Literal["ok", "failed", "not_rehearsable"]
"""`not_rehearsable`: it cannot be told on a copy, because code waits for somebody who is not there, or does something
outside of its state; that says nothing about the upgrade itself."""
Way: TypeAlias = Literal["there", "back"]
WORTH_SPARING = 10_000
"""Mutable parts of states that are written down in some 20 ms."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of the state of one process."""

    process: str
    milliseconds: float
    size: int
    lines: tuple[str, ...]
    """Where the new state differs from the old one, and how."""


@dataclass(frozen=True, slots=True)
class ModuleRehearsal:
    """What became of the states of the processes of one module, in one direction."""

    module: str
    way: Way
    processes: int
    """How many were tried."""
    failed: int
    milliseconds: float
    """Of all of its `code_change`s together."""
    longest: float
    """Milliseconds of the one that took longest."""
    slowest: str
    """The process that took it."""
    mutates: bool
    """Whether a `code_change` changed the state in place that it was given."""
    size: int
    """Bytes of the new states, as far as they are told from a few of them."""
    types: tuple[str, ...]
    """What the new states are."""
    samples: tuple[Sample, ...] = ()
    containers: int = 0
    """How many mutable parts the states have that were changed: what a rollback may have to put back."""
    same: int | None = None
    """How many of the states were, after the way there and back, what they had been; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed, or could not be tried, in one process."""

    diagnostic: Diagnostic
    traceback: str


def verdict_of(failures: Sequence[Failure]) -> Verdict:
    """Return what failures come to: one that would be one of the upgrade as well decides."""
    if not failures:
        return "ok"
    return "not_rehearsable" if all(f.diagnostic.code == "not_rehearsable" for f in failures) else "failed"


def round_trip_differs(module: str, found: Sequence[str], more: str = "") -> Diagnostic:
    """Say whose state is another one after the way there and back: the first of them, and how many there are."""
    others = f", and {len(found) - 1} more differ" if len(found) > 1 else ""
    message = f"the states of {module} are not the same after the way there and back: {found[0]}{others}{more}"
    return Diagnostic("round_trip_differs", message, severity="warning")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One rehearsal."""

    verdict: Verdict
    stall: float
    """Milliseconds that the node stood still for it."""
    milliseconds: float
    window: float
    """Milliseconds that the windows will take, as far as the code of the program is concerned."""
    modules: tuple[ModuleRehearsal, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[Diagnostic, ...] = ()

    def said(self, strict: bool) -> tuple[Diagnostic, ...]:
        """Return all that there is to be said of it."""
        failures = (f.diagnostic for f in self.failures)
        return tuple(
            replace(d, severity="error") if strict and d.severity == "warning" else d for d in (*failures, *self.notes)
        )

    def speaks_against(self, strict: bool) -> bool:
        """Say whether the upgrade is not to be tried: it would fail; or, for who is *strict*, it is not known."""
        return self.verdict == "failed" or any(d.severity == "error" for d in self.said(strict))

    @property
    def unspoilt(self) -> frozenset[str]:
        """The modules whose `code_change` was seen to change nothing in place of what it is given on the way there.

        Code may see that it runs in a copy, and do something else there. So only what takes its time to be written
        down is spared for that.
        """
        if self.verdict != "ok" or any(n.code == "effect_refused" for n in self.notes):
            return frozenset()
        there = [m for m in self.modules if m.way == "there"]
        return frozenset(m.module for m in there) - {
            m.module for m in there if m.mutates or m.containers < WORTH_SPARING
        }
