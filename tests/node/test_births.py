"""In a storm of births and deaths nobody is missed, nobody stays behind, and every message arrives once, in order."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from relup.document import read_release
from relup.executor import Options, Outcome
from relup.planner import plan
from relup.runtime import Pid
from relup.targets.python.service import Service, serve
from tests.node.storm import storm

ROUNDS = 6
BORN = 60
"""How many are born, at least, between two upgrades."""


async def change(service: Service, goal: Path) -> Outcome:
    base = read_release(Path(service.handler.running.root))
    relup = plan(base, read_release(goal), "up" if base.vsn == "1" else "down")
    return await service.handler.install(relup, owner="a test", emit=lambda event: None, options=Options())


async def born(service: Service, more: int) -> int:
    """Wait until so many more are born; return how many there were."""
    node = service.node
    first, _ = await node.call("storm", "how many")
    while (now := (await node.call("storm", "how many"))[0]) < first + more:
        pass
    return int(now)


def check_all(service: Service, vsn: int) -> int:
    """Check each worker that lives at this moment; return how many there are."""
    module = sys.modules["shop.worker"]
    assert (service.handler.running.vsn, module.VERSION) == (str(vsn), vsn)
    assert [p.label for p in service.node.processes.values() if p.holds] == []
    workers = [p for p in service.node.processes.values() if p.reference.module == "shop.worker"]
    assert {p.state["vsn"] for p in workers} == {vsn}
    assert {p.reference.cls for p in workers} == {module.Worker}
    return len(workers)


def test_a_storm_of_births_and_deaths_leaves_nobody_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "relup.runtime")
    old, goal = storm(tmp_path / "1", "1"), storm(tmp_path / "2", "2")

    async def scenario() -> None:
        async with serve(old, base=tmp_path / "home") as service:
            node = service.node
            total = 0
            for number in range(ROUNDS):
                total = await born(service, BORN)
                outcome = await change(service, goal if number % 2 == 0 else old)
                assert outcome.status == "done", outcome
                assert check_all(service, 2 - number % 2) > 20
            await node.call("storm", "stop")
            _, sent = await node.call("storm", "how many")
            assert set(sent) == {"linked", "unlinked", "task", "other task"}
            for kept in sent.values():
                for pid, numbers in kept:
                    assert isinstance(pid, Pid)
                    got = (await node.call(pid, "how"))[3]
                    assert got == list(range(len(got)))
                    assert len(got) == len(numbers)
            assert {f"falls{i}" for i in range(5)} <= set(node.names)
            assert total > ROUNDS * BORN

    asyncio.run(scenario())
