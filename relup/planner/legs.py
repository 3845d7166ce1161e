"""Which scripts lead from one release to another: the collect pass.

Appups travel with the newer release: its `up` lists come from the older one, its `down` lists go back to
it. A leg is one of these ways. Applications that only one of the releases has need no appup: they are
added before everything else, and removed after it, as OTP does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from relup.diagnostics import Diagnostic, Location
from relup.model.appup import Appup, Entry
from relup.model.explanation import Origin, Source
from relup.model.instructions import (
    AddApplication,
    AddModule,
    DeleteModule,
    Direction,
    Instruction,
    LoadModule,
    ModuleInstruction,
    RemoveApplication,
    RestartEmulator,
    StateFunction,
    Update,
)
from relup.model.release import Application, NodeKind, Release
from relup.planner.emulator import restarts
from relup.planner.inverse import inverse
from relup.planner.names import with_elixir_names
from relup.planner.syntax import check_syntax

NO_RELUP, FILE_PROBLEM = "no_relup", "file_problem"
"""No entry leads there; on BEAM OTP tells an appup without the entry from one that is not there at all."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One way between two releases, and the scripts that take it, one for each application."""

    direction: Direction
    before: Release
    """The release that runs."""
    after: Release
    """The release to come."""
    sources: tuple[Source, ...]
    faults: tuple[Diagnostic, ...] = ()
    """What could not be derived of an inverse list."""

    def scripts(self) -> tuple[tuple[Instruction, ...], ...]:
        """Return the scripts, one for each application."""
        return tuple(s.instructions for s in self.sources)

    def instructions(self) -> tuple[Instruction, ...]:
        """Return the instructions of all scripts."""
        return tuple(i for s in self.sources for i in s.instructions)

    def places(self) -> Mapping[str, Location | None]:
        """Return where the script of each application is written: what is missing from it is missing there."""
        return {s.application: s.location for s in self.sources if s.application and s.origin in ("entry", "inverse")}


@dataclass(frozen=True, slots=True)
class Pair:
    """An application that both releases have, in different versions."""

    newer: Application
    older: Application
    kind: NodeKind

    def versions(self, direction: Direction) -> str:
        """Return `from → to`."""
        ends = (self.older.vsn, self.newer.vsn)
        return " → ".join(ends if direction == "up" else reversed(ends))


def pairs(newer: Release, older: Release) -> Iterator[Pair]:
    """Yield the applications whose versions differ, in the order of the newer release."""
    theirs = {a.name: a for a in older.applications}
    for application in newer.applications:
        other = theirs.get(application.name)
        if other and other.vsn != application.vsn:
            yield Pair(application, other, newer.kind)


def check_files(base: Release, goal: Release) -> Iterator[Diagnostic]:
    """Find modules without a file in the applications that an upgrade brings: new ones, and those of other versions."""
    for application in goal.not_in(base):
        yield from application.missing


def entry(direction: Direction, pair: Pair) -> Entry | None:
    """Return the entry of the newer application's appup for the older version, None when there is none."""
    appup = pair.newer.appup
    if appup is None or any(check_patterns(appup)):
        return None
    return appup.entry(direction, pair.older.vsn)


def choose(base: Release, goal: Release) -> Direction | None:
    """Return the direction in which more of the changed applications have an entry, up when in doubt.

    None when applications changed and no appup of either release knows about it.
    """
    ups = sum(not any(_lacks("up", pair)) for pair in pairs(goal, base))
    downs = sum(not any(_lacks("down", pair)) for pair in pairs(base, goal))
    if not ups and not downs and any(pairs(goal, base)):
        return None
    return "down" if downs > ups else "up"


def check_patterns(appup: Appup) -> Iterator[Diagnostic]:
    """Find versions that are written as regular expressions and are none."""
    for e in (*appup.up, *appup.down):
        fault = e.version.fault()
        if fault:
            message = f"{e.version.text!r} is no regular expression that can be matched: {fault}"
            yield Diagnostic("bad_version_pattern", message, e.location or appup.location)


def check_appups(newer: Release, older: Release) -> Iterator[Diagnostic]:
    """Find appups that are for another application or another version than the release they came with."""
    for pair in pairs(newer, older):
        application, appup = pair.newer, pair.newer.appup
        yield from application.faults
        if appup is None:
            continue
        yield from appup.unanswered
        yield from check_patterns(appup)
        if appup.application != application.name:
            message = f"this appup is for application {appup.application!r}, not for {application.name!r}"
            yield Diagnostic("wrong_application", message, appup.location)
        if appup.vsn != application.vsn:
            message = f"this appup is for version {appup.vsn}, release {newer} has {application.name} {application.vsn}"
            yield Diagnostic("bad_vsn", message, appup.location, "warning")


def leg(direction: Direction, newer: Release, older: Release, *, restart_emulator: bool = False) -> Leg:
    """Return the way up to *newer*, or down from it; with *restart_emulator* the node restarts at its end.

    An application without an entry contributes nothing, and nothing is said of what depends on its modules:
    `lacking` finds it.
    """
    before, after = (older, newer) if direction == "up" else (newer, older)
    have = {a.name for a in before.applications}
    keep = {a.name for a in after.applications}
    sources = [Source(None, "erts", (i,), i.location) for i in restarts(newer, older)]
    sources += [_added(a) for a in after.as_written() if a.name not in have]
    faults: list[Diagnostic] = []
    unsaid: set[str] = set()
    for pair in pairs(newer, older):
        found = entry(direction, pair)
        if found is None:
            unsaid.update(pair.newer.modules, pair.older.modules)
        else:
            script = _script(direction, pair, found, after)
            instructions = tuple(i for i in script if not isinstance(i, Diagnostic))
            origin: Origin = "inverse" if found.instructions == "inverse" else "entry"
            sources.append(Source(pair.newer.name, origin, instructions, found.location))
            faults += [d for d in script if isinstance(d, Diagnostic)]
    sources += [_removed(a) for a in before.as_written() if a.name not in keep]
    sources += [Source(None, "asked", (RestartEmulator(),))] if restart_emulator else []
    if newer.kind == "beam":
        known = {m for release in (newer, older) for a in release.applications for m in a.modules}
        sources = [replace(s, instructions=tuple(with_elixir_names(i, known) for i in s.instructions)) for s in sources]
    sources = _tied(sources)
    if unsaid:
        sources = [replace(s, instructions=tuple(_freed(i, unsaid) for i in s.instructions)) for s in sources]
    return Leg(direction, before, after, tuple(sources), tuple(faults))


def _tied(sources: Sequence[Source]) -> list[Source]:
    """Let an update that a function migrates depend on the function's module, if that changes too.

    The function is of the newer release: that has to be there before the states change up, and until they have down.
    """
    changing = {i.module for s in sources for i in s.instructions if isinstance(i, ModuleInstruction)}

    def tied(i: Instruction) -> Instruction:
        match i:
            case Update(module, depends=depends, migrate=StateFunction(home)):
                needed = home in changing and home not in (module, *depends)
                return replace(i, depends=(*depends, home)) if needed else i
            case _:
                return i

    return [replace(s, instructions=tuple(map(tied, s.instructions))) for s in sources]


def _freed(i: Instruction, unsaid: Collection[str]) -> Instruction:
    """Return the instruction without its dependence on the modules *unsaid*."""
    match i:
        case Update() | LoadModule() | AddModule() | DeleteModule():
            return replace(i, depends=tuple(m for m in i.depends if m not in unsaid))
        case _:
            return i


def _added(a: Application) -> Source:
    return Source(a.name, "new", (AddApplication(a.name, a.type, location=a.location),), a.location)


def _removed(a: Application) -> Source:
    return Source(a.name, "gone", (RemoveApplication(a.name, location=a.location),), a.location)


def _script(direction: Direction, pair: Pair, found: Entry, after: Release) -> tuple[Instruction | Diagnostic, ...]:
    if found.instructions != "inverse":
        return _well_formed(found.instructions)
    other: Direction = "down" if direction == "up" else "up"
    opposite = entry(other, pair)
    if opposite is None or opposite.instructions == "inverse":
        state = "has no entry for it" if opposite is None else "is the inverse of this one"
        message = f"there is nothing to invert for {pair.newer.name} {pair.older.vsn}: the {other} list {state}"
        return (Diagnostic("no_inverse", message, found.location, hint="write one of the two lists out"),)
    given = _well_formed(opposite.instructions)
    instructions = [i for i in given if not isinstance(i, Diagnostic)]
    return tuple(inverse(instructions, {a.name: a.type for a in after.applications})) if instructions else given


def _well_formed(instructions: Sequence[Instruction]) -> tuple[Instruction | Diagnostic, ...]:
    """Return the instructions, or, when some hold wrong values, what is wrong with them."""
    return tuple(d for i in instructions for d in check_syntax(i)) or tuple(instructions)


def lacking(direction: Direction, newer: Release, older: Release) -> Iterator[Diagnostic]:
    """Yield what says so for each changed application that has no entry in *direction*."""
    return (d for pair in pairs(newer, older) for d in _lacks(direction, pair))


def lacking_down(base: Release, goal: Release) -> Iterator[Diagnostic]:
    """Yield what is missing if this is a downgrade: those appups of *base* that have no entry.

    Where *base* has none it is not asked for one, or every upgrade without an entry would want an appup of the
    release that it comes from.
    """
    return (d for pair in pairs(base, goal) if pair.newer.appup for d in _lacks("down", pair))


def _lacks(direction: Direction, pair: Pair) -> Iterator[Diagnostic]:
    """Yield what is missing; of an appup that is faulty itself nobody knows what it has."""
    appup = pair.newer.appup
    faulty = pair.newer.faults or (appup and any(check_patterns(appup)))
    if entry(direction, pair) is None and not faulty:
        yield _no_relup(direction, pair)


def _no_relup(direction: Direction, pair: Pair) -> Diagnostic:
    appup, name = pair.newer.appup, pair.newer.name
    what = f"no appup entry takes {name} {pair.versions(direction)}"
    if appup is None:
        message = f"{what}: {name} {pair.newer.vsn} has no appup"
        python = pair.kind == "python"
        hint = f"write {name}.appup.yaml" if python else f"write {name}.appup"
        return Diagnostic(NO_RELUP if python else FILE_PROBLEM, message, pair.newer.location, hint=hint)
    word = "from" if direction == "up" else "to"
    known = [e.version.text for e in (appup.up if direction == "up" else appup.down)]
    file = appup.location.file if appup.location else f"the appup of {name} {appup.vsn}"
    message = f"{what}: {file} has {direction} entries {word} {', '.join(known) or 'no version at all'}"
    return Diagnostic(NO_RELUP, message, appup.location, hint=_near(pair, direction))


def _near(pair: Pair, direction: Direction) -> str | None:
    """Return the hint at a pattern that matches a part of the version, which is not enough."""
    appup, vsn = pair.newer.appup, pair.older.vsn
    patterns = (
        e.version for e in ((appup.up if direction == "up" else appup.down) if appup else ()) if e.version.regex
    )
    parts = ((p.text, part) for p in patterns if (part := p.part(vsn)))
    return next((f"the pattern {t} matches only {part} of {vsn}; it must match the whole" for t, part in parts), None)
