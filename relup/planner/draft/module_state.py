"""The variables of a module that the program fills while it runs, through the module itself or from another one."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from relup.planner.closure import Leading
from relup.planner.draft.scene import Scene
from relup.planner.resolution import meanings, python_module
from relup.syntax.module_state import Variable, changes, containers


def module_state(scene: Scene, module: str) -> tuple[Variable, ...]:
    """Return the variables that both versions of a module have and that hold state, as the newer one has them."""
    had = {v.name for v in containers(scene.old.text(module) or b"")}
    begun = [v for v in containers(scene.new.text(module) or b"") if v.name in had] if had else []
    filled = set(_filled(scene, module, {v.name for v in begun})) if begun else set()
    return tuple(v for v in begun if v.name in filled)


def _filled(scene: Scene, module: str, names: Collection[str]) -> Iterator[str]:
    """Yield which of a module's variables functions of the newer release change."""
    words = [name.encode() for name in names]
    for user in dict.fromkeys((module, *Leading(scene.after).to([module]))):
        text, here = scene.new.text(user) or b"", python_module(scene.new, user)
        for changed in changes(text) if here and any(word in text for word in words) else ():
            steps = meanings(scene.new, here, changed) if here else ()
            yield from (s.names[0] for s in steps if s.module == module and len(s.names) == 1 and s.names[0] in names)
