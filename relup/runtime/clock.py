"""Time limits of calls and shutdowns, on a clock that stands still while an upgrade holds processes.

A call must not time out because of the window, so what is limited is not wall time. Which calls wait for a held
process, through how many others, cannot be known in general (a deferred reply, a queue, a task of a callback); so while
anything is held no limit runs out, for nobody. A limit that is late by the length of a window harms no one.

Calls outnumber time-outs by far, and `loop.call_later` costs more than all the rest of a call. So limits share one
heap and one timer of the loop; a limit that is no longer needed is not searched for, but swept with others.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, TimerHandle
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Protocol


class Limited(Protocol):
    """Something that waits for a future, and knows what to do when it waits too long."""

    future: Future[Any] | None

    def expire(self) -> None:
        """Give up waiting; called at most once, with the future still pending."""


class Clock:
    """The time of a node in seconds, and who waits until when."""

    __slots__ = ("_armed", "_handle", "_heap", "_loop", "_lost", "_sequence", "_stopped", "_sweep")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Limited]] = []
        self._sequence = count()
        self._sweep = 256
        self._handle: TimerHandle | None = None
        self._armed = float("inf")
        self._lost = 0.0
        self._stopped: float | None = None

    def time(self) -> float:
        """Return the loop's time less all the time that this clock stood still."""
        return (self._loop.time() if self._stopped is None else self._stopped) - self._lost

    def limit(self, seconds: float, waiter: Limited) -> None:
        """Call `waiter.expire()` in *seconds* of this clock, unless its future is done or gone by then."""
        deadline = self.time() + seconds
        heap = self._heap
        heappush(heap, (deadline, next(self._sequence), waiter))
        if deadline < self._armed:
            self._arm()
        if len(heap) > self._sweep:
            self._drop_finished()

    def stop(self) -> None:
        """Stand still; does nothing when it does already."""
        if self._stopped is None:
            self._stopped = self._loop.time()
            self._disarm()

    def start(self) -> None:
        """Go on from where it stood; does nothing when it goes."""
        if self._stopped is not None:
            self._lost += self._loop.time() - self._stopped
            self._stopped = None
            self._arm()

    def close(self) -> None:
        """Forget every limit."""
        self._disarm()
        self._heap.clear()

    def _drop_finished(self) -> None:
        self._heap = [entry for entry in self._heap if _waits(entry[2])]
        heapify(self._heap)
        self._sweep = 2 * len(self._heap) + 256

    def _arm(self) -> None:
        self._disarm()
        while self._heap and not _waits(self._heap[0][2]):
            heappop(self._heap)
        if self._heap and self._stopped is None:
            self._armed = self._heap[0][0]
            self._handle = self._loop.call_at(self._armed + self._lost, self._fire)

    def _disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._armed = float("inf")

    def _fire(self) -> None:
        now = self.time() + 1e-6
        while self._heap and self._heap[0][0] <= now:
            waiter = heappop(self._heap)[2]
            if _waits(waiter):
                waiter.expire()
        self._arm()


def _waits(waiter: Limited) -> bool:
    return waiter.future is not None and not waiter.future.done()
