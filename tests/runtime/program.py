"""How the tests of the runtime run: each is an asyncio program, bounded in time, that leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from relup.runtime import GenServer, NoReply, Reply, Stop

PATIENCE = 20.0
"""Seconds after which a test that waits for an event has failed."""


def program(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Turn an async test into a program; it fails when tasks are left at its end."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(_bounded(test, args, kwargs))

    return run


async def _bounded(test: Callable[..., Awaitable[None]], args: Any, kwargs: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        await test(*args, **kwargs)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


async def turns(count: int = 10) -> None:
    """Let everything run that can run without waiting."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until *condition* holds; the program's time limit ends it otherwise."""
    while not condition():  # noqa: ASYNC110  # what is waited for is a state of the runtime, which offers no event
        await asyncio.sleep(0)


class Log(GenServer):
    """Keeps what it got, in a list that is replaced, never changed; does what it is told."""

    def init(self, args: Any) -> Any:
        match args:
            case Stop() | BaseException():
                if isinstance(args, BaseException):
                    raise args
                return args
            case _:
                return ()

    async def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        match request:
            case ("wait", event):
                await event.wait()
                return Reply("waited", (*state, "waited"))
            case ("ask", server, question):
                return Reply(await self.call(server, question), state)
            case ("later", keep):
                keep.append(caller)
                return NoReply(state)
            case ("run", function):
                return Reply(await function(self), state)
            case ("raise", error):
                raise error
            case ("stop", reason):
                return Stop(reason, state, "stopping")
            case "state":
                return Reply(state, state)
            case _:
                return Reply(request, (*state, request))

    def handle_cast(self, message: Any, state: Any) -> Any:
        match message:
            case ("raise", error):
                raise error
            case ("stop", reason):
                return Stop(reason, state)
            case ("reply", caller, value):
                self.reply(caller, value)
                return state
            case _:
                return (*state, message)

    def handle_info(self, message: Any, state: Any) -> Any:
        return (*state, message)

    def terminate(self, reason: Any, state: Any) -> None:
        ended: list[tuple[str | None, Any]] | None = getattr(self.node, "ended", None)
        if ended is not None:
            ended.append((self.name, reason))


class Trap(Log):
    trap_exit = True
