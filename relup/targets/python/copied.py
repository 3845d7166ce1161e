"""The processes that were there when a node was copied: none of them runs in the copy.

What others want of them is done in their stead, as far as that can be. A supervisor answers OTP's functions: children
that it starts are born in the copy, and live there. Who is to end terminates where it stands, without the mail that it
has. Who is asked for anything else does not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeAlias

from relup.runtime import Node, NoProcess, Pid, Process, supervisor
from relup.runtime.loop import terminate
from relup.targets.python.cut_off import effects
from relup.targets.python.excuses import Unanswered

Ask: TypeAlias = Callable[..., Awaitable[Any]]


class Copied:
    """Those of one node."""

    def __init__(self, node: Node, left_out: Sequence[str]) -> None:
        """Know who there is now; once something was *left_out* somebody may be missing who would be there without."""
        self._node = node
        self._left_out = left_out
        self._youngest = max(node.processes, default=Pid(0))
        self.busy = set[Process]()
        """Who of them does not stand between two messages."""
        self._ending = set[Process]()

    def __contains__(self, process: Process) -> bool:
        return process.pid <= self._youngest

    def among(self, processes: Iterable[Process]) -> list[Process]:
        """Return those of *processes* that were copied."""
        youngest = self._youngest
        return [p for p in processes if p.pid <= youngest]

    def stand_still(self) -> None:
        """Let none of them handle a message from here on, and answer for them."""
        for process in self._node.processes.values():
            if process.rest is None:
                self.busy.add(process)
            process.holds += 1
        for name, stand_in in {"call": self._call, "stop": self._unanswered, "system": self._system}.items():
            setattr(self._node, name, partial(self._asked, getattr(self._node, name), stand_in))
        order_exit, kill = Process.order_exit, Process.kill

        def end(process: Process, reason: Any, *, first: bool = False) -> None:
            if process not in self:
                order_exit(process, reason, first=first)
            elif process not in self._ending:
                self._ending.add(process)
                self._node.spawn(self._end(process, reason))

        def die(process: Process) -> None:
            if process not in self:
                kill(process)
            else:
                process.bury("killed")

        setattr(Process, "order_exit", end)  # noqa: B010  # a method that is exchanged, in the copy alone
        setattr(Process, "kill", die)  # noqa: B010

    async def _asked(self, really: Ask, stand_in: Ask, server: Any, *args: Any, **named: Any) -> Any:
        """Ask who was born in the copy; *stand_in* answers for others, and for who would be there but for this."""
        try:
            is_here = self._node.process(server) not in self
        except NoProcess:
            is_here = not self._left_out
        return await (really if is_here else stand_in)(server, *args, **named)

    async def _unanswered(self, server: Any, *_: Any, **__: Any) -> NoReturn:
        who = f"it asks {server!r} for an answer"
        effects.note(who)
        raise Unanswered(who)

    async def _call(self, server: Any, request: Any, *_: Any, **__: Any) -> Any:
        try:
            process = self._node.process(server)
        except NoProcess:
            return await self._unanswered(server)
        if not process.supervisor or process in self.busy:
            return await self._unanswered(server)
        return await supervisor.answer(process, request, process.state)

    async def _system(self, server: Any, action: Callable[[Process], Any], *_: Any, **__: Any) -> Any:
        """Do with a process what it would do itself at its next message boundary, where it stands."""
        return action(self._node.process(server))

    async def _end(self, process: Process, reason: Any) -> None:
        process.bury(await terminate(process, reason))
