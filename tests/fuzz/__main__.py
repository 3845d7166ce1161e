"""`python -m tests.fuzz readers --count 1000000` tries every reader, `… socket --count 100000` a live node."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.readers import readers
from tests.fuzz.running import WAYS, counts, report, run


def main() -> int:
    """Run what the command line asks for; return 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("what", choices=("readers", "socket"))
    parser.add_argument("--count", type=int, default=100_000, help="inputs, of all kinds together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes at once")
    parser.add_argument("--only", action="append", default=[], help="a reader; may be given several times")
    parser.add_argument("--ways", default=",".join(WAYS), help="mutation,hypothesis,atheris: each gets its share")
    given = parser.parse_args()
    if given.what == "socket":
        from tests.fuzz.socket_run import main as ask

        return ask(given.count, given.seed)
    work = counts(given.only or list(readers()), given.ways.split(","), given.count)
    return report(run(work, given.seed, given.workers))


if __name__ == "__main__":
    sys.exit(main())
