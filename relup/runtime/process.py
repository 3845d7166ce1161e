"""A process: one task, a mailbox, and a state that only messages change.

Its state is an attribute, its code a cell shared with all others of its class (`reference.cls`), so both can be
exchanged from outside, and exchanged back, by plain assignment: at a message boundary, where nothing of either is on
the stack of its loop.

`current` says what a process is busy with (None between messages); `holds` keeps it between messages while it is not
zero. Both are read and written synchronously in the loop's thread, so who looks at them sees a consistent picture.
"""

from __future__ import annotations

from asyncio import Future, Task
from collections import deque
from collections.abc import Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from relup.runtime.behaviour import bind
from relup.runtime.code.reference import ClassReference
from relup.runtime.errors import ServerDied
from relup.runtime.frames import function_of
from relup.runtime.messages import BIRTH, Caller, Exited, Info, Message, Monitor, System, Wait
from relup.runtime.pid import Pid

if TYPE_CHECKING:
    from relup.runtime.node import Node


class Leave(Exception):
    """Ends the loop of a process, through `terminate`; *ordered* from outside it is no fault of the process."""

    def __init__(self, reason: Any, *, ordered: bool = False) -> None:
        self.reason = reason
        self.ordered = ordered


class Killed(Exception):
    """Ends the loop of a process, without `terminate`."""


class Process:
    """One process of a node; programs know it by its pid, the machinery of upgrades by this."""

    __slots__ = (
        "_modules",
        "_task",
        "alive",
        "asleep",
        "children",
        "context",
        "current",
        "deferred",
        "holds",
        "links",
        "mailbox",
        "monitors",
        "name",
        "node",
        "parent",
        "pid",
        "reference",
        "state",
        "waiter",
        "waiting",
    )

    def __init__(
        self,
        node: Node,
        pid: Pid,
        reference: ClassReference,
        *,
        name: str | None = None,
        modules: tuple[str, ...] | None = None,
        parent: Process | None = None,
    ) -> None:
        self.node = node
        self.pid = pid
        self.reference = reference
        self.name = name
        self._modules = modules
        self.parent = parent
        self.state: Any = None
        self.mailbox: deque[Message] | tuple[()] = ()
        """Messages not yet handled; an empty tuple when there are none, for a deque takes 600 bytes."""
        self.current: object = BIRTH
        """The message in whose callback the process is; BIRTH during `init`; None at a message boundary."""
        self.holds = 0
        """How many want it held at its message boundary: upgrades, and `sys.suspend` (which counts once)."""
        self.asleep = False
        """Whether `sys.suspend` is one of them."""
        self.alive = True
        self.context: Context | None = None
        """The context of its task, from the end of `init` until the task is made, which is with its first message."""
        self._task: Task[None] | None = None
        self.waiting: list[Caller | Wait | System] | None = None
        """What it waits for in other processes, in its callback or in tasks that a callback spawned."""
        self.deferred: set[Caller] | None = None
        """Callers that `handle_call` left waiting."""
        self.children: dict[Process, None] | None = None
        """Processes that it started with a link, in that order."""
        self.links: dict[Process, None] | None = None
        self.monitors: list[Monitor] | None = None
        self.waiter: Future[None] | None = None
        """What its loop awaits while it rests."""

    # ── what others see ────────────────────────────────────────────────────────────────────────────────

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules whose change concerns it: those of its child spec, else its callback class' module."""
        return self._modules or (self.reference.module,)

    @property
    def label(self) -> str:
        """How it is called in messages for people."""
        return f"{self.name} ({self.pid})" if self.name else f"{self.reference.qualname} {self.pid}"

    @property
    def busy(self) -> bool:
        """Whether it is inside a callback (or in `init`): it can be held only after that."""
        return self.current is not None

    @property
    def suspended(self) -> bool:
        """Whether it stands still at a message boundary because somebody holds it."""
        return self.holds > 0 and self.current is None

    @property
    def rest(self) -> object | None:
        """What it rests on between messages: another object after every time it was awake, None while it is."""
        return self.context if self.waiter is None else self.waiter

    @property
    def supervisor(self) -> bool:
        """Whether it supervises."""
        return bool(self.reference.cls.supervises)  # type: ignore[attr-defined]  # a cell may hold any class

    @property
    def vsn(self) -> str | None:
        """The version of its callback module that is current."""
        return self.node.code.vsn(self.reference.module)

    @property
    def task(self) -> Task[None] | None:
        """The task that it runs in; made when it is needed, for most of what an idle server weighs is its task."""
        if self.context is not None:
            self.hatch(None, None)
        return self._task

    @property
    def waiting_for(self) -> tuple[Process, ...]:
        """The processes whose answer, start or end it awaits."""
        return tuple(w.process for w in self.waiting or ())

    def current_function(self) -> str:
        """Return where it stands: `shop.cart:Cart.handle_call (cart.py:41)`, or what it waits for when idle."""
        if self.current is None or self._task is None:
            return "suspended" if self.holds else "waiting for a message"
        return function_of(self._task, self.reference.module)

    def change_code(self, module: str, old_vsn: Any, extra: Any) -> Any:
        """Return the state for the current code, or an awaitable of it; the process keeps the one that it has.

        *module* is the one that changed; as in OTP it is the callback class that answers, whichever module it was.
        Raises what `code_change` raises.
        """
        return bind(self.reference.cls, self)._change(old_vsn, self.state, extra)

    # ── its mail ───────────────────────────────────────────────────────────────────────────────────────

    def post(self, message: Message) -> None:
        """Put a message at the end of the mailbox."""
        if self.mailbox:
            self.mailbox.append(message)
        else:
            self.mailbox = deque((message,))
        waiter = self.waiter
        if waiter is not None and not self.holds:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)
        elif self.context is not None and not self.holds:
            self.hatch(None, None)

    def post_system(self, message: System, *, first: bool = False) -> None:
        """Put a system message at the end of the mailbox, or before all others."""
        if not self.mailbox:
            self.mailbox = deque((message,))
        elif first:
            self.mailbox.appendleft(message)
        else:
            self.mailbox.append(message)
        if self.holds <= self.asleep:
            self.wake()

    def wake(self) -> None:
        """Let a resting process look at its mailbox."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        elif self.context is not None:
            self.hatch(None, None)

    def forget_caller(self, caller: Caller) -> None:
        """Owe *caller* no answer any more."""
        if self.deferred:
            self.deferred.discard(caller)

    # ── its end, asked for from outside ────────────────────────────────────────────────────────────────

    def order_exit(self, reason: Any, *, first: bool = False) -> None:
        """Let it terminate with *reason* at its message boundary: after the mail it has, or before."""

        def leave(process: Process) -> None:
            raise Leave(reason, ordered=True)

        self.post_system(System(self, leave, None), first=first)

    def kill(self) -> None:
        """End it where it stands, without `terminate` (OTP's exit reason `kill`)."""

        if self.context is not None:
            self.bury("killed")
        elif self.alive:
            self.post_system(System(self, _die, None), first=True)  # for a callback that swallows the cancellation
            if self._task is not None:
                self._task.cancel()

    def abandon(self) -> None:
        """Remove it though its callback goes on; should that ever end, so does the task."""
        self.bury("killed")
        self.mailbox = deque((System(self, _die, None),))

    def hatch(self, birth: Coroutine[Any, Any, Any] | None, started: Wait | None) -> None:
        """Make its task; *birth* is the rest of an `async def init`."""
        context, self.context = self.context, None
        name = self.name or self.reference.qualname
        loop = self.node.loop
        # not by loop.create_task: an eager task factory would run callbacks inside of whoever sends the first message
        self._task = Task(self.node.live(self, birth, started), loop=loop, name=name, context=context)
        self._task.add_done_callback(self.stillborn)

    def stillborn(self, task: Task[None]) -> None:
        """Bury it: its task was cancelled before its first step, so nothing of its loop ever ran."""
        self.bury("killed")

    def linked_exit(self, origin: Process, reason: Any) -> None:
        """Take note that a linked process exited: die as well, or be told when it traps exits (OTP's rules)."""
        if not self.alive:
            return
        traps = bool(self.reference.cls.trap_exit)  # type: ignore[attr-defined]  # a cell may hold any class
        if traps and origin is not self.parent:
            self.post(Info(Exited(origin.pid, reason)))
        elif traps or not (isinstance(reason, str) and reason == "normal"):
            self.order_exit(reason, first=True)

    def detach(self) -> None:
        """Cut the link to its parent."""
        if self.parent is not None and self.parent.children is not None:
            self.parent.children.pop(self, None)
        self.parent = None

    # ── its end ────────────────────────────────────────────────────────────────────────────────────────

    def bury(self, reason: Any) -> None:
        """Remove it from the node and tell everybody concerned; nothing of it runs after this."""
        if not self.alive:
            return
        self.alive = False
        self.node.forget(self)
        for message in (self.current, *self.mailbox, *(self.deferred or ())):
            _bounce(message, reason, self.label)
        self.current, self.mailbox, self.deferred, self.context = None, (), None, None
        self._task = None  # it refers to the process: in a circle, old code would be in use until it is collected
        monitors, self.monitors = self.monitors or (), None
        for monitor in monitors:
            monitor.down(reason)
        self._unlink(reason)
        if self.node.drain is not None:
            self.node.drain.poke()

    def _unlink(self, reason: Any) -> None:
        linked = (*(self.links or ()), *(self.children or ()))
        parent = self.parent
        self.detach()
        self.links = self.children = None
        if parent is not None:
            parent.linked_exit(self, reason)
        for other in linked:
            if other.links is not None:
                other.links.pop(self, None)
            other.linked_exit(self, reason)
            if other.parent is self:
                other.parent = None


def _die(process: Process) -> None:
    raise Killed


def _bounce(message: object, reason: Any, label: str) -> None:
    match message:
        case Caller() | System():
            error = ServerDied(reason, label)
            error.__cause__ = reason if isinstance(reason, BaseException) else None
            message.fail(error)
        case _:
            pass
