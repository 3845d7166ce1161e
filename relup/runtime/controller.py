"""The application controller: which applications a node knows, and which run.

Every start looks the callback class up in the code server, so an application that is started again runs current code.
When the top process of an application exits by itself, its type says what that means: nothing more for a temporary
one, the end of the node for a permanent one, and for a transient one unless the reason is `normal`.
"""

from __future__ import annotations

import logging
from asyncio import Task, current_task, shield, wait
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Literal

from relup.runtime.application import Application, ApplicationSpec, StartType
from relup.runtime.children import locate
from relup.runtime.code import ClassReference
from relup.runtime.context import roots_variable
from relup.runtime.errors import ApplicationError, InvalidSpec, NodeStopped
from relup.runtime.pid import Pid
from relup.runtime.process import Process
from relup.runtime.shutdown import shut_down, shut_down_all, watch

if TYPE_CHECKING:
    from relup.runtime.node import Node

logger = logging.getLogger("relup.runtime")


@dataclass(slots=True, eq=False)
class _Run:
    """One run of an application, from the call of `start` to the return of `stop`."""

    type: StartType
    phase: Literal["starting", "running", "stopping"] = "starting"
    reference: ClassReference | None = None
    top: Process | None = None
    roots: list[Process] = field(default_factory=list)
    """All that `start` began without a parent, the top process among them."""
    state: Any = None
    task: Task[None] | None = None
    """What starts or stops it at this moment."""


class ApplicationController:
    """The applications of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loaded: dict[str, ApplicationSpec] = {}
        self._runs: dict[str, _Run] = {}

    @property
    def loaded(self) -> dict[str, ApplicationSpec]:
        """Every application that the node knows, by name, in the order in which they were loaded."""
        return dict(self._loaded)

    def load(self, spec: ApplicationSpec) -> None:
        """Make an application known. Raises ApplicationError `already_loaded`."""
        if spec.name in self._loaded:
            raise ApplicationError("already_loaded", spec.name, f"application {spec.name} is loaded already")
        self._loaded[spec.name] = spec

    def replace(self, spec: ApplicationSpec) -> ApplicationSpec:
        """Replace what is known of a loaded application, running or not, and return what it was before.

        What an upgrade does with the `.app` data; putting the returned value back undoes it.
        """
        before = self._spec(spec.name)
        self._loaded[spec.name] = spec
        return before

    def unload(self, name: str) -> None:
        """Forget an application. Raises ApplicationError `not_loaded` or `running`."""
        self._spec(name)
        if name in self._runs:
            raise ApplicationError("running", name, f"application {name} is running")
        del self._loaded[name]

    def which_applications(self) -> list[ApplicationSpec]:
        """Return the running applications, in the order in which they started."""
        return [self._loaded[name] for name, run in self._runs.items() if run.phase == "running"]

    def top(self, name: str) -> Pid | None:
        """Return the top process of a running application; None for a library or one that does not run."""
        run = self._runs.get(name)
        return None if run is None or run.top is None else run.top.pid

    async def start(self, name: str, type: StartType | None = None) -> None:  # noqa: A002  # OTP's name
        """Start a loaded application as *type*, or as its spec says.

        Raises ApplicationError `not_loaded`, `already_started`, `not_started` when one that must run before it does
        not, `bad_return`, or `bad_start` for a callback that does not exist; else what its `start` raised.
        """
        spec = self._spec(name)
        self._check(spec)
        run = self._runs[name] = _Run(type or spec.type)
        if spec.start is not None:
            run.task = self._node.spawn(self._start(spec, spec.start, run))
            try:
                await run.task
            except BaseException:
                self._runs.pop(name, None)
                if run.task.cancelled() and not _being_cancelled():
                    raise NodeStopped(f"the node stopped while application {name} started") from None
                raise
        if run.phase == "starting":
            run.phase = "running"

    async def stop(self, name: str) -> None:
        """Stop an application: end its top process, then call `stop`. Raises ApplicationError `not_started`."""
        self._spec(name)
        run = self._runs.get(name)
        if run is None or run.phase != "running":
            raise ApplicationError("not_started", name, f"application {name} is not running")
        run.phase = "stopping"
        run.task = self._node.spawn(self._stop(name, run))
        await shield(run.task)

    async def close(self) -> None:
        """Stop all applications, the last one first, and give up starts; what a `stop` raises is logged."""
        for name, run in list(self._runs.items())[::-1]:
            if run.phase == "running":
                await self.stop(name)
            elif run.task is not None:
                if run.phase == "starting":
                    run.task.cancel()
                await wait([run.task])

    def _spec(self, name: str) -> ApplicationSpec:
        spec = self._loaded.get(name)
        if spec is None:
            raise ApplicationError("not_loaded", name, f"application {name} is not loaded")
        return spec

    def _check(self, spec: ApplicationSpec) -> None:
        if spec.name in self._runs:
            raise ApplicationError("already_started", spec.name, f"application {spec.name} is started already")
        running = {s.name for s in self.which_applications()}
        missing = [a for a in spec.applications if a not in running]
        if missing:
            needs = f"application {spec.name} needs {', '.join(missing)}, which must be started before it"
            raise ApplicationError("not_started", spec.name, needs)

    async def _start(self, spec: ApplicationSpec, place: str, run: _Run) -> None:
        run.reference = self._node.code.reference(_callback(spec.name, place))
        roots_variable.set(run.roots)
        try:
            await self._begin(spec, run, run.reference.cls)
        except BaseException:
            await shut_down_all(self._node, run.roots[::-1], 5.0)
            raise

    async def _begin(self, spec: ApplicationSpec, run: _Run, callback: type) -> None:
        result = callback(self._node).start(spec.args)
        result = await result if isawaitable(result) else result
        match result:
            case Pid():
                pid = result
            case (Pid() as pid, state):
                run.state = state
            case _:
                what = f"start of application {spec.name} returned {result!r:.200}; it must return a pid"
                raise ApplicationError("bad_return", spec.name, what)
        run.top = self._node.process(pid)
        ended = self._node.loop.create_future()
        watch(run.top, ended)
        ended.add_done_callback(lambda future: self._top_exited(spec.name, run, future.result()))

    def _top_exited(self, name: str, run: _Run, reason: Any) -> None:
        run.top = None
        if run.phase == "stopping" or self._runs.get(name) is not run:
            return
        run.phase = "stopping"
        run.task = self._node.spawn(self._gone(name, run, reason))

    async def _gone(self, name: str, run: _Run, reason: Any) -> None:
        """Clean up after an application that ended by itself."""
        orderly = isinstance(reason, str) and reason == "normal"
        logger.log(logging.INFO if orderly else logging.ERROR, "application %s exited: %r", name, reason)
        await self._stop(name, run)
        if run.type == "permanent" or (run.type == "transient" and not orderly):
            self._node.terminate((name, reason))

    async def _stop(self, name: str, run: _Run) -> None:
        try:
            if run.top is not None:
                await shut_down(run.top, "infinity")
            await shut_down_all(self._node, run.roots[::-1], 5.0)
            if run.reference is not None:
                result = run.reference.cls(self._node).stop(run.state)
                if isawaitable(result):
                    await result
        except Exception:
            logger.exception("application %s: stop raised", name)
        finally:
            self._runs.pop(name, None)


def _being_cancelled() -> bool:
    task = current_task()
    return task is not None and task.cancelling() > 0


def _callback(name: str, place: str) -> type:
    try:
        found = locate(place)
    except InvalidSpec as error:
        raise ApplicationError("bad_start", name, f"application {name}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Application)):
        raise ApplicationError("bad_start", name, f"application {name}: {place} is no Application class")
    return found
