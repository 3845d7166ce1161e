"""Where the messages of a server begin, and an upgrade at one of these places.

A message boundary is where relup upgrades: a server has handled one message, and not begun with the next. To find them
all, and to put an upgrade into one of them, the processes of a watched node are of a class of their own, which knows of
two moments: a message arrives, and `current` is set, which is the loop's word for what it is busy with. At the chosen
boundary the process is held, as an upgrade holds it, until the upgrade suspends it itself: so the new code is read
aside while the message waits, and everybody else goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from relup.executor import Event, Outcome
from relup.executor.outcome import Emit
from relup.model.release import Release
from relup.runtime import Node, Process
from relup.runtime.messages import BIRTH, System
from relup.targets.python.components import short
from relup.testing.prints import Printer
from relup.testing.seen import Boundary, Seen, configuration, content_of, kind_of
from relup.testing.shapes import shape
from relup.testing.telling import told_state

if TYPE_CHECKING:
    from relup.testing.live import AsyncNode

Upgrade = Callable[["AsyncNode", Emit], Awaitable[Outcome]]
"""Upgrades a node, telling what happens."""
_current: Any = vars(Process)["current"]


class WatchedProcess(Process):
    """A process that says when it comes to a message boundary."""

    __slots__ = ()

    @property
    def current(self) -> object:
        """What it is busy with."""
        return _current.__get__(self)

    @current.setter
    def current(self, message: object) -> None:
        if message is not None and message is not BIRTH and not isinstance(message, System):
            self._watch.taking(self, message)
        _current.__set__(self, message)
        if message is None:
            self._watch.at_boundary(self)

    def post(self, message: Any) -> None:
        """Take a message; the boundary before it may be the one that is waited for."""
        if self.current is None and not self.mailbox:
            self._watch.arriving(self)
        super().post(message)

    @property
    def _watch(self) -> Watch:
        assert isinstance(self.node, WatchedNode), "only its node makes one"
        return self.node.watch


class WatchedNode(Node):
    """A node whose processes are watched."""

    born_as = WatchedProcess

    def __init__(self, name: str, watch: Watch) -> None:
        super().__init__(name)
        self.watch = watch


class Watch:
    """Watches one run of a test, and upgrades a node at most once."""

    def __init__(self, server: str, goal: Release, upgrade: Upgrade, at: int = 0, last: int = 0) -> None:
        """Watch the processes called *server*, or of that `module:Class` or module, in nodes that *goal* is new to.

        With *at*, upgrade before the message of that number is handled; after message number *last*, if it is the one
        after that.
        """
        self.seen = Seen()
        self._server = server
        self._goal = goal
        self._upgrade = upgrade
        self._at, self._last = at, last
        self._nodes: dict[Node, tuple[AsyncNode, Context, str]] = {}
        self._task: asyncio.Task[None] | None = None
        """The injected upgrade; a loop alone does not keep its tasks."""
        self._ended: Future[None] | None = None
        """Done when the injected upgrade is; the nodes of one test may live in several loops."""
        self._printer, self._answers = Printer(self._owned, within_run=True), Printer(self._owned, within_run=False)

    # ── what the test does ─────────────────────────────────────────────────────────────────────────────

    def attach(self, node: AsyncNode) -> None:
        """Begin to watch a node that has just been started."""
        self.seen.releases[str(node.release)] = node.release
        self._nodes[node.node] = node, copy_context(), node.vsn
        for process in list(node.node.processes.values()):
            self.at_boundary(process)

    def detach(self, node: AsyncNode) -> None:
        """Watch a node no more that is about to stop."""
        self._nodes.pop(node.node, None)

    async def quiet(self) -> None:
        """Wait until an upgrade that was injected has come to its end."""
        if self._ended is not None and not self._ended.done():
            await asyncio.wrap_future(self._ended)

    def said(self, what: str, *said: Any) -> None:
        """Note what the test asked and what it was answered."""
        self.seen.said.append(self._answers.print(what, *said))
        self.seen.upgrades_itself |= what in ("upgrade", "downgrade")

    # ── what the server does ───────────────────────────────────────────────────────────────────────────

    def taking(self, process: Process, message: Any) -> None:
        """Note the boundary before a message that is handled now."""
        if not self._concerns(process):
            return
        seen, content = self.seen, content_of(message)
        seen.boundaries.append(
            Boundary(
                len(seen.boundaries) + 1,
                process.name or process.label,
                f"{kind_of(message)} {short(content)}",
                (kind_of(message), shape(content), shape(process.state)),
                configuration(self._nodes, process, self._printer),
                len(seen.said),
            )
        )
        seen.said.append(self._answers.print(kind_of(message), content))
        if self._at <= self._last:
            for other in [p for p in process.node.processes.values() if p is not process]:
                self.at_boundary(other)

    def arriving(self, process: Process) -> None:
        """Hold an idle process that is about to get the message before which the upgrade is wanted."""
        if self._due(process):
            self._seize(process)

    def at_boundary(self, process: Process) -> None:
        """Hold a process between two messages, if the upgrade is wanted there."""
        called = (process.name, _class_of(process))
        self.seen.servers |= dict.fromkeys(name for name in called if name)
        mail = any(not isinstance(message, System) for message in process.mailbox)
        if (mail or self._at == self._last + 1) and not process.busy and self._due(process):
            self._seize(process)

    def _due(self, process: Process) -> bool:
        due = self._at == len(self.seen.boundaries) + 1 and not self.seen.injected
        return due and not process.holds and self._concerns(process)

    def _concerns(self, process: Process) -> bool:
        """Say whether a process is one of those watched, in a node that nobody but this upgrades."""
        called = process.name, _class_of(process), process.reference.module
        if self._server not in called or not process.alive:
            return False
        node, _, began_with = self._nodes.get(process.node, (None, None, ""))
        if node is None or not is_older(node.release, self._goal, began_with):
            return False
        return bool(self.seen.injected) or (node.idle and node.vsn == began_with)

    # ── the upgrade ────────────────────────────────────────────────────────────────────────────────────

    def _seize(self, process: Process) -> None:
        """Hold a process at its boundary, stop the clock of call time-outs as a window does, and upgrade its node."""
        self.seen.injected, self.seen.state = self._at, told_state(process.state)
        process.holds += 1
        process.node.held += 1
        process.node.clock.stop()
        node, context, _ = self._nodes[process.node]
        self._ended = Future()
        self._ended.set_running_or_notify_cancel()  # whoever waits no more for it does not end it
        work = self._inject(node, process, self._ended)
        self._task = process.node.loop.create_task(work, name="relup injected upgrade", context=context.copy())

    async def _inject(self, node: AsyncNode, process: Process, ended: Future[None]) -> None:
        held = [process]

        def let_go() -> None:
            """Leave the process to the upgrade, which holds it before it gets to run."""
            if held and held.pop().alive:
                process.holds -= 1
                process.node.release(1)

        def emit(event: Event) -> None:
            if event.phase == "suspend":
                let_go()

        try:
            self.seen.outcome = await self._upgrade(node, emit)
        except Exception as error:  # told with the boundary, where the test ends
            self.seen.error = error
        finally:
            let_go()
            if process.alive and process.mailbox and not process.holds:
                process.wake()
            ended.set_result(None)

    def _owned(self, kind: type) -> bool:
        return any(node.code.loaded(kind.__module__) for node in self._nodes)


def is_older(release: Release, goal: Release, vsn: str) -> bool:
    """Say whether a node of *release* that began with *vsn* can be upgraded to *goal*."""
    return release.name == goal.name and vsn != goal.vsn


def _class_of(process: Process) -> str:
    return f"{process.reference.module}:{process.reference.qualname}"
