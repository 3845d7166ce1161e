"""The entry points of a distribution, of the one group that matters here: what starts when the release starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, Location
from relup.document.text import read_text

FILE, GROUP = "entry_points.txt", "relup.application"


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A name, what it stands for, and where that is written."""

    name: str
    value: str
    location: Location


def read_start(path: Path) -> Iterator[EntryPoint | Diagnostic]:
    """Yield the start of an application, if *path* names one, or what is wrong; raise `InvalidInput` if unreadable."""
    yield from only_one([*_points(read_text(path), str(path))])


def only_one(points: Iterable[EntryPoint | Diagnostic]) -> Iterator[EntryPoint | Diagnostic]:
    """Yield what was found, and an error for each start after the first."""
    first: EntryPoint | None = None
    for point in points:
        if not isinstance(point, EntryPoint):
            yield point
        elif first is None:
            first = point
            yield point
            if not is_start(point.value):
                yield bad_start(point.value, point.location)
        else:
            message = f"a distribution is one application: {first.name!r} starts it already, in line"
            message = f"{message} {first.location.line}"
            yield Diagnostic("several_starts", message, point.location)


def is_start(value: str) -> bool:
    """Say whether *value* has the form `package.module:Class`."""
    module, _, name = value.partition(":")
    return all(s.isidentifier() for s in (*module.split("."), *name.split(".")))


def bad_start(value: str, location: Location | None) -> Diagnostic:
    """Return what is said of a start that has another form."""
    return Diagnostic("bad_start", f"expected package.module:Class, found {value[:60]!r}", location)


def _points(text: str, file: str) -> Iterator[EntryPoint | Diagnostic]:
    group = ""
    for number, line in enumerate(text.splitlines(), start=1):
        said, place = line.strip(), Location(file, number, 1)
        if not said or said[0] in "#;":
            continue
        if said.startswith("[") and said.endswith("]"):
            group = said[1:-1].strip()
        elif group == GROUP:
            name, equals, value = said.partition("=")
            if equals and name.strip():
                column = len(line) - len(line.lstrip()) + 1
                yield EntryPoint(name.strip(), value.strip(), Location(file, number, column))
            else:
                yield Diagnostic("bad_entry_point", f"expected name = package.module:Class, found {said[:60]!r}", place)
