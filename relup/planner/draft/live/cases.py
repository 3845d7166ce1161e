"""Which of the live states of a server is what in the newer release."""

from __future__ import annotations

from typing import Literal, TypeAlias

from relup.model.shapes import Shape
from relup.planner.draft.live.begun import Begun
from relup.planner.draft.live.kinds import Kind, kind_of
from relup.planner.draft.scene import Scene
from relup.planner.resolution import python_module

Case: TypeAlias = Literal["instance", "entries", "turned", "mapped", "wrapped", "entered", "unknown", "value"]
"""An instance of a class that stays; a mapping that stays one; an instance or a mapping that becomes an instance of a
class; an instance that becomes a mapping; anything else that becomes either of them; what nobody can tell; and what
stays but for its contents."""


def case_of(scene: Scene, shape: Shape, now: Begun, *, sole: bool) -> Case:
    """Return what states of one type become; *sole* says that there are no others."""
    module = shape.type.rpartition(":")[0]
    if module and python_module(scene.old, module) is not None:
        return _of_instance(kind_of(scene.new, shape.type), now)
    if shape.type == "NoneType" and not sole:
        return "value"
    if shape.type == "dict" and (now.entries is not None or not now.known()):
        return "entries"
    if not now.known() or shape.type in now.types or (shape.type, "float") == ("int", *now.types):
        return "value"
    if len(now.kinds) == 1:
        return "turned" if shape.type == "dict" else "wrapped"
    return "value" if module else "entered" if now.entries else "unknown"


def _of_instance(kind: Kind | None, now: Begun) -> Case:
    known = [*now.kinds.values()]
    if kind is not None:
        type_ = f"{kind.module}:{kind.name}"
        if not now.known() or any(type_ in k.bases or f"{k.module}:{k.name}" in kind.bases for k in known):
            return "instance"
    if now.entries and not known:
        return "mapped"
    return "turned" if len(known) == 1 else "unknown"
