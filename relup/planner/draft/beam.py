"""The instruction for one module of a BEAM release, with the reasons for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.model.code import BeamModule
from relup.model.draft import TODO, Drafted
from relup.model.functions import Functions, reached
from relup.model.instructions import Advanced, LoadModule, Soft, SupervisorChange, Update
from relup.model.shortened import shortened
from relup.planner.draft.beam_stub import beam_stub, is_elixir, version
from relup.planner.draft.scene import Scene
from relup.planner.draft.states import INIT, changed, code_change, differing, has_own, in_words, reasons
from relup.planner.roles import Role, roles

_CALL = "{apply, {supervisor, %s, [SUPERVISOR, %s]}}"
_UNSEEN = "its code cannot be compared function by function: it is newer than what is known here, or damaged"


def beam(scene: Scene, module: BeamModule, depends: tuple[str, ...]) -> Drafted:
    """Return the instruction for a module that both releases have."""
    found = roles(scene.new, module)
    before = {r.behaviour: r for r in roles(scene.old, scene.old.module(module.name))}
    said = [_inferred(r) for r in found if not r.said and r.behaviour in before]
    for role in found:
        if role.behaviour == "server" and "server" in before:
            change, more = _server(scene, module, role, before["server"])
            return Drafted(Update(module.name, change, depends), (*said, *more, *_others(scene, module, found)))
        if role.behaviour == "supervisor" and "supervisor" in before:
            said += [*_supervisor(scene, module, role), *_others(scene, module, found)]
            return Drafted(Update(module.name, SupervisorChange(), depends), tuple(said))
    said += _others(scene, module, found)
    said += [t for r in before.values() if r.behaviour != "application" for t in must_end(module.name, r)]
    return Drafted(LoadModule(module.name, depends), tuple(said))


def must_end(module: str, role: Role) -> Iterator[str]:
    """Ask for the end of the processes of a module that has no more of them."""
    yield f"{TODO}: {module} was {_named(role)}: its processes must end before this, two lines for each:"
    yield f"  {_CALL % ('terminate_child', 'CHILD')},"
    yield f"  {_CALL % ('delete_child', 'CHILD')}"


def implementation(module: BeamModule | None) -> Iterator[str]:
    """Say what a new implementation of an Elixir protocol, or one that goes, needs: the protocol itself.

    On a live node it is loaded without being listed. OTP's release handler knows nothing of consolidated protocols.
    """
    if module and ("__impl__", 1) in module.exports:
        named = next((b for b in module.behaviours), None)
        protocol = f"'{named}'" if named else "PROTOCOL"
        yield "it implements a protocol: relup loads the consolidated one of the release with it; for release_handler,"
        yield f"  {{load_module, {protocol}}} after this loads the one that is not consolidated, which looks for them"


def _named(role: Role) -> str:
    name = role.name.removeprefix("Elixir.")
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def _inferred(role: Role) -> str:
    return f"it does not say what it is: taken for {_named(role)}, by what it exports and calls"


def _server(scene: Scene, module: BeamModule, role: Role, before: Role) -> tuple[Advanced | Soft, Sequence[str]]:
    """Return how the states of a server's module change, and what is said of it."""
    old, new = scene.old.functions(module.name), scene.new.functions(module.name)
    kind = _named(role)
    if old is None or new is None:
        asked = (f"{TODO}: did its state change? Then answer the next one, else make this {{update, M}}:",)
        return Advanced([]), [f"{kind}; {_UNSEEN}", *asked, *_asked(scene, module, role, old, new)]
    why = list(reasons(scene, module.name, role.name, old, new))
    if before.name != role.name:
        why.insert(0, f"it was {_named(before)} before")
    if not why:
        return Soft(), [f"{kind}: how its state begins, and what it is made of, is what it was", _differs(old, new)]
    return Advanced([]), [f"{kind}: {why[0]}", *why[1:], *_asked(scene, module, role, old, new)]


def _differs(old: Functions, new: Functions) -> str:
    return f"what differs: {shortened(differing(old, new)) or 'its attributes'}"


def _asked(scene: Scene, module: BeamModule, role: Role, old: Functions | None, new: Functions | None) -> Iterator[str]:
    """Yield what has to be answered of a state that is taken over."""
    taking, vsn = code_change(role.name), scene.old_vsn(module.name)
    name = in_words(taking)
    own = has_own(new, taking) if new is not None else taking in module.exports
    if not own:
        yield f"{TODO}: it has no {name} of its own; review this one, and add it to the module:"
        yield from beam_stub(module, role.name, vsn, old, new)
    elif old is None or new is None:
        yield f"{TODO}: does its {name} take these states over, both ways, and what is Extra?"
    else:
        if taking in old and not changed(old, new, taking):
            yield f"{TODO}: its {name} is that of {vsn}: does it take over these states?"
        if not any("down" in new[n].atoms for n in _closure(new, role)):
            yield f"{TODO}: its {name} does not look for {_down(module)}: what becomes of the states on the way down?"
        yield "Extra is []: if its code_change wants something else, say so in both lists"
    yield from version(scene.old.module(module.name), module, vsn)


def _closure(functions: Functions, role: Role) -> Iterator[tuple[str, int]]:
    return reached(functions, code_change(role.name))


def _down(module: BeamModule) -> str:
    return "{:down, vsn}" if is_elixir(module) else "{down, Vsn}"


def _supervisor(scene: Scene, module: BeamModule, role: Role) -> Iterator[str]:
    old, new = scene.old.functions(module.name), scene.new.functions(module.name)
    yield f"{_named(role)}: its init/1 is called again, and its child specs are read again"
    if old is not None and new is not None:
        if not changed(old, new, INIT):
            yield f"its init/1 is what it was; {_differs(old, new)}"
            return
        yield from _children(scene, old, new)
    if "DynamicSupervisor" in role.name:
        return
    why = "its init/1 changed" if old is not None and new is not None else _UNSEEN
    yield f"{TODO}: {why}. An update starts and ends no children; if some are new or gone,"
    yield f"  before this {_CALL % ('terminate_child', 'CHILD')},"
    yield f"              {_CALL % ('delete_child', 'CHILD')},"
    yield f"  after it    {_CALL % ('restart_child', 'CHILD')}"


def _children(scene: Scene, old: Functions, new: Functions) -> Iterator[str]:
    """Yield the modules of the releases that `init` names and did not, or no longer names: children, most likely."""
    was, now = ({a for n in reached(f, INIT) for a in f[n].atoms} for f in (old, new))
    more = sorted(a.removeprefix("Elixir.") for a in now - was if scene.new.has(a))
    less = sorted(a.removeprefix("Elixir.") for a in was - now if scene.old.has(a))
    if more:
        yield f"its init/1 names {shortened(more)}, and did not before"
    if less:
        yield f"its init/1 no longer names {shortened(less)}"


def _others(scene: Scene, module: BeamModule, found: Sequence[Role]) -> Iterator[str]:
    """Yield what is said of what is not upgraded by loading a module: agents, and what an application started."""
    if any(m == "Elixir.Agent" and f.startswith("start") for m, f, _ in module.imports):
        yield "it starts an Agent, whose state no code_change takes over: an apply can update it"
    if any(r.behaviour == "application" for r in found):
        old, new = scene.old.functions(module.name), scene.new.functions(module.name)
        if old is None or new is None or changed(old, new, ("start", 2)):
            yield "an application: its start/2 changed, and is not called again"
            yield f"{TODO}: what it starts anew, or no longer, has to be started and ended here:"
            yield "  {apply, {supervisor, start_child, [SUPERVISOR, SPEC]}}, or terminate_child and delete_child"
