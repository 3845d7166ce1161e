"""An event loop in a thread, for tests that are not asynchronous.

A loop that only turns while the test waits for something would leave a node's timers standing, and a test that talks to
its node over a blocking socket would wait for ever. So the loop has a thread of its own, and needs no plugin of pytest.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager
from threading import Thread
from typing import Any, Generic, TypeVar

from relup.targets.python.stacks import above, in_a_line

T = TypeVar("T")
R = TypeVar("R")
SILENCE = 30.0
"""Seconds without an answer after which it is asked whether the loop turns, and how long that may take."""
GRACE = 2.0
"""Seconds that work has to end after its limit, in which it is cancelled and interrupted."""


class Unended(Exception):
    """Work did not end, nor when it was cancelled and interrupted; says where it is."""


class InThread(Generic[T]):
    """An asynchronous context, open in a thread of its own from the start until `close`."""

    def __init__(self, context: AbstractAsyncContextManager[T], name: str, silence: float = SILENCE) -> None:
        """Enter *context*; raise what that raises."""
        __tracebackhide__ = True
        self._context = context
        self._silence = silence
        self._entered: Future[T] = Future()
        self._ended: Future[None] = Future()
        self._left = False
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        try:
            self.value = self._entered.result()
        except BaseException:
            if self._entered.done():  # otherwise somebody waits no more for what does not come
                self._thread.join()
            raise

    @property
    def open(self) -> bool:
        """Whether it was not closed yet."""
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, R], limit: float | None = None) -> R:
        """Do *work* in the thread and return what it returns, or raise what it raises.

        Raises `RuntimeError` when the context was closed, and when something holds the loop up and does not end. Work
        that should end itself within *limit* seconds, and does not, is left to itself with its thread: `Unended`.
        """
        __tracebackhide__ = True
        if not self.open:
            work.close()
            raise RuntimeError("this node was stopped")
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            while not wait([waiting], self._silence if limit is None else limit + GRACE).done:
                if limit is not None:
                    self._left = True
                    raise Unended(f"did not return within {limit:g} s and does not end: it is at {self._where()}")
                self._refuse_standing()
            return waiting.result()
        except KeyboardInterrupt:
            waiting.cancel()
            raise

    def close(self) -> None:
        """Leave the context and end the thread; raise what leaving raised. Nothing happens the second time.

        A thread whose loop does not turn is left to itself, with a `RuntimeError` that says where it is.
        """
        if not self.open:
            return
        self._loop.call_soon_threadsafe(self._closing.set)
        if self._left:  # it ends when it can
            return
        while not wait([self._ended], self._silence).done:
            self._refuse_standing()
        self._thread.join()
        self._ended.result()

    def _refuse_standing(self) -> None:
        """Raise when the loop does not turn, with the place at which it is."""
        __tracebackhide__ = True
        turned = Future[None]()
        try:
            self._loop.call_soon_threadsafe(turned.set_result, None)
        except RuntimeError:  # it is closed: the thread is about to end
            return
        if not wait([turned], self._silence).done:
            raise RuntimeError(f"the node does nothing any more, its event loop is held up: it is at {self._where()}")

    def _where(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)
        return in_a_line(above(frame)) if frame else "nowhere"

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            (self._ended if self._entered.done() else self._entered).set_exception(error)
        else:
            self._ended.set_result(None)

    async def _live(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        async with self._context as value:
            self._entered.set_result(value)
            await self._closing.wait()
