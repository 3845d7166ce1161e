"""What `pip install --target DIR` makes, as a release.

Each distribution is an application. Nothing says what the release is called, in which order it starts, or that it is
one at all; the distributions say what they require of each other, and that answers all three.

- The release is the distribution that has a start (the entry-point group `relup.application`). Of several it is
  the one that none of the others requires; without any, whatever nobody requires. What is still several is joined:
  `click+rich` `8.1.0+13.0`.
- Applications start after those that they require. Distributions may require each other in a circle, as
  applications may not: within one, libraries come first, then the names decide.
- relup itself, which an application may well require, is what a node is made of, as OTP's emulator is: it is
  there already, and cannot be upgraded from within. It is left out.
- A file that two distributions brought in the same words (the `__init__.py` of an old namespace package) belongs to
  the first of them; in other words, one has overwritten the other, and that is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relup.diagnostics import Diagnostic, Location
from relup.document import reader
from relup.document.code import PythonCode
from relup.document.python import record
from relup.document.python.code import Found, chosen, module_of
from relup.document.python.distributions import AFRESH, Distribution, missing, read_distributions
from relup.document.python.entry_points import is_start
from relup.document.python.names import normalized, spellings
from relup.document.python.needs import needs_of, roots, start_needs
from relup.document.python.record import Row
from relup.document.shipped import shipped_appup
from relup.document.source_tree import discover, fingerprints
from relup.document.start_order import start_order
from relup.document.text import bad_root, is_file, read_text
from relup.model.appup import Appup
from relup.model.release import Application, Release

_ITSELF = "relup"
_EDITABLE = "__editable__"


@dataclass(frozen=True, slots=True)
class Contents:
    """The modules and C extensions of a distribution, and the files that say so."""

    files: tuple[Found, ...]
    rows: Mapping[str, Row]

    def tops(self) -> Iterator[str]:
        """Yield the outermost packages, as folders below the root: of `google.cloud.storage` that is all of it."""
        packages = {f.module for f in self.files if "/__init__." in f.path}
        for name in sorted(packages):
            parts = name.split(".")
            if not any(".".join(parts[:n]) in packages for n in range(1, len(parts))):
                yield "/".join(parts)
        # a folder without __init__.py is a package too
        yield from sorted({f.module.partition(".")[0] for f in self.files if "." in f.module} - packages)


def read_installed(root: Path) -> Release:
    """Return the release that the distributions in *root* are; raise `InvalidInput` with everything wrong with it."""
    every, problems = read_distributions(root)
    found = [d for d in every if d.name != _ITSELF]
    if not found:
        problems = problems or [_nothing(root)]
    contents = {d.name: contents_of(root, d, problems) for d in found}
    problems += _shared(found, contents)
    applications = {d.name: _application(root, d, contents[d.name], problems) for d in found}
    problems += [*bad_root(root), *_empty(found, contents)]
    reader.raise_errors(problems)
    needed = needs_of(found)
    starting = frozenset(d.name for d in found if d.start)
    ordered = start_needs(needed, starting)
    applications = {name: replace(a, applications=tuple(ordered[name])) for name, a in applications.items()}
    main = [applications[name] for name in roots(needed, starting)]
    return Release(
        name="+".join(a.name for a in main),
        vsn="+".join(a.vsn for a in main),
        applications=tuple([applications[name] for name in start_order(ordered)]),
        root=str(root.resolve()),
        location=main[0].location,
        code=PythonCode(root, [m for a in applications.values() for m in a.modules]),
    )


def contents_of(root: Path, found: Distribution, problems: list[Diagnostic]) -> Contents:
    """Return what a distribution consists of; what is wrong with its files goes to *problems*."""
    if found.rows is None:
        return Contents(tuple(_guessed(root, found, problems)), {})
    gone = {row.path: fault for row, fault in missing(root, found)}
    problems += [*gone.values(), *_editable(found)]
    # pip puts scripts into `bin`; a package may be called so too
    scripts = not any(row.path == "bin/__init__.py" for row in found.rows)
    rows: dict[str, Row] = {}
    files: list[Found] = []
    for row in found.rows:
        told = module_of(row.path) if record.inside(row.path) and row.path not in gone else None
        if told and not (scripts and row.path.startswith("bin/")):
            files.append(Found(told[0], f"{root}/{row.path}", told[1]))
            rows[files[-1].path] = row
    return Contents(tuple(chosen(files)), rows)


def _guessed(root: Path, found: Distribution, problems: list[Diagnostic]) -> Iterator[Found]:
    """Yield the modules of a distribution that has no RECORD, as package managers of systems leave them."""
    listed = found.folder / "top_level.txt"
    tops = read_text(listed).split() if is_file(listed) else [found.name.replace("-", "_")]
    seen = [one for top in tops for one in discover(root, top.replace("/", "."))]
    problems += [one for one in seen if isinstance(one, Diagnostic)]
    yield from chosen(one for one in seen if isinstance(one, Found))


def _application(root: Path, found: Distribution, contents: Contents, problems: list[Diagnostic]) -> Application:
    """Return one application with its modules and its appup; what is wrong goes to *problems*."""
    prints = list(fingerprints(root, contents.files))
    problems += [p for _, p in prints if isinstance(p, Diagnostic)]
    name, said = found.name, found.metadata
    shipped = list(shipped_appup(name, said.vsn, appup_places(root, said.name, contents.tops()), normalized))
    problems += [s for s in shipped if isinstance(s, Diagnostic)]
    sources = {f.module: p for f, p in prints if f.form == "source" and isinstance(p, str)}
    if (start := found.start) and is_start(start.value) and (module := start.value.partition(":")[0]) not in sources:
        message = f"{module!r} is not a module of the distribution {name!r}"
        problems.append(Diagnostic("bad_start", message, start.location))
    return Application(
        name=name,
        vsn=said.vsn,
        modules=tuple(f.module for f in contents.files if f.form == "source"),
        start=start.value if start else None,
        fingerprints=sources,
        extensions={f.module: p for f, p in prints if f.form == "extension" and isinstance(p, str)},
        appup=next((s for s in shipped if isinstance(s, Appup)), None),
        location=said.location,
    )


def appup_places(root: Path, name: str, tops: Iterator[str]) -> tuple[Path, ...]:
    """Return where the appup of a distribution may lie: in its packages, or beside what it brings."""
    files = [f"{spelling}.appup.yaml" for spelling in spellings(name)]
    return tuple(folder / file for folder in (root, *(root / top for top in tops)) for file in files)


# ── what is wrong ──────────────────────────────────────────────────────────────────────────────────────


def _shared(found: Sequence[Distribution], contents: dict[str, Contents]) -> list[Diagnostic]:
    """Return the modules that two distributions bring in different words; the same words belong to the first."""
    owners: dict[str, tuple[Distribution, Found]] = {}
    problems: list[Diagnostic] = []
    for distribution in found:
        mine = contents[distribution.name]
        kept = []
        for file in mine.files:
            owner, other = owners.setdefault(file.module, (distribution, file))
            if owner is distribution:
                kept.append(file)
                continue
            row, theirs = mine.rows.get(file.path), contents[owner.name].rows.get(other.path)
            if row is None or theirs is None or not row.hash or (file.path, row.hash) != (other.path, theirs.hash):
                message = f"the module {file.module!r} is in {owner.name!r} and in {distribution.name!r}"
                place = distribution.at(row) if row else distribution.metadata.location
                problems.append(Diagnostic("duplicate_modules", message, place))
        contents[distribution.name] = replace(mine, files=tuple(kept))
    return problems


def _nothing(root: Path) -> Diagnostic:
    message = f"there is no distribution in this folder but {_ITSELF} itself"
    return Diagnostic("no_release", message, Location(str(root), 1, 1))


def _editable(found: Distribution) -> Iterator[Diagnostic]:
    for row in found.rows or ():
        if row.path.startswith(_EDITABLE) and row.path.endswith(".pth"):
            message = f"{found.name!r} is installed as editable: its code lies elsewhere, and changes while it runs"
            yield Diagnostic("editable", message, found.at(row), hint="install it without -e")


def _empty(found: Sequence[Distribution], contents: Mapping[str, Contents]) -> Iterator[Diagnostic]:
    """Find a distribution without RECORD whose modules cannot be guessed; with one it may well have none."""
    for distribution in found:
        if distribution.rows is None and not contents[distribution.name].files:
            message = f"{distribution.name!r} has no RECORD and no top_level.txt, so its modules cannot be told"
            place = Location(str(distribution.folder / record.FILE), 1, 1)
            yield Diagnostic("no_record", message, place, hint=AFRESH)
