"""Children of supervisors: what an upgrade of a supervisor does not do by itself.

A supervisor that is updated reads its child specs again, and neither starts nor ends a child for that. Which ids come
and go can be read where they are written out; for each of them the instruction that is missing can be given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from relup.diagnostics import Diagnostic
from relup.model.instructions import AddModule, Instruction, Remove, SupervisorChange, Update
from relup.model.release import Release
from relup.planner.children import processes, registered, turnover, unnamed
from relup.planner.lint.scene import Scene, called
from relup.planner.lint.table import finding
from relup.planner.names import keyword
from relup.planner.roles import Role


def check_children(scene: Scene) -> Iterator[Diagnostic]:
    """Find children that come, go, or change their class, and that nothing starts or ends."""
    for module, i in scene.loads.items():
        before = {role.name: role for role in scene.before.roles(module, "supervisor")}
        for role in () if isinstance(i, AddModule) else scene.after.roles(module, "supervisor"):
            if role.name in before:
                yield from _differences(scene, i, module, before[role.name], role)


def _differences(scene: Scene, i: Instruction, module: str, old: Role, new: Role) -> Iterator[Diagnostic]:
    found = turnover(scene.before.release.code, scene.after.release.code, old, new)
    if found is None:
        return
    top = _Top(scene, module, new.name)
    reads = isinstance(i, Update) and isinstance(i.change, SupervisorChange)
    says = (
        ""
        if reads
        else f"; and {keyword(i)} does not read its child specs again: update {{module: {module}, change: supervisor}}"
    )
    for child in found.gained:
        if not top.has(child, "restart_child", "start_child"):
            message = f"{new.name} of {module!r} gets the child {child!r}, and nothing starts it{says}"
            yield finding("child_not_started", message, i.location, f"after it: {top.apply('restart_child', child)}")
    for child, (then, now) in found.renewed.items():
        if not top.has(child, "restart_child", "start_child"):
            message = f"the child {child!r} of {new.name} goes on as {then}, not as {now}"
            hint = f"{top.apply('terminate_child', child)}, then {top.apply('restart_child', child)}"
            yield finding("child_of_old_class", message, i.location, hint)
    for child in found.lost:
        if not top.has(child, "terminate_child", "delete_child"):
            message = f"{new.name} of {module!r} loses the child {child!r}, and nothing ends it{says}"
            hint = f"{top.apply('terminate_child', child)}, then {top.apply('delete_child', child)}"
            yield finding("child_not_ended", message, i.location, hint)


@dataclass(frozen=True, slots=True)
class _Top:
    """A supervisor, and what the script asks of it."""

    scene: Scene
    module: str
    name: str

    def has(self, child: str, *functions: str) -> bool:
        """Say whether a call of one of these functions names the child; a call that only its function knows may."""
        for made in self.scene.calls:
            call = made.apply.call
            if call.module not in ("supervisor", "application"):
                return True
            if call.module == "supervisor" and call.function in functions:
                given = call.args[1] if len(call.args) > 1 else None
                if given == child or (isinstance(given, dict) and given.get("id") == child):
                    return True
        return False

    def apply(self, function: str, child: str) -> str:
        """Return the instruction that calls *function* for the child."""
        return f"apply: {{module: supervisor, function: {function}, args: [{self.registered()}, {child}]}}"

    def registered(self) -> str:
        """Return a name that the supervisor's process has, as far as a text says."""
        names = registered(self.scene.after.release, self.module, self.name)
        return next(iter(names), unnamed(self.name))


# ── modules that go ────────────────────────────────────────────────────────────────────────────────────


def check_deleted(scene: Scene) -> Iterator[Diagnostic]:
    """Find modules that are deleted while children of supervisors run them."""
    gone = {m: i for m, i in scene.removes.items() if not _removed_whole(i)}
    users = _children_of(scene.before.release, gone) if gone else {}
    for module, i in gone.items():
        if scene.before.beam(module):
            yield from _beam(scene, module, i)
        for name, child in users.get(module, ()):
            if not _ended(scene, module, child):
                who = f"the child {child!r} runs" if child else "processes run"
                message = (
                    f"{keyword(i)}: {who} {name} of {module!r}, and nothing ends {'it' if child else 'them'} before"
                )
                hint = f"apply terminate_child before it, or stop: [{module}]"
                yield finding("children_not_stopped", message, i.location, hint)


def _removed_whole(i: Instruction) -> bool:
    """Say whether the module goes with its application, which is stopped first."""
    return isinstance(i, Remove)


def _children_of(release: Release, modules: Collection[str]) -> Mapping[str, Mapping[tuple[str, str | None], None]]:
    """Return the processes that are started of each module: the name of the class, and the id where it is written."""
    found: dict[str, dict[tuple[str, str | None], None]] = {}
    for module, name, process in processes(release, modules):
        found.setdefault(module, {})[(name, process.id)] = None
    return found


def _ended(scene: Scene, module: str, child: str | None) -> bool:
    """Say whether something ends a child before its module goes; a call that is not OTP's may."""
    window = scene.windows[module]
    early = [made for made in scene.calls if made.window <= window]
    stopped = any(module in stop.modules and at <= window for stop, at in scene.stops)
    other = any(made.apply.call.module not in ("supervisor", "application") for made in early)
    ended = (call for made, call in called(scene.calls, "terminate_child") if made in early)
    return stopped or other or any(len(call.args) > 1 and child in (None, call.args[1]) for call in ended)


def _beam(scene: Scene, module: str, i: Instruction) -> Iterator[Diagnostic]:
    """Find a module of BEAM that is a behaviour's, in a script that ends nothing: its children are nowhere written."""
    found = scene.before.roles(module, "server", "supervisor")
    if found and not scene.calls and not scene.stops:
        message = f"{keyword(i)}: {module!r} is a {found[0].name}, and nothing ends its processes before"
        yield finding(
            "children_not_stopped", message, i.location, f"stop: [{module}], or apply terminate_child, before it"
        )
