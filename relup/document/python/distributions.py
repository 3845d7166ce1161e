"""The distributions that are installed in a folder: one for each `*.dist-info` that lies in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.python import entry_points, metadata, record
from relup.document.python.entry_points import EntryPoint
from relup.document.python.metadata import Metadata
from relup.document.python.names import normalized
from relup.document.python.record import Row
from relup.document.text import is_folder, reason

SUFFIX = ".dist-info"
AFRESH = "install each release afresh, into a folder of its own"


@dataclass(frozen=True, slots=True)
class Distribution:
    """What one `dist-info` folder says."""

    name: str
    """Normalized."""
    metadata: Metadata
    folder: Path
    start: EntryPoint | None
    rows: tuple[Row, ...] | None
    """The files of its RECORD; None when it has no RECORD."""

    def at(self, row: Row) -> Location:
        """Return the place of a row of its RECORD."""
        return Location(str(self.folder / record.FILE), row.line, 1)


def folders(root: Path) -> list[Path]:
    """Return the `dist-info` folders in *root*, sorted; raise `InvalidInput` when it cannot be listed.

    What pip was about to remove when it was interrupted begins with a tilde, and is no distribution any more.
    """
    try:
        names = sorted(os.listdir(root))  # noqa: PTH208  a path for each name is what costs
    except (OSError, ValueError) as error:
        said = f"this folder cannot be listed: {reason(error)}"
        raise InvalidInput([Diagnostic("unreadable", said, Location(str(root), 1, 1))]) from None
    return [root / n for n in names if n.endswith(SUFFIX) and n[0].isalnum() and is_folder(root / n)]


def read_distributions(root: Path) -> tuple[list[Distribution], list[Diagnostic]]:
    """Return the distributions in *root*, by name, and everything that is wrong with them."""
    problems: list[Diagnostic] = []
    found: dict[str, Distribution] = {}
    for folder in folders(root):
        read = read_distribution(folder, problems)
        if read is None:
            continue
        if (other := found.setdefault(read.name, read)) is not read:
            problems.append(_twice(read, other))
    return [found[name] for name in sorted(found)], problems


def find_distribution(root: Path, name: str, problems: list[Diagnostic]) -> Distribution | None:
    """Return the distribution of that name in *root*, None when it is not installed there."""
    wanted = normalized(name)
    alike = [f for f in folders(root) if normalized(f.name.removesuffix(SUFFIX).partition("-")[0]) == wanted]
    return read_distribution(alike[0], problems) if alike else None


def read_distribution(folder: Path, problems: list[Diagnostic]) -> Distribution | None:
    """Return what *folder* says, None when it does not even say a name; what is wrong goes to *problems*."""
    start = _start(folder / entry_points.FILE, problems)
    rows = _rows(folder / record.FILE, problems)
    try:
        said = metadata.read_metadata(folder / metadata.FILE)
    except InvalidInput as error:
        problems += error.diagnostics
        return None
    return Distribution(normalized(said.name), said, folder, start, rows)


def _start(path: Path, problems: list[Diagnostic]) -> EntryPoint | None:
    if not os.path.lexists(path):
        return None
    try:
        found = list(entry_points.read_start(path))
    except InvalidInput as error:
        problems += error.diagnostics
        return None
    problems += [f for f in found if isinstance(f, Diagnostic)]
    return next((f for f in found if isinstance(f, EntryPoint)), None)


def _rows(path: Path, problems: list[Diagnostic]) -> tuple[Row, ...] | None:
    if not os.path.lexists(path):
        return None
    try:
        found = list(record.read_record(path))
    except InvalidInput as error:
        problems += error.diagnostics
        return ()
    problems += [f for f in found if isinstance(f, Diagnostic)]
    return tuple([f for f in found if isinstance(f, Row)])


def _twice(second: Distribution, first: Distribution) -> Diagnostic:
    versions = f"{first.metadata.vsn} and {second.metadata.vsn}"
    message = f"{second.name!r} is installed twice in this folder: {versions}"
    return Diagnostic("duplicate_distribution", message, second.metadata.location, hint=AFRESH)


def missing(root: Path, found: Distribution) -> Iterator[tuple[Row, Diagnostic]]:
    """Yield the files that its RECORD names and that are not there; bytecode comes and goes."""
    for row in found.rows or ():
        counts = not row.path.endswith(".pyc") and SUFFIX not in row.path and record.inside(row.path)
        if counts and not os.path.lexists(f"{root}/{row.path}"):
            message = f"RECORD of {found.name!r} names {row.path}, which is not there"
            yield row, Diagnostic("file_not_found", message, found.at(row), hint=AFRESH)
