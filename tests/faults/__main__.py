"""python -m tests.faults [--target python|beam|all] [--fault TEXT] [--step TEXT] [-j N]"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.faults import python
from tests.faults.kernel import end_with_parent
from tests.faults.report import table, told
from tests.faults.result import Case, Result
from tests.faults.station import station


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix; return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="every fault at every step")
    parser.add_argument("--target", choices=("python", "beam", "all"), default="all")
    parser.add_argument("--fault", default="", help="only faults whose name holds this")
    parser.add_argument("--step", default="", help="only steps whose name holds this")
    parser.add_argument("--every", type=int, default=1, help="only each Nth case")
    parser.add_argument("--without", default="-", help="no faults whose name holds this")
    parser.add_argument("-j", type=int, default=1, help="how many at a time")
    wanted = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        home = station(Path(place) / "first")
        cases, left = python.cases(home)
        chosen = [
            c
            for c in cases
            if wanted.fault in c.fault
            and wanted.without not in c.fault
            and (wanted.step in c.step or wanted.step in c.strikes[-1].point)
        ][:: wanted.every]
        results = list(_results(chosen, Path(place), wanted.j))
    print(table(results, left, time.monotonic() - began))
    return int(any(r.end == "MIXED" for r in results))


def _results(cases: Sequence[Case], place: Path, jobs: int) -> Iterator[Result]:
    shares = [cases[n::jobs] for n in range(jobs)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        shared = list(pool.map(_share, [place / f"job{n}" for n in range(jobs)], shares))
    by_case = {
        id(c): r for share, results in zip(shares, shared, strict=True) for c, r in zip(share, results, strict=True)
    }
    return (by_case[id(c)] for c in cases)


def _share(place: Path, cases: Sequence[Case]) -> list[Result]:
    end_with_parent()
    made = station(place)
    results = []
    try:
        for case in cases:
            result = python.run(made, case)
            print(told(result), file=sys.stderr, flush=True)
            results.append(result)
    finally:
        made.forget()
    return results


if __name__ == "__main__":
    sys.exit(main())
