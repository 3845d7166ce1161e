"""Hold processes at their message boundaries, callers before callees.

When nobody is busy this is one synchronous sweep: counting up `holds` is all that it takes, no task wakes for it.
Otherwise somebody is inside a callback, and what it waits for may be another member, perhaps through processes that
are none. Held at once, that member would never answer, and the caller's call would time out because of the upgrade. So
a member goes on handling messages as long as a busy member needs its answer, and is held when it is needed no more:

    drain:  busy = members inside a callback            none → all are held, done
            needed = whoever busy ones wait for, and so on
            hold every member that is not needed, release those that are
            wait until something changes; look again

An answer that was deferred (NoReply) may come from anybody to whom the server passed the caller on. When the server
that owes it has nothing left to do itself, there is no telling who, so then nobody is held until it has come.

Nothing of this raises when a member does not come to its boundary in time: it is returned as `Stuck`, with the function
in which it stands, all members are held, and whoever asked decides, and resumes.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relup.runtime.messages import Caller
from relup.runtime.process import Process

if TYPE_CHECKING:
    from relup.runtime.node import Node


@dataclass(frozen=True, slots=True)
class Stuck:
    """A process that did not come to its message boundary in time, and where it stood then."""

    process: Process
    function: str


async def suspend(
    node: Node, processes: Sequence[Process], deadlines: Mapping[Process, float | None] | None = None
) -> list[Stuck]:
    """Hold *processes*; return those that are still inside a callback when their time is over, none if all are held.

    *deadlines* says how many seconds each may take (default 5, None for ever); they run at the same time. A process
    that dies meanwhile is simply gone. Every process has one hold more afterwards, in any case, until `resume`; when
    this is cancelled, none has. Messages go on queueing. From the return on, the clock of call time-outs stands still.
    """
    if node.drain is not None:
        raise RuntimeError("another suspension is in progress")
    busy = _hold(node, processes)
    if not busy:
        _stop_clock(node)
        return []
    try:
        return await Drain(node, processes, busy, deadlines or {}).run()
    except BaseException:
        resume(node, processes)
        raise


def resume(node: Node, processes: Iterable[Process]) -> None:
    """Take back one hold of an upgrade from each process; who has mail then handles it, in the order it came."""
    count = 0
    for process in processes:
        if process.holds > process.asleep:
            process.holds -= 1
            count += 1
            if process.mailbox:
                process.wake()
    node.release(count)


def _hold(node: Node, processes: Iterable[Process]) -> list[Process]:
    """Hold all, and return those that are inside a callback."""
    busy = []
    count = 0
    for process in processes:
        if process.alive:
            process.holds += 1
            count += 1
            if process.current is not None:
                busy.append(process)
    node.held += count
    return busy


def _stop_clock(node: Node) -> None:
    if node.held:
        node.clock.stop()


class Drain:
    """A suspension that waits for busy members."""

    def __init__(
        self, node: Node, processes: Sequence[Process], busy: Sequence[Process], limits: Mapping[Process, float | None]
    ) -> None:
        self._node = node
        self._members = dict.fromkeys(processes)
        self._busy = dict.fromkeys(busy)
        self._released: dict[Process, None] = {}
        """Members without our hold for now, because a busy one needs them."""
        self._everybody = False
        self._limits = limits
        self._begun = node.loop.time()
        self._extended: dict[Process, tuple[float, object]] = {}
        """Members whose time was extended: until when, and the message that they handled then."""
        self._change: Future[None] = node.loop.create_future()

    def poke(self) -> None:
        """Look again: somebody came to a boundary, died, was born, waits, or waits no more."""
        if not self._change.done():
            self._change.set_result(None)

    async def run(self) -> list[Stuck]:
        """Wait until all members are held, or some have not been in time."""
        self._node.drain = self
        try:
            while self._look():
                if stuck := self._stuck():
                    return [Stuck(p, p.current_function()) for p in stuck]
                await self._changed()
            _stop_clock(self._node)
            return []
        finally:
            self._node.drain = None
            self._release_only({})

    def _look(self) -> bool:
        """Hold and release members as needed now; say whether any is busy."""
        self._busy = {p: None for p in self._busy if p.current is not None}
        needed, everybody = _needed(self._busy)
        if not (everybody and self._everybody):
            candidates = self._members if self._everybody else {**self._busy, **self._released}
            self._busy = {p: None for p in candidates if p.current is not None}
            needed, everybody = _needed(self._busy)
        self._everybody = everybody
        wanted = self._members if everybody else needed
        self._release_only({p: None for p in wanted if p in needed or p not in self._busy})
        self._node.births.admit({**self._busy, **needed})
        return bool(self._busy)

    def _release_only(self, wanted: Mapping[Process, None]) -> None:
        """Let the members among *wanted* run, and no other member."""
        for process in [p for p in self._released if p not in wanted]:
            del self._released[process]
            if process.alive:
                process.holds += 1
                self._node.held += 1
        for process in wanted:
            if process in self._members and process not in self._released and process.alive:
                self._released[process] = None
                process.holds -= 1
                self._node.held -= 1
                if process.mailbox:
                    process.wake()

    def _stuck(self) -> list[Process]:
        """Return the busy members whose time is over.

        One that answers somebody with more time left is not at fault for handling messages; it gets its own time again
        unless it is in the same callback as when that began.
        """
        now = self._node.loop.time()
        late = [p for p in self._busy if (until := self._until(p)) is not None and until <= now]
        if not late:
            return []
        answering, _ = _needed(p for p in self._busy if p not in late)
        stuck = [p for p in late if p not in answering or self._extended.get(p, (0, None))[1] is p.current]
        for process in late:
            self._extended[process] = (now + (self._limit(process) or 0.0), process.current)
        return stuck

    def _limit(self, process: Process) -> float | None:
        return self._limits.get(process, 5.0)

    def _until(self, process: Process) -> float | None:
        limit = self._limit(process)
        if limit is None:
            return None
        return self._extended[process][0] if process in self._extended else self._begun + limit

    async def _changed(self) -> None:
        ends = [until for p in self._busy if (until := self._until(p)) is not None]
        timer = self._node.loop.call_at(min(ends), self.poke) if ends else None
        try:
            await self._change
        finally:
            self._change = self._node.loop.create_future()
            if timer is not None:
                timer.cancel()


def _needed(busy: Iterable[Process]) -> tuple[dict[Process, None], bool]:
    """Return who must run for *busy* processes to end their callbacks, and whether it may be anybody at all."""
    needed: dict[Process, None] = {}
    anybody = False
    stack = list(busy)
    while stack:
        for wait in stack.pop().waiting or ():
            process = wait.process
            if isinstance(wait, Caller) and wait in (process.deferred or ()) and _rests(process):
                anybody = True
            if process not in needed:
                needed[process] = None
                stack.append(process)
    return needed, anybody


def _rests(process: Process) -> bool:
    return process.current is None and not process.mailbox
