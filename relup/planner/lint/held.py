"""States that hold code: functions, generators, instances of classes that the upgrade replaces.

State is plain data or is renewed by `code_change`. What a state holds of the code before stays of that code: a function
runs its old body, an instance is none of the new class, a member of an enumeration equals none of the new ones. That a
server puts such a thing into its state can be seen in its text; that its update renews it is seen in its appup.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from relup.diagnostics import Diagnostic
from relup.model.instructions import AddModule, Advanced, CodeChange
from relup.planner.lint.classes import Classes
from relup.planner.lint.scene import Scene, where
from relup.planner.lint.sought import Sought, sought
from relup.planner.lint.table import finding
from relup.syntax.outline import Class
from relup.syntax.states import Held, states

_MARKS = (b"handle_", b"def init")


def check_held(scene: Scene) -> Iterator[Diagnostic]:
    """Find servers whose states hold what the upgrade replaces, and that nothing renews."""
    loaded = [m for m, i in scene.loads.items() if not isinstance(i, AddModule)]
    renewed = {u.module for u in scene.updates() if isinstance(u.change, Advanced) or u.migrate}
    renewed |= {c.module for i in scene.leg.instructions() if isinstance(i, CodeChange) for c in i.changes}
    replaced = _Replaced(scene, frozenset(loaded), sought(loaded))
    for module in scene.before.modules() if loaded else ():
        if module not in renewed and _may_hold(scene.before, module, replaced):
            found = states(scene.before.text(module))
            for cls in scene.before.of(module, "server"):
                held = found[cls.name].held if cls.name in found else ()
                whats = ((h, _what(scene, module, cls, h, replaced)) for h in held)
                yield from _told(scene, module, cls, [(h, what) for h, what in whats if what])


@dataclass(frozen=True, slots=True)
class _Replaced:
    """The modules whose code is replaced by other code; whether it is other is found out when it matters."""

    scene: Scene
    loaded: frozenset[str]
    sought: Sought

    def __contains__(self, module: str) -> bool:
        return module in self.loaded and self.scene.differs(module)


def _may_hold(classes: Classes, module: str, replaced: _Replaced) -> bool:
    text = classes.text(module)
    is_server = any(mark in text for mark in _MARKS)
    return is_server and (module in replaced.loaded or classes.mentions(module, replaced.sought))


def _told(scene: Scene, module: str, cls: Class, held: list[tuple[Held, str]]) -> Iterator[Diagnostic]:
    """Tell each thing that a class holds once."""
    for what in dict.fromkeys(what for _, what in held):
        line = next(h.line for h, w in held if w == what)
        message = f"the state of {cls.name} holds {what}, and no code_change renews it"
        hint = f"update: {{module: {module}, change: advanced}}, with a code_change that renews it"
        yield finding("state_holds_code", message, where(scene.before, module, line), hint)


def _what(scene: Scene, module: str, cls: Class, held: Held, replaced: _Replaced) -> str | None:
    """Return what is held in words, when the upgrade replaces it."""
    match held.kind:
        case "lambda":
            return f"a lambda of {module}, which is replaced" if module in replaced else None
        case "generator":
            return f"a generator of {module}, which is replaced" if module in replaced else None
        case "function":
            return f"the function {held.names[0]} of {module}, which is replaced" if module in replaced else None
        case "name" if held.names[0] == "self":
            method = held.names[1:2]
            return (
                f"its method {method[0]}, which is replaced"
                if method and module in replaced and method[0] in cls.methods
                else None
            )
        case "name" | "call":
            return _named(scene, module, held, replaced)


def _named(scene: Scene, module: str, held: Held, replaced: _Replaced) -> str | None:
    classes = scene.before
    place = classes.resolve(module, held.names)
    if place is None or place.module not in replaced:
        return _member(scene, module, held, replaced)
    known = classes.module(place.module)
    if classes.find(place) is not None:
        if held.kind == "call" and not _migrated(scene, place.module, place.name):
            return f"instances of {place.module}.{place.name}, which is replaced"
        return f"the class {place.module}.{place.name}, which is replaced" if held.kind == "name" else None
    if held.kind == "name" and known and place.name in known.outline.functions:
        return f"the function {place.module}.{place.name}, which is replaced"
    return _member(scene, module, held, replaced)


def _migrated(scene: Scene, module: str, name: str) -> bool:
    """Say whether the instruction that loads a module migrates the live instances of a class of it."""
    return name in {m.cls for m in getattr(scene.loads.get(module), "instances", ())}


def _member(scene: Scene, module: str, held: Held, replaced: _Replaced) -> str | None:
    """Return the words for a member of an enumeration: `Color.RED`."""
    owner = scene.before.resolve(module, held.names[:-1]) if held.kind == "name" else None
    if owner and owner.module in replaced and scene.before.is_enum(owner):
        return f"members of the enumeration {owner.module}.{owner.name}, which is replaced"
    return None
