"""A release: a folder, told to be Python's by its `release.yaml` or BEAM's by its `.rel` file.

Of a Python release the packages of its applications and their appups are read here. Everything that can be wrong
with it is found in one reading: the file itself, the order of the applications, the sources of every module and
every appup. Nothing is imported; modules are files here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.code import PythonCode
from relup.document.erlang.layout import rel_file
from relup.document.piece import Piece
from relup.document.shipped import shipped_appup
from relup.document.source_tree import Found, discover, fingerprint, source_path
from relup.document.start_order import as_listed, bad_order, start_order
from relup.document.text import bad_root, is_folder
from relup.model.appup import Appup
from relup.model.release import Application, Release

FILE = "release.yaml"


def read_release(path: str | Path, libraries: Sequence[str | Path] = ()) -> Release:
    """Return the release in a folder (or of its release file); raise `InvalidInput` with everything wrong with it.

    What a BEAM release does not have itself is looked for in *libraries*, folders such as `/usr/lib/erlang/lib`.
    """
    file = release_file(Path(path))
    if file.suffix == ".rel":
        from relup.document.erlang.release import read_beam_release  # noqa: PLC0415  a Python node needs no grammar

        return read_beam_release(file, libraries)
    return checked_release(reader.parse(file), file)


def release_file(path: Path) -> Path:
    """Return the release file of a folder, or the file itself; raise `InvalidInput` when there is none, or several."""
    if not is_folder(path):
        return path
    rel = rel_file(path)
    if not os.path.lexists(path / FILE):
        return rel or _no_release(path)
    if rel:
        message = f"this folder has two releases: {FILE} and {rel.relative_to(path)}"
        place = Location(str(path), 1, 1)
        raise InvalidInput([Diagnostic("ambiguous_release", message, place, hint="name one of these files")])
    return path / FILE


def _no_release(path: Path) -> NoReturn:
    try:
        empty = not any(path.iterdir())
    except OSError:
        empty = False
    message = f"this folder {'is empty' if empty else f'has neither a {FILE} nor a .rel file'}"
    hint = f"a release is a folder with a {FILE} that says name, vsn and applications, or with releases/*/*.rel"
    raise InvalidInput([Diagnostic("no_release", message, Location(str(path), 1, 1), hint=hint)])


def checked_release(piece: Piece, file: Path) -> Release:
    """Return the release that a parsed release file describes; raise `InvalidInput` with everything wrong with it."""
    reader.raise_errors(reader.check(piece, "release"))
    fields, root = piece.fields(), file.parent
    problems: list[Diagnostic] = []
    applications = [_application(root, p, problems) for p in fields["applications"].items()]
    named = {a.name: a for a in applications}
    needs = {a.name: as_listed(dict.fromkeys(a.applications, a.location), named) for a in applications}
    problems += [*_twice(applications), *_shared_modules(applications), *bad_order(needs), *bad_root(root)]
    reader.raise_errors(problems)
    return Release(
        name=fields["name"].text(),
        vsn=fields["vsn"].text(),
        applications=tuple([named[name] for name in start_order(needs)]),
        root=str(root.resolve()),
        location=piece.location,
        code=PythonCode(root, [m for a in applications for m in a.modules]),
    )


def read_sources(release: Release) -> dict[str, Path]:
    """Return the source file of every module of the release, sorted; raise `InvalidInput` for those that have none."""
    root, places = Path(release.root), {m: a.location for a in release.applications for m in a.modules}
    found = {m: source_path(root, m) for m in sorted(places)}
    reader.raise_errors(_not_found(m, root, places[m]) for m, path in found.items() if path is None)
    return {m: path for m, path in found.items() if path is not None}


def _application(root: Path, piece: Piece, problems: list[Diagnostic]) -> Application:
    """Return one application with its modules and its appup; what is wrong goes to *problems*."""
    fields = piece.fields()
    given: dict[str, Any] = {k: fields[k].text() for k in ("name", "vsn", "start", "type") if k in fields}
    given |= {"applications": fields["applications"].texts()} if "applications" in fields else {}
    given |= {"args": fields["args"].value()} if "args" in fields else {}
    sources = list(_listed(root, fields["modules"]) if "modules" in fields else _discovered(root, fields["name"]))
    prints = {s.module: fingerprint(root, s) for s in sources if isinstance(s, Found)}
    name = fields["name"].text()
    appup = f"{name}.appup.yaml"
    shipped = list(shipped_appup(name, fields["vsn"].text(), (root / appup, root.joinpath(*name.split("."), appup))))
    application = Application(
        modules=tuple(sorted(prints)),
        fingerprints={m: f for m, f in sorted(prints.items()) if isinstance(f, str)},
        appup=next((a for a in shipped if isinstance(a, Appup)), None),
        location=piece.location,
        **given,
    )
    problems += [f for f in (*sources, *prints.values(), *shipped) if isinstance(f, Diagnostic)]
    problems += _bad_start(application, fields["start"]) if "start" in fields else ()
    return application


def _listed(root: Path, modules: Piece) -> Iterator[Found | Diagnostic]:
    seen: dict[str, Location | None] = {}
    for piece in modules.items():
        module = piece.text()
        path = source_path(root, module)
        if module in seen:
            yield Diagnostic("duplicate_modules", f"the module {module!r} is listed twice", piece.location)
        elif path is None:
            yield _not_found(module, root, piece.location)
        else:
            yield Found(module, path)
        seen[module] = piece.location


def _discovered(root: Path, name: Piece) -> Iterator[Found | Diagnostic]:
    found = list(discover(root, name.text()))
    yield from found
    if not found:
        package = name.text().replace(".", "/")
        message = f"the application {name.text()!r} has no modules: there is no {package}/ and no {package}.py"
        hint = f"beside {FILE}; or list its modules"
        yield Diagnostic("package_not_found", message, name.location, hint=hint)


def _not_found(module: str, root: Path, location: Location | None) -> Diagnostic:
    path = module.replace(".", "/")
    message = f"there is no source of module {module!r}: no {path}.py and no {path}/__init__.py in {root}"
    return Diagnostic("module_not_found", message, location)


def _bad_start(application: Application, piece: Piece) -> Iterator[Diagnostic]:
    module, _, name = piece.text().partition(":")
    if not all(s.isidentifier() for s in (*module.split("."), *name.split("."))):
        message = f"expected package.module:Class, found {piece.text()[:60]!r}"
        yield Diagnostic("bad_start", message, piece.location)
    elif module not in application.modules:
        message = f"{module!r} is not a module of the application {application.name!r}"
        yield Diagnostic("bad_start", message, piece.location)


def _twice(applications: Sequence[Application]) -> Iterator[Diagnostic]:
    first: dict[str, Application] = {}
    for application in applications:
        if (other := first.setdefault(application.name, application)) is not application:
            line = f", first in line {other.location.line}" if other.location else ""
            message = f"the application {application.name!r} is listed twice{line}"
            yield Diagnostic("duplicate_application", message, application.location)


def _shared_modules(applications: Sequence[Application]) -> Iterator[Diagnostic]:
    owners: dict[str, str] = {}
    for application in applications:
        for module in application.modules:
            if (owner := owners.setdefault(module, application.name)) != application.name:
                message = f"the module {module!r} is in {owner!r} and in {application.name!r}"
                yield Diagnostic("duplicate_modules", message, application.location)
