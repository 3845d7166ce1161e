"""Which children a supervisor gains and loses: reading its child specs again neither starts nor stops any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.model.draft import TODO
from relup.planner.children import children as written
from relup.planner.draft.scene import Scene
from relup.planner.roles import Role, roles


def children(scene: Scene, module: str, found: Sequence[Role]) -> Iterator[str]:
    """Yield what has to be said of the children of a module's supervisors: the calls that start and end them."""
    before = {r.name: r for r in roles(scene.old, scene.old.module(module))}
    for role in found:
        if role.behaviour == "supervisor" and role.name in before:
            was, now = written(before[role.name]), written(role)
            if was is None or now is None:
                yield from _computed(scene, role)
                continue
            more, less = [i for i in now if i not in was], [i for i in was if i not in now]
            if more or less:
                yield f"{TODO}: {role.name} has other children, and an update starts and ends none; in this order:"
                yield from _calls(less, more)


def _computed(scene: Scene, role: Role) -> Iterator[str]:
    """Ask about children whose ids are computed, when what computes them changed."""
    if any((cls.name, "init") in scene.difference(module).methods for module, cls in role.classes):
        yield f"{TODO}: the init of {role.name} changed and computes ids of children, and an update starts and ends"
        yield "  none; if some are new or gone, in this order:"
        yield from _calls(["CHILD"], ["CHILD"])


def _calls(less: Sequence[str], more: Sequence[str]) -> Iterator[str]:
    yield from (_call("terminate_child", child) for child in less)
    yield from (_call("delete_child", child) for child in less)
    yield from (f"{_call('restart_child', child)}  # after this update" for child in more)


def _call(function: str, child: str) -> str:
    return f"  - apply: {{module: supervisor, function: {function}, args: [SUPERVISOR, {child}]}}"
