"""What goes over to the other versions of a window's modules, beside the states of processes.

`keep` and `instances` of an appup name things in modules, and functions of modules; what they name is found here, in
the versions that will be there, before any process is touched. A name that is not there, a function that cannot be
called, a class whose instances cannot change: each is an error with the place in the appup.

Functions are those of the *newer* version in both directions: it alone knows both. So on the way up instances are
migrated after the code is exchanged and before `code_change`, which sees new ones; on the way down it is the other way
round: `code_change` of the code that is left sees new ones too, then instances are migrated, and then the code is
exchanged.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from relup.diagnostics import Diagnostic, Location
from relup.model.instructions import Load, Migration
from relup.runtime.code import Carry, CodeServer, Staged, Version
from relup.runtime.code.instances import obstacle
from relup.runtime.code.reference import resolve
from relup.targets.python import kept_values

Versions = Mapping[str, Version]


@dataclass(frozen=True, slots=True, eq=False)
class Turning:
    """A class whose instances are migrated: to which class, and by what."""

    label: str
    old: type
    new: type
    function: Callable[[Any], Any]
    name: str
    """The function, as the appup names it."""
    location: Location | None


@dataclass(frozen=True, slots=True)
class Passage:
    """What goes over with the code of one window, in one direction."""

    carry: Carry | None = None
    turnings: tuple[Turning, ...] = ()
    upwards: bool = True

    def __bool__(self) -> bool:
        return self.carry is not None or bool(self.turnings)


@dataclass(frozen=True, slots=True)
class _Sides:
    """The versions that are left and those that are entered; *newer* is one of them."""

    before: Versions
    after: Versions
    newer: Versions


def passage(
    code: CodeServer, staged: Staged, loads: Iterable[Load], *, upwards: bool, back: bool
) -> tuple[Passage, list[Diagnostic]]:
    """Return what *loads* say is to go over, and what is to be said of it; with an error among that, it is nothing.

    *upwards* says whether it leads to newer versions; *back*, whether from the new versions of *staged* to the old.
    """
    before, after = (staged.versions, staged.previous) if back else (staged.previous, staged.versions)
    sides = _Sides(before, after, after if upwards else before)
    concerned = [i for i in loads if i.keep or i.instances]
    present = [i for i in concerned if i.module in before and i.module in after]
    said = [_not_loaded(i) for i in concerned if i not in present]
    said += [d for i in present for d in (*_keep(i, sides), *_instances(i, sides))]
    if any(d.severity == "error" for d in said):
        return Passage(), said
    names = {i.module: i.keep for i in present if i.keep}
    carry = code.carry(staged, names, back=back) if names else None
    turnings = tuple(_turning(i, m, sides) for i in present for m in i.instances)
    if carry:
        places = {i.module: i.location for i in present}
        turned = {t.old for t in turnings}
        said += kept_values.check(carry, places, before, after, migrated=turned, owned=code.loaded)
    said += _unlisted(turnings, before)
    return Passage(carry, turnings, upwards), said


def _not_loaded(i: Load) -> Diagnostic:
    message = f"{i.module} is not loaded, so there is nothing of it to keep and there are no instances to migrate"
    return Diagnostic("nothing_to_keep", message, i.location, "note")


# ── keep ───────────────────────────────────────────────────────────────────────────────────────────────


def _keep(i: Load, sides: _Sides) -> Iterator[Diagnostic]:
    for name in i.keep:
        old, new = sides.before[i.module].namespace, sides.after[i.module].namespace
        if name not in old:
            yield _no_such_name(i, f"the version of {i.module} that runs has no {name}", name, old)
        elif name not in new:
            message = f"the version of {i.module} to come has no {name}: kept, it would be of no use to anybody"
            yield _no_such_name(i, message, name, new)


def _no_such_name(i: Load, message: str, name: str, among: Iterable[str]) -> Diagnostic:
    near = get_close_matches(name, sorted(n for n in among if not n.startswith("__")), n=1)
    hint = f"did you mean {near[0]!r}?" if near else "leave it out of `keep`"
    return Diagnostic("no_such_name", f"keep: {message}", i.location, hint=hint)


# ── instances ──────────────────────────────────────────────────────────────────────────────────────────


def _instances(i: Load, sides: _Sides) -> Iterator[Diagnostic]:
    for migration in i.instances:
        yield from _classes(i, migration, sides)
        yield from _function_faults(i, migration, sides)


def _classes(i: Load, migration: Migration, sides: _Sides) -> Iterator[Diagnostic]:
    label = f"{i.module}.{migration.cls}"
    old = resolve(sides.before[i.module].module, migration.cls)
    new = resolve(sides.after[i.module].module, migration.cls)
    for found, which in ((old, "that runs"), (new, "to come")):
        if found is None:
            message = f"instances: the version of {i.module} {which} has no class {migration.cls}"
            yield Diagnostic("no_such_class", message, i.location)
    if old is None or new is None:
        return
    if old is new:
        message = f"instances: {label} is the same class in both versions: {old.__module__}, which defines it, stays"
        yield Diagnostic("same_class", message, i.location, hint="name it where its own module is loaded")
    elif why := obstacle(old, new):
        message = f"instances: those of {label} cannot be migrated in place: {why}"
        hint = "make new ones in the code_change of whoever holds them: migrate(old, counterpart(type(old)))"
        yield Diagnostic("not_migratable", message, i.location, hint=hint)


def _function_faults(i: Load, migration: Migration, sides: _Sides) -> Iterator[Diagnostic]:
    function, spelt = _function(i, migration, sides), f"{migration.function} for {i.module}.{migration.cls}"
    if function is None:
        module, _, name = migration.function.rpartition(":")
        where = f"{module} has" if module else f"the newer version of {i.module} has"
        message = f"instances: {where} no {name}, which is to migrate {migration.cls}"
        yield Diagnostic("no_such_function", message, i.location)
    elif not callable(function):
        yield Diagnostic("bad_function", f"instances: {spelt} is no function", i.location)
    elif any(f(function) for f in _LATE):
        message = f"instances: {spelt} is not an ordinary function: nothing can be awaited while instances are migrated"
        yield Diagnostic("bad_function", message, i.location, hint="make it a plain def that returns the new instance")
    elif not _takes_one(function):
        message = f"instances: {spelt} cannot be called with one argument, the old instance"
        yield Diagnostic("bad_function", message, i.location)


_LATE = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def _function(i: Load, migration: Migration, sides: _Sides) -> Any:
    """Return what the appup names: in the newer version, or in a module that does not change; None if nothing."""
    module, _, path = migration.function.rpartition(":")
    module = module or i.module
    version = sides.newer.get(module)
    gone = module in sides.before or module in sides.after
    found: Any = version.module if version else None if gone else sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True  # C code that does not say
    return True


def _turning(i: Load, migration: Migration, sides: _Sides) -> Turning:
    old = resolve(sides.before[i.module].module, migration.cls)
    new = resolve(sides.after[i.module].module, migration.cls)
    assert old is not None
    assert new is not None
    function = _function(i, migration, sides)
    return Turning(f"{i.module}.{migration.cls}", old, new, function, migration.function, i.location)


def _unlisted(turnings: Sequence[Turning], before: Versions) -> Iterator[Diagnostic]:
    """Find subclasses that are replaced as well: an instance of one is migrated only where it is listed."""
    listed = {t.old for t in turnings}
    for t in turnings:
        for cls in _below(t.old):
            version = before.get(cls.__module__)
            if cls not in listed and version and resolve(version.module, cls.__qualname__) is cls:
                listed.add(cls)
                message = f"instances: {cls.__module__}.{cls.__qualname__} extends {t.label} and is not listed"
                hint = "its instances stay of the older version: list it with a function too"
                yield Diagnostic("not_listed", message, t.location, "warning", hint)


def _below(cls: type) -> Iterator[type]:
    below: list[type] = type.__subclasses__(cls)
    for sub in below:
        yield sub
        yield from _below(sub)
