"""How long processes stand still while live instances change their class in place, and while that is rolled back.

    python benchmarks/instances.py [INSTANCES] [OTHER OBJECTS]

The instances are small dataclasses that the program holds in a list which is kept; the function is the one that most
authors write, `migrate(old, Item)`. Other objects make the heap as large as that of a program in service: they are
looked through before the window, not in it. Limit: 10 microseconds for each instance, 5 ms for any number of others.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import statistics
import sys
import tempfile
from pathlib import Path
from textwrap import dedent
from time import perf_counter

from relup.document import read_release
from relup.executor import Options
from relup.planner import plan
from relup.targets.python.service import Service, serve

RUNS = 5
MODEL = """
    from dataclasses import dataclass
    from relup.runtime import counterpart, migrate

    VERSION = {vsn}
    ITEMS = []

    @dataclass
    class Item:
        number: int
        name: str
        open: bool = True

    def turn(old):
        if {fails} and old.number < 0:
            raise ValueError("the last one")
        return migrate(old, Item)

    def turn_back(new):
        return migrate(new, counterpart(Item))
"""


def write(folder: Path, vsn: str, *, fails: bool = False) -> Path:
    (folder / "bench").mkdir(parents=True)
    (folder / "bench" / "__init__.py").write_text("")
    (folder / "bench" / "model.py").write_text(dedent(MODEL).format(vsn=vsn, fails=fails))
    (folder / "release.yaml").write_text(
        f'name: bench\nvsn: "{vsn}"\napplications:\n  - {{name: bench, vsn: "{vsn}"}}\n'
    )
    load = "- load_module: {{module: bench.model, keep: [ITEMS], instances: {{Item: {}}}}}"
    up, down = load.format("turn"), load.format("turn_back")
    (folder / "bench.appup.yaml").write_text(
        f'application: bench\nvsn: "{vsn}"\nup:\n  - from: {{regex: ".*"}}\n    instructions:\n      {up}\n'
        f'down:\n  - to: {{regex: ".*"}}\n    instructions:\n      {down}\n'
    )
    return folder


async def upgrade(service: Service, goal: Path, status: str) -> tuple[float, float]:
    """Return the length of the window, and of all the rest, in milliseconds."""
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    begun = perf_counter()
    outcome = await service.handler.install(relup, owner="benchmark", emit=lambda event: None, options=Options())
    assert outcome.status == status, outcome
    window = outcome.windows[0].milliseconds
    return window, (perf_counter() - begun) * 1000 - window


async def measure(count: int, others: int, folder: Path) -> dict[str, list[float]]:
    releases = [write(folder / str(n), str(n)) for n in range(RUNS + 1)]
    bad = write(folder / "bad", "99", fails=True)
    figures: dict[str, list[float]] = {"upgrade": [], "rollback": [], "before the window": []}
    heap = [[n] for n in range(others)]
    async with serve(releases[0], base=folder / "home") as service:
        model = importlib.import_module("bench.model")
        model.ITEMS += [model.Item(n, "x") for n in range(count)]
        if count:
            model.ITEMS[-1].number = -1
        gc.collect()
        for goal in releases[1:]:
            if count:
                figures["rollback"].append((await upgrade(service, bad, "rolled_back"))[0])
            window, rest = await upgrade(service, goal, "done")
            figures["upgrade"].append(window)
            figures["before the window"].append(rest)
            await service.handler.confirm("benchmark")
    assert len(heap) == others
    return figures


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    others = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    print(f"{RUNS} runs, in ms")
    for instances, rest in ((count, 0), (count, others), (0, others)):
        print(f"  {instances:,} instances among {rest:,} other objects")
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(measure(instances, rest, Path(folder)))
        for what, found in figures.items():
            if found:
                print(f"    {what:18} median {statistics.median(found):7.1f}   worst {max(found):7.1f}")


if __name__ == "__main__":
    main()
