"""A live node and a hundred thousand bad requests: it answers each, keeps its bounds, says nothing, and is upgraded."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from relup.cli.demo import examples
from tests.fuzz.clients import BEHAVIOURS, Asked, asked, good_requests, is_alive, requests
from tests.support import PATIENCE, Commands, NodeProcess

GROWTH = 64 * 2**20
"""Bytes by which the node may have grown when all is over: what allocators keep, and the code of dry runs."""
AT_ONCE = 4
"""Connections over which requests come at the same time."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds."""

    memory: int
    """Bytes of it that are in memory."""
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Held:
        """Ask the kernel."""
        status = Path(f"/proc/{pid}/status").read_text()
        kilobytes = int(status.partition("VmRSS:")[2].split()[0])
        return cls(kilobytes * 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())))


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    asked: Asked
    before: Held
    after: Held
    vsn: str
    """The release that the node was upgraded to afterwards."""
    log: tuple[str, ...]
    """What the node printed, without the numbers that it counts."""

    def problems(self) -> Iterator[str]:
        """Yield what a node may not do."""
        yield from self.asked.wrong[:20]
        if self.after.memory > self.before.memory + GROWTH:
            yield f"it grew from {self.before.memory >> 20} to {self.after.memory >> 20} MB"
        if self.after.descriptors > self.before.descriptors:
            yield f"it had {self.before.descriptors} descriptors, and has {self.after.descriptors}"
        if self.vsn != "2":
            yield f"it was to be upgraded to 2, and runs {self.vsn}"
        yield from (line for line in self.log if "Traceback" in line or "Error" in line or "exception" in line)


def ask_much(commands: Commands, count: int, chance: int, say: Callable[[str], None] = lambda _: None) -> Result:
    """Run a node, ask it *count* requests over many connections, behave badly, and upgrade it."""
    source, done = random.Random(chance), Asked()
    with commands.node(examples() / "anemone" / "1") as node:
        path = commands.home / "anemone" / "control.sock"
        # one after the other: of plans that come at the same time, all but one are answered with `busy`
        asked(path, good_requests(), done)
        _ask(path, requests(source), min(count // 4, 2000), source, done)
        before = Held.of(node.pid)
        say(f"{done.requests:,} requests, {before}")
        for behaviour in BEHAVIOURS:
            began = time.monotonic()
            behaviour(path, source)
            assert is_alive(path)
            say(f"{behaviour.__name__}: {time.monotonic() - began:.1f} s, {Held.of(node.pid)}")
        while done.requests < count:
            _ask(path, requests(source), min(count - done.requests, 5000), source, done)
            say(f"{done.requests:,} requests, {Held.of(node.pid)}")
        after = _settled(node, before, path)
        commands.run("apply", "anemone", examples() / "anemone" / "2", "--yes")
        vsn = json.loads(commands.run("status", "anemone", "--json").stdout)["release"]["vsn"]
        node.wait_for(r"^count: 1\d\d\d")
        commands.run("stop", "anemone")
        log = tuple(line for line in node.everything() if not line.startswith("count: "))
    return Result(done, before, after, vsn, log)


def _ask(path: Path, source: Iterator[bytes], count: int, chance: random.Random, done: Asked) -> None:
    """Ask *count* requests, a few to many over each connection, over several connections at once."""
    lots = list[list[bytes]]()
    while count > 0:
        lots.append(list(islice(source, min(count, chance.choice((1, 3, 20, 100))))))
        count -= len(lots[-1])
    parts = [Asked() for _ in lots]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: asked(path, *one), zip(lots, parts, strict=True)))
    for part in parts:
        done.requests += part.requests
        done.wrong += part.wrong
        for kind, number in part.answers.items():
            done.answers[kind] = done.answers.get(kind, 0) + number


def _settled(node: NodeProcess, before: Held, path: Path) -> Held:
    """Wait until the node has hung up on those who are gone."""
    end = time.monotonic() + PATIENCE
    while (held := Held.of(node.pid)).descriptors > before.descriptors and time.monotonic() < end:
        assert is_alive(path)
    return held


def main(count: int, chance: int) -> int:
    """Run the long form; return 0 when the node did nothing that it may not do."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        result = ask_much(Commands(Path(folder) / "home"), count, chance, lambda line: print(line, flush=True))
    print(f"{result.asked.requests:,} requests in {time.monotonic() - began:.0f} s; {result.before}; {result.after}")
    print("answers: " + ", ".join(f"{n:,} {kind}" for kind, n in sorted(result.asked.answers.items())))
    problems = list(result.problems())
    print("\n".join([*problems, f"{len(problems)} problem(s)"]))
    return 1 if problems else 0
