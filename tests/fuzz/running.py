"""Many inputs for many readers, in a few processes at once, and what came of them as a table."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated
from tests.fuzz.readers import readers
from tests.fuzz.shapes import batches, drawn
from tests.fuzz.trial import Fault, Reader, Tally, bounded, tried, tried_all

BATCH = 2_000
"""Inputs that hypothesis draws at once."""


def by_mutation(name: str, count: int, chance: int) -> Tally:
    """Give a reader its seeds, and *count* inputs made of them."""
    with tempfile.TemporaryDirectory(prefix="relup-fuzz-", dir=memory()) as folder, bounded():
        reader = readers(Path(folder))[name]
        return tried_all(reader, "mutation", islice(_mutated(reader, chance), count))


def _mutated(reader: Reader, chance: int) -> Iterator[bytes]:
    return mutated(reader.seeds, reader.words, Random(chance), reader.parsed)


def by_hypothesis(name: str, count: int, chance: int) -> Tally:
    """Give a reader *count* inputs that hypothesis draws."""
    tally, kinds = Tally(name, "hypothesis", faults=[]), dict[str, Fault]()
    with tempfile.TemporaryDirectory(prefix="relup-fuzz-", dir=memory()) as folder:
        reader = readers(Path(folder))[name]

        def give(data: bytes) -> None:
            started = time.process_time()
            fault = tried(reader, data)
            took = time.process_time() - started
            tally.slowest, tally.count = max(tally.slowest, took), tally.count + 1
            tally.seconds += took
            if fault:
                kinds.setdefault(fault.what[-200:], fault)

        with bounded():
            for n, size in enumerate(batches(count, BATCH)):
                drawn(reader, size, chance + n, give)
    tally.faults = list(kinds.values())
    return tally


def by_atheris(name: str, count: int, chance: int) -> Tally:
    """Give a reader *count* inputs that atheris finds by what code they reach."""
    with tempfile.TemporaryDirectory(prefix="relup-fuzz-", dir=memory()) as folder:
        found = Path(folder) / "faults"
        argv = [sys.executable, "-m", "tests.fuzz.atheris_run", name, str(count), str(chance), folder]
        done = subprocess.run(argv, capture_output=True, check=False, cwd=folder, env=_with_path())
        said = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith('{"count"')]
        last = json.loads(said[-1]) if said else {"count": 0, "seconds": 0, "slowest": 0}
        lines = found.read_text("ascii").splitlines() if found.exists() else []
    faults = [Fault(f["reader"], bytes.fromhex(f["data"]), f["what"]) for f in map(json.loads, lines)]
    if last["count"] < count:
        words = done.stderr.decode("utf-8", "replace")[-1500:]
        faults.append(Fault(name, b"", f"atheris ended with {done.returncode} after {last['count']:,} inputs: {words}"))
    return Tally(name, "atheris", last["count"], last["seconds"], last["slowest"], faults)


def _with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}


def memory() -> str | None:
    """Return a folder whose files are in memory, where the system has one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


WEIGHTS: dict[str, float] = {
    **dict.fromkeys(("external", "etf"), 12),
    **dict.fromkeys(("appup", "draft", "appup-to-erlang", "release", "plan", "route", "document"), 2),
    "plan-on-wire": 4,
    "beam-chunk": 0.5,
}
"""How many inputs a reader gets, as against 1: more when one takes microseconds, fewer when one takes long."""
WAYS = {"mutation": by_mutation, "hypothesis": by_hypothesis, "atheris": by_atheris}


def counts(names: Sequence[str], ways: Sequence[str], total: int) -> Iterator[tuple[str, str, int]]:
    """Yield how many inputs of each way a reader gets; what atheris does takes longest, and it gets the least."""
    shares = {way: 1 if way == "atheris" else 2 for way in ways}
    weights = {name: WEIGHTS.get(name, 1) for name in names}
    whole = sum(shares.values()) * sum(weights.values())
    for way, share in shares.items():
        yield from ((way, name, math.ceil(total * share * weight / whole)) for name, weight in weights.items())


def run(work: Iterable[tuple[str, str, int]], chance: int, workers: int) -> Iterator[Tally]:
    """Yield a tally for each reader and way, in the order of *work*."""
    with ProcessPoolExecutor(workers, max_tasks_per_child=1) as processes:
        running = [processes.submit(WAYS[way], name, count, chance) for way, name, count in work]
        yield from (one.result() for one in running)


def report(tallies: Iterable[Tally]) -> int:
    """Print what came; return 1 when any input did what no input may do."""
    total, faults = 0, list[Fault]()
    ways: dict[str, int] = {}
    for tally in tallies:
        print(tally, flush=True)
        total += tally.count
        ways[tally.how] = ways.get(tally.how, 0) + tally.count
        for fault in tally.faults or ():
            print(f"\n{fault}\n", flush=True)
            faults.append(fault)
    print(f"{total:,} inputs ({', '.join(f'{n:,} by {way}' for way, n in ways.items())}): {len(faults)} fault(s)")
    return 1 if faults else 0
