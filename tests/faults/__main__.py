"""Every fault at every step of an upgrade: python -m tests.faults [--target python|beam|all] [--fault TEXT] [-j N]

What it may be asked for besides is said by --help. It ends with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.faults.kernel import end_with_parent
from tests.faults.report import table, told
from tests.faults.result import Case, Result
from tests.faults.targets import MATRICES, Matrix


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix; return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="every fault at every step")
    parser.add_argument("--target", choices=("python", "beam", "all"), default="all")
    parser.add_argument("--fault", default="", help="only faults whose name holds this")
    parser.add_argument("--step", default="", help="only steps whose name holds this")
    parser.add_argument("--every", type=int, default=1, help="only each Nth case")
    parser.add_argument("--without", default="", help="no faults whose name holds this")
    parser.add_argument("-j", type=int, default=1, help="how many at a time")
    wanted = parser.parse_args(arguments)
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    results: list[Result] = []
    for matrix in MATRICES.values():
        if wanted.target in (matrix.name, "all"):
            with tempfile.TemporaryDirectory(dir=place) as folder:
                results += _matrix(matrix, wanted, Path(folder))
    return int(any(r.end == "MIXED" for r in results))


def _matrix(matrix: Matrix, wanted: argparse.Namespace, place: Path) -> list[Result]:
    """Run the matrix of one target, and print it."""
    began = time.monotonic()
    first = matrix.station(place / "first", place / "shared")
    cases, left = matrix.cases(first)
    first.forget()
    chosen = [c for c in cases if _wanted(c, wanted)][:: wanted.every]
    results = _results(matrix, chosen, place, wanted.j)
    print(f"══ {matrix.name}\n{table(results, left, time.monotonic() - began)}\n", flush=True)
    return results


def _wanted(case: Case, wanted: argparse.Namespace) -> bool:
    step = wanted.step in case.step or wanted.step in case.strikes[-1].point
    return step and wanted.fault in case.fault and not (wanted.without and wanted.without in case.fault)


def _results(matrix: Matrix, cases: Sequence[Case], place: Path, jobs: int) -> list[Result]:
    shares = [cases[n::jobs] for n in range(jobs)]
    folders = [place / f"job{n}" for n in range(jobs)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        made = list(pool.map(_share, [matrix.name] * jobs, folders, [place / "shared"] * jobs, shares))
    by_case = {
        id(c): r for share, results in zip(shares, made, strict=True) for c, r in zip(share, results, strict=True)
    }
    return [by_case[id(c)] for c in cases]


def _share(name: str, folder: Path, shared: Path, cases: Sequence[Case]) -> list[Result]:
    end_with_parent()
    matrix = MATRICES[name]
    made = matrix.station(folder, shared)
    results = []
    try:
        for case in cases:
            result = matrix.run(made, case)
            print(told(result), file=sys.stderr, flush=True)
            results.append(result)
    finally:
        made.forget()
    return results


if __name__ == "__main__":
    sys.exit(main())
