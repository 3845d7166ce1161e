"""The life of a node of which every write is noted, and what each crash in it leaves for the next start."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from relup.document import read_release
from relup.executor import Options
from relup.model.release import Release
from relup.model.route import Route
from relup.planner import plan
from relup.targets.python.found import look_back
from relup.targets.python.home import Home
from relup.targets.python.service import Service, choose, serve
from tests.node.disks import NO_HURRY, Files, Recording, Step, lay_out
from tests.node.test_instructions import UPDATE, appup, shop

MAY_BOOT = {"confirm 2": {"1", "2"}, "confirm 1": {"2", "1"}, "after 2": {"2"}}
"""What may be permanent while something goes on; before and after all of it, release 1."""


def releases(folder: Path) -> list[Path]:
    """Write three releases of a shop; the third one's `code_change` fails."""
    third = shop(folder / "3", "3", appup(UPDATE).replace('"1"', '"2"').replace('vsn: "2"', 'vsn: "3"', 1))
    worker = third / "shop" / "worker.py"
    worker.write_text(worker.read_text().replace('"down" if', '1 / 0 if "3" else "down" if'))
    return [shop(folder / "1", "1"), shop(folder / "2", "2", appup(UPDATE)), third]


async def live(service: Service, recording: Recording, folders: list[Path]) -> None:
    """Upgrade, confirm, fail, go back and confirm."""
    one, two, three = (read_release(f) for f in folders)
    steps = [("upgrade to 2", one, two), ("confirm 2", one, one), ("after 2: fails", two, three), ("after 2", two, one)]
    for going_on, base, goal in [*steps, ("confirm 1", one, one)]:
        recording.going_on = going_on
        if base is goal:
            await service.handler.confirm("a test")
        else:
            await service.handler.install(
                Route((plan(base, goal),)), owner="a test", emit=lambda event: None, options=Options()
            )
    recording.going_on = "end"


def recorded(folder: Path) -> Recording:
    """Return the steps of a life, in a home below *folder*."""
    recording = Recording(folder / "home" / "shop")

    async def scenario() -> None:
        folders = releases(folder)
        async with serve(folders[0], base=folder / "home", disk=recording.disk()) as service:
            await live(service, recording, folders)

    asyncio.run(scenario())
    return recording


def crashes(recording: Recording, apart: int = 1) -> Iterator[tuple[Step, Files]]:
    """Yield each state that a crash leaves, for bytes that are so far apart."""
    for step in recording.steps:
        yield from ((step, files) for files in step.states(apart))


def may_boot(step: Step) -> set[str]:
    """Return which releases are permanent when a node dies in a step."""
    return MAY_BOOT.get(step.going_on.partition(":")[0], {"1"})


def looked(step: Step, files: Files, base: Path, given: Release) -> str:
    """Look back at what a crash left, as a start does; return what is said. It boots what was permanent."""
    home = Home(base, "shop", NO_HURRY)
    lay_out(files, home.path)
    found = look_back(home, None)
    booted, _, records = choose(given, found.records, read_release, as_given=False)
    assert booted.vsn in may_boot(step), (step.going_on, step.name, booted.vsn)
    home.write(records)
    home.append({"at": 1.0, "what": "start", "who": "a test", "release": str(booted)})
    again = look_back(home, None)
    assert again.said == (), again.said
    assert again.records == records
    shutil.rmtree(home.path)
    return found.in_words() or "nothing"


async def started(step: Step, files: Files, base: Path, given: Path) -> str:
    """Start a node on what a crash left, and ask it; return what is said."""
    lay_out(files, base / "shop")
    async with serve(given, base=base, disk=NO_HURRY) as service:
        vsn = service.handler.running.vsn
        assert vsn in may_boot(step), (step.going_on, step.name, vsn)
        worker = service.node.code.vsn("shop.worker")
        assert await service.node.call("w0", "get") == [int(vsn)], worker
        history = Home(base, "shop").history()
        assert history[-1]["release"] == f"shop {vsn}"
        found = service.found or "nothing"
    shutil.rmtree(base / "shop")
    return found


def main(apart: int) -> None:
    """Start a node on what a crash leaves, in each write at bytes that are so far *apart*; count what is said."""
    begun, said = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        recording = recorded(folder)
        for step, files in crashes(recording, apart):
            line = asyncio.run(started(step, files, folder / "again", folder / "1"))
            said["found" if line != "nothing" else line] += 1
    steps, states = len(recording.steps), said.total()
    print(f"{steps} steps of the disk, {states} crashes, each booted what was permanent; {said['found']} of them left")
    print(f"something to be told; {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1)
