"""Whether what a module keeps is worth keeping: old code in it stays old for ever.

A function or class of a version that is left is old code, wherever it is found, and an instance of such a class as
well, unless `instances` migrates it. So kept values are looked through, a bounded way down, and so is whoever holds
what the new body made in their place: the defaults of a function, an attribute of a class, an alias.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from sys import getrefcount, modules
from types import FunctionType, MethodType, NoneType
from typing import Any

from relup.diagnostics import Diagnostic, Location
from relup.runtime.code import Carry, Version
from relup.runtime.code.keeping import Kept
from relup.runtime.code.reference import resolve
from relup.runtime.code.writes import MISSING

MOST = 20_000
"""How many objects of one kept value are looked at."""
Places = Mapping[str, Location | None]
Versions = Mapping[str, Version]


def check(
    carry: Carry,
    places: Places,
    before: Versions,
    after: Versions,
    *,
    migrated: Collection[type],
    owned: Callable[[str], bool],
) -> Iterator[Diagnostic]:
    """Find old code in what is kept, what the new body made for nothing, and who keeps that instead.

    Instances of *migrated* classes are taken care of; *owned* says whether a module is one of the release.
    """
    old = _Old(before, migrated, owned)
    for kept in carry.kept:
        label, place = f"{kept.module}.{kept.name}", places[kept.module]
        value, made = kept.source[kept.name], after[kept.module].namespace[kept.name]
        if what := old.code(value):
            message = f"keep: {label} is {what}, old code that would never be replaced"
            yield Diagnostic("keeps_old_code", message, place, hint="leave it out of `keep`")
        else:
            yield from _held(label, place, *old.within(value))
        yield from _in_vain(label, place, value, made)
        yield from _elsewhere(kept, label, place, made, after)


def _held(label: str, place: Location | None, found: Mapping[str, bool], whole: bool) -> Iterator[Diagnostic]:
    if not whole:
        message = f"keep: {label} was searched for old code up to {MOST:,} objects, and not further"
        yield Diagnostic("search_bounded", message, place, "note")
    for what, is_instance in found.items():
        code, hint = "keeps_old_code", "let the new version put its own in, or leave the name out of `keep`"
        if is_instance:
            code, hint = "keeps_old_instances", "migrate them with `instances`, or in a code_change"
        yield Diagnostic(code, f"keep: {label} holds {what} of the version that is left", place, "warning", hint)


class _Old:
    """Tells code of the versions that are left from everything else."""

    def __init__(self, before: Versions, migrated: Collection[type], owned: Callable[[str], bool]) -> None:
        self._before, self._migrated, self._owned = before, frozenset(migrated), owned
        self._spaces = {id(v.namespace) for v in before.values()}
        self._kinds: dict[type, bool] = {}

    def code(self, value: Any) -> str | None:
        """Say which function or class *value* is, or wraps; None when it is no old code."""
        kind = type(value)
        if issubclass(kind, partial | MethodType):
            return self.code(value.func if issubclass(kind, partial) else value.__func__)
        if issubclass(kind, type):
            return f"the class {value.__qualname__}" if self._replaced(value) else None
        function: Any = value if issubclass(kind, FunctionType) else getattr(value, "__wrapped__", None)
        if issubclass(type(function), FunctionType) and id(function.__globals__) in self._spaces:
            return f"the function {function.__qualname__}"
        return None

    def within(self, value: Any) -> tuple[dict[str, bool], bool]:
        """Return what old code *value* reaches, and whether each is an instance; and whether all was looked at.

        The nearest come first and, of those that are equally near, in the order of their names.
        """
        found: dict[str, bool] = {}
        seen, level = {id(value)}, [value]
        whole = True
        while level:
            named = self._named(level, value)
            found |= {what: named[what] for what in sorted(named) if what not in found}
            below: list[Any] = []
            for item in level if whole else ():
                fresh = {id(o): o for o in self._data(item) if id(o) not in seen}
                if fresh and len(seen) >= MOST:
                    whole = False
                    break
                seen.update(fresh)
                below += fresh.values()
            level = below
        return found, whole

    def _named(self, level: Iterable[Any], top: Any) -> dict[str, bool]:
        """Return what of a level is old code, and whether each is an instance."""
        found: dict[str, bool] = {}
        for item in level:
            if self._replaced(type(item)) and type(item) not in self._migrated:
                found[f"instances of {type(item).__module__}.{type(item).__qualname__}"] = True
            elif item is not top and (what := self.code(item)):
                found[what] = False
        return found

    def _data(self, item: Any) -> list[Any]:
        """Return what *item* refers to where that is data, members of sets by their types: their order is no order."""
        kind = type(item)
        if not self._is_data(kind):
            return []
        held = [o for o in gc.get_referents(item) if o is not kind]
        return sorted(held, key=_type_name) if issubclass(kind, set | frozenset) else held

    def _is_data(self, kind: type) -> bool:
        """Say whether to look into instances: a lock or a task leads to the whole world, and none of it is kept."""
        return issubclass(kind, _CONTAINERS) or (not issubclass(kind, type) and self._owned(kind.__module__))

    def _replaced(self, cls: type) -> bool:
        known = self._kinds.get(cls)
        if known is None:
            version = self._before.get(cls.__module__)
            known = version is not None and resolve(version.module, cls.__qualname__) is cls
            self._kinds[cls] = known
        return known


def _type_name(value: Any) -> tuple[str, str]:
    return str(type(value).__module__), type(value).__qualname__


_ATOMS = (NoneType, int, float, complex, str, bytes, tuple, frozenset, type, FunctionType)
"""Kinds of values that it does not matter to have twice."""
_CONTAINERS = (dict, list, set, frozenset, tuple, deque)


def _in_vain(label: str, place: Location | None, value: Any, made: Any) -> Iterator[Diagnostic]:
    """Find what the new body put into its own object, which nobody will see: what is kept wins."""
    if type(made) not in (dict, set, list) or not made or made is value:
        return
    missing = [k for k in made if k not in value] if type(value) is type(made) else list(made)
    if missing:
        shown = ", ".join(repr(k)[:40] for k in missing[:3]) + (" …" if len(missing) > 3 else "")
        message = f"keep: the new body puts {shown} into {label}; what is kept has no such thing, and it wins"
        hint = "put it in again from a code_change, or leave the name out of `keep`"
        yield Diagnostic("made_in_vain", message, place, "warning", hint)


def _elsewhere(kept: Kept, label: str, place: Location | None, made: Any, after: Versions) -> Iterator[Diagnostic]:
    """Find who would go on using what the new body made: no import binds it there, so nothing leads it elsewhere."""
    known = {(id(space), key) for space, key in kept.targets if space.get(key, MISSING) is made}
    alone = next(getrefcount(o) for o in [object()])
    if issubclass(type(made), _ATOMS) or getrefcount(made) - alone <= len(known):
        return
    for who in dict.fromkeys(w for holder in gc.get_referrers(made) if (w := _holder(holder, made, known, after))):
        message = f"keep: {who} holds what the new body made for {label}, and would go on with that"
        yield Diagnostic("not_kept_everywhere", message, place, "warning", f"let it look {kept.name} up when it runs")


def _holder(holder: Any, made: Any, known: Collection[tuple[int, str]], after: Versions) -> str | None:
    """Return a word for code of the new versions that refers to *made*; None for anything else."""
    spaces = {id(v.namespace): n for n, v in after.items()} | {id(vars(m)): n for n, m in list(modules.items())}
    if issubclass(type(holder), dict) and id(holder) in spaces:
        names = [k for k, v in list(holder.items()) if v is made and (id(holder), k) not in known]
        return f"{spaces[id(holder)]}.{names[0]}" if names else None
    if issubclass(type(holder), FunctionType):
        return f"{holder.__module__}.{holder.__qualname__}"
    owners = [o for o in gc.get_referrers(holder) if issubclass(type(o), FunctionType | type)]
    owner = next((o for o in owners if o.__module__ in after), None)
    return f"{owner.__module__}.{owner.__qualname__}" if owner is not None else None
