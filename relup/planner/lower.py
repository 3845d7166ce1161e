"""One component in low-level instructions: suspend, change, resume.

Processes are suspended dependents first and resumed in the opposite order, so that nobody calls a server
that stands still. On the way up code is loaded from the bottom (what others depend on comes first) and the
states change after it. On the way down it is loaded from the top, and a state is changed back by the code
that knows both versions: before the load where the module's processes came from it (dynamic), after the
load where the old code reads its own state again (static, as supervisors do).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias, assert_never

from relup.diagnostics import Diagnostic
from relup.model.instructions import (
    AddModule,
    Advanced,
    CodeChange,
    DeleteModule,
    Direction,
    Load,
    LoadModule,
    LoadObjectCode,
    LowLevel,
    ModuleChange,
    ModuleInstruction,
    PurgeModules,
    Remove,
    Resume,
    Soft,
    SupervisorChange,
    Suspend,
    Suspension,
    Update,
)
from relup.model.release import Application
from relup.planner.names import no_such_module
from relup.planner.order import Component

Homes: TypeAlias = Mapping[str, Application]
"""Which application each module belongs to."""


def homes(applications: Sequence[Application]) -> Homes:
    """Return the application of each module; the first that lists it, as in OTP."""
    return {m: a for a in reversed(applications) for m in a.modules}


def check_homes(instructions: Sequence[ModuleInstruction], where: Homes) -> Iterator[Diagnostic]:
    """Find modules to load that no application of the release to come has."""
    for i in instructions:
        if i.module not in where and not isinstance(i, DeleteModule):
            yield no_such_module(i, i.module, where.keys())


def staying(
    instructions: Iterable[ModuleInstruction], after: Sequence[Application], before: Sequence[Application]
) -> frozenset[str]:
    """Return the modules whose processes a function migrates and whose code stays: its file is the same in both.

    Somebody else's server need not be loaded anew because what it keeps for us changes its shape.
    """
    migrated = {i.module for i in instructions if isinstance(i, Update) and i.migrate}
    now, then = homes(after), homes(before)
    return frozenset(m for m in migrated if m in now and m in then and _same_file(m, now[m], then[m]))


def _same_file(module: str, now: Application, then: Application) -> bool:
    """Compare fingerprints; where an application has none, its version says whether it is another one."""
    prints = now.fingerprints.get(module), then.fingerprints.get(module)
    return prints[0] == prints[1] and (prints[0] is not None or now.vsn == then.vsn)


def object_code(component: Component, where: Homes, staying: Collection[str]) -> Iterator[LoadObjectCode]:
    """Yield what fetches the code of the component's modules, one after another, for each application on the way."""
    loaded = (i for i in component if not isinstance(i, DeleteModule) and i.module not in staying)
    for _, group in groupby(loaded, key=lambda i: where[i.module].name):
        same = tuple(group)
        home = where[same[0].module]
        yield LoadObjectCode(home.name, home.vsn, tuple(i.module for i in same), location=same[0].location)


def component_script(direction: Direction, component: Component, staying: Collection[str]) -> Iterator[LowLevel]:
    """Yield what a component does after the point of no return; the code of modules *staying* is not touched."""
    loaded = [i for i in component if i.module not in staying]
    updates = [i for i in component if isinstance(i, Update)]
    first = updates[0].location if updates else None
    if updates:
        yield Suspend(tuple(Suspension(u.module, u.timeout, location=u.location) for u in updates), location=first)
    match direction:
        case "up":
            yield from (step for i in reversed(loaded) for step in _code(i))
            yield from _code_change(direction, updates)
        case "down":
            yield from _code_change(direction, (u for u in updates if not is_static(u)))
            yield from (step for i in loaded for step in _code(i))
            yield from _code_change(direction, (u for u in updates if is_static(u)))
        case _:
            assert_never(direction)
    if updates:
        yield Resume(tuple(u.module for u in reversed(updates)), location=first)


def _code(i: ModuleInstruction) -> Iterator[LowLevel]:
    match i:
        case Update() | LoadModule():
            yield Load(i.module, i.pre_purge, i.post_purge, i.keep, i.instances, location=i.location)
        case AddModule():
            yield Load(i.module, location=i.location)
        case DeleteModule():
            yield Remove(i.module, location=i.location)
            yield PurgeModules((i.module,), location=i.location)
        case _:
            assert_never(i)


def is_static(u: Update) -> bool:
    """Say whether its processes change their states in the code that comes, on the way down too."""
    return u.mod_type == "static" or isinstance(u.change, SupervisorChange)


def _code_change(mode: Direction, updates: Iterable[Update]) -> Iterator[CodeChange]:
    changes = tuple(change for u in updates for change in _module_change(u))
    if changes:
        yield CodeChange(mode, changes, location=changes[0].location)


def _module_change(u: Update) -> Iterator[ModuleChange]:
    match u.change:
        case Soft():
            if u.migrate:
                yield ModuleChange(u.module, migrate=u.migrate, location=u.location)
        case Advanced(extra):
            yield ModuleChange(u.module, extra, u.migrate, location=u.location)
        case SupervisorChange():
            yield ModuleChange(u.module, location=u.location)
        case _:
            assert_never(u.change)
