"""Getting to a node, within a time, or knowing why not; and leaving nothing behind.

epmd is asked first, which costs nothing and tells most of what can be wrong. Only then an Erlang is started, and told
where to go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.targets.beam import child, epmd
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.cookies import no_cookie
from relup.targets.beam.errors import Lost, Unanswered
from relup.targets.beam.etf import BadTerm
from relup.targets.beam.handshake import why_not
from relup.targets.beam.where import Where


@asynccontextmanager
async def connect(where: Where, *, timeout: float = 10.0) -> AsyncIterator[Bridge]:  # noqa: ASYNC109
    """Connect to a node for the length of the block, within *timeout* seconds; nothing is left behind after it.

    Raises `Refused` with why it did not come about, `InvalidInput` where the node is there and nobody knows its cookie.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + timeout
    port = await _port(where, timeout)
    if not where.cookie:
        raise InvalidInput([no_cookie()])
    async with child.running(where, timeout) as process:
        bridge = Bridge(where, process)
        await _booted(bridge, where, until - clock(), timeout)
        listening = asyncio.create_task(bridge.listen())
        try:
            await _joined(bridge, where, port, until - clock(), timeout)
            yield bridge
        finally:
            listening.cancel()
            await asyncio.wait([listening])


async def _port(where: Where, timeout: float) -> int | None:  # noqa: ASYNC109
    if where.epmd_port is None:
        return None
    return await epmd.require_registered(where.name, where.host, where.epmd_port, timeout)


async def _booted(bridge: Bridge, where: Where, left: float, timeout: float) -> None:  # noqa: ASYNC109
    try:
        async with asyncio.timeout(left):
            await bridge.ready()
    except TimeoutError:
        message = f"the bridge, an Erlang node on this machine, was not up within {timeout:g} s"
        raise Refused([Diagnostic("bridge_too_slow", message)]) from None
    except (EOFError, BadTerm):
        message = f"the bridge, an Erlang node on this machine, did not start: {await bridge.last_words()}"
        raise Refused([Diagnostic("bridge_ended", message, hint=f"started as {where.erts.command[0]}")]) from None


async def _joined(bridge: Bridge, where: Where, port: int | None, left: float, timeout: float) -> None:  # noqa: ASYNC109
    try:
        failed = await bridge.join(where, max(left, 0.0))
    except Lost as lost:
        raise Refused([lost.diagnostic]) from None
    except Unanswered:
        message = (
            f"node {where.node} was not reached within {timeout:g} s: its epmd answers, and the node itself does not"
        )
        hint = "a firewall between here and the node's own port, or a node that is overloaded"
        hint += ", or does not share these --erl-args" if where.erl_args else ""
        raise Refused([Diagnostic("unreachable_node", message, hint=hint)]) from None
    if failed is not None:
        reasons, words = failed
        open_ = port is None or await epmd.accepts(where.host, port, 1.0)
        raise Refused([why_not(where, reasons, words, open_)])
