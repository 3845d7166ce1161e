"""Work in a thread that nobody has to wait for, and who is being cancelled.

A module body may never return. The threads of an executor are joined when the loop and the interpreter end, so one
such body would keep the node from ever stopping; a daemon thread is left behind instead.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_daemon_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run *work* in a thread of its own, in this context, and return or raise what it does."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # the result of T when there is no error

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(work, *args, **kwargs)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=f"relup {getattr(work, '__name__', 'work')}", daemon=True).start()
    return await future


def is_cancelled() -> bool:
    """Say whether the current task itself is being cancelled, rather than something that it called."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
