"""What a supervisor does with its children: start, end, restart (OTP's rules).

Children start in order and end in reverse. When one exits, `restart` of its spec says whether it comes back, the
strategy says who goes and comes with it, and the intensity says when it is enough: then the supervisor ends all of
them and itself, for its own supervisor to decide. A restart that fails is tried again by a message to itself, and
counts again, so a child that cannot start ends in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, assert_never

from relup.runtime.children import ChildSpec, completed
from relup.runtime.errors import ChildError, FailedToStartChild, Ignored, is_shutdown
from relup.runtime.family import Child, Family
from relup.runtime.messages import Info
from relup.runtime.pid import Pid
from relup.runtime.process import Leave, Process
from relup.runtime.shutdown import shut_down

logger = logging.getLogger("relup.runtime")


@dataclass(frozen=True, slots=True)
class TryAgain:
    """A supervisor's message to itself: the restart of this child failed."""

    id: Any


async def start_all(process: Process, family: Family) -> None:
    """Start every child in order; when one fails, end those that were started and raise FailedToStartChild."""
    try:
        for child in list(family.children.values()):
            await _start(process, family, child)
    except BaseException:
        await end_all(process, family)
        raise


async def end_all(process: Process, family: Family) -> None:
    """End every child, the last one first."""
    await _end(process, family, family.children.values())


async def exited(process: Process, family: Family, pid: Pid, reason: Any) -> None:
    """Do what the spec of the child that was *pid* says; nothing for a process that is no child (any more)."""
    if pid not in family.ids:
        return
    child = family.children[family.ids[pid]]
    family.ended(child)
    match child.spec.restart:
        case "temporary":
            return
        case "transient" if is_shutdown(reason):
            return
        case "transient" | "permanent":
            logger.info("%s restarts child %r, which exited: %r", process.label, child.spec.id, reason)
            await _restart(process, family, child)
        case _:
            assert_never(child.spec.restart)


async def try_again(process: Process, family: Family, name: Any) -> None:
    """Repeat a restart that failed, unless the child was started or ended meanwhile."""
    child = family.children.get(name)
    if child is not None and child.restarting:
        await _restart(process, family, child)


async def start_child(process: Process, family: Family, spec: ChildSpec) -> Pid | None:
    """Add a child and start it; None when its `init` returned Ignore. A child that does not start is not added."""
    known = family.children.get(spec.id)
    if known is not None and (known.pid is not None or known.restarting):
        raise ChildError("already_started", spec.id, f"child {spec.id!r} runs already: {known.pid or 'restarting'}")
    if known is not None:
        raise ChildError("already_present", spec.id, f"child {spec.id!r} is there already, and not running")
    reference = spec.start if not isinstance(spec.start, type) else process.node.code.reference(spec.start)
    child = Child(completed(spec, reference))
    family.put(child)
    try:
        return await _start(process, family, child)
    except BaseException:
        family.drop(spec.id)
        raise


async def restart_child(process: Process, family: Family, name: Any) -> Pid | None:
    """Start a child that has no process; None when its `init` returned Ignore."""
    child = _find(family, name)
    _refuse_alive(child)
    return await _start(process, family, child)


async def terminate_child(process: Process, family: Family, name: Any) -> None:
    """End a child's process; its spec stays, unless it is temporary."""
    await _end(process, family, [_find(family, name)])


def delete_child(family: Family, name: Any) -> Child:
    """Remove the spec of a child that has no process, and return it."""
    child = _find(family, name)
    _refuse_alive(child)
    family.drop(name)
    return child


def restore_child(family: Family, child: Child) -> None:
    """Put a deleted child back, without a process; nothing happens when a child has that id again."""
    if child.spec.id not in family.children:
        family.put(child)


def _find(family: Family, name: Any) -> Child:
    try:
        return family.children[name]
    except (KeyError, TypeError):
        raise ChildError("not_found", name, f"there is no child {name!r}") from None


def _refuse_alive(child: Child) -> None:
    if child.restarting:
        raise ChildError("restarting", child.spec.id, f"child {child.spec.id!r} is being restarted")
    if child.pid is not None:
        raise ChildError("running", child.spec.id, f"child {child.spec.id!r} is running")


async def _start(process: Process, family: Family, child: Child) -> Pid | None:
    spec = child.spec
    reference = spec.start if not isinstance(spec.start, type) else process.node.code.reference(spec.start)
    pid: Pid | None = None
    try:
        pid = (await process.node.begin(reference, spec.args, spec.name, process, spec.modules)).pid
    except Ignored:
        pass
    except Exception as error:
        raise FailedToStartChild(spec.id, error) from error
    if pid is None and spec.restart == "temporary":
        family.drop(spec.id)
    else:
        family.put(Child(spec, pid))
    return pid


async def _end(process: Process, family: Family, children: Iterable[Child]) -> None:
    for child in list(children)[::-1]:
        alive = process.node.processes.get(child.pid) if child.pid is not None else None
        if alive is not None:
            await shut_down(alive, child.spec.shutdown if child.spec.shutdown is not None else 5.0)
        family.ended(child)


async def _restart(process: Process, family: Family, child: Child) -> None:
    """Restart *child*, and others by the strategy; raises Leave when it is enough."""
    now = process.node.loop.time()
    family.restarts = (*(t for t in family.restarts if now <= t + family.period), now)
    if len(family.restarts) > family.intensity:
        logger.error(
            "%s gives up: more than %d restarts in %g s, the last one of child %r",
            process.label,
            family.intensity,
            family.period,
            child.spec.id,
        )
        raise Leave("shutdown")
    try:
        for one in await _clear(process, family, child):
            await _start(process, family, one)
    except FailedToStartChild as error:
        logger.warning("%s: %s; it tries again", process.label, error)
        family.put(replace(family.children[error.child], pid=None, restarting=True))
        process.post(Info(TryAgain(error.child)))


async def _clear(process: Process, family: Family, child: Child) -> list[Child]:
    """End what goes down with *child*, and return what is to be started again, in order."""
    name = child.spec.id
    family.put(replace(family.children[name], pid=None, restarting=False))
    match family.strategy:
        case "one_for_one":
            return [family.children[name]]
        case "rest_for_one":
            await _end(process, family, family.after(name))
            return [family.children[name], *family.after(name)]
        case "one_for_all":
            await _end(process, family, family.children.values())
            return list(family.children.values())
        case _:
            assert_never(family.strategy)
