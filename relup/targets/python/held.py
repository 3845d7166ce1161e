"""Objects of code that is being replaced, which states hold and no `code_change` will see.

A server that keeps a template, an error or a bound method of a library goes on with the library's old code after the
upgrade of the library: the object works, but `isinstance` and `except` of new code miss it, and the old code is
never freed. No automatic mend is right (fields may be missing, code may be shared), so they are named before the
window, and the operator decides: an `update` with a `code_change` that rebuilds them, a restart of that server
later, or nothing, because they are short-lived.

Who is asked: every process but those whose `code_change` is about to run, which is given the state, and supervisors,
whose child specs are followed by name; and the variables of the release's modules that stay. One line for each class
and kind of server, or module; an object that many hold is counted once. Variables come first: they are few. The search
reads a great many objects, so it runs before the window, takes turns with everybody else, and ends at a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any, TypeAlias

from relup.diagnostics import Diagnostic, Location
from relup.runtime import Process
from relup.runtime.code.reference import resolve
from relup.runtime.code.running import suspended
from relup.runtime.code.source import Version
from relup.targets.python.containers import AT_ONCE, by_type, identity
from relup.targets.python.courtesy import Courtesy
from relup.targets.python.looked import Lead, Looked, Region, follow
from relup.targets.python.reach import Reader, parts, plain

MOST = 3_000_000
"""Objects that one search looks at."""
TOGETHER = 100
"""States that are searched together."""
FEW = 16
"""Objects of others that a holder leads to, up to which what is below them is remembered together."""
SHOWN, TRIED = 3, 8
"""Places that are named of what one kind of holder holds of one class, and objects whose places are looked up."""
_NUMBER = re.compile(r"\[\d+\]")

What: TypeAlias = tuple[tuple[str, str], str, str]
"""What is held (in words, one and many), its module, its name there."""
INSTANCE = ("an instance", "instances")
FUNCTION = ("a function", "functions")
BOUND = ("a bound method", "bound methods")
CLASS = ("the class", "times the class")
SUSPENDED = ("a suspended generator", "suspended generators")


class Replaced:
    """Says what belongs to the code that is being replaced, or to a version of it that was replaced before."""

    __slots__ = ("_classes", "_current", "_dull", "_migrated", "_modules")

    def __init__(
        self,
        modules: Collection[str],
        migrated: Collection[tuple[str, str]] = (),
        current: Mapping[str, Version] = MappingProxyType({}),
    ) -> None:
        """Know the *modules*; instances of the *migrated* classes, by module and name, become those of the new ones.

        *current* are the versions in place of the replaced ones, once they are: what is theirs is not replaced.
        """
        self._modules = frozenset(modules)
        self._current = current
        self._migrated = frozenset(migrated)
        self._classes: dict[type, type | None] = {}
        self._dull: set[type] = set()

    def __bool__(self) -> bool:
        return bool(self._modules)

    def of(self, value: Any) -> What | None:
        """Return what *value* is of the replaced code, None when it has nothing of it."""
        kind = type(value)
        if kind in self._dull:
            return None
        if (old := self._class(kind)) is not None:
            entry = str(vars(old).get("__module__")), old.__qualname__
            return None if old is kind and entry in self._migrated else (INSTANCE, *entry)
        if issubclass(kind, FunctionType):
            module = self._of(value.__globals__)
            return None if module is None else (FUNCTION, module, value.__qualname__)
        if issubclass(kind, MethodType):
            module = self._of(getattr(value.__func__, "__globals__", None))
            return None if module is None else (BOUND, module, value.__func__.__qualname__)
        if issubclass(kind, type):
            return (
                None if self._class(value) is None else (CLASS, str(vars(value).get("__module__")), value.__qualname__)
            )
        if issubclass(kind, GeneratorType | CoroutineType | AsyncGeneratorType):
            frame, _ = suspended(value)  # what it awaits is one of its parts
            module = self._of(frame.f_globals) if frame is not None else None
            return None if module is None else (SUSPENDED, module, value.__qualname__)
        self._dull.add(kind)
        return None

    def has(self, kind: type, values: Iterable[Any]) -> bool:
        """Say whether one of *values*, all of this type, is of the replaced code."""
        return kind not in self._dull and any(self.of(value) is not None for value in values)

    def _of(self, namespace: Mapping[str, Any] | None) -> str | None:
        """Return the replaced module whose namespace this is, or was."""
        name = namespace.get("__name__") if namespace is not None else None
        if not isinstance(name, str) or name not in self._modules:
            return None
        return None if name in self._current and namespace is self._current[name].namespace else name

    def _class(self, cls: type) -> type | None:
        """Return the first class that *cls* is made of which is replaced."""
        if cls not in self._classes:
            self._classes[cls] = next((c for c in cls.__mro__ if self._defines(c)), None)
        return self._classes[cls]

    def _defines(self, cls: type) -> bool:
        """Say whether a class is of replaced code; of one made in a function, or by others, its functions tell."""
        name = vars(cls).get("__module__")
        if name in self._modules:
            version = self._current.get(name)
            if version is None:
                return True
            if "<locals>" not in cls.__qualname__:
                return resolve(version.module, cls.__qualname__) is not cls
        return any(self._of(f.__globals__) is not None for f in vars(cls).values() if type(f) is FunctionType)


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whose value is searched: a process, one of a kind of server, or a variable of a module."""

    kind: str
    label: str
    root: str
    value: Any
    hint: str


@dataclass(slots=True)
class _Group:
    """What one kind of holder holds of one class."""

    first: _Holder
    holders: int = 0
    objects: int = 0
    tried: int = 0
    paths: dict[str, str] = field(default_factory=dict)
    """The first of each form: those that differ in the numbers of elements alone have the same."""

    def places(self) -> str:
        """Return where it is held, in words."""
        shown = [*self.paths.values()][:SHOWN]
        more = self.objects - len(shown)
        return f"{', '.join(shown)}{f' and {more} more' if more > 0 else ''}"


@dataclass(slots=True)
class _Search:
    """One search: what was found, what was looked through, and how much of it."""

    replaced: Replaced
    groups: dict[tuple[str, What], _Group] = field(default_factory=dict)
    known: Looked[What] = field(default_factory=Looked)
    followed: dict[tuple[str, tuple[int, ...]], dict[What, Lead[What]]] = field(default_factory=dict)
    read: Reader = field(default_factory=Reader)
    looked: int = 0
    courtesy: Courtesy = field(default_factory=Courtesy)

    async def search_processes(self, processes: Iterable[Process], hint: str) -> None:
        """Search their states: many at once, and one by one where these may lead to something."""
        left = iter(processes)
        while some := [*islice(left, TOGETHER)]:
            if not await self._clean([p.state for p in some if not plain(p.state)]):
                for process in some:
                    await self.search(_of_process(process, hint))
            await self.courtesy.turn()

    async def _clean(self, pending: list[Any]) -> bool:
        """Say, fast, that nothing of replaced code is to be found here; no, where a closer look is needed."""
        seen = dict[int, Any]()
        while pending and self.looked < MOST:
            if not self._clean_so_far(pending, seen):
                return False
            await self.courtesy.turn()
        self.known.remember_clean(seen.values())
        return not pending

    def _clean_so_far(self, pending: list[Any], seen: dict[int, Any]) -> bool:
        """Look at the last ones of these, and put what they consist of in their place."""
        fresh = self.known.fresh(pending[-AT_ONCE:])
        del pending[-AT_ONCE:]
        if fresh is None:
            return False
        for key in seen.keys() & fresh.keys():
            del fresh[key]
        seen.update(fresh)
        for kind, same in by_type(fresh.values()).items():
            if self.replaced.has(kind, same):
                return False
            if parts := self.read.of_all(kind, same):
                pending += parts
                self.looked += len(same)
        return True

    async def search(self, holder: _Holder) -> None:
        """Search one value: all of it is looked at but what was looked through before."""
        enter, of, read = self.known.enter, self.replaced.of, self.read
        if (what := of(holder.value)) is not None:
            fresh = self.known.note(holder.kind, holder.value, what)
            await self._count(holder, what, int(fresh), [(holder.value,)])
            self.looked += 1
            return
        region, pending = self.known.begin(holder.kind, holder.value)
        while pending and self.looked < MOST:
            value = pending.pop()
            self.looked += 1
            if (what := of(value)) is not None:
                region.found.append((identity(value), what))
                continue
            owner = identity(value)
            pending += [part for part in read(value) if enter(region, part, owner)]
            if not self.looked % 256:
                await self.courtesy.turn()
        if region.found or region.known:
            await self._enter(holder, region)
        if not pending:
            value = None
            for _ in self.known.remember(region):
                await self.courtesy.turn()

    async def _enter(self, holder: _Holder, region: Region[What]) -> None:
        """Count a holder for all that it leads to, and each old object once for each kind of holder."""
        found: dict[What, list[int]] = {}
        for key, what in region.found:
            found.setdefault(what, []).append(key)
        leads = self._follow(region)
        for what in dict.fromkeys((*found, *leads)):
            keys, lead = found.get(what, []), leads.get(what)
            below = [[region.above[key][0]] for key in dict.fromkeys((*keys[:1], *keys[-1:]))]
            chains = [_down_to(region, objects) for objects in (*below, *([lead.chain] if lead else []))]
            await self._count(holder, what, len(keys) + (lead.fresh if lead else 0), chains)

    async def _count(self, holder: _Holder, what: What, objects: int, chains: Iterable[Sequence[Any]]) -> None:
        """Count a holder; each of *chains* leads from its value to something that it holds."""
        group = self.groups.setdefault((holder.kind, what), _Group(holder))
        group.holders += 1
        group.objects += objects
        for chain in islice(chains, TRIED - group.tried):
            group.tried += 1
            path = holder.root + _path(chain)
            group.paths.setdefault(_NUMBER.sub("[]", path), path)
            await self.courtesy.turn()

    def _follow(self, region: Region[What]) -> dict[What, Lead[What]]:
        """Return what known objects lead to; who holds the same few as another of its kind adds nothing to that."""
        if not region.known:
            return {}
        ends = region.kind, tuple(sorted(region.known))
        known = self.followed.get(ends)
        if known is None:
            known, nodes = follow(region)
            self.looked += nodes
            if len(region.known) <= FEW:
                self.followed[ends] = {what: Lead(lead.chain) for what, lead in known.items()}
        return known


def _down_to(region: Region[What], below: Sequence[Any]) -> Sequence[Any]:
    """Return what leads from the value that a region is of to the last of these objects, which lie below it."""
    return [*region.chain(identity(below[0])), *below]


def _path(chain: Sequence[Any]) -> str:
    """Return how the first of these objects leads to the last."""
    return "".join(next((s for s, part in parts(a) if part is b), "…") for a, b in pairwise(chain))


async def old_objects_held(
    processes: Iterable[Process],
    variables: Iterable[tuple[str, str, Any]],
    replaced: Replaced,
    sees: Callable[[Process], bool],
    places: Mapping[str, Location | None],
) -> list[Diagnostic]:
    """Return one warning for each kind of server, and each module that stays, by class of what is held.

    *variables* are modules that stay, their names and values; *sees* says whether a process' state is given to a
    `code_change`; *places* are the instructions, by module.
    """
    if not replaced:
        return []
    search = _Search(replaced)
    for module, name, value in variables:
        if _is_data(name, value):
            hint = f"load {module} too, or let an `instances` of the class migrate it"
            await search.search(_Holder(f"module {module}", name, f"{module}.{name}", value, hint))
            await search.courtesy.turn()
    asked = (p for p in processes if p.alive and not p.supervisor and not sees(p))
    await search.search_processes(asked, "update {} with `change: advanced`, and rebuild it in code_change")
    return _found(search, places, "that stays as it is, with the old code, when the module is replaced")


async def still_held(
    processes: Iterable[Process], replaced: Replaced, places: Mapping[str, Location | None]
) -> list[Diagnostic]:
    """Return one warning for each kind of server, by class of what its new states hold of the replaced code."""
    search = _Search(replaced)
    await search.search_processes(processes, "rebuild it in code_change")
    return _found(search, places, "its code_change left it as it is, and it goes on with the old code")


def _found(search: _Search, places: Mapping[str, Location | None], consequence: str) -> list[Diagnostic]:
    found = sorted(search.groups.items(), key=lambda entry: entry[0])
    warnings = [_warning(what, group, places.get(what[1]), consequence) for (_, what), group in found]
    return [*warnings, *([_bounded()] if search.looked >= MOST else [])]


def _of_process(process: Process, hint: str) -> _Holder:
    kind = f"{process.reference.module}:{process.reference.qualname}"
    return _Holder(kind, process.label, "state", process.state, hint.format(process.reference.module))


def _is_data(name: str, value: Any) -> bool:
    """Say whether a variable is data: functions and classes of a module that stays, and modules, are code."""
    return not (name.startswith("__") or plain(value) or issubclass(type(value), FunctionType | type | ModuleType))


def _warning(what: What, group: _Group, place: Location | None, consequence: str) -> Diagnostic:
    (one, many), module, name = what
    count = one if group.objects == 1 else f"{group.objects} {many}"
    more = f" and {group.holders - 1} more" if group.holders > 1 else ""
    held = f"{count} of {module}:{name}, in {group.places()}"
    message = f"{group.first.kind} ({group.first.label}{more}) holds {held}; {consequence}"
    return Diagnostic("old_objects_held", message, place, "warning", group.first.hint)


def _bounded() -> Diagnostic:
    message = f"states were searched for objects of replaced code up to {MOST:,} objects, and not further"
    return Diagnostic("search_bounded", message, severity="note")
