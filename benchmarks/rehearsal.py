"""What a rehearsal costs: 100,000 servers, a node with a large heap, and the tutorial from prompt to prompt.

    python benchmarks/rehearsal.py [SERVERS]

Limits: 2 s for 100,000 servers; the node stands still for at most 50 ms per GB of its heap; `relup apply` of the
tutorial, rehearsal included, 1.5 s. The stall is compared with a bare `os.fork` of the same process in the same run.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.window import STATES, serving, write
from relup.cli.demo import examples
from relup.document import read_release
from relup.executor import Options
from relup.executor.rehearsal import Rehearsal
from relup.planner import plan
from relup.targets.python.service import Service, serve

LIMIT, STALL_PER_GB, TUTORIAL = 2000, 50, 1.5
RUNS = 3


async def rehearse(service: Service, goal: Path) -> Rehearsal:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    options = Options(dry_run=True, rehearse=True)
    outcome = await service.handler.install(relup, owner="benchmark", emit=lambda event: None, options=options)
    assert outcome.status == "ready", outcome
    (found,) = outcome.rehearsals
    assert found.verdict == "ok", found
    return found


async def measure(count: int, state: str, folder: Path) -> list[Rehearsal]:
    releases = [write(folder / str(n), str(n), state) for n in range(2)]
    async with serving(releases[0], count, folder / "home") as service:
        return [await rehearse(service, releases[1]) for _ in range(RUNS)]


def bare_fork() -> float:
    """Return how many milliseconds a fork of this process takes when the child does nothing."""
    began = perf_counter()
    pid = os.fork()
    if not pid:
        os._exit(0)
    took = perf_counter() - began
    os.waitpid(pid, 0)
    return took * 1000


async def stalls(gigabytes: int, folder: Path) -> tuple[float, float]:
    """Return how long a node with that much on its heap stands still, and a bare fork of it takes."""
    ballast = [os.urandom(4096) * 256 for _ in range(gigabytes << 10)]
    releases = [write(folder / str(n), str(n), "number") for n in range(2)]
    async with serve(releases[0], base=folder / "home") as service:
        found = [await rehearse(service, releases[1]) for _ in range(RUNS)]
        forks = [bare_fork() for _ in range(RUNS)]
    del ballast
    return max(f.stall for f in found), max(forks)


def tutorial(folder: Path) -> list[float]:
    """Return the seconds of `relup apply` from prompt to prompt, up and down again."""
    anemone = examples() / "anemone"
    environ = {**os.environ, "RELUP_HOME": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "relup"]
    start = [*command, "start", anemone / "1"]
    node = subprocess.Popen(start, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert node.stdout is not None
        next(line for line in node.stdout if line.startswith("node "))
        took = []
        for vsn in (2, 1) * RUNS:
            began = perf_counter()
            argv = [*command, "apply", "anemone", anemone / str(vsn), "--yes"]
            done = subprocess.run(argv, env=environ, check=True, capture_output=True, text=True)
            took.append(perf_counter() - began)
            assert "went well" in done.stdout, done.stdout
    finally:
        node.terminate()
        node.communicate()
    return took


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{count:,} servers, {RUNS} runs, in ms (limit for 100,000: {LIMIT})")
    for state in STATES:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(measure(count, state, Path(folder)))
        worst = max(f.milliseconds for f in found)
        print(f"  {state:11} worst {worst:7.1f}   stall {max(f.stall for f in found):6.1f}")
    for gigabytes in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            stall, fork = asyncio.run(stalls(gigabytes, Path(folder)))
        print(
            f"  {gigabytes} GB heap: stall {stall:.1f} ms, bare fork {fork:.1f} ms (limit {gigabytes * STALL_PER_GB})"
        )
    with tempfile.TemporaryDirectory() as folder:
        took = tutorial(Path(folder))
    print(f"  the tutorial from prompt to prompt: worst {max(took):.2f} s, best {min(took):.2f} s (limit {TUTORIAL})")


if __name__ == "__main__":
    main()
