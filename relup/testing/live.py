"""A node for a test, in the test's own event loop.

The node lives in the process of the test, so what it answers and what its states hold are the objects themselves, its
prints are captured, and a debugger stops in it. A process of its own would give a test texts to compare. The price is
Python's: two nodes in one process cannot have modules of the same name at the same time, and a release cannot bring
another version of a library that is loaded already (`already_loaded`). Everything else is as `relup start` and
`relup apply` do it: the same records, plans, checks and windows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NoReturn, get_args

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.executor import UNSAID, Limits, Options, Outcome
from relup.executor.outcome import Emit
from relup.model.release import Release
from relup.model.route import Route
from relup.runtime import Node as RuntimeNode
from relup.runtime import NoProcess, Pid, Process, ProcessError, sys
from relup.targets.python.handler import ReleaseHandler
from relup.targets.python.service import Service, serve
from relup.testing.copying import copied
from relup.testing.failures import End, UpgradeFailed, refused
from relup.testing.misuse import limits_needed, name_and_home_needed, timeout_needed, version_needed
from relup.testing.watching import Watch, WatchedNode
from relup.testing.ways import locate, read, way_back, way_to

OWNER = "a test"


class AsyncNode:
    """A live node; its methods are awaited in the loop in which it was started."""

    def __init__(self, service: Service, home: Path, places: Sequence[Path], watch: Watch | None) -> None:
        """Drive *service*, whose home is below *home*; releases that it is upgraded to are looked for in *places*."""
        self._service = service
        self._home = home
        self._places = places
        self._watch = watch

    # ── what runs ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def node(self) -> RuntimeNode:
        """The node itself, for what is not here: `relup.runtime` and its modules `sys` and `supervisor` take it."""
        return self._service.node

    @property
    def target(self) -> ReleaseHandler:
        """What an upgrade is applied to, for `check_target`."""
        return self._service.handler

    @property
    def release(self) -> Release:
        """The release that runs."""
        return self._service.handler.running

    @property
    def vsn(self) -> str:
        """The version of the release that runs."""
        return self.release.vsn

    @property
    def idle(self) -> bool:
        """Whether nobody is upgrading it."""
        return self._service.handler.owner is None

    # ── its servers ────────────────────────────────────────────────────────────────────────────────────

    async def call(self, server: str | Pid, request: Any, timeout: float | None = 5.0) -> Any:  # noqa: ASYNC109  # OTP's
        """Ask a server and return its answer; raise what `relup.runtime.Node.call` raises."""
        __tracebackhide__ = True
        timeout_needed(timeout)
        await self._quiet()
        self._find(server)
        answer = await self.node.call(server, request, timeout)
        self._say("call", server, request, answer)
        return answer

    async def cast(self, server: str | Pid, message: Any) -> None:
        """Send a message for `handle_cast`. Unlike the runtime's it raises `NoProcess` where nobody would get it."""
        __tracebackhide__ = True
        await self._quiet()
        self._find(server)
        self._say("cast", server, message, None)
        self.node.cast(server, message)

    async def send(self, server: str | Pid, message: Any) -> None:
        """Send a message for `handle_info`. Unlike the runtime's it raises `NoProcess` where nobody would get it."""
        __tracebackhide__ = True
        await self._quiet()
        self._find(server)
        self._say("send", server, message, None)
        self.node.send(server, message)

    async def state(self, server: str | Pid, timeout: float | None = 5.0) -> Any:  # noqa: ASYNC109  # OTP's
        """Return the state that a server has after the messages sent to it so far, as a copy (`sys:get_state`).

        What is not data (a socket, a task, a lock) is in the copy as it is in the state.
        """
        __tracebackhide__ = True
        timeout_needed(timeout)
        await self._quiet()
        self._find(server)
        state = copied(await sys.get_state(server, timeout, node=self.node), self._owned)
        self._say("state", server, None, state)
        return state

    async def states(self) -> dict[str, Any]:
        """Return the state of every process but supervisors, by name; by class and pid where it has none."""
        await self._quiet()
        found = dict[str, Any]()
        for process in [p for p in self.node.processes.values() if not p.supervisor]:
            found[_called(process)] = copied(await sys.get_state(process.pid, node=self.node), self._owned)
        self._say("states", None, None, found)
        return found

    async def settle(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109  # like a call's
        """Wait until nobody handles a message and no mail lies there; timers may still bring some.

        Raises `TimeoutError` naming who is busy then.
        """
        timeout_needed(timeout)
        await self._quiet()
        try:
            async with asyncio.timeout(timeout):
                while self._busy():
                    for process in list(self.node.processes.values()):
                        with suppress(ProcessError):  # it ended meanwhile
                            await self.node.system(process.pid, _nothing, None)
        except TimeoutError:
            raise TimeoutError(f"after {timeout:g} s still busy: {'; '.join(self._busy())}") from None
        self._say("settle", None, None, None)

    def _find(self, server: str | Pid) -> None:
        """Raise `NoProcess`, with the names that there are, where nobody is called *server*."""
        __tracebackhide__ = True
        try:
            self.node.process(server)
        except NoProcess:
            raise NoProcess(server, sorted(self.node.names)) from None

    def _busy(self) -> list[str]:
        found = self.node.processes.values()
        return [f"{p.label}, in {p.current_function()}" for p in found if p.busy or (p.mailbox and not p.asleep)]

    # ── its versions ───────────────────────────────────────────────────────────────────────────────────

    async def upgrade(
        self,
        release: str | Path,
        *,
        expect: End = "done",
        strict: bool = False,
        rehearse: bool = False,
        limits: Limits = UNSAID,
    ) -> Outcome:
        """Upgrade to *release* and return the outcome, whose diagnostics say what was seen.

        *expect* is how it has to end; `strict`, `rehearse` and `limits` are those of `relup apply`. Raises
        `UpgradeFailed` when it ends otherwise, and `InvalidInput`, with everything at once, for a release or an appup
        that is wrong. (OTP: `release_handler:install_release/1`.)
        """
        __tracebackhide__ = True
        _refuse_other(expect)
        limits_needed(limits)
        await self._quiet()
        goal = await asyncio.to_thread(self._read, release)
        options = Options(strict=strict, rehearse=rehearse, limits=limits)
        outcome = await self._install(lambda: way_to(self.release, goal, self._unpacked), goal, expect, options)
        self._say("upgrade", None, goal.vsn, outcome.status)
        return outcome

    async def downgrade(self, vsn: str | None = None, *, expect: End = "done") -> Outcome:
        """Go back to the release that ran before, or to *vsn*; otherwise as `upgrade`."""
        __tracebackhide__ = True
        _refuse_other(expect)
        version_needed(vsn)
        await self._quiet()
        goal = self._earlier(vsn)
        outcome = await self._install(lambda: way_back(self.release, goal, self._unpacked), goal, expect, Options())
        self._say("downgrade", None, goal.vsn, outcome.status)
        return outcome

    async def _install(self, way: Callable[[], Route], goal: Release, expect: End, options: Options) -> Outcome:
        __tracebackhide__ = True
        name, base = f"{self.release} → {goal.vsn}", self.release
        try:
            route = await asyncio.to_thread(way)
            outcome = await self.apply(route, options)
        except Refused as error:
            outcome = refused(base, goal, error)
        if outcome.status != expect:
            raise UpgradeFailed(name, outcome, expect)
        return outcome

    async def apply(self, route: Route, options: Options, emit: Emit = lambda event: None) -> Outcome:
        """Carry out a plan; raise `Refused` with nothing touched."""
        return await self._service.handler.install(route, owner=OWNER, emit=emit, options=options)

    def _read(self, release: str | Path) -> Release:
        return read(locate(release, self._places), self._unpacked)

    def _earlier(self, vsn: str | None) -> Release:
        before = self._service.handler.records.way_back
        if found := [i for i in before if vsn in (None, i.vsn)]:
            return read(Path(found[-1].root), self._unpacked)
        leads = ", ".join(i.vsn for i in reversed(before)) or "nothing"
        message = f"no release {vsn or 'before it'} is on the way back from {self.release}: it leads to {leads}"
        raise Refused([Diagnostic("no_such_release", message)])

    @property
    def _unpacked(self) -> Path:
        return self._home / self.node.name / "releases"

    def _owned(self, kind: type) -> bool:
        return self.node.code.loaded(kind.__module__)

    # ── when the test is run with upgrades at its message boundaries ────────────────────────────────────

    async def _quiet(self) -> None:
        """Let an upgrade that was injected come to its end before the test goes on."""
        if self._watch:
            await self._watch.quiet()

    def _say(self, what: str, *said: Any) -> None:
        if self._watch:
            self._watch.said(what, *said)


def _nothing(process: Process) -> None:
    """Be carried out when a process has handled what came before."""


def _refuse_other(expect: str) -> None:
    """Raise `InvalidInput` for an end that no upgrade has, before there is one."""
    __tracebackhide__ = True
    if expect not in (ends := get_args(End)):
        message = f"an upgrade ends {', '.join(map(repr, ends))}: expect={expect!r} never comes"
        raise InvalidInput([Diagnostic("no_such_end", message)])


def _called(process: Process) -> str:
    reference = process.reference
    return process.name or f"{reference.module}:{reference.qualname} {process.pid}"


class Running:
    """A node as long as an `async with` lasts; `with` alone is told what to write instead."""

    def __init__(self, context: AbstractAsyncContextManager[AsyncNode]) -> None:
        """Run what *context* runs."""
        self._context = context

    async def __aenter__(self) -> AsyncNode:
        __tracebackhide__ = True
        return await self._context.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._context.__aexit__(kind, error, trace)

    def __enter__(self) -> NoReturn:
        __tracebackhide__ = True
        raise TypeError("`running` runs in an event loop: say `async with`; or, without one, `start`")

    def __exit__(self, *error: object) -> None:
        """Be there, for Python asks for both before it enters."""


def running(
    release: str | Path,
    *,
    name: str | None = None,
    home: str | Path | None = None,
    places: Sequence[Path] = (),
    watch: Watch | None = None,
) -> Running:
    """Run *release* as a node in this event loop until the block is left; nothing of it remains then.

    *name* is the node's (default: the release's). *home* is where its records are kept (default: a folder of its own,
    removed after it): with the same home it boots what was confirmed there. *places* are looked through for *release*
    (default: the working directory). Raises `InvalidInput` with everything that is wrong with the release, and
    `Refused` when an application does not start or another node in this process has modules of the same names.
    """
    return Running(_running(release, name, home, places, watch))


@asynccontextmanager
async def _running(
    release: str | Path, name: str | None, home: str | Path | None, places: Sequence[Path], watch: Watch | None
) -> AsyncIterator[AsyncNode]:
    name_and_home_needed(name, home)
    with TemporaryDirectory(prefix="relup-", ignore_cleanup_errors=True) as folder:
        base = Path(home or folder)
        path = locate(release, places)
        read(path, base / ".unpacked")  # what reading loads must be there before the node is: see `aside`
        made = (lambda named: WatchedNode(named, watch)) if watch else RuntimeNode
        async with serve(path, name=name, base=base, node_class=made) as service:
            node = AsyncNode(service, base, places, watch)
            if watch:
                watch.attach(node)
            try:
                yield node
            finally:
                if watch:
                    await watch.quiet()
                    watch.detach(node)
