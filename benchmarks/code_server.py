"""How long code takes to load: 500 modules with 20,000 from-imports, staged, swapped and undone.

    python -m benchmarks.code_server [--modules 500] [--imports 40] [--rounds 5] [--check]

Only the swap and its undo stand in the window. Staging runs in a worker thread before it; a plain import of the same
modules by Python itself, compiled from their texts in an interpreter of its own, is what it is compared with. The ratio
is one of processor time, which other programs on the machine change less than the time on the clock.

The last part upgrades a live node: its window also drops the code of two versions ago, and records the release.
`--check` ends with 1 when staging takes more than 3 times a plain import, or the code 5 ms of a window at best.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relup.document import read_release
from relup.executor import Event, Options
from relup.planner import plan
from relup.runtime.code import CodeServer, Source, Staged
from relup.runtime.code.source import read
from relup.targets.python.service import serve

MOST_IMPORTS = 3.0
MOST_MS = 5.0
WORKER = """
from relup.runtime import GenServer
VERSION = {}
class Worker(GenServer):
    def init(self, args):
        return args
"""
APP = """
from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
from bench.worker import Worker
class App(Application):
    async def start(self, args):
        return await self.node.start_link(Top, args, name="top")
class Top(Supervisor):
    def init(self, args):
        return SupervisorSpec([ChildSpec("worker", Worker, 1, name="worker")])
"""


def write(folder: Path, modules: int, imports: int, vsn: int) -> dict[str, Path]:
    """Write modules of 40 functions and classes each; every module imports names of those before it."""
    (folder / "bench").mkdir(parents=True)
    paths = {"bench": folder / "bench/__init__.py"}
    paths["bench"].write_text("")
    for n in range(modules):
        lines = [f"__vsn__ = '{vsn}'"]
        for k in range(imports if n else 0):
            source = (n * 7 + k * 13) % n
            lines.append(f"from bench.m{source} import f{k % 20} as g{k}")
        lines += [f"def f{k}(x=0):\n    return x + {vsn}" for k in range(20)]
        lines += [f"class C{k}:\n    vsn = {vsn}\n    def a(self):\n        return f{k}()" for k in range(5)]
        paths[f"bench.m{n}"] = folder / f"bench/m{n}.py"
        paths[f"bench.m{n}"].write_text("\n".join(lines) + "\n")
    return paths


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return milliseconds and the result; the collector is off as in a window."""
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        result = call()
        return (time.perf_counter() - begin) * 1000, result
    finally:
        gc.enable()


PLAIN = """
import importlib, sys, time
sys.path.insert(0, sys.argv[1])
begin = time.process_time()
for n in range(int(sys.argv[2])):
    importlib.import_module(f"bench.m{n}")
print((time.process_time() - begin) * 1000)
"""


def plainly(folder: Path, modules: int) -> float:
    """Return the milliseconds of processor time that Python needs for a first import of the modules."""
    argv = [sys.executable, "-B", "-c", PLAIN, str(folder), str(modules)]
    return statistics.median(
        float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout) for _ in range(3)
    )


def in_a_thread(call: Callable[[], Staged]) -> tuple[Staged, float, float]:
    """Run *call* beside a heartbeat of 1 ms; return its result, its processor time and the longest gap, both in ms."""
    result: list[Staged] = []
    used: list[float] = []

    def work() -> None:
        begin = time.thread_time()
        result.append(call())
        used.append((time.thread_time() - begin) * 1000)

    thread = threading.Thread(target=work)
    gap, last = 0.0, time.perf_counter()
    thread.start()
    while thread.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        gap, last = max(gap, now - last), now
    return result[0], used[0], gap * 1000


def report(label: str, values: Iterable[float]) -> None:
    """Print the least and the greatest of some durations."""
    found = list(values)
    print(f"  {label:<34} {min(found):9.2f} – {max(found):.2f} ms")


@dataclass(frozen=True, slots=True)
class Measured:
    """What has bounds: processor times of staging over that of a plain import, and milliseconds in the window."""

    first: float
    again: float
    window: float

    def broken(self) -> Iterator[str]:
        """Say which bounds do not hold."""
        if max(self.first, self.again) > MOST_IMPORTS:
            yield f"staging took {max(self.first, self.again):.2f} times a plain import (at most {MOST_IMPORTS})"
        if self.window > MOST_MS:
            yield f"the code took {self.window:.2f} ms of the window (at most {MOST_MS})"


def run(folder: Path, modules: int, imports: int, rounds: int, share: float) -> Measured:
    """Boot the first release and go up and back *rounds* times with a *share* of its modules."""
    old = write(folder / "1", modules, imports, 1)
    new = write(folder / "2", modules, imports, 2)
    code = CodeServer()
    code.boot(old)
    plain = plainly(folder / "1", modules)
    for name in old:
        importlib.import_module(name)
    members = [name for name in new if name != "bench"][: int(modules * share)]
    sources: list[Source] = [read(name, new[name]) for name in members]
    stages, swaps, undos, gaps = [], [], [], []
    staged: Staged | None = None
    for _ in range(rounds):
        staged, used, gap = in_a_thread(lambda: code.stage(sources))
        stages.append(used)
        gaps.append(gap)
        count = len(staged.writes)
        swaps.append(timed(staged.swap)[0])
        assert sys.modules[members[-1]].f1() == 2
        undos.append(timed(staged.undo)[0])
        assert sys.modules[members[-1]].f1() == 1
    print(f"{modules} modules, {modules * imports} from-imports, {len(members)} of them upgraded, {count} writes")
    report("plain import of all, by Python", [plain])
    report("stage, in a thread (first)", stages[:1])
    report("stage, in a thread (texts known)", stages[1:] or stages)
    measured = Measured(stages[0] / plain, statistics.median(stages) / plain, min(swaps))
    print(f"  {'staging / plain import':<34} {measured.first:9.2f} at first, {measured.again:.2f} in the middle")
    report("longest gap of a 1 ms heartbeat", gaps)
    report("swap", swaps)
    report("undo", undos)
    staged = code.stage(sources)
    staged.swap()
    linger, found = timed(lambda: code.lingering(members[:50]))
    report(f"lingering of 50 modules, {len(gc.get_objects()):,} objects", [linger])
    assert not found, found[:3]
    code.close()
    return measured


def in_a_node(folder: Path, modules: int, imports: int, share: float) -> float:
    """Upgrade a live node three times, confirm none of them; return the milliseconds that code took in the windows."""
    members = [f"bench.m{n}" for n in range(int(modules * share))]
    releases = [release(folder / str(vsn), modules, imports, vsn, members) for vsn in range(1, 5)]
    loads: list[float] = []

    async def upgrades() -> None:
        async with serve(releases[0], base=folder / "home") as service:
            for n in range(modules):
                importlib.import_module(f"bench.m{n}")
            for goal in releases[1:]:
                marks: dict[str, float] = {}
                relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))

                def emit(event: Event, marks: dict[str, float] = marks) -> None:
                    marks[event.phase] = event.at

                outcome = await service.handler.install(relup, owner="benchmark", emit=emit, options=Options())
                assert outcome.status == "done", outcome
                loads.append((marks["load"] - marks["suspend"]) * 1000)

    asyncio.run(upgrades())
    report(f"suspend and load in a node, {len(members)} modules", loads)
    return min(loads)


def release(folder: Path, modules: int, imports: int, vsn: int, members: list[str]) -> Path:
    """Write a release whose *members* differ from version to version, with one server."""
    write(folder, modules, imports, vsn)
    for n in range(len(members), modules):
        (folder / f"bench/m{n}.py").write_text((folder.parent / f"1/bench/m{n}.py").read_text())
    for file, text in {"worker": WORKER.format(vsn), "app": APP}.items():
        (folder / f"bench/{file}.py").write_text(text)
    (folder / "release.yaml").write_text(
        f'name: bench\nvsn: "{vsn}"\napplications:\n  - {{name: bench, vsn: "{vsn}", start: "bench.app:App"}}\n'
    )
    instructions = "".join(f"      - load_module: {m}\n" for m in members) + "      - update: bench.worker\n"
    (folder / "bench.appup.yaml").write_text(
        f'application: bench\nvsn: "{vsn}"\nup:\n  - from: {{regex: ".*"}}\n    instructions:\n{instructions}'
        f'down:\n  - to: {{regex: ".*"}}\n    instructions:\n{instructions}'
    )
    return folder


def main() -> None:
    """Measure the whole release, then half of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", type=int, default=500)
    parser.add_argument("--imports", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="end with 1 when a bound is broken")
    options = parser.parse_args()
    broken: list[str] = []
    for share in (1.0, 0.5):
        with tempfile.TemporaryDirectory() as folder:
            measured = run(Path(folder), options.modules, options.imports, options.rounds, share)
        with tempfile.TemporaryDirectory() as folder:
            window = in_a_node(Path(folder), options.modules, options.imports, share)
        broken += replace(measured, window=max(measured.window, window)).broken()
    for sentence in broken:
        print(f"  broken: {sentence}")
    sys.exit(1 if broken and options.check else 0)


if __name__ == "__main__":
    main()
