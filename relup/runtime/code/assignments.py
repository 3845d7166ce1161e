"""Whether bodies changed what their texts assign in other modules, and how to put it back.

The places are looked up before any body runs, in the namespaces of the modules that stay: nobody's properties and
`__getattr__` are asked. What a module of the upgrade is assigned is its own affair, and what a clone of an unchanged
module is assigned is part of the swap; what the swap takes over from elsewhere has been put back before the places
are compared. The rest is visible to everybody from staging on, so it is said, and undone with the other effects.

Not seen: places in modules that bodies import for the first time, which go with those modules, and entries of
anything but dicts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from relup.runtime.code.clone import real
from relup.runtime.code.effects import Recorded
from relup.runtime.code.kinds import is_a
from relup.runtime.code.staging import Beside
from relup.runtime.code.targets import Dotted, Target, targets
from relup.runtime.code.writes import MISSING, Container


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One entry of the namespace of a module, a class or an instance, or of a dict, and what it held."""

    name: str
    owner: Any
    key: Any
    item: bool
    old: object

    def now(self) -> object:
        """Return what it holds, MISSING when nothing."""
        return _entries(self.owner, item=self.item).get(self.key, MISSING)

    def restore(self) -> None:
        """Let it hold again what it held."""
        if not self.item and is_a(self.owner, type):
            if self.old is not MISSING:
                type.__setattr__(self.owner, self.key, self.old)
            elif self.now() is not MISSING:
                type.__delattr__(self.owner, self.key)
            return
        entries: Any = _entries(self.owner, item=self.item)
        if self.old is MISSING:
            entries.pop(self.key, None)
        else:
            entries[self.key] = self.old


def places(beside: Beside) -> list[Place]:
    """Return what the texts of an upgrade assign elsewhere; call it before the bodies run, and after the cloning."""
    found: dict[tuple[int, object, bool], Place] = {}
    finder = _Finder(beside)
    for name, source in beside.wanted.sources.items():
        package = name if source.package else name.rpartition(".")[0]
        for target in targets(source.text, package):
            place = finder.place(target)
            if place is not None:
                found.setdefault((id(place.owner), place.key, place.item), place)
    return list(found.values())


def changed(
    before: Iterable[Place], genuine: Mapping[int, object], reported: Collection[str]
) -> Iterator[tuple[Place, Recorded]]:
    """Return the places that hold something else, except those that were *reported* in another way.

    *genuine* says what stands behind the wrappers of staging.
    """
    for place in before:
        now = place.now()
        if genuine.get(id(now), now) is not place.old and place.name not in reported:
            verb = "deleted" if now is MISSING else "set"
            yield place, Recorded(f"a body {verb} {place.name}", place.restore)


class _Finder:
    """Finds places in the world in which the bodies of an upgrade will run."""

    def __init__(self, beside: Beside) -> None:
        self._beside = beside
        self._cloned = frozenset(id(real(c)) for c in beside.clones.values())

    def place(self, target: Target) -> Place | None:
        """Return where *target* is, None when there is nothing yet, or nothing that staging must look after."""
        owner = self._value(target.owner)
        if owner is MISSING or (not target.item and id(owner) in self._cloned):
            return None
        if target.item and (not is_a(owner, dict) or owner is self._beside.real):
            return None
        old = _entries(owner, item=target.item).get(target.key, MISSING)
        return Place(str(target), owner, target.key, target.item, old)

    def _value(self, dotted: Dotted) -> Any:
        path = dotted.module
        value = self._module(path)
        for name in dotted.names:
            path = f"{path}.{name}"
            found = self._step(value, name)
            value = self._module(path) if found is MISSING else found
            if value is MISSING or self._changes(value):
                return MISSING
        return value

    def _module(self, name: str) -> Any:
        return MISSING if name in self._beside.changing else self._beside.before.get(name, MISSING)

    def _step(self, value: Any, name: str) -> Any:
        if is_a(value, type):
            return next((vars(c)[name] for c in value.__mro__ if name in vars(c)), MISSING)
        entries = _entries(value, item=False)
        return self._beside.world.read(entries, name) if type(entries) is dict else MISSING

    def _changes(self, value: Any) -> bool:
        """Say whether *value* is a module of the upgrade, or a class of one."""
        if is_a(value, ModuleType):
            return vars(value).get("__name__") in self._beside.changing
        return is_a(value, type) and value.__module__ in self._beside.changing


def _entries(owner: Any, *, item: bool) -> Mapping[Any, Any]:
    """Return what an object keeps under names or, with *item*, under keys; empty when it keeps nothing there."""
    if item:
        entries: Container = owner
        return entries
    if is_a(owner, type):
        return vars(owner)
    try:
        found: object = object.__getattribute__(owner, "__dict__")
    except (AttributeError, TypeError):
        return {}
    return found if type(found) is dict else {}
