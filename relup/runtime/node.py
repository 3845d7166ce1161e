"""A node: processes and their names, the code they run, and the applications they belong to.

There is no global registry. A node is an ordinary object that lives inside a program's event loop between the two ends
of `async with`; several may live in one program. When it is left nothing of it remains: applications stop in reverse
order, then every other process, and no task or timer is left behind.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future, Task
from collections.abc import Coroutine, Mapping
from contextvars import Token, copy_context
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from relup.runtime.births import Births
from relup.runtime.clock import Clock
from relup.runtime.code import ClassReference, CodeServer, current_code
from relup.runtime.context import exempt_variable, node_variable, process_variable, roots_variable
from relup.runtime.controller import ApplicationController
from relup.runtime.errors import CallingSelf, CallTimeout, NodeStopped, NoProcess, ServerDied
from relup.runtime.loop import conceive, live, miscarry
from relup.runtime.messages import Caller, Cast, Exited, Info, Monitor, System, Wait
from relup.runtime.pid import Pid
from relup.runtime.process import Process
from relup.runtime.registry import Registry, Server
from relup.runtime.shutdown import ended, shut_down_all, watch
from relup.runtime.timer import Timer

if TYPE_CHECKING:
    from relup.runtime.suspension import Drain


class Node:
    """Where processes live; `async with Node(name="shop") as node:` in any asyncio program."""

    def __init__(self, name: str = "node", code: CodeServer | None = None) -> None:
        self.name = name
        self.code = code if code is not None else CodeServer()
        self._owns_code = code is None
        self.drain: Drain | None = None
        """The suspension that waits for busy processes at this moment."""
        self.held = 0
        """How many holds of upgrades there are; while there are any, the clock stands still."""
        self.timers: set[Timer] = set()
        self._registry = Registry()
        self._addresses = self._registry.addresses
        self._tasks: set[Task[Any]] = set()
        self._closing: Task[None] | None = None
        self._open = False
        self._entered = False
        self._token: Token[Node | None] | None = None

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError(f"node {self.name} was entered before; make a new one")
        self._entered = True
        self.loop = asyncio.get_running_loop()
        self.clock = Clock(self.loop)
        self.births = Births(self.loop)
        self.stopped: Future[Any] = self.loop.create_future()
        self._token = node_variable.set(self)
        self.context = copy_context()
        self.context.run(current_code.set, self.code)
        self.context.run(process_variable.set, None)
        self.context.run(exempt_variable.set, False)
        self.context.run(roots_variable.set, None)
        self.applications = ApplicationController(self)
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            if self._token is not None:
                self._leave_context(self._token)

    def _leave_context(self, token: Token[Node | None]) -> None:
        self._token = None
        try:
            node_variable.reset(token)
        except ValueError:  # entered in another context, as test fixtures do
            node_variable.set(None)

    live = staticmethod(live)  # what the task of a process runs
    born_as = Process  # what a process is made as: who watches message boundaries extends it

    # ── processes ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def processes(self) -> Mapping[Pid, Process]:
        """Every process, the oldest first; those in `init` are among them."""
        return self._registry.processes

    @property
    def names(self) -> Mapping[str, Pid]:
        """Every registered name."""
        return self._registry.names

    def whereis(self, name: str) -> Pid | None:
        """Return the process of that name, None when there is none."""
        return self._registry.names.get(name)

    def process(self, server: Server) -> Process:
        """Return a process by pid or name; raises NoProcess."""
        return self._registry.find(server)

    async def start_link(self, cls: type, args: Any = None, name: str | None = None, parent: Pid | None = None) -> Pid:
        """Start a process and return once its `init` has; linked to *parent*, or to the process that calls this.

        Raises what `init` raised (ServerDied when it returned `Stop(reason)`), AlreadyStarted when the name is taken,
        Ignored when `init` returned Ignore. Nothing is left of a process that did not start.
        """
        above = self.process(parent) if parent is not None else process_variable.get()
        return (await self.begin(self.code.reference(cls), args, name, above)).pid

    async def start(self, cls: type, args: Any = None, name: str | None = None) -> Pid:
        """Start a process without a link; otherwise as `start_link`."""
        return (await self.begin(self.code.reference(cls), args, name, None)).pid

    async def begin(
        self,
        reference: ClassReference,
        args: Any,
        name: str | None = None,
        parent: Process | None = None,
        modules: tuple[str, ...] | None = None,
    ) -> Process:
        """Start a process of the class that is current; what supervisors use."""
        client = process_variable.get()
        scope = modules or (reference.module,)
        if self.births.concerns(scope):
            await self.births.enter(scope, client)
        process = self._register(reference, name, parent, modules)
        self.births.begun(process)
        context = self.context.copy()
        if exempt_variable.get():
            context.run(exempt_variable.set, True)
        try:
            birth = context.run(conceive, process, args)
        except BaseException as error:
            raised = miscarry(process, error)
            raise (error if isinstance(error, KeyboardInterrupt | SystemExit) else raised) from None
        process.context = context
        if birth.__class__ is CoroutineType:
            await self._birth(process, birth, client)
        else:
            process.state = birth
            process.current, birth = None, None
            if process.mailbox:
                process.hatch(None, None)
            if not process.pid % 64:
                await asyncio.sleep(0)
        return process

    async def _birth(self, process: Process, birth: Coroutine[Any, Any, Any], client: Process | None) -> None:
        started = Wait(process, self.loop.create_future())
        process.hatch(birth, started)
        try:
            await self.wait(started, client)
        except CancelledError:
            process.detach()
            process.kill()
            raise

    def _register(
        self, reference: ClassReference, name: str | None, parent: Process | None, modules: tuple[str, ...] | None
    ) -> Process:
        if not self._open:
            raise NodeStopped(f"node {self.name} is not running; it cannot start {reference.qualname}")
        self._registry.check_free(name)
        process = self.born_as(self, self._registry.next_pid(), reference, name=name, modules=modules, parent=parent)
        self._registry.add(process)
        if parent is None and (roots := roots_variable.get()) is not None:
            roots.append(process)
        elif parent is not None:
            parent.children = {} if parent.children is None else parent.children
            parent.children[process] = None
        return process

    def forget(self, process: Process) -> None:
        """Drop a dead process; called by the process."""
        self._registry.remove(process)
        self.release(process.holds - process.asleep)
        process.holds, process.asleep = 0, False

    def release(self, holds: int) -> None:
        """Note that so many holds of upgrades are over; the clock goes on after the last."""
        self.held -= holds
        if not self.held:
            self.clock.start()

    # ── messages ───────────────────────────────────────────────────────────────────────────────────────

    async def call(self, server: Server, request: Any, timeout: float | None = 5.0) -> Any:  # noqa: ASYNC109  # OTP's
        """Ask a server and return its answer; *timeout* in seconds, None for no limit.

        Raises NoProcess, CallTimeout, CallingSelf, or ServerDied when the server dies before it answers.
        """
        process = self._addresses.get(server)
        if process is None:
            raise NoProcess(server)
        client = process_variable.get()
        if client is process and asyncio.current_task() is process.task:
            raise CallingSelf(process.label)
        future: Future[Any] = Future(loop=self.loop)
        caller = Caller(process, request, future, client, timeout)
        process.post(caller)
        if timeout is not None:
            self.clock.limit(timeout, caller)
        try:
            if client is not None:
                return await self.wait(caller, client)
            return await future
        finally:
            caller.finish()

    async def wait(self, wait: Caller | System | Wait, client: Process | None) -> Any:
        """Wait for a future so that a suspension can see that *client* waits, and for whom."""
        if wait.future is None:
            raise RuntimeError("nothing to wait for")
        if client is None:
            return await wait.future
        client.waiting = [] if client.waiting is None else client.waiting
        client.waiting.append(wait)
        client.node.poke()
        try:
            return await wait.future
        finally:
            client.waiting.remove(wait)
            client.node.poke()

    def poke(self) -> None:
        """Tell a suspension in progress that somebody waits, or waits no more."""
        if self.drain is not None:
            self.drain.poke()

    def cast(self, server: Server, message: Any) -> None:
        """Send a message for `handle_cast`; dropped when there is no such process, as in OTP."""
        process = self._addresses.get(server)
        if process is not None:
            process.post(Cast(message))

    def send(self, server: Server, message: Any) -> None:
        """Send a message for `handle_info`; dropped when there is no such process."""
        process = self._addresses.get(server)
        if process is not None:
            process.post(Info(message))

    def send_after(self, seconds: float, server: Server, message: Any) -> Timer:
        """Send a message for `handle_info` in *seconds*."""
        return Timer(self, seconds, server, message)

    def reply(self, caller: Caller, value: Any) -> None:
        """Answer a call that `handle_call` left open with NoReply; nothing happens when nobody waits any more."""
        caller.answer(value)

    def call_threadsafe(self, server: Server, request: Any, timeout: float | None = 5.0) -> Any:
        """Call a server from another thread, and block until it answers."""
        return asyncio.run_coroutine_threadsafe(self.call(server, request, timeout), self.loop).result()

    def cast_threadsafe(self, server: Server, message: Any) -> None:
        """Cast from another thread."""
        self.loop.call_soon_threadsafe(self.cast, server, message)

    async def system(self, server: Server, action: Any, timeout: float | None = 5.0) -> Any:  # noqa: ASYNC109  # OTP's
        """Let a process do `action(process)` at its next message boundary, and return what that returns or raises."""
        process = self.process(server)
        client = process_variable.get()
        if client is process and asyncio.current_task() is process.task:
            raise CallingSelf(process.label)
        message = System(process, action, self.loop.create_future(), timeout)
        process.post_system(message)
        if timeout is not None:
            self.clock.limit(timeout, message)
        return await self.wait(message, client)

    # ── ends ───────────────────────────────────────────────────────────────────────────────────────────

    async def stop(
        self,
        server: Server,
        reason: Any = "normal",
        timeout: float | None = None,  # noqa: ASYNC109  # OTP's
    ) -> None:
        """Let a process terminate after the mail it has, and wait until it is dead (`gen_server:stop`).

        Raises CallTimeout when it is not in time (it is not killed), ServerDied when it died for another reason.
        """
        process = self.process(server)
        if process_variable.get() is process and asyncio.current_task() is process.task:
            raise CallingSelf(process.label)
        monitor = watch(process, self.loop.create_future())
        process.order_exit(reason)
        if not await ended(process, timeout):
            monitor.cancel()
            raise CallTimeout(process.label, timeout or 0.0, "did not stop")
        if (actual := monitor.future.result()) is not reason and actual != reason:
            raise ServerDied(actual, process.label)

    def exit(self, server: Server, reason: Any) -> None:
        """Send an exit signal (OTP's `exit/2`): `kill` kills, `normal` is ignored, others terminate the process.

        A process that traps exits gets `Exited` instead, except for `kill`. It terminates before the mail it has, but
        not inside a callback.
        """
        process = self._addresses.get(server)
        if process is None:
            return
        client = process_variable.get()
        if isinstance(reason, str) and reason == "kill":
            process.kill()
        elif process.reference.cls.trap_exit:  # type: ignore[attr-defined]  # a cell may hold any class
            process.post(Info(Exited(Pid(0) if client is None else client.pid, reason)))
        elif client is process or not (isinstance(reason, str) and reason == "normal"):
            process.order_exit(reason, first=True)

    def monitor(self, server: Server) -> Monitor:
        """Watch a process: await the result for its exit reason; a process that calls this gets ProcessDown too.

        Without such a process the reason is `noproc`, at once.
        """
        watcher = process_variable.get()
        process = self._addresses.get(server)
        if process is not None:
            return watch(process, self.loop.create_future(), watcher)
        monitor = Monitor(server, None, watcher, self.loop.create_future())
        monitor.down("noproc")
        return monitor

    def link(self, server: Server, other: Server | None = None) -> None:
        """Link two processes, *other* being the calling one when not given: when one dies, so does the other."""
        here = self.process(other) if other is not None else process_variable.get()
        if here is None:
            raise LookupError("link() outside of a process needs two of them")
        there = self.process(server)
        here.links, there.links = here.links or {}, there.links or {}
        here.links[there] = there.links[here] = None

    def unlink(self, server: Server, other: Server | None = None) -> None:
        """Take a link back; nothing happens without one."""
        here = self.process(other) if other is not None else process_variable.get()
        there = self._addresses.get(server)
        for one, two in ((here, there), (there, here)):
            if one is not None and two is not None and one.links is not None:
                one.links.pop(two, None)

    # ── the end of the node ────────────────────────────────────────────────────────────────────────────

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Task[Any]:
        """Run *work* in a task of the node, outside of any process; leaving the node waits for it."""
        context = self.context.copy()
        if exempt_variable.get():
            context.run(exempt_variable.set, True)
        task = self.loop.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def terminate(self, reason: Any = "shutdown") -> None:
        """Begin to stop the node; `stopped` gets *reason* when it has (OTP's `init:stop`). Callable from anywhere."""
        if self._closing is None:
            self._closing = self.loop.create_task(self._close(reason), context=self.context.copy())

    async def close(self, reason: Any = "shutdown") -> None:
        """Stop the node and wait until it has; when this is cancelled, everything that is left is killed."""
        self.terminate(reason)
        if self._closing is None:
            return
        try:
            await asyncio.shield(self._closing)
        except CancelledError:
            for process in list(self.processes.values()):
                process.kill()
            await self._closing
            raise

    async def _close(self, reason: Any) -> None:
        self.births.open()
        for process in self.processes.values():
            process.holds = int(process.asleep)
            process.wake()
        self.release(self.held)
        await self.applications.close()
        self._open = False
        while self.processes:
            await shut_down_all(self, [p for p in self.processes.values() if p.parent is None][::-1], 5.0)
        for task in [t for t in self._tasks if t is not asyncio.current_task()]:
            task.cancel()
            await asyncio.wait([task])
        for timer in list(self.timers):
            timer.cancel()
        self.clock.close()
        if self._owns_code:
            self.code.close()
        self.stopped.set_result(reason)
