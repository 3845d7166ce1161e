"""How processes are ended from outside: asked first, killed when they do not listen.

`terminate` runs at a message boundary, so a process that is stuck in a callback never gets to it; its limit says how
long to wait before it is killed. A callback may swallow even the cancellation that kills it. Waiting for such a one
for ever would hang its supervisor and the node, so after a few attempts it is removed and left to itself, loudly.
"""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from relup.runtime.context import process_variable
from relup.runtime.errors import ServerDied
from relup.runtime.messages import Monitor, Wait
from relup.runtime.process import Process

if TYPE_CHECKING:
    from relup.runtime.node import Node

Shutdown: TypeAlias = float | Literal["infinity", "brutal_kill"]
"""How long a process may take to terminate, in seconds; `brutal_kill` does not ask."""

ATTEMPTS: Final = 5
"""How often a process is killed before it is given up."""

logger = logging.getLogger("relup.runtime")


async def shut_down(process: Process, limit: Shutdown, *, grace: float = 1.0) -> None:
    """End *process*: ask it to terminate, kill it after *limit* (OTP's shutdown protocol), again after each *grace*."""
    process.detach()
    if limit != "brutal_kill" and process.alive:
        process.order_exit("shutdown")
        await ended(process, None if limit == "infinity" else limit)
    for _ in range(ATTEMPTS):
        if not process.alive:
            return
        process.kill()
        await ended(process, grace)
    if process.alive:
        logger.error("%s ignores that it is killed, at %s; it is abandoned", process.label, process.current_function())
        process.abandon()


async def miscarried(process: Process, *, grace: float = 0.5) -> None:
    """End a process that does not come to the end of its `init`; its parent, which waits for that, hears of it."""
    above = process.parent.waiting if process.parent else None
    process.kill()
    await ended(process, grace)
    if process.alive:
        process.abandon()
        for wait in [w for w in above or () if isinstance(w, Wait) and w.process is process]:
            wait.fail(ServerDied("killed", process.label))


async def shut_down_all(node: Node, processes: Sequence[Process], seconds: float) -> None:
    """End processes at the same time: one limit for all, none for supervisors, whose children have their own."""
    deadline = node.loop.time() + seconds
    for process in processes:
        process.order_exit("shutdown")
    for process in processes:
        if process.alive:
            left = max(0.0, deadline - node.loop.time())
            await shut_down(process, "infinity" if process.supervisor else left)


async def ended(process: Process, seconds: float | None) -> bool:
    """Wait until *process* is dead, at most so long; say whether it is."""
    node = process.node
    if process.alive:
        future: Future[Any] = node.loop.create_future()
        watch(process, future)
        wait = Wait(process, future)
        if seconds is not None:
            node.clock.limit(seconds, wait)
        await node.wait(wait, process_variable.get())
    return not process.alive


def watch(process: Process, future: Future[Any], watcher: Process | None = None) -> Monitor:
    """Let *future* have the exit reason of a living process."""
    monitor = Monitor(process.pid, process, watcher, future)
    process.monitors = process.monitors or []
    process.monitors.append(monitor)
    return monitor
