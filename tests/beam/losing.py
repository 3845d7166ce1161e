"""A controller that loses its bridge or its life after a named effect:  losing.py NODE COOKIE BASE GOAL EFFECT LOSS."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from relup.document import read_release
from relup.executor import install
from relup.planner import plan
from relup.targets.beam.connect import connect
from relup.targets.beam.locate import locate
from relup.targets.beam.running import running_nodes
from relup.targets.beam.target import BeamNode as Target


class Losing:
    """A transaction that passes everything on, and calls for a loss after one effect."""

    def __init__(self, transaction: Any, effect: str, lose: Callable[[], None]) -> None:
        self._transaction = transaction
        self._effect = effect
        self._lose = lose

    def __getattr__(self, name: str) -> Any:
        effect = getattr(self._transaction, name)
        if name != self._effect:
            return effect

        async def lost(*arguments: Any, **named: Any) -> Any:
            result = await effect(*arguments, **named)
            self._lose()
            return result

        return lost


class LosingTarget(Target):
    """A node whose transactions lose."""

    effect = ""
    lose: Callable[[], None]

    @asynccontextmanager
    async def begin(self, relup: Any) -> AsyncIterator[Any]:
        async with super().begin(relup) as transaction:
            yield Losing(transaction, self.effect, self.lose)


def bridges() -> list[int]:
    """Return the processes that this one started."""
    own = os.getpid()
    return [int(pid) for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split()]


async def main(node: str, cookie: str, base: str, goal: str, effect: str, loss: str) -> None:
    def lose() -> None:
        for pid in bridges():
            if loss == "bridge":
                os.kill(pid, signal.SIGKILL)
            elif loss == "silence":
                os.kill(pid, signal.SIGSTOP)
        if loss == "controller":
            os.kill(os.getpid(), signal.SIGKILL)
        elif loss == "silence":
            print(*bridges(), flush=True)
            signal.pause()  # until whoever began this kills it

    relup = plan(read_release(Path(base)), read_release(Path(goal)))
    where = locate(node, {**os.environ, "RELUP_COOKIE": cookie}, list(running_nodes()))
    async with connect(where) as bridge:
        target = LosingTarget(bridge)
        target.effect, target.lose = effect, lose
        await install(relup, target, owner="a loser", emit=lambda event: None, clock=time.perf_counter)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
