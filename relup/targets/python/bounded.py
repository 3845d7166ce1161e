"""Awaiting what others wrote, for a limited time, also when it does not let itself be cancelled.

`asyncio.timeout` cancels once and then waits for as long as it takes. A `code_change` that catches its cancellation
and goes on, or that awaits somebody who does, would so keep the window open for ever. So it is driven by hand, step by
step: at its limit what it awaits is cancelled and it is told so; it has a little time to tidy up; and in the end it is
closed and never driven again, so nothing of it goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from relup.runtime.frames import stack_of
from relup.targets.python.threads import is_cancelled

TIDYING = 0.5
"""Seconds that work has to end after each time it was cancelled."""
CANCELLATIONS = 2
"""How often it is cancelled before it is closed."""


class Overdue(TimeoutError):
    """Work did not end in time; `stack` says where it stood, innermost first."""

    def __init__(self, limit: float, stack: list[str], *, ignored: bool) -> None:
        self.stack = stack
        how = " and took no notice of being cancelled" if ignored else ""
        super().__init__(f"did not end within {limit:g} s{how}: it was at {', called by '.join(stack) or 'its end'}")


async def within(limit: float | None, work: Awaitable[Any]) -> Any:
    """Await *work*, which others stand still for, for at most *limit* seconds. Raises `Overdue`."""
    if limit is None:
        return await work
    return await _Driven(limit, work if isinstance(work, Coroutine) else _awaiting(work))


async def _awaiting(work: Awaitable[Any]) -> Any:
    return await work


class _Driven:
    """A coroutine that is driven by hand."""

    def __init__(self, limit: float, work: Coroutine[Any, Any, Any]) -> None:
        self._limit = limit
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._times = 0
        """How often its time was over."""
        self._stack: list[str] = []
        self._gate: asyncio.Future[None] | None = None
        self._told = 0

    def __await__(self) -> Generator[Any, None, Any]:
        timer = self._loop.call_later(self._limit, self._expire)
        error: BaseException | None = None
        try:
            while True:
                try:
                    awaited = self._work.send(None) if error is None else self._work.throw(error)
                except StopIteration as stop:
                    result = stop.value
                    break
                except BaseException as raised:
                    if self._times and not is_cancelled():  # whatever it has made of its cancellation
                        raise self._overdue() from raised
                    raise
                error = yield from self._wait(awaited)
        finally:
            timer.cancel()
            self._times = -1
        if self._stack:
            raise self._overdue()
        return result

    def _overdue(self, *, ignored: bool = False) -> Overdue:
        return Overdue(self._limit, self._stack, ignored=ignored)

    def _wait(self, awaited: Any) -> Generator[Any, None, BaseException | None]:
        """Wait until *awaited* is done or the time is over; return what is to be thrown into the work."""
        if awaited is None:
            yield
        else:
            awaited._asyncio_future_blocking = False
            gate = self._gate = self._loop.create_future()

            def wake(_: Any) -> None:
                if not gate.done():
                    gate.set_result(None)

            awaited.add_done_callback(wake)
            try:
                yield from gate
            except asyncio.CancelledError as error:
                awaited.cancel()
                return error
            finally:
                awaited.remove_done_callback(wake)
                self._gate = None
        if self._times > self._told:
            self._told = self._times
            return self._cancel(awaited)
        return None

    def _cancel(self, awaited: Any) -> BaseException:
        if awaited is not None:
            awaited.cancel()
        if self._times > CANCELLATIONS:
            with suppress(RuntimeError):  # it does not even let itself be closed
                self._work.close()
            raise self._overdue(ignored=True)
        return asyncio.CancelledError()

    def _expire(self) -> None:
        """Let the work be cancelled, and again after a while."""
        if self._times < 0:
            return
        self._times += 1
        self._stack = self._stack or stack_of(self._work)
        self._loop.call_later(TIDYING, self._expire)
        if self._gate is not None and not self._gate.done():
            self._gate.set_result(None)
