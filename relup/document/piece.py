"""A value read from a document, together with the place where it stands.

A decoder that takes plain data forgets where everything was written; one that takes YAML nodes cannot serve
a plan that arrives as JSON inside a running node. So decoders walk *pieces*: plain data, and beside it, when
there is one, a tree of places of the same shape. This module knows neither YAML nor JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple, TypeAlias

from relup.diagnostics import Location


class Plain(str):
    """An unquoted number: its source text, until someone asks for the number (`vsn: 1.10` never does)."""

    __slots__ = ()

    @property
    def number(self) -> int | float:
        """The number that it spells."""
        return int(self) if self.lstrip("-").isdecimal() else float(self)


Spot: TypeAlias = tuple[int, int]
"""Line and column, counted from 1. A bare pair: there is one for every scalar, and pairs cost the collector nothing."""


class Place(NamedTuple):
    """Where a collection starts, and where its parts do."""

    line: int
    column: int
    parts: Mapping[str, Place | Spot] | Sequence[Place | Spot] = ()
    keys: Mapping[str, Spot] | None = None
    """Of a mapping: where each key is written."""


Path: TypeAlias = Sequence[str | int]

DEPTH = 100
"""How deep the collections of a document may be nested: recursive code stays far from Python's limit."""

MOST = 1_000
"""How many problems of one document are told; a file that is something else entirely has millions."""
TOO_MANY = f"there are more than {MOST:,} problems; mend these first"


class Malformed(Exception):
    """Data that no schema has seen does not have the shape that its decoder expects."""

    def __init__(self, message: str, location: Location | None) -> None:
        super().__init__(message)
        self.message = message
        self.location = location


class Piece(NamedTuple):
    """Plain data, the file it comes from, and its place there."""

    data: Any
    file: str = ""
    place: Place | Spot | None = None

    @property
    def location(self) -> Location | None:
        """Where it stands: what its own `at` says (plans carry it), else its place in the file."""
        at = self.data.get("at") if isinstance(self.data, dict) else None
        if at is not None:
            return self._written(at)
        return Location(self.file, self.place[0], self.place[1]) if self.place else None

    def _written(self, at: object) -> Location:
        match str(at).rsplit(":", 2):
            case [file, line, column] if line.isdecimal() and column.isdecimal() and len(line + column) < 20:
                return Location(file, int(line), int(column))
            case _:
                raise Malformed(f"'at' is not file:line:column: {str(at)[:60]!r}", None)

    def entries(self) -> dict[str, Piece]:
        """Return the parts of a mapping by key."""
        if not isinstance(self.data, dict):
            raise Malformed(f"expected a mapping, found {type(self.data).__name__}", self.location)
        parts: Any = self.place.parts if isinstance(self.place, Place) else {}
        return {k: Piece(v, self.file, parts.get(k)) for k, v in self.data.items()}

    def fields(self) -> dict[str, Piece]:
        """Return the named parts of a value: a mapping's, without the `at` that says where it was written."""
        entries = self.entries()
        entries.pop("at", None)
        return entries

    def required(self, *names: str) -> dict[str, Piece]:
        """Return the parts of a mapping that must have these keys."""
        fields = self.fields()
        if missing := [n for n in names if n not in fields]:
            raise Malformed(f"missing key {missing[0]!r}", self.location)
        return fields

    def items(self) -> Iterator[Piece]:
        """Return the parts of a list, in order."""
        if not isinstance(self.data, list):
            raise Malformed(f"expected a list, found {type(self.data).__name__}", self.location)
        parts: Any = self.place.parts if isinstance(self.place, Place) else ()
        return (Piece(v, self.file, p) for v, p in zip_longest(self.data, parts))

    def text(self) -> str:
        """Return the text that stands here; a number is the text it was written as."""
        if not isinstance(self.data, str):
            raise Malformed(f"expected text, found {type(self.data).__name__}", self.location)
        return str(self.data)

    def choice(self, *words: str) -> Any:
        """Return the text that stands here, one of *words*."""
        if self.data not in words:
            raise Malformed(f"expected {' or '.join(words)}, found {str(self.data)[:60]!r}", self.location)
        return self.data

    def texts(self) -> tuple[str, ...]:
        """Return a list of texts; one text alone is a list of one."""
        return (self.text(),) if isinstance(self.data, str) else tuple([p.text() for p in self.items()])

    def value(self) -> Any:
        """Return free data: numbers are numbers."""
        return plain(self.data)


def plain(data: Any) -> Any:
    """Return *data* with every unquoted number resolved."""
    match data:
        case Plain():
            return data.number
        case dict():
            return {k: plain(v) for k, v in data.items()}
        case list():
            return [plain(v) for v in data]
        case _:
            return data


def locate(piece: Piece, path: Path, *, key: str | None = None) -> Location | None:
    """Return where the part at *path* stands, or its *key*; the nearest known place around it when there is none."""
    place = piece.place
    for step in path:
        parts: Any = place.parts if isinstance(place, Place) else ()
        within = step in parts if isinstance(parts, dict) else isinstance(step, int) and step < len(parts)
        if not within:
            break
        place = parts[step]
    if place is None:
        return None
    spot = (place[0], place[1])
    if key is not None and isinstance(place, Place) and place.keys:
        spot = place.keys.get(key, spot)
    return Location(piece.file, *spot)
