"""Dropping old code that nobody uses any more, and naming who uses the rest.

OTP kills whoever uses code that is purged. Here it stays until it is unused; the search through the heap for its users
runs in a thread, while the loop goes on.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from relup.runtime.code import CodeServer
from relup.runtime.code.running import Lingerer
from relup.targets.python.threads import in_daemon_thread

_UNNAMED = "somebody who uses code that was purged before, and cannot be named"


async def purged(code: CodeServer, free: Callable[[], bool]) -> list[str]:
    """Purge old code that nobody uses, unless somebody upgrades the node by then; return who uses which of the rest."""
    buried = await _buried(code)
    users = await _purge(code, free)
    return [
        *(f"{module}: {who}" for module, those in users.items() for who in those),
        *(f"{module}: {_UNNAMED}" for module in buried),
    ]


async def _buried(code: CodeServer) -> tuple[str, ...]:
    """Return the modules of which somebody still uses code that was purged by earlier upgrades."""
    if not code.buried():
        return ()
    await in_daemon_thread(gc.collect)  # what only waits for the collector is used by nobody
    return code.buried()


async def _purge(code: CodeServer, free: Callable[[], bool]) -> dict[str, list[Lingerer]]:
    """Purge old code that nobody uses; return who uses the rest."""
    modules = sorted(code.old)
    users: dict[str, list[Lingerer]] = {}
    if await in_daemon_thread(code.lingering_in_each):
        await in_daemon_thread(gc.collect)  # what only waits for the collector uses nothing
        found = await in_daemon_thread(code.lingering_in_each)
        users = {m: found[m] for m in modules if m in found}
    if free():
        code.purge([m for m in modules if m not in users])
    return users
