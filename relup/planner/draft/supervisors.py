"""Which children a supervisor gains and loses: reading its child specs again neither starts nor stops any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.model.draft import TODO
from relup.planner.draft.scene import Scene
from relup.planner.roles import Role, roles
from relup.syntax.outline import Child


def children(scene: Scene, module: str, found: Sequence[Role]) -> Iterator[str]:
    """Yield what has to be said of the children of a module's supervisors: the calls that start and end them."""
    before = {r.name: r for r in roles(scene.old, scene.old.module(module))}
    for role in found:
        if role.behaviour == "supervisor" and role.name in before:
            was, now = _ids(before[role.name]), _ids(role)
            more, less = [i for i in now if i not in was], [i for i in was if i not in now]
            if more or less:
                yield f"{TODO}: {role.name} has other children, and an update starts and ends none; in this order:"
                yield from (_call("terminate_child", child) for child in less)
                yield from (_call("delete_child", child) for child in less)
                yield from (f"{_call('restart_child', child)}  # after this update" for child in more)


def _call(function: str, child: str) -> str:
    return f"  - apply: {{module: supervisor, function: {function}, args: [SUPERVISOR, {child}]}}"


def _ids(role: Role) -> list[str]:
    """Return the ids of children as far as they are written out."""
    specs: Iterator[Child] = (child for _, cls in role.classes for child in cls.children)
    return [child.id for child in specs if child.id is not None]
