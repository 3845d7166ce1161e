"""Servers whose code changes, and what becomes of their states.

OTP's own advice is to load a callback module plainly when its state stays as it is, so that alone is no fault. What is
one can be seen in the two texts: a `code_change` that nobody calls, entries that states in service do not have, a way
down that does what the way up does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from relup.diagnostics import Diagnostic
from relup.model.instructions import AddModule, Advanced, CodeChange, Instruction, LoadModule, SupervisorChange, Update
from relup.planner.behaviours import Behaviour
from relup.planner.code_changes import is_new
from relup.planner.lint.classes import Classes, Place
from relup.planner.lint.scene import Scene, where
from relup.planner.lint.table import finding
from relup.planner.names import keyword
from relup.planner.roles import Role
from relup.syntax.direction import ignores_direction
from relup.syntax.extras import needed_extra
from relup.syntax.mentions import is_unanswered
from relup.syntax.outline import Class
from relup.syntax.states import states

_VSN = re.compile(rb"^__vsn__\b", re.MULTILINE)


def check_servers(scene: Scene) -> Iterator[Diagnostic]:
    """Find what is wrong with how the modules of servers change."""
    all_changes = (c for i in scene.leg.instructions() if isinstance(i, CodeChange) for c in i.changes)
    changed = {c.module for c in all_changes if not c.migrate}
    for module, i in scene.loads.items():
        yield from _vsn_unchanged(scene, module)
        if isinstance(i, AddModule):
            continue
        advanced = module in changed or (isinstance(i, Update) and isinstance(i.change, Advanced) and not i.migrate)
        if scene.leg.after.kind == "beam":
            yield from _beam(scene, module, i) if advanced else ()
            continue
        if advanced:
            yield from _advanced(scene, module, i, list(scene.newer.of(module, "server")))
        else:
            before = {role.name: role for role in scene.older.roles(module, "server")}
            for role in scene.newer.roles(module, "server"):
                if role.name in before and scene.leg.direction == "up":
                    yield from _not_advanced(scene, module, i, before[role.name], role)
        yield from _suspended(scene, module, i)


# ── advanced ───────────────────────────────────────────────────────────────────────────────────────────


def _advanced(scene: Scene, module: str, i: Instruction, servers: list[Class]) -> Iterator[Diagnostic]:
    lacking = [c for c in servers if scene.newer.method(Place(module, c.name), "code_change") is None]
    if servers and len(lacking) == len(servers):
        names = ", ".join(c.name for c in lacking)
        message = f"the states of {module!r} are to change, and {names} has no code_change"
        hint = "write one, or make the update soft"
        yield finding("no_code_change", message, i.location, hint)
    for cls in servers:
        if found := scene.newer.method(Place(module, cls.name), "code_change"):
            yield from _unanswered(scene, cls, found[0])
            yield from _extra(scene, i, found[0])
            yield from _direction(scene, module, cls, found[0])


def _unanswered(scene: Scene, cls: Class, place: Place) -> Iterator[Diagnostic]:
    """Find a drafted code_change that somebody took over without its answers: nothing defines what it names."""
    line = is_unanswered(scene.newer.text(place.module), place.name)
    if line and scene.leg.direction == "up":
        message = f"the code_change of {cls.name} has not been answered"
        yield finding("todo", message, where(scene.newer, place.module, line), "put a value in the place of TODO")


def _direction(scene: Scene, module: str, cls: Class, place: Place) -> Iterator[Diagnostic]:
    """Find a code_change that does on the way down what it does on the way up."""
    line = ignores_direction(scene.newer.text(place.module), place.name) if scene.leg.direction == "down" else None
    if line:
        message = f"{cls.name} of {module!r} changes its state down as it does up: it never reads old_vsn"
        hint = "match old_vsn: on the way down it is Down(vsn)"
        yield finding("down_ignored", message, where(scene.newer, place.module, line), hint)


def _extra(scene: Scene, i: Instruction, place: Place) -> Iterator[Diagnostic]:
    """Find an extra that lacks what the code_change reads of it."""
    match i:
        case Update(change=Advanced(extra)):
            given = extra.keys() if isinstance(extra, dict) else ()
            needed = needed_extra(scene.newer.text(place.module), place.name, scene.leg.direction)
            if missing := [key for key in needed if key not in given]:
                names = ", ".join(map(repr, missing))
                message = (
                    f"the code_change of {place.name} in {place.module!r} reads {names} of its extra, which has none"
                )
                hint = f"change: {{advanced: {{{missing[0]}: …}}}}"
                yield finding("extra_missing", message, i.location, hint)
        case _:
            pass


def _beam(scene: Scene, module: str, i: Instruction) -> Iterator[Diagnostic]:
    """Find a module of a BEAM release whose processes cannot change their states, or do not.

    `gen_statem` has an arity more, and a process with a loop of its own another name. Elixir writes one that returns
    what it is given for whoever writes none.
    """
    found = scene.newer.beam(module)
    if not found or not scene.newer.roles(module, "server"):
        return
    taking = [f for f in sorted(found.exports) if f[0] in ("code_change", "system_code_change")]
    functions = scene.newer.release.code.functions(module) or {}
    hint = "write one, or make the update soft"
    if not taking:
        message = f"the states of {module!r} are to change, and it exports no code_change"
        yield finding("no_code_change", message, i.location, hint)
    elif all(f in functions and functions[f].untouched for f in taking):
        message = f"the states of {module!r} are to change, and its {taking[0][0]} returns what it is given"
        yield finding("no_code_change", message, i.location, hint)


# ── not advanced ───────────────────────────────────────────────────────────────────────────────────────


def _not_advanced(scene: Scene, module: str, i: Instruction, old: Role, new: Role) -> Iterator[Diagnostic]:
    """Find a change of state that nobody makes; one that only the way down lacks is told as `not_inverse`."""
    place = Place(module, new.name)
    hint = f"update: {{module: {module}, change: advanced}}"
    if (found := scene.newer.method(place, "code_change")) and is_new(old, new, scene.difference):
        at = where(scene.newer, found[0].module, found[1].line)
        line = f" ({at.file}:{at.line})" if at else ""
        message = f"{keyword(i)}: {new.name} of {module!r} has a new code_change{line}, which this does not call"
        yield finding("code_change_not_called", message, i.location, hint)
    elif added := _added_keys(scene, place):
        names = ", ".join(map(repr, added))
        message = f"{keyword(i)}: a {new.name} of {module!r} begins with {names} now, which states in service lack"
        yield finding("state_not_migrated", message, i.location, f"add it in a code_change, and {hint}")


def _added_keys(scene: Scene, place: Place) -> list[str]:
    old, new = (_keys(classes, place) for classes in (scene.older, scene.newer))
    return sorted(new - old) if old is not None and new is not None else []


def _keys(classes: Classes, place: Place) -> frozenset[str] | None:
    found = states(classes.text(place.module)).get(place.name)
    return found.keys if found else None


# ── suspended or not ───────────────────────────────────────────────────────────────────────────────────


def _suspended(scene: Scene, module: str, i: Instruction) -> Iterator[Diagnostic]:
    match i:
        case LoadModule():
            servers = list(scene.before.of(module, "server"))[:1]
            for cls in servers if servers and scene.differs(module) else ():
                message = (
                    f"load_module: processes that run {cls.name} of {module!r} are not suspended while it is loaded"
                )
                yield finding("loaded_not_suspended", message, i.location, f"update: {module}")
        case _:
            pass


def check_suspensions(scene: Scene) -> Iterator[Diagnostic]:
    """Note updates of modules that no process can have as its own; a child spec may list other modules than its own."""
    nothing = [u for u in scene.updates() if not u.migrate and _defines_none(scene, u)]
    both = (scene.before, scene.after) if nothing else ()
    listing = [text for classes in both for text in map(classes.text, classes.modules()) if b"modules" in text]
    for u in nothing:
        if not any(u.module.encode() in text for text in listing):
            what = "supervisor" if isinstance(u.change, SupervisorChange) else "server and no supervisor"
            message = f"update: module {u.module!r} defines no {what}, there is nothing to suspend"
            yield finding("nothing_to_suspend", message, u.location, f"load_module: {u.module}")


def _defines_none(scene: Scene, u: Update) -> bool:
    wanted: tuple[Behaviour, ...] = ("supervisor",)
    if not isinstance(u.change, SupervisorChange):
        wanted = ("server", "supervisor")
    both = (scene.before, scene.after)
    known = all(c.module(u.module) and not c.is_foreign(u.module) for c in both)
    return known and not any(c.roles(u.module, *wanted) for c in both)


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────


def _vsn_unchanged(scene: Scene, module: str) -> Iterator[Diagnostic]:
    if scene.leg.direction == "down":
        return
    if scene.leg.after.kind == "beam":
        yield from _attribute_unchanged(scene, module)
    elif b"__vsn__" in scene.newer.text(module):
        old, new = scene.older.module(module), scene.newer.module(module)
        given = new.outline.vsn if new else None
        if old and given is not None and old.outline.vsn == given and scene.differs(module):
            message = f"the code of {module!r} changed, and its __vsn__ did not: {given} in both releases"
            hint = "give it another, or leave __vsn__ out: a digest of the text takes its place"
            yield finding("vsn_unchanged", message, where(scene.newer, module, _line(scene.newer.text(module))), hint)


def _line(text: bytes) -> int:
    found = _VSN.search(text)
    return text.count(b"\n", 0, found.start()) + 1 if found else 1


def _attribute_unchanged(scene: Scene, module: str) -> Iterator[Diagnostic]:
    """Find an attribute that somebody wrote; the one that the compiler makes is a digest, and differs."""
    old, new = scene.older.beam(module), scene.newer.beam(module)
    given = new.attributes.get("vsn") if new else None
    if not (old and given and given == old.attributes.get("vsn")):
        return
    one, two = (c.release.fingerprints().get(module) for c in (scene.older, scene.newer))
    if one is not None and two is not None and one != two:
        message = f"the code of {module!r} changed, and its -vsn attribute did not"
        yield finding("vsn_unchanged", message, where(scene.newer, module, 1), "give it another, or leave it out")
