"""Whether bodies changed what their texts assign in other modules, and how to put it back.

The places are looked up before any body runs, in the namespaces of the modules that stay: nobody's properties and
`__getattr__` are asked. What a module of the upgrade is assigned is its own affair, and what a clone of an unchanged
module is assigned is part of the swap; what the swap takes over from elsewhere has been put back before the places
are compared. The rest is visible to everybody from staging on, so it is said, and undone with the other effects.

Modules that bodies import for the first time are looked at when their import is over. Not seen: entries of anything
but dicts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from relup.runtime.code.clone import real
from relup.runtime.code.effects import Recorded
from relup.runtime.code.kinds import is_a
from relup.runtime.code.staging import Beside
from relup.runtime.code.writes import MISSING, Container
from relup.syntax.stores import stores
from relup.syntax.targets import Dotted, Target


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
        return _read(self.owner, self.key, item=self.item)

    def restore(self) -> None:
        """Let it hold again what it held."""
        if not self.item and is_a(self.owner, type):
            if self.old is not MISSING:
                type.__setattr__(self.owner, self.key, self.old)
            elif self.now() is not MISSING:
                type.__delattr__(self.owner, self.key)
            return
        entries: Any = self.owner if self.item else _names(self.owner)
        if self.old is MISSING:
            entries.pop(self.key, None)
        else:
            entries[self.key] = self.old


class Assignments:
    """The places that the texts of one upgrade assign elsewhere; `kept` are those that bodies did change."""

    def __init__(self, beside: Beside) -> None:
        self.kept: tuple[Place, ...] = ()
        self._beside = beside
        self._places: dict[tuple[int, object, bool], Place] = {}
        self._pending: list[Target] = []
        self._late = 0

    def look(self) -> None:
        """Remember what the places hold: before the bodies run, after the cloning."""
        for source in self._beside.wanted.sources.values():
            code = self._beside.code(source)
            if code is not None and stores(code):
                self._pending += self._beside.books.tables.targets(source)
        self._find()

    def look_again(self) -> None:
        """Look for the rest when modules of others have come: between their import and what is assigned in them."""
        if self._pending:
            complete = sum(map(_complete, self._beside.view.late.values()))
            if complete != self._late:
                self._late = complete
                self._find()

    def _find(self) -> None:
        finder = _Finder(self._beside)
        pending, self._pending = self._pending, []
        for target in pending:
            place = finder.place(target)
            if place is None:
                self._pending.append(target)
            else:
                self._places.setdefault((id(place.owner), place.key, place.item), place)

    def compare(self, genuine: Mapping[int, object], reported: Collection[str] = ()) -> tuple[Recorded, ...]:
        """Return what became of the places since, except those that were *reported* in another way.

        *genuine* says what stands behind the wrappers of staging, by identity.
        """
        before, self._places, self._pending = self._places, {}, []
        places = [replace(p, old=genuine.get(id(p.old), p.old)) for p in before.values() if p.name not in reported]
        now = [(p, p.now()) for p in places]
        found = [(p, value) for p, value in now if genuine.get(id(value), value) is not p.old]
        self.kept = tuple(p for p, _ in found)
        return tuple(Recorded(f"a body {'deleted' if v is MISSING else 'set'} {p.name}", p.restore) for p, v in found)


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
        return Place(str(target), owner, target.key, target.item, _read(owner, target.key, item=target.item))

    def _value(self, dotted: Dotted) -> Any:
        path = dotted.module
        value = self._module(path)
        for name in dotted.names:
            path = f"{path}.{name}"
            found = self._step(value, name)
            value = self._module(path) if found is MISSING else found
            if value is MISSING or self._changes(value) or not _complete(value):
                return MISSING
        return value

    def _module(self, name: str) -> Any:
        if name in self._beside.changing:
            return MISSING
        late = self._beside.view.late.get(name)
        return late if late is not None and _complete(late) else self._beside.before.get(name, MISSING)

    def _step(self, value: Any, name: str) -> Any:
        if is_a(value, type):
            return next((vars(c)[name] for c in value.__mro__ if name in vars(c)), MISSING)
        return self._beside.world.read(_names(value), name)

    def _changes(self, value: Any) -> bool:
        """Say whether *value* is a module of the upgrade, or a class of one."""
        if is_a(value, ModuleType):
            return vars(value).get("__name__") in self._beside.changing
        return is_a(value, type) and value.__module__ in self._beside.changing


def _complete(value: Any) -> bool:
    """Say whether *value* is no module that is still being executed."""
    spec = vars(value).get("__spec__") if is_a(value, ModuleType) else None
    return not getattr(spec, "_initializing", False)


def _read(owner: Any, key: Any, *, item: bool) -> object:
    if item:
        return dict.get(owner, key, MISSING)
    return vars(owner).get(key, MISSING) if is_a(owner, type) else _names(owner).get(key, MISSING)


def _names(owner: object) -> Container:
    """Return the namespace of a module or an instance; an empty one when it has none."""
    try:
        found: object = object.__getattribute__(owner, "__dict__")
    except (AttributeError, TypeError):
        return {}
    return found if type(found) is dict else {}
