"""A BEAM release: a `.rel` file, the `.app` files of its applications, their modules and appups.

OTP reads one with `systools_make:get_release`, which stops at the first kind of fault. The checks, their tags and
the order of the applications are the same here, but everything that is wrong is told at once, with its place.
Nothing is run: no emulator is needed to read a release.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.erlang.app import AppFile, Mention, read_app_file
from relup.document.erlang.code import BeamCode
from relup.document.erlang.fingerprint import fingerprint
from relup.document.erlang.layout import Places, places
from relup.document.erlang.rel import Line, read_rel_file
from relup.document.shipped import shipped_appup
from relup.document.start_order import Needs, as_listed, bad_order, start_order
from relup.document.text import bad_root, is_file
from relup.model.appup import Appup
from relup.model.release import Application, Release

_Found: TypeAlias = Mapping[str, AppFile]
_Names: TypeAlias = Mapping[str, Sequence[Mention]]


def read_beam_release(path: Path, libraries: Sequence[str | Path] = ()) -> Release:
    """Return the release that the `.rel` file at *path* describes; raise `InvalidInput` with everything wrong with it.

    What the release's own folders lack is looked for in *libraries*, folders such as `/usr/lib/erlang/lib`.
    """
    rel, where = read_rel_file(path), places(path, libraries)
    problems: list[Diagnostic] = []
    found = {line.name: app for line in rel.lines if (app := _find(line, where, problems))}
    lines = [line for line in rel.lines if line.name in found]
    included = {a.name: found[a.name].included if a.included is None else a.included for a in lines}
    needs = {line.name: dict[str, Location | None]() for line in rel.lines} | _needs(found, included)
    problems += [*_not_included(lines, found), *_also_used(found, included), *_twice(found, included)]
    problems += [*bad_order(needs), *bad_root(where.root)]
    applications = {line.name: _application(line, found[line.name], needs, problems) for line in lines}
    reader.raise_errors(problems)
    return Release(
        name=rel.name,
        vsn=rel.vsn,
        applications=tuple([applications[name] for name in start_order(needs)]),
        root=str(where.root.resolve()),
        kind="beam",
        erts=rel.erts,
        location=rel.location,
        written=tuple([line.name for line in rel.lines]),
        code=BeamCode({module: beam for line in lines for module, beam in _beams(found[line.name]).items()}),
    )


def _beams(app: AppFile) -> dict[str, Path]:
    return {m.name: app.path.parent / f"{m.name}.beam" for m in app.modules}


def _application(line: Line, app: AppFile, known: Needs, problems: list[Diagnostic]) -> Application:
    """Return one application with its fingerprints and its appup; what is wrong goes to *problems*."""
    ebin, appup = app.path.parent, f"{line.name}.appup"
    yaml = f"{appup}.yaml"
    shipped = list(shipped_appup(line.name, line.vsn, (ebin / appup, ebin / yaml, ebin.parent / "priv" / yaml)))
    beams = _beams(app)
    prints = {module: fingerprint(beam) for module, beam in beams.items() if is_file(beam)}
    problems += [f for f in prints.values() if isinstance(f, Diagnostic)]
    return Application(
        name=line.name,
        vsn=line.vsn,
        modules=tuple(beams),
        type=line.type,
        applications=tuple(dict.fromkeys(m.name for m in app.applications if m.name in known)),
        fingerprints={m: f for m, f in prints.items() if isinstance(f, str)},
        appup=next((a for a in shipped if isinstance(a, Appup)), None),
        location=line.location,
        faults=tuple(f for f in shipped if isinstance(f, Diagnostic)),
        missing=tuple(_missing(line, app, prints)),
    )


def _missing(line: Line, app: AppFile, there: Collection[str]) -> Iterator[Diagnostic]:
    """Yield the modules without a file; where there is none at all, the application is not built yet."""
    ebin = app.path.parent
    if any(ebin.glob("*.beam")):
        for name, location in app.modules:
            if name not in there:
                message = f"the module {name!r} of {line.name} {line.vsn} has no .beam file in {ebin}"
                hint = "build the release again, or take it out of the modules"
                yield Diagnostic("missing_beam", message, location, hint=hint)


# ── finding ────────────────────────────────────────────────────────────────────────────────────────────


def _find(line: Line, where: Places, problems: list[Diagnostic]) -> AppFile | None:
    """Return the `.app` file of the version that the release wants; why there is none goes to *problems*."""
    faults: list[Diagnostic] = []
    others: list[AppFile] = []
    for ebin in where.ebins(line.name, line.vsn):
        file = ebin / f"{line.name}.app"
        try:
            app = read_app_file(file) if is_file(file) else None
        except InvalidInput as error:
            faults += error.diagnostics
            continue
        if app and app.name != line.name:
            message = f"this is the application {app.name!r}, its file is named for {line.name!r}"
            faults.append(Diagnostic("bad_application_name", message, app.location))
        elif app and app.vsn == line.vsn:
            return app
        elif app:
            others.append(app)
    problems += faults or [_not_found(line, where, others)]
    return None


def _not_found(line: Line, where: Places, others: Sequence[AppFile]) -> Diagnostic:
    wanted = f"the release has {line.name} {line.vsn}"
    if others:
        there = ", ".join(f"{a.path} is of {a.vsn}" for a in others)
        return Diagnostic("no_valid_version", f"{wanted}, but {there}", line.location)
    message = f"{wanted}, but there is no {line.name}.app: looked into {where.in_words(line.name, line.vsn)}"
    hint = None if where.libraries else "name the folders of other libraries, such as Erlang's own lib"
    return Diagnostic("not_found", message, line.location, hint=hint)


# ── what applications say of each other ────────────────────────────────────────────────────────────────


def _not_included(lines: Sequence[Line], found: _Found) -> Iterator[Diagnostic]:
    for line in lines:
        for name, location in line.included or ():
            if name not in {m.name for m in found[line.name].included}:
                message = f"{line.name!r} cannot include {name!r}: its .app file does not"
                yield Diagnostic("override_include", message, location)


def _also_used(found: _Found, included: _Names) -> Iterator[Diagnostic]:
    """Yield what is needed, so must run before, and is included, so is started by who needs it."""
    for owner, mentions in included.items():
        uses = {m.name: m.location for m in found[owner].applications}
        for name, _ in mentions:
            if name in uses:
                message = f"{owner!r} includes {name!r}: it cannot need it too"
                yield Diagnostic("included_and_used", message, uses[name])


def _twice(found: _Found, included: _Names) -> Iterator[Diagnostic]:
    """Yield the names that several applications, or one of them twice, claim for themselves."""
    claims: tuple[tuple[str, str, _Names], ...] = (
        ("duplicate_register", "registered by", {name: app.registered for name, app in found.items()}),
        ("duplicate_include", "included by", included),
        ("duplicate_modules", "a module of", {name: app.modules for name, app in found.items()}),
    )
    for code, claim, names in claims:
        owners: dict[str, str] = {}
        for owner, mentions in names.items():
            for name, location in mentions:
                if name in owners:
                    whom = f"{owners[name]!r} and {owner!r}" if owners[name] != owner else f"{owner!r} twice"
                    yield Diagnostic(code, f"{name!r} is {claim} {whom}", location)
                owners.setdefault(name, owner)


def _needs(found: _Found, included: _Names) -> dict[str, dict[str, Location | None]]:
    """Return what must come before each application: what it needs, and what it includes.

    Who needs an application that is included in another waits for the outermost one, which starts it.
    """
    includes = {name: dict[str, Location | None](mentions) for name, mentions in included.items()}
    owner = {inner: outer for outer in reversed(includes) for inner in includes[outer]}
    needs: dict[str, dict[str, Location | None]] = {}
    for name, app in found.items():
        uses = {m.name: m.location for m in app.applications if m.name in found or m.name not in app.optional}
        kept = {n: place for n, place in _outermost(name, uses, owner).items() if name not in includes.get(n, ())}
        needs[name] = as_listed(kept, found) | as_listed(includes[name], found)
    return needs


def _outermost(name: str, uses: Mapping[str, Location], owner: Mapping[str, str]) -> dict[str, Location | None]:
    mine, kept = _top(name, owner), dict[str, Location | None](uses)
    for used, place in uses.items():
        top = _top(used, owner)
        if used == mine:
            del kept[used]
        elif used in owner and (top in kept or top != mine):
            del kept[used]
            kept.setdefault(top, place)
    return kept


def _top(name: str, owner: Mapping[str, str]) -> str:
    seen = {name}
    while name in owner and (name := owner[name]) not in seen:
        seen.add(name)
    return name
