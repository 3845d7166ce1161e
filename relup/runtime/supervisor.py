"""Supervisor: a process that keeps others alive, and OTP's functions upon it.

The functions take a supervisor by pid or name and act on the current node, so that an appup can call them:
`apply: {module: supervisor, function: restart_child, args: [shop_sup, cart]}`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import Any, ClassVar

from relup.runtime import supervision
from relup.runtime.behaviour import Behaviour
from relup.runtime.children import ChildSpec, SupervisorSpec, child_spec, validate
from relup.runtime.context import current_node, deleted_variable, exempt_variable
from relup.runtime.errors import ChildError, ProcessError
from relup.runtime.family import ChildInfo, Family, changed, founded
from relup.runtime.messages import Caller, Exited
from relup.runtime.pid import Pid
from relup.runtime.process import Process
from relup.runtime.registry import Server
from relup.runtime.replies import Ignore, NoReply, Reply
from relup.runtime.supervision import TryAgain, end_all, exited, start_all, try_again

logger = logging.getLogger("relup.runtime")


class Supervisor(Behaviour):
    """Subclass it and override `init` (OTP's supervisor)."""

    supervises: ClassVar[bool] = True
    trap_exit: ClassVar[bool] = True

    def init(self, args: Any) -> SupervisorSpec | type[Ignore] | Awaitable[SupervisorSpec]:
        """Return the flags and the children. A code change reads it again, with the same *args*."""
        raise NotImplementedError(f"{type(self).__qualname__} has no init")

    async def handle_call(self, request: Any, caller: Caller, state: Family) -> Reply | NoReply:
        """Answer OTP's functions; what they raise goes to who asked."""
        try:
            return Reply(await answer(self._process, request, state), state)
        except ProcessError as error:
            caller.fail(error)
            return NoReply(state)

    def handle_cast(self, message: Any, state: Family) -> Family:
        """Log a message that no supervisor understands."""
        logger.warning("%s got an unexpected cast: %.200r", self._process.label, message)
        return state

    async def handle_info(self, message: Any, state: Family) -> Family:
        """Take care of a child that exited."""
        match message:
            case Exited(pid, reason):
                await exited(self._process, state, pid, reason)
            case TryAgain(name):
                await try_again(self._process, state, name)
            case _:
                logger.warning("%s got an unexpected message: %.200r", self._process.label, message)
        return state

    async def terminate(self, reason: Any, state: Family) -> None:
        """End the children, the last one first."""
        await end_all(self._process, state)

    async def _start(self, args: Any) -> Any:
        spec = self.init(args)
        spec = await spec if isawaitable(spec) else spec
        if spec is Ignore or isinstance(spec, Ignore):
            return Ignore
        family = founded(args, validate(type(self).__qualname__, spec), self.node.code)
        await start_all(self._process, family)
        return family

    def _change(self, old_vsn: Any, state: Family, extra: Any) -> Any:
        spec = self.init(state.args)
        return self._change_later(state, spec) if isawaitable(spec) else self._changed(state, spec)

    async def _change_later(self, state: Family, spec: Awaitable[Any]) -> Family:
        return self._changed(state, await spec)

    def _changed(self, state: Family, spec: Any) -> Family:
        if spec is Ignore or isinstance(spec, Ignore):
            return state
        return changed(state, validate(type(self).__qualname__, spec), self.node.code)


@dataclass(frozen=True, slots=True)
class _Request:
    function: str
    argument: Any = None
    exempt: bool = field(default_factory=exempt_variable.get, compare=False)
    """Whether an upgrade asks: then what is started is started by it."""


async def answer(process: Process, request: Any, family: Family) -> Any:
    """Do what OTP's functions ask of a supervisor, and return what it answers. Raises what goes to who asked."""
    if isinstance(request, _Request) and request.exempt:
        with process.node.births.exempt():
            return await answer(process, replace(request, exempt=False), family)
    match request:
        case _Request("which_children"):
            return family.info()
        case _Request("count_children"):
            return family.count()
        case _Request("start_child", spec):
            return await supervision.start_child(process, family, spec)
        case _Request("restart_child", name):
            return await supervision.restart_child(process, family, name)
        case _Request("terminate_child", name):
            return await supervision.terminate_child(process, family, name)
        case _Request("delete_child", name):
            return supervision.delete_child(family, name)
        case _Request("restore_child", child):
            return supervision.restore_child(family, child)
        case _:
            raise ProcessError(f"{process.label} is a supervisor and does not understand {request!r:.200}")


async def which_children(supervisor: Server) -> list[ChildInfo]:
    """Return the children of a supervisor, in the order in which they start."""
    found: list[ChildInfo] = await _ask(supervisor, _Request("which_children"))
    return found


async def count_children(supervisor: Server) -> dict[str, int]:
    """Return how many specs, active children, supervisors and workers there are."""
    found: dict[str, int] = await _ask(supervisor, _Request("count_children"))
    return found


async def start_child(supervisor: Server, spec: ChildSpec | Mapping[str, Any]) -> Pid | None:
    """Add a child at the end and start it; None when its `init` returned Ignore.

    *spec* may be plain data, with `start: module:Class`. Raises ChildError with the tag `already_started` or
    `already_present`, InvalidSpec, or FailedToStartChild: then it is not added.
    """
    started: Pid | None = await _ask(supervisor, _Request("start_child", child_spec(spec)))
    return started


async def restart_child(supervisor: Server, child: Any) -> Pid | None:
    """Start a child that is not running, with the code and spec that are current.

    Raises ChildError with the tag `not_found`, `running` or `restarting`, or FailedToStartChild.
    """
    started: Pid | None = await _ask(supervisor, _Request("restart_child", child))
    return started


async def terminate_child(supervisor: Server, child: Any) -> None:
    """End a child; its spec stays, unless it is temporary. Raises ChildError `not_found`."""
    await _ask(supervisor, _Request("terminate_child", child))


async def delete_child(supervisor: Server, child: Any) -> None:
    """Remove the spec of a child that is not running. Raises ChildError `not_found`, `running` or `restarting`."""
    deleted = await _ask(supervisor, _Request("delete_child", child))
    if (aside := deleted_variable.get()) is not None:
        aside[supervisor, child] = deleted


async def restore_child(supervisor: Server, child: Any) -> None:
    """Put the spec back that the same upgrade deleted; the child is not started. Relup's own: it takes that back.

    Raises ChildError `not_found` for what it did not delete.
    """
    deleted = (deleted_variable.get() or {}).pop((supervisor, child), None)
    if deleted is None:
        raise ChildError("not_found", child, f"no child {child!r} was deleted by this upgrade")
    await _ask(supervisor, _Request("restore_child", deleted))


async def _ask(supervisor: Server, request: _Request) -> Any:
    return await current_node().call(supervisor, request, timeout=None)
