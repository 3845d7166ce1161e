"""A source tree with a `pyproject.toml`, as a release of one application.

What it depends on is installed elsewhere and belongs to the environment: it is no part of the release and is not
upgraded with it. Which packages a build would take is known to its build backend alone; here it is everything in
`src/`, or beside the file what is no usual helper (tests, docs, …). Whoever has another layout writes a release.yaml,
or builds a wheel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.code import PythonCode
from relup.document.python.code import Found, chosen
from relup.document.python.entry_points import GROUP, EntryPoint, is_start, only_one
from relup.document.python.installed import appup_places
from relup.document.python.names import normalized, spellings
from relup.document.shipped import shipped_appup
from relup.document.source_tree import discover, fingerprints
from relup.document.text import bad_root, is_file, is_folder, read_text
from relup.model.appup import Appup
from relup.model.release import Application, Release

FILE, SOURCES = "pyproject.toml", "src"
_HELPERS = frozenset(
    {"test", "tests", "testing", "doc", "docs", "documentation", "example", "examples", "sample", "samples", "build"}
    | {"dist", "bench", "benchmark", "benchmarks", "script", "scripts", "tool", "tools", "util", "utils", "ci"}
    | {"venv", "env", "site", "news", "changelog", "tasks", "requirements", "deploy", "releases", "node_modules"}
)
_VERSION = re.compile(r"""^__version__\s*(?::[^=\n]+)?=\s*(?:\w+\s*=\s*)*(?:"([^"\n]+)"|'([^'\n]+)')""", re.MULTILINE)
_VERSION_FILES = ("__init__.py", "_version.py", "version.py", "__about__.py", "__version__.py")


@dataclass(frozen=True, slots=True)
class Text:
    """A pyproject.toml: what it says, and where."""

    path: Path
    text: str
    data: Mapping[str, Any]

    def project(self) -> Mapping[str, Any]:
        """Return the table `[project]`; raise `InvalidInput` when it names no project."""
        project = self.data.get("project")
        if isinstance(project, dict) and isinstance(project.get("name"), str):
            return project
        missing = "no name in [project]" if isinstance(project, dict) else "no [project] table"
        hint = "write [project] with name and version, or a release.yaml beside it"
        place = self.at("project")
        raise InvalidInput([Diagnostic("no_project", f"there is {missing} here", place, hint=hint)])

    def at(self, table: str, key: str = "") -> Location:
        """Return where *key* of a table is written, as far as lines tell; else where the table, or the file, begins."""
        inside, found = False, 1
        for number, line in enumerate(self.text.splitlines(), start=1):
            said = line.strip()
            if said.startswith("["):
                inside = said.split("#")[0].strip("[] \t").replace('"', "").replace("'", "") == table
                found = number if inside else found
            elif inside and key and re.match(rf"""["']?{re.escape(key)}["']?\s*=""", said):
                return Location(str(self.path), number, len(line) - len(line.lstrip()) + 1)
        return Location(str(self.path), found, 1)


def is_project(folder: Path) -> bool:
    """Say whether *folder* is a source tree, or the `src` of one, whose name a node keeps."""
    return project_of(folder) is not None


def project_of(folder: Path) -> Path | None:
    """Return the folder of the source tree that *folder* is, or is the `src` of; None when it is neither."""
    if is_file(folder / FILE):
        return folder
    real = folder.absolute()
    return real.parent if real.name == SOURCES and is_file(real.parent / FILE) else None


def read_project(folder: Path) -> Release:
    """Return the release that a source tree is; raise `InvalidInput` with everything wrong with it."""
    said = _parsed(folder / FILE)
    root, tops = _tops(folder, str(said.project()["name"]))
    problems: list[Diagnostic] = [*bad_root(root)]
    application = _application(folder, root, tops, said, problems)
    reader.raise_errors(problems)
    return Release(
        name=application.name,
        vsn=application.vsn,
        applications=(application,),
        root=str(root.resolve()),
        location=application.location,
        given=str(folder.resolve()),
        code=PythonCode(root, application.modules),
    )


def _application(folder: Path, root: Path, tops: list[str], said: Text, problems: list[Diagnostic]) -> Application:
    """Return the one application; what is wrong goes to *problems*."""
    project = said.project()
    name = str(project["name"])
    seen = [one for top in tops for one in discover(root, top)]
    prints = list(fingerprints(root, chosen(one for one in seen if isinstance(one, Found))))
    vsn, starts = _version(project, said, root, tops), list(only_one(_starts(project, said)))
    known = vsn if isinstance(vsn, str) else ""
    shipped = list(_shipped(folder, root, name, tops, known))
    application = Application(
        name=normalized(name),
        vsn=known,
        modules=tuple(f.module for f, _ in prints if f.form == "source"),
        start=next((s.value for s in starts if isinstance(s, EntryPoint)), None),
        fingerprints={f.module: p for f, p in prints if f.form == "source" and isinstance(p, str)},
        extensions={f.module: p for f, p in prints if f.form == "extension" and isinstance(p, str)},
        appup=next((s for s in shipped if isinstance(s, Appup)), None),
        location=said.at("project", "name"),
    )
    findings = (vsn, *seen, *(p for _, p in prints), *starts, *shipped)
    problems += [f for f in findings if isinstance(f, Diagnostic)]
    problems += [*_no_modules(application, said), *_no_start(application, starts)]
    return application


def _parsed(path: Path) -> Text:
    import tomllib  # noqa: PLC0415  only source trees need it

    text = read_text(path)
    try:
        return Text(path, text, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (max(1, len(text.splitlines())), 1)
        said = str(error).partition(" (at ")[0] if str(error) else "nested too deep"
        raise InvalidInput(
            [Diagnostic("toml_syntax", said[:1].lower() + said[1:], Location(str(path), line, column))]
        ) from None


def _tops(folder: Path, name: str) -> tuple[Path, list[str]]:
    """Return the root of the modules, and the packages and single modules in it."""
    if tops := _entries(folder / SOURCES, everything=True):
        return folder / SOURCES, tops
    own = {s.replace(".", "_") for s in spellings(name)}
    found = _entries(folder, everything=False)
    mine = [n for n in sorted(own) if is_file(folder / f"{n}.py") or (is_folder(folder / n) and n.isidentifier())]
    return folder, sorted({*found, *mine})


def _entries(folder: Path, *, everything: bool) -> list[str]:
    """Return the packages in *folder*: those with an `__init__.py`, or, with *everything*, also others and modules."""
    if not is_folder(folder):
        return []
    found = set()
    for path in folder.iterdir():
        if path.suffix == ".py" and everything and path.stem.isidentifier() and path.stem != "__init__":
            found.add(path.stem)
        elif path.name.isidentifier() and path.name != "__pycache__" and is_folder(path):
            package = is_file(path / "__init__.py") and path.name.lower() not in _HELPERS
            if package or (everything and next(path.rglob("*.py"), None)):
                found.add(path.name)
    return sorted(found)


def _version(project: Mapping[str, Any], said: Text, root: Path, tops: list[str]) -> str | Diagnostic:
    """Return the version, where need be that of the package's `__version__`, or what is missing."""
    dynamic = project.get("dynamic")
    if isinstance(version := project.get("version"), str) and version:
        return version
    if not (isinstance(dynamic, list) and "version" in dynamic):
        message = "there is no version in [project]"
        return Diagnostic("no_version", message, said.at("project", "version"), hint='write version = "…"')
    for top in tops:
        for file in (*(root / top / name for name in _VERSION_FILES), root / f"{top}.py"):
            if is_file(file) and (found := _VERSION.search(read_text(file))):
                return str(found[1] or found[2])
    message = 'the version is dynamic, and no __version__ = "…" is in the package: only a build knows it'
    hint = "write the version into [project], or give what the build makes: a wheel"
    return Diagnostic("no_version", message, said.at("project", "dynamic"), hint=hint)


def _starts(project: Mapping[str, Any], said: Text) -> list[EntryPoint | Diagnostic]:
    groups = project.get("entry-points")
    table = f"project.entry-points.{GROUP}"
    points = groups.get(GROUP) if isinstance(groups, dict) else None
    if points is None:
        return []
    if not isinstance(points, dict) or not all(isinstance(v, str) for v in points.values()):
        message = f"expected name = package.module:Class in the entry points {GROUP!r}"
        return [Diagnostic("bad_entry_point", message, said.at(table))]
    return [EntryPoint(name, value, said.at(table, name)) for name, value in points.items()]


def _shipped(folder: Path, root: Path, name: str, tops: list[str], vsn: str) -> Iterator[Appup | Diagnostic]:
    places = appup_places(root, name, iter(tops))
    beside = () if folder == root else appup_places(folder, name, iter(()))
    return shipped_appup(normalized(name), vsn, (*places, *beside), normalized)


def _no_modules(application: Application, said: Text) -> Iterator[Diagnostic]:
    if not application.modules and not application.extensions:
        package = application.name.replace("-", "_")
        message = f"the project {application.name!r} has no modules: there is no package in {SOURCES}/, and no"
        message = f"{message} {package}/ or {package}.py beside {FILE}"
        hint = "write a release.yaml that lists them, or give what the build makes: a wheel"
        yield Diagnostic("package_not_found", message, said.at("project", "name"), hint=hint)


def _no_start(application: Application, starts: list[EntryPoint | Diagnostic]) -> Iterator[Diagnostic]:
    point = next((s for s in starts if isinstance(s, EntryPoint)), None)
    formed = point is not None and is_start(point.value)
    if point and formed and (module := point.value.partition(":")[0]) not in application.modules:
        message = f"{module!r} is not a module of the project {application.name!r}"
        yield Diagnostic("bad_start", message, point.location)
