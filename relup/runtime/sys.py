"""System messages, with OTP's names (the module `sys`): look into a process and exchange what it is made of.

Each is carried out at the process' message boundary, in the order of its mailbox, and also while it is suspended. A
process is given by pid or name; the node is the current one unless given. *timeout* is in seconds, None for no limit.
Errors: NoProcess, CallTimeout (a request that timed out is not carried out later), ServerDied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Literal

from relup.runtime.context import current_node, probe_variable
from relup.runtime.errors import ProcessError
from relup.runtime.node import Node
from relup.runtime.pid import Pid
from relup.runtime.process import Process
from relup.runtime.registry import Server


@dataclass(frozen=True, slots=True)
class Status:
    """What `get_status` tells."""

    pid: Pid
    name: str | None
    module: str
    behaviour: str
    """The callback class, `module:Class`."""
    vsn: str | None
    status: Literal["running", "suspended"]
    parent: Pid | None
    mailbox: int
    """How many messages wait."""
    state: Any


async def suspend(server: Server, timeout: float | None = 5.0, *, node: Node | None = None) -> None:  # noqa: ASYNC109
    """Let a process handle system messages only, until `resume`; twice is once, as in OTP."""

    def fall_asleep(process: Process) -> None:
        if not process.asleep:
            process.asleep = True
            process.holds += 1

    await (node or current_node()).system(server, fall_asleep, timeout)


async def resume(server: Server, timeout: float | None = 5.0, *, node: Node | None = None) -> None:  # noqa: ASYNC109
    """Undo `suspend`; nothing happens when the process is not suspended by it."""

    def awake(process: Process) -> None:
        if process.asleep:
            process.asleep = False
            process.holds -= 1

    await (node or current_node()).system(server, awake, timeout)


async def get_state(server: Server, timeout: float | None = 5.0, *, node: Node | None = None) -> Any:  # noqa: ASYNC109
    """Return the state itself, no copy: it must not be changed."""
    if still := _held_for_probe(server, node):
        return still.state
    held = await (node or current_node()).system(server, lambda process: [process.state], timeout)
    return held[0]  # in a list, for what system() gets is awaited if it can be


async def replace_state(
    server: Server,
    function: Callable[[Any], Any],
    timeout: float | None = 5.0,  # noqa: ASYNC109
    *,
    node: Node | None = None,
) -> Any:
    """Replace the state by `function(state)` and return the new one; what *function* raises leaves it as it was."""

    async def replace(process: Process) -> Any:
        state = function(process.state)
        process.state = await state if isawaitable(state) else state
        return process.state

    return await (node or current_node()).system(server, replace, timeout)


async def change_code(
    server: Server,
    module: str,
    old_vsn: Any,
    extra: Any = None,
    timeout: float | None = 5.0,  # noqa: ASYNC109
    *,
    node: Node | None = None,
) -> None:
    """Let a suspended process change its state by `code_change` of the current code; raises what that raises."""

    async def change(process: Process) -> None:
        if not process.asleep:
            raise ProcessError(f"{process.label} is not suspended: change_code needs sys.suspend first")
        state = process.change_code(module, old_vsn, extra)
        process.state = await state if isawaitable(state) else state

    await (node or current_node()).system(server, change, timeout)


async def get_status(server: Server, timeout: float | None = 5.0, *, node: Node | None = None) -> Status:  # noqa: ASYNC109
    """Return what there is to know about a process."""
    if still := _held_for_probe(server, node):
        return status(still)
    found: Status = await (node or current_node()).system(server, status, timeout)
    return found


def _held_for_probe(server: Server, node: Node | None) -> Process | None:
    """Return the process where a probe asks for one that an upgrade holds: it is at rest, and answers nobody."""
    if not probe_variable.get():
        return None
    process = (node or current_node()).process(server)
    return process if process.suspended else None


def status(process: Process) -> Status:
    """Return the status of a process as it is at this moment, between messages or not."""
    reference = process.reference
    return Status(
        pid=process.pid,
        name=process.name,
        module=reference.module,
        behaviour=f"{reference.module}:{reference.qualname}",
        vsn=process.vsn,
        status="suspended" if process.holds else "running",
        parent=None if process.parent is None else process.parent.pid,
        mailbox=len(process.mailbox),
        state=process.state,
    )
