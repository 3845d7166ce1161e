"""A Python release: a folder with `release.yaml`, the packages of its applications and their appups.

Everything that can be wrong with a release is found in one reading: the file itself, the order of the
applications, the sources of every module and every appup. Nothing is imported; modules are files here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.appup import checked_appup
from relup.document.piece import Piece
from relup.document.source_tree import Found, discover, fingerprint, source_path
from relup.document.start_order import bad_order, start_order
from relup.document.text import is_folder
from relup.model.appup import Appup
from relup.model.release import Application, Release

FILE = "release.yaml"


def read_release(path: str | Path) -> Release:
    """Return the release in a folder (or of its release file); raise `InvalidInput` with everything wrong with it."""
    file = release_file(Path(path))
    return checked_release(reader.parse(file), file)


def release_file(path: Path) -> Path:
    """Return the release file of a folder, or the file itself; raise `InvalidInput` when there is none."""
    if not is_folder(path):
        return path
    if os.path.lexists(path / FILE):
        return path / FILE
    try:
        empty = not any(path.iterdir())
    except OSError:
        empty = False
    message = f"this folder {'is empty' if empty else f'has no {FILE}'}"
    hint = f"a release is a folder with a {FILE} that says name, vsn and applications"
    raise InvalidInput([Diagnostic("no_release", message, Location(str(path), 1, 1), hint=hint)])


def checked_release(piece: Piece, file: Path) -> Release:
    """Return the release that a parsed release file describes; raise `InvalidInput` with everything wrong with it."""
    reader.raise_errors(reader.check(piece, "release"))
    fields, root = piece.fields(), file.parent
    problems: list[Diagnostic] = []
    applications = [_application(root, p, problems) for p in fields["applications"].items()]
    problems += [*_twice(applications), *_shared_modules(applications), *bad_order(applications), *_bad_root(root)]
    reader.raise_errors(problems)
    return Release(
        name=fields["name"].text(),
        vsn=fields["vsn"].text(),
        applications=start_order(applications),
        root=str(root.resolve()),
        location=piece.location,
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
    application = Application(
        modules=tuple(sorted(prints)),
        fingerprints={m: f for m, f in sorted(prints.items()) if isinstance(f, str)},
        appup=_appup(root, fields, problems),
        location=piece.location,
        **given,
    )
    problems += [f for f in (*sources, *prints.values()) if isinstance(f, Diagnostic)]
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


def _appup(root: Path, fields: Mapping[str, Piece], problems: list[Diagnostic]) -> Appup | None:
    """Return the appup that ships with an application, in the release folder or in its package."""
    name = fields["name"].text()
    file = f"{name}.appup.yaml"
    match [p for p in (root / file, root.joinpath(*name.split("."), file)) if os.path.lexists(p)]:
        case []:
            return None
        case [path]:
            try:
                piece = reader.parse(path)
                appup = checked_appup(piece)
            except InvalidInput as error:
                problems += error.diagnostics
                return None
            problems += _foreign(appup, piece.fields(), fields)
            return appup
        case [first, second, *_]:
            message = f"the application {name!r} has two appups, the other is {first}"
            problems.append(Diagnostic("duplicate_appup", message, Location(str(second), 1, 1)))
            return None
        case _:
            raise AssertionError("a list has no other lengths")


def _foreign(appup: Appup, written: Mapping[str, Piece], fields: Mapping[str, Piece]) -> Iterator[Diagnostic]:
    name, vsn = fields["name"].text(), fields["vsn"].text()
    if appup.application != name:
        message = f"this is the appup of {appup.application!r}, its file is named for {name!r}"
        yield Diagnostic("wrong_application", message, written["application"].location)
    if appup.vsn != vsn:
        message = f"this appup leads to {appup.application} {appup.vsn}, the release has {vsn}"
        yield Diagnostic("bad_vsn", message, written["vsn"].location)


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


def _bad_root(root: Path) -> Iterator[Diagnostic]:
    try:
        str(root.resolve()).encode()
    except UnicodeEncodeError:
        message = "the path of this folder is not UTF-8, so no plan can name it"
        yield Diagnostic("not_utf8", message, Location(ascii(str(root)), 1, 1))
