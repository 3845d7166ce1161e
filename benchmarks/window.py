"""How long 100,000 servers stand still while they are upgraded, and while a failing upgrade is rolled back.

    python benchmarks/window.py [SERVERS]

The window is measured by the executor, from the first process suspended to the last one resumed, with everything
kept that a rollback needs. States: a number, a small dictionary, a small dataclass. Limit: 250 ms for 100,000.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

from relup.document import read_release
from relup.executor import Options
from relup.planner import plan
from relup.targets.python.service import Service, serve

LIMIT_MS = 250
RUNS = 5
STATES = {
    "number": ("number", "state + 1", "state - 1"),
    "dictionary": ('{"number": number, "name": "x", "open": True}', '{**state, "new": 1}', "without(state, 'new')"),
    "dataclass": ("Entry(number)", "Entry(state.number, 'new')", "Entry(state.number)"),
}
"""By kind: a state, what it becomes, and that turned back."""
WORKER = """
    from dataclasses import dataclass
    from relup.runtime import Down, GenServer

    VERSION = {vsn}

    @dataclass
    class Entry:
        number: int
        name: str = "x"

    class Worker(GenServer):
        def init(self, number):
            return {state}

        def code_change(self, old_vsn, state, extra):
            if extra == self.name:
                raise ValueError("the last one")
            return {down} if isinstance(old_vsn, Down) else {up}

    def without(state, key):
        return {{k: v for k, v in state.items() if k != key}}
"""
APP = """
    from relup.runtime import Application, Supervisor, SupervisorSpec

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            return SupervisorSpec([])
"""


def write(folder: Path, vsn: str, state: str, fail: str | None = None) -> Path:
    (folder / "bench").mkdir(parents=True)
    start, up, down = STATES[state]
    (folder / "bench" / "__init__.py").write_text("")
    (folder / "bench" / "app.py").write_text(dedent(APP))
    (folder / "bench" / "worker.py").write_text(dedent(WORKER).format(vsn=vsn, state=start, up=up, down=down))
    (folder / "release.yaml").write_text(
        f'name: bench\nvsn: "{vsn}"\napplications:\n  - {{name: bench, vsn: "{vsn}", start: "bench.app:App"}}\n'
    )
    update = f"- update: {{module: bench.worker, change: {{advanced: {fail}}}}}"
    (folder / "bench.appup.yaml").write_text(
        f'application: bench\nvsn: "{vsn}"\nup:\n  - from: {{regex: ".*"}}\n    instructions:\n      {update}\n'
        f'down:\n  - to: {{regex: ".*"}}\n    instructions:\n      {update}\n'
    )
    return folder


async def upgrade(service: Service, goal: Path, status: str) -> float:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    outcome = await service.handler.install(relup, owner="benchmark", emit=lambda event: None, options=Options())
    assert outcome.status == status, outcome
    return outcome.windows[0].milliseconds


@asynccontextmanager
async def serving(release: Path, count: int, home: Path) -> AsyncIterator[Service]:
    """Serve a release with so many workers, for the length of the block."""
    async with serve(release, base=home) as service:
        worker = importlib.import_module("bench.worker").Worker
        for number in range(count):
            await service.node.start(worker, number, name=f"w{number}")
        gc.collect()
        gc.freeze()
        yield service


async def measure(count: int, state: str, folder: Path) -> tuple[list[float], list[float]]:
    releases = [write(folder / str(n), str(n), state) for n in range(RUNS + 1)]
    bad = write(folder / "bad", "99", state, fail=f"w{count - 1}")
    up, back = [], []
    async with serving(releases[0], count, folder / "home") as service:
        for goal in releases[1:]:
            back.append(await upgrade(service, bad, "rolled_back"))
            up.append(await upgrade(service, goal, "done"))
            await service.handler.confirm("benchmark")
    return up, back


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{count:,} servers, {RUNS} runs, window in ms (limit for 100,000: {LIMIT_MS})")
    for state in STATES:
        with tempfile.TemporaryDirectory() as folder:
            up, back = asyncio.run(measure(count, state, Path(folder)))
        for what, figures in (("upgrade", up), ("rollback", back)):
            print(f"  {state:11} {what:9} median {statistics.median(figures):7.1f}   worst {max(figures):7.1f}")


if __name__ == "__main__":
    main()
