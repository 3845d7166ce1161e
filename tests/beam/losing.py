"""Controllers that lose their bridge, their connection or their life after a named effect, one after the other.

    losing.py NODE COOKIE RELEASE...

Each line of the input, EFFECT LOSS, makes one of them; over several releases the effect is one of the last hop. The
line that is printed then holds the processes that were stopped, which whoever reads it has to end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from relup.document import read_release
from relup.executor import install
from relup.model.route import Route
from relup.planner import plan
from relup.targets.beam.asking import evaluate
from relup.targets.beam.connect import connect
from relup.targets.beam.locate import locate
from relup.targets.beam.running import running_nodes
from relup.targets.beam.target import BeamNode as Target
from relup.targets.beam.where import Where

CUT = "[erlang:disconnect_node(N) || N <- nodes(hidden), hd(atom_to_list(N)) =/= $a]."
"""Cuts off whoever has no name of its own: the bridge, and not who asks for the test."""


class Losing:
    """A transaction that passes everything on, and calls for a loss after one effect."""

    def __init__(self, transaction: Any, effect: str, lose: Callable[[], Awaitable[None]]) -> None:
        self._transaction = transaction
        self._effect = effect
        self._lose = lose

    def __getattr__(self, name: str) -> Any:
        effect = getattr(self._transaction, name)
        if name != self._effect:
            return effect

        async def lost(*arguments: Any, **named: Any) -> Any:
            result = await effect(*arguments, **named)
            await self._lose()
            return result

        return lost


class LosingTarget(Target):
    """A node whose transactions lose."""

    effect = ""
    hop = 1
    lose: Callable[[], Awaitable[None]]

    @asynccontextmanager
    async def begin(self, relup: Any, *limits: Any) -> AsyncIterator[Any]:
        async with super().begin(relup, *limits) as transaction:
            self.hop -= 1
            yield transaction if self.hop else Losing(transaction, self.effect, self.lose)


def bridges() -> list[int]:
    """Return the processes that this one started."""
    own = os.getpid()
    return [int(pid) for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split()]


async def upgrade(where: Where, route: Route, effect: str, loss: str) -> None:
    async def lose() -> None:
        for pid in bridges():
            if loss == "bridge":
                os.kill(pid, signal.SIGKILL)
            elif loss == "silence":
                os.kill(pid, signal.SIGSTOP)
        if loss == "connection":
            await evaluate(bridge, CUT)
        elif loss == "controller":
            os.kill(os.getpid(), signal.SIGKILL)
        elif loss in ("silence", "standstill"):
            print(os.getpid(), *bridges(), flush=True)
            # until whoever began this kills it
            signal.pause() if loss == "silence" else os.kill(os.getpid(), signal.SIGSTOP)

    async with connect(where) as bridge:
        target = LosingTarget(bridge, len(route.hops))
        target.effect, target.hop, target.lose = effect, len(route.hops), lose
        await install(route, target, owner="a loser", emit=lambda event: None, clock=time.perf_counter)


def main(node: str, cookie: str, *releases: str) -> None:
    route = Route(tuple(plan(*map(read_release, map(Path, hop))) for hop in pairwise(releases)))
    where = locate(node, {**os.environ, "RELUP_COOKIE": cookie}, list(running_nodes()))
    for line in sys.stdin:
        controller = os.fork()
        if controller == 0:
            asyncio.run(upgrade(where, route, *line.split()))
            os._exit(0)
        os.waitpid(controller, 0)
        print(flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
