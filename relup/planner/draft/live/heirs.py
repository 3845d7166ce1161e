"""Classes that the newer release has not, and what they may be there: moved to another module, or renamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Literal

from relup.planner.draft.live.fields import Finding
from relup.planner.draft.live.kinds import Kind, kind_of
from relup.planner.draft.scene import Scene
from relup.planner.resolution import python_module

_ALIKE = 0.6


def heirs(scene: Scene, types: Iterable[str]) -> Mapping[str, Kind]:
    """Return what each of the *types* that went may be in the newer release, where there is something alike."""
    gone = {t: old for t in types if (old := kind_of(scene.old, t)) and kind_of(scene.new, t) is None}
    fresh = [*_fresh(scene)] if gone else []
    found = {t: max(fresh, key=lambda new: _likeness(old, new)) for t, old in gone.items() if fresh}
    return {t: new for t, new in found.items() if _likeness(gone[t], new) >= _ALIKE}


def whether(scene: Scene, type_: str, kind: Kind, way: Literal["up", "down"]) -> tuple[Finding, str]:
    """Return what is said of a class that may be another one now, and the question whether it is, or was."""
    module, _, name = type_.rpartition(":")
    was, is_, goal = name, kind.name, scene.after.vsn
    if kind.module != module:
        was, is_ = f"{was} of {module}", f"{is_} of {kind.module}"
    words = f"{was} is not in {goal}: is it {is_}" if way == "up" else f"{is_} is new in {goal}: was it {was}"
    return Finding(name, f"? {was} is not in {goal}: is it {is_} now?", asks=True), words


def _fresh(scene: Scene) -> Iterator[Kind]:
    """Yield the classes that only the newer release has."""
    for module in sorted(scene.loaded):
        here = python_module(scene.new, module)
        types = [f"{module}:{name}" for name in here.outline.classes] if here else []
        yield from (kind for t in types if kind_of(scene.old, t) is None and (kind := kind_of(scene.new, t)))


def _likeness(old: Kind, new: Kind) -> float:
    """Return how likely one class is the other: by its name where that only moved, else by name and fields."""
    if old.enum != new.enum:
        return 0
    parts, others = ({*kind.fields, *kind.members} for kind in (old, new))
    common = len(parts & others) / max(1, min(len(parts), len(others)))
    if old.name == new.name:
        return 1 + common
    named = SequenceMatcher(None, old.name.lower(), new.name.lower()).ratio()
    return max(common, named) if old.module == new.module else min(common, named)
