"""The targets of the matrix: how a place for runs is made, which runs there are, and how one is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.faults import beam, python
from tests.faults.beamstation import beam_station
from tests.faults.result import Case, Result
from tests.faults.station import station


@dataclass(frozen=True, slots=True)
class Matrix:
    """The matrix of one target."""

    name: str
    station: Callable[[Path, Path], Any]
    """Makes a place for runs in a folder; what all of them need lies in another one, and is built by the first."""
    cases: Callable[[Any], tuple[list[Case], Counter[str]]]
    run: Callable[[Any, Case], Result]


MATRICES = {
    "python": Matrix("python", lambda folder, shared: station(folder), python.cases, python.run),
    "beam": Matrix("beam", beam_station, beam.cases, beam.run),
}


LONG = frozenset({"endless_loop", "controller stands still", "flood of messages"})
"""Faults that a limit of many seconds ends, or that many messages are."""


def sample(cases: Sequence[Case], count: int) -> list[Case]:
    """Return so many runs, each with a fault of its own: those that a digest of their words puts first."""
    by_digest = sorted((c for c in cases if c.fault not in LONG), key=lambda case: sha256(str(case).encode()).digest())
    firsts = {case.fault: case for case in reversed(by_digest)}
    return [case for case in by_digest if firsts[case.fault] is case][:count]
