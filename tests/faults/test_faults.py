"""Whatever strikes an upgrade, wherever: a node runs one version, with the states of it, and the outcome is true.

`python -m tests.faults` tries every fault at every step. Here each run has a fault of its own, at a step that a digest
of its name chooses.
"""

from __future__ import annotations

from pathlib import Path

from tests.faults.targets import MATRICES, sample

PYTHON = 20
"""How many runs."""


def test_a_python_node_is_of_one_version_whatever_strikes(tmp_path: Path) -> None:
    tried(tmp_path, "python", PYTHON)


def tried(folder: Path, target: str, count: int) -> None:
    """Make so many runs of the matrix of a target; none of them is mixed."""
    matrix = MATRICES[target]
    station = matrix.station(folder / "station", folder / "shared")
    try:
        cases = sample(matrix.cases(station)[0], count)
        assert len({case.fault for case in cases}) == count
        mixed = [f"{r.case}: {r.why}" for r in (matrix.run(station, case) for case in cases) if r.end == "MIXED"]
    finally:
        station.forget()
    assert mixed == []
