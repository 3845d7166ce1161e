"""The contract of targets holds for a Python node: a fault at every effect, and the owner lost there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from relup.document import read_release
from relup.planner import plan
from relup.targets.python.service import serve
from relup.testing import Subject, check_target
from tests.node.test_windows import BOTH_SERVERS, CALL, appup, release

TWO_WINDOWS = appup(BOTH_SERVERS % CALL, BOTH_SERVERS % "")


def test_the_contract_holds_with_one_window(tmp_path: Path) -> None:
    both = BOTH_SERVERS % ""
    assert asyncio.run(contract(tmp_path, appup(both, both))) > 20


def test_the_contract_holds_with_two_windows_and_a_call_between(tmp_path: Path) -> None:
    assert asyncio.run(contract(tmp_path, TWO_WINDOWS, forget=("up", "down", "added by 2"))) > 40


async def contract(tmp_path: Path, text: str, forget: tuple[str, ...] = ()) -> int:
    number = count()

    @asynccontextmanager
    async def fresh() -> AsyncIterator[Subject]:
        folder = tmp_path / str(next(number))
        old, goal = release(folder / "1", "1"), release(folder / "2", "2", text)
        async with serve(old, base=folder / "home") as service:
            node = service.node

            async def view() -> Any:
                """Return what a rollback restores; *forget* is what migration down leaves in the states."""
                return {
                    "states": {
                        p.name: [item for item in p.state if item not in forget] if isinstance(p.state, list) else None
                        for p in node.processes.values()
                    },
                    "pids": {p.pid: (p.name, p.holds, p.reference.cls) for p in node.processes.values()},
                    "vsns": {m: node.code.digest(m) for m in ("shop.app", "shop.cart", "shop.till", "shop.ops")},
                    "release": (service.handler.running, service.handler.records),
                }

            yield Subject(service.handler, plan(read_release(old), read_release(goal)), view)

    return await check_target(fresh)
