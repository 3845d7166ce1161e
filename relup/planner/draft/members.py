"""Which modules a draft takes along: those that differ, and those that would keep something of the old code.

A Python application without processes of its own is a library, and is taken whole: how its modules hold each other's
objects cannot be seen from outside, and with whole libraries real upgrades went right where others did not. Whoever
evaluates names of the set at import joins it, in either direction, and so does a server that keeps instances of its
classes. On BEAM calls find the newest code by name, and what differs is all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from relup.model.release import Application, Release
from relup.model.shapes import LiveStates, Shape, type_label
from relup.planner.closure import dependants
from relup.planner.draft.changes import Change
from relup.planner.draft.data import data_of, in_words
from relup.planner.draft.scene import Scene
from relup.planner.resolution import python_module
from relup.planner.roles import roles


@dataclass(frozen=True, slots=True)
class Joined:
    """A module that is taken along: which application's draft names it, and why when it does not differ itself."""

    module: str
    application: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Members:
    """The modules of all drafts."""

    scene: Scene
    of: Mapping[str, Sequence[Joined]]
    """By application, those that differ first."""
    libraries: frozenset[str]
    """The applications that have no processes of their own."""
    added: frozenset[str]
    deleted: frozenset[str]
    hosts: frozenset[str]
    """The modules that define servers, supervisors or applications, in either release."""


def members(older: Release, newer: Release, changes: Sequence[Change], live: Sequence[LiveStates] = ()) -> Members:
    """Return the modules that each application's draft has to name; *live* are states of the older release."""
    hosts = hosting(older, changes) | hosting(newer, changes)
    python = newer.kind == "python"
    libraries = frozenset(c.newer.name for c in changes if python and _is_library(c, hosts))
    joined = {m: Joined(m, c.newer.name) for c in changes for m in (*c.changed, *c.added, *c.deleted)}
    if python:
        whole = (Joined(m, c.newer.name, "part of a library, which is taken whole") for c in changes for m in _rest(c))
        joined |= {j.module: j for j in whole if j.application in libraries and j.module not in joined}
    scene = Scene(older, newer, frozenset(m for c in changes for m in c.changed), joined.keys(), live)
    homes = {c.newer.name for c in changes}
    while more := [j for j in _joining(scene, hosts, joined, homes) if j.module not in joined]:
        joined |= {j.module: j for j in reversed(more)}
    return Members(
        replace(scene, loaded=frozenset(joined)),
        {c.newer.name: [j for j in joined.values() if j.application == c.newer.name] for c in changes},
        libraries,
        frozenset(m for c in changes for m in c.added),
        frozenset(m for c in changes for m in c.deleted),
        frozenset(hosts),
    )


def _rest(change: Change) -> Iterator[str]:
    if change.changed or change.added or change.deleted:
        had = frozenset(change.older.modules)
        yield from (m for m in change.newer.modules if m in had)


def hosting(release: Release, changes: Sequence[Change] = ()) -> set[str]:
    """Return the modules that define servers, supervisors or applications; of a BEAM release, those that differ.

    In Python those derive from the runtime's classes, or from classes that do; either way they name them.
    """
    if release.kind == "beam":
        return {m for c in changes for m in (*c.changed, *c.added, *c.deleted) if _hosts(release, m)}
    found: set[str] = set()
    names = {"relup"}
    while names:
        fresh = [m for m in release.code.mentioning(names) if m not in found and _hosts(release, m)]
        found |= set(fresh)
        hosted = (r for m in fresh for r in roles(release.code, release.code.module(m)))
        names = {r.name.rpartition(".")[2] for r in hosted}
    return found


def _hosts(release: Release, module: str) -> bool:
    return bool(roles(release.code, release.code.module(module)))


def _is_library(change: Change, hosts: set[str]) -> bool:
    return change.newer.start is None and change.older.start is None and hosts.isdisjoint(change.whole)


def _joining(scene: Scene, hosts: set[str], joined: Mapping[str, Joined], homes: set[str]) -> Iterator[Joined]:
    """Yield who must join the modules that were found so far."""
    if scene.after.kind != "python":
        return
    for release in (scene.before, scene.after):
        for found in dependants(release, joined):
            why = f"evaluates {found.name} of {found.of} when it is imported (line {found.line})"
            yield Joined(found.module, _home(release, found.module, joined, found.of, homes), why)
    for name in sorted(hosts - joined.keys()):
        module = python_module(scene.new, name)
        kept = [d for r in roles(scene.new, module) if module for d in data_of(scene, module, r)]
        if kept and python_module(scene.old, name):
            yield Joined(name, _home(scene.after, name, joined, kept[0][0], homes), in_words(scene, *kept[0]))
        elif module and (type_ := _held_live(scene, name)):
            of = type_.rpartition(":")[0]
            why = f"its live states hold instances of {type_label(type_)} of {of}, which is loaded anew"
            yield Joined(name, _home(scene.after, name, joined, of, homes), why)


def _held_live(scene: Scene, module: str) -> str | None:
    """Return a class of a loaded module of which live states of a server hold instances."""
    types = (t for live in scene.live if live.module == module for t in _types(live.state))
    return next((t for t in types if t.rpartition(":")[0] in scene.loaded), None)


def _types(held: Iterable[Shape]) -> Iterator[str]:
    for shape in held:
        yield shape.type
        yield from _types(shape.contents())


def _home(release: Release, module: str, joined: Mapping[str, Joined], of: str, homes: set[str]) -> str:
    """Return whose draft names a module: its own application's when that changes, else that of whom it goes with."""
    own: Application | None = next((a for a in release.applications if module in a.modules), None)
    if own and own.name in homes:
        return own.name
    return joined[of].application if of in joined else next(iter(joined.values())).application
