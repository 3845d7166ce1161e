"""A release: a folder, told by what lies in it.

With a `release.yaml` it is Python's and says itself what it consists of; with a `.rel` file it is BEAM's; otherwise it
is what pip or a person made of it: distributions, wheels, a source tree (`document.python`).

Of a folder with a `release.yaml` the packages of its applications and their appups are read here. Everything that can
be wrong with it is found in one reading: the file itself, the order of the applications, the sources of every module
and every appup. Nothing is imported; modules are files here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.code import PythonCode
from relup.document.erlang.layout import rel_file
from relup.document.piece import Piece
from relup.document.python.code import Found, chosen, extension_path
from relup.document.python.distributions import SUFFIX as DIST_INFO
from relup.document.python.distributions import find_distribution
from relup.document.python.entry_points import bad_start, is_start
from relup.document.python.installed import Contents, appup_places, contents_of
from relup.document.python.project import is_project
from relup.document.shipped import shipped_appup
from relup.document.source_tree import discover, fingerprints, source_path
from relup.document.start_order import as_listed, bad_order, start_order
from relup.document.text import bad_root, is_file, is_folder, reason
from relup.model.appup import Appup
from relup.model.release import Application, Release

FILE = "release.yaml"
WHEEL = ".whl"
Form: TypeAlias = Literal["file", "installed", "wheels", "project"]


def read_release(path: str | Path, libraries: Sequence[str | Path] = (), unpack: str | Path | None = None) -> Release:
    """Return the release in a folder (or of its release file); raise `InvalidInput` with everything wrong with it.

    What a BEAM release does not have itself is looked for in *libraries*, folders such as `/usr/lib/erlang/lib`.
    Wheels are unpacked below *unpack*, once for the same wheels; without it they are an error.
    """
    given = Path(path)
    form = form_of(given)
    if form == "file":
        return _of_file(release_file(given), libraries)
    return _of_python(given, form, Path(unpack) if unpack is not None else None)


def _of_file(file: Path, libraries: Sequence[str | Path]) -> Release:
    if file.suffix == ".rel":
        from relup.document.erlang.release import read_beam_release  # noqa: PLC0415  a Python node needs no grammar

        return read_beam_release(file, libraries)
    return checked_release(reader.parse(file), file)


def _of_python(path: Path, form: Form, unpack: Path | None) -> Release:
    match form:
        case "wheels":
            from relup.document.python.unpack import read_wheels  # noqa: PLC0415  most releases are no archives

            return read_wheels(path, unpack)
        case "project":
            from relup.document.python.project import project_of, read_project  # noqa: PLC0415

            return read_project(project_of(path) or path)
        case _:
            from relup.document.python.installed import read_installed  # noqa: PLC0415

            return read_installed(path)


def form_of(path: Path) -> Form:
    """Return how what lies at *path* is read: by a file of its own, or as what pip or a person made.

    A release file comes first: who wrote one knows better than the rest of the folder.
    """
    if not is_folder(path):
        return "wheels" if path.suffix == WHEEL else "file"
    if os.path.lexists(path / FILE) or rel_file(path):
        return "file"
    try:
        names = os.listdir(path)  # noqa: PTH208  a path for each of thousands is what costs
    except OSError:
        return "file"
    if any(name.endswith(DIST_INFO) for name in names):
        return "installed"
    if any(name.endswith(WHEEL) for name in names):
        return "wheels"
    return "project" if is_project(path) else "file"


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
    except OSError as error:
        message = f"cannot be read: {reason(error)}"
        raise InvalidInput([Diagnostic("unreadable", message, Location(str(path), 1, 1))]) from None
    message = f"this folder {'is empty' if empty else f'has neither a {FILE} nor a .rel file'}"
    hint = (
        f"a release is a folder with a {FILE} that says name, vsn and applications, or with releases/*/*.rel;"
        " or what `pip install --target` makes, or wheels, or a source tree with a pyproject.toml"
    )
    if is_file(path / "pyvenv.cfg"):
        hint = "this is a virtual environment: give what `pip install --target` makes, a folder of its own"
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


def read_extensions(release: Release) -> dict[str, Path]:
    """Return the file of every C extension of the release that this interpreter can load, sorted by name."""
    root = Path(release.root)
    found = {m: extension_path(root, m) for m in sorted(release.extensions())}
    return {m: path for m, path in found.items() if path is not None}


def _application(root: Path, piece: Piece, problems: list[Diagnostic]) -> Application:
    """Return one application with its modules and its appup; what is wrong goes to *problems*."""
    fields = piece.fields()
    given: dict[str, Any] = {k: fields[k].text() for k in ("name", "vsn", "start", "type") if k in fields}
    given |= {"applications": fields["applications"].texts()} if "applications" in fields else {}
    given |= {"args": fields["args"].value()} if "args" in fields else {}
    name = fields["name"].text()
    appup = f"{name}.appup.yaml"
    places = [root / appup, root.joinpath(*name.split("."), appup)]
    sources = list(_listed(root, fields["modules"]) if "modules" in fields else discover(root, name))
    if not sources and (installed := _installed(root, name, problems)):
        sources += installed.files
        places += [p for p in appup_places(root, name, installed.tops()) if p not in places]
    prints = list(fingerprints(root, chosen(s for s in sources if isinstance(s, Found))))
    shipped = list(shipped_appup(name, fields["vsn"].text(), places))
    application = Application(
        modules=tuple(f.module for f, _ in prints if f.form == "source"),
        fingerprints={f.module: p for f, p in prints if f.form == "source" and isinstance(p, str)},
        extensions={f.module: p for f, p in prints if f.form == "extension" and isinstance(p, str)},
        appup=next((a for a in shipped if isinstance(a, Appup)), None),
        location=piece.location,
        **given,
    )
    problems += [f for f in (*sources, *(p for _, p in prints), *shipped) if isinstance(f, Diagnostic)]
    problems += [] if sources or "modules" in fields else [_no_package(fields["name"])]
    problems += _bad_start(application, fields["start"]) if "start" in fields else ()
    return application


def _listed(root: Path, modules: Piece) -> Iterator[Found | Diagnostic]:
    seen: dict[str, Location | None] = {}
    for piece in modules.items():
        module = piece.text()
        path, binary = source_path(root, module), extension_path(root, module)
        if module in seen:
            yield Diagnostic("duplicate_modules", f"the module {module!r} is listed twice", piece.location)
        elif path is None and binary is None:
            yield _not_found(module, root, piece.location)
        else:
            yield from [Found(module, str(path))] if path else []
            yield from [Found(module, str(binary), "extension")] if binary else []
        seen[module] = piece.location


def _installed(root: Path, name: str, problems: list[Diagnostic]) -> Contents | None:
    """Return what the distribution of that name consists of, None when none is installed in the folder."""
    found = find_distribution(root, name, problems)
    return contents_of(root, found, problems) if found else None


def _no_package(name: Piece) -> Diagnostic:
    package = name.text().replace(".", "/")
    message = f"the application {name.text()!r} has no modules: there is no {package}/ and no {package}.py"
    hint = f"beside {FILE}; or list its modules"
    return Diagnostic("package_not_found", message, name.location, hint=hint)


def _not_found(module: str, root: Path, location: Location | None) -> Diagnostic:
    path = module.replace(".", "/")
    message = f"there is no source of module {module!r}: no {path}.py and no {path}/__init__.py in {root}"
    return Diagnostic("module_not_found", message, location)


def _bad_start(application: Application, piece: Piece) -> Iterator[Diagnostic]:
    module = piece.text().partition(":")[0]
    if not is_start(piece.text()):
        yield bad_start(piece.text(), piece.location)
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
