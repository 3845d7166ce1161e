"""The contract of targets, which whoever writes one runs like this: here, of the target that a Python node is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from relup import plan, read_release
from relup.testing import Subject, check_target, reusing, running

RELEASES = Path(__file__).parents[1]


@asynccontextmanager
async def fresh() -> AsyncIterator[Subject]:
    async with running(RELEASES / "1") as node:
        await node.call("teller", ("enter", "ada"))

        async def view() -> Any:
            """Return everything that a rollback must restore."""
            return node.vsn, repr(await node.states()), [p.holds for p in node.node.processes.values()]

        yield Subject(node.target, plan(read_release(RELEASES / "1"), read_release(RELEASES / "2")), view)


def test_an_upgrade_that_fails_anywhere_leaves_nothing_behind() -> None:
    async def check() -> int:
        async with reusing(fresh) as again:
            return await check_target(again)

    assert asyncio.run(check()) > 20
