"""One module's instruction in a draft, with the reasons for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.model.code import BeamModule, Code
from relup.model.draft import TODO, Drafted
from relup.model.instructions import (
    AddModule,
    Advanced,
    DeleteModule,
    LoadModule,
    ModuleInstruction,
    Soft,
    SupervisorChange,
    Update,
)
from relup.planner.children import processes
from relup.planner.draft.beam import beam, implementation, must_end
from relup.planner.draft.members import Joined, Members
from relup.planner.draft.module_state import module_state
from relup.planner.draft.servers import unseen, verdicts
from relup.planner.draft.supervisors import Supervisors, questions
from relup.planner.roles import Role, roles


def drafted(members: Members, joined: Joined, depends: tuple[str, ...], children: Supervisors) -> Drafted:
    """Return the instruction for one module on the way up, with what *children* of supervisors make of it."""
    scene, name = members.scene, joined.module
    if name in members.deleted:
        return Drafted(DeleteModule(name, depends), tuple(_deleted(members, name, depends, children)))
    if name in members.added:
        return _added(members, joined, depends)
    module = scene.new.module(name) if scene.after.kind == "beam" else None
    if isinstance(module, BeamModule):
        return beam(scene, module, depends)
    found = _roles(members, scene.new, name)
    behaviours = {r.behaviour for r in found}
    why = (joined.why or "changed", *_state_of_module(members, joined))
    if "server" in behaviours:
        change, said = _server(members, name)
        return Drafted(Update(name, change, depends), (*why, *said))
    if "supervisor" in behaviours:
        said = ("a supervisor: its child specs are read again", *questions(scene, name, found, children))
        return Drafted(Update(name, SupervisorChange(), depends), (*why, *said))
    return Drafted(LoadModule(name, depends), why)


def _state_of_module(members: Members, joined: Joined) -> Iterator[str]:
    """Ask about variables that the program fills while it runs; libraries know what they keep."""
    found = () if joined.application in members.libraries else module_state(members.scene, joined.module)
    if found:
        words = ", ".join(f"{v.name} (line {v.line})" for v in found)
        yield f"{TODO}: {words} will begin anew; keep: [{', '.join(v.name for v in found)}] would carry it over,"
        yield "  and what imports fill again, a registry, needs nothing"


def _roles(members: Members, code: Code, name: str) -> tuple[Role, ...]:
    return roles(code, code.module(name)) if name in members.hosts else ()


def back(members: Members, up: ModuleInstruction, library: bool) -> ModuleInstruction:
    """Return what leads back from the instruction for a module on the way up."""
    name, depends = up.module, up.depends
    if name in members.added:
        return DeleteModule(name, depends)
    if name in members.deleted:
        return _new(members, name, library, depends)
    return up


def _new(members: Members, name: str, library: bool, depends: tuple[str, ...]) -> ModuleInstruction:
    """Return the instruction for a module that comes; one of a library waits until somebody imports it."""
    lazy = library and members.scene.after.kind == "python"
    return LoadModule(name, depends) if lazy else AddModule(name, depends)


def _added(members: Members, joined: Joined, depends: tuple[str, ...]) -> Drafted:
    instruction = _new(members, joined.module, joined.application in members.libraries, depends)
    module = members.scene.new.module(joined.module)
    more = implementation(module) if isinstance(module, BeamModule) else ()
    said = "new" if isinstance(instruction, AddModule) else "new: run when something imports it"
    return Drafted(instruction, (said, *more))


def _deleted(members: Members, name: str, depends: Sequence[str], children: Supervisors) -> Iterator[str]:
    yield f"gone: deleted after {', '.join(depends)}, which used it" if depends else "gone"
    scene = members.scene
    found, module = _roles(members, scene.old, name), scene.old.module(name)
    if isinstance(module, BeamModule):
        yield from (line for r in found if r.behaviour in ("server", "supervisor") for line in must_end(name, r))
        yield from implementation(module)
        return
    started = [(cls, p.id) for _, cls, p in processes(scene.before, (name,))]
    begun, lost = {cls for cls, _ in started}, children.lost()
    unwritten = [r.name for r in found if r.behaviour in ("server", "supervisor") and r.name not in begun]
    left = dict.fromkeys((*(cls for cls, child in started if (child, (name, cls)) not in lost), *unwritten))
    if left:
        yield f"{TODO}: processes of {', '.join(left)} must end before all that the list loads, one line for each:"
        yield "  - apply: {module: supervisor, function: terminate_child, args: [SUPERVISOR, CHILD]}"


def _server(members: Members, name: str) -> tuple[Advanced | Soft, Sequence[str]]:
    """Return how the states of a server's module change, and what is said of it."""
    judged = list(verdicts(members.scene, name))
    reasons = [r for verdict in judged for r in verdict.reasons]
    todos = [t for verdict in judged for t in verdict.todos]
    blank = [*unseen(members.scene, name)]
    if judged:
        return Advanced(), [*reasons, *blank, *todos]
    return Soft(), ["a server: its state is what it was", *blank]
