"""Work in a thread that nobody has to wait for, and who is being cancelled.

A module body may never return. The threads of an executor are joined when the loop and the interpreter end, so one
such body would keep the node from ever stopping; a daemon thread is left behind instead.

The loop serves meanwhile, and has to get the interpreter back each time that it was idle for a moment. From a thread
that works it gets it after 5 ms, Python's switch interval; a node under load served two thirds as much. So while
somebody waits for such a thread the interval is shorter.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, TypeVar

from relup.targets.python.stacks import above, callers, in_a_line, is_foreign
from relup.targets.python.watchdog import Overrun

P = ParamSpec("P")
T = TypeVar("T")
BOUNDED = "relup bounded work"
"""What a thread is called whose work was given a limited time."""
GRACE = 1.0
"""Seconds that work has to end after it was first interrupted."""
OFTEN = 0.0005
"""Seconds after which a thread that works lets another one have the interpreter; Python's own is ten times that."""


@contextmanager
def taking_turns_often() -> Iterator[None]:
    """Let the threads of this process take turns often, for the length of the block.

    Blocks may overlap, in any order; whoever else sets another interval meanwhile has the last word.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, OFTEN))
    mine = sys.getswitchinterval()
    try:
        yield
    finally:
        if sys.getswitchinterval() == mine:
            sys.setswitchinterval(before)


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
    with taking_turns_often():
        return await future


class Unended(Exception):
    """Work did not end in time."""

    def __init__(self, limit: float, stack: str, *, ended: bool, result: Any) -> None:
        self.limit = limit
        self.stack = stack
        """Where it stood then."""
        self.ended = ended
        """Whether it has ended when it was interrupted."""
        self.result = result
        """What it came to all the same."""
        super().__init__(f"did not end within {limit:g} s: it was at {stack}")


async def in_bounded_thread(limit: float, work: Callable[[], T]) -> T:
    """Run *work* in a thread of its own for at most *limit* seconds; then interrupt it, and raise `Unended`."""
    idents: list[int] = []

    def run() -> T:
        thread = threading.current_thread()
        thread.name, name = BOUNDED, thread.name
        idents.append(threading.get_ident())
        try:
            return work()
        finally:
            thread.name = name  # what is left to do is ours, and ends

    running = asyncio.ensure_future(in_daemon_thread(run))
    try:
        done, _ = await asyncio.wait([running], timeout=limit)
        if done:
            return running.result()
        stack = in_a_line(above(sys._current_frames().get(idents[0])))
        ended = await _interrupted(running, idents[0])
        result = running.result() if ended and running.exception() is None else None
        raise Unended(limit, stack, ended=ended, result=result)
    finally:
        running.cancel()


async def _interrupted(running: asyncio.Future[Any], ident: int) -> bool:
    """Raise `Overrun` in a thread, as long as it runs foreign code; say whether it has ended."""
    loop = asyncio.get_running_loop()
    end = loop.time() + GRACE
    while loop.time() < end:
        if any(map(is_foreign, callers(sys._current_frames().get(ident)))):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Overrun))
        done, _ = await asyncio.wait([running], timeout=GRACE / 10)
        if done:
            return True
    return False


def unended() -> str:
    """Return where work stands that was given up and goes on all the same; nothing where there is none."""
    threads = [t for t in threading.enumerate() if t.name == BOUNDED and t.ident is not None]
    return in_a_line(above(sys._current_frames().get(threads[0].ident or 0))) if threads else ""


def is_cancelled() -> bool:
    """Say whether the current task itself is being cancelled, rather than something that it called."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
