"""Appups: what to do between two versions of one application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic
from relup.document import reader
from relup.document.fields import at
from relup.document.instructions import read_instruction, write_instruction
from relup.document.piece import Piece
from relup.document.todos import unanswered
from relup.document.writer import write_yaml
from relup.model.appup import Appup, Entry, VersionPattern
from relup.model.instructions import Direction

_OTHER: dict[Direction, str] = {"up": "from", "down": "to"}


def read_appup(path: str | Path) -> Appup:
    """Return the appup in the file at *path*; raise `InvalidInput` with everything that is wrong with it."""
    return checked_appup(reader.parse(Path(path)), unanswered(Path(path)))


def checked_appup(piece: Piece, left: Iterable[Diagnostic] = ()) -> Appup:
    """Return the appup that a parsed file holds; raise `InvalidInput` with everything that is wrong with it.

    *left* is what its comments leave to be answered.
    """
    reader.raise_errors(reader.check(piece, "appup"))
    reader.raise_errors(_bad_patterns(piece))
    return replace(reader.decoded(piece, decode_appup), unanswered=tuple(left))


def write_appup(appup: Appup) -> str:
    """Return the appup as a YAML document, with the line by which editors find its schema."""
    return write_yaml(encode_appup(appup, places=False), "appup")


def decode_appup(piece: Piece) -> Appup:
    """Return the appup that stands here; raise `Malformed` when there is none."""
    fields = piece.required("application", "vsn")
    entries = {d: [_entry(p, d) for p in fields[d].items()] if d in fields else [] for d in _OTHER}
    return Appup(
        application=fields["application"].text(),
        vsn=fields["vsn"].text(),
        up=tuple(entries["up"]),
        down=tuple(entries["down"]),
        location=piece.location,
    )


def encode_appup(appup: Appup, *, places: bool) -> dict[str, Any]:
    """Return the appup as data; `places` keeps where its parts were written, as `at`."""
    data: dict[str, Any] = {"application": appup.application, "vsn": appup.vsn}
    data["up"] = [_entry_data(e, "up", places) for e in appup.up]
    data["down"] = [_entry_data(e, "down", places) for e in appup.down]
    return data | at(appup.location, places)


def _entry(piece: Piece, direction: Direction) -> Entry:
    other = _OTHER[direction]
    fields = piece.required(other, "instructions")
    instructions = fields["instructions"]
    return Entry(
        version=_pattern(fields[other]),
        instructions="inverse"
        if instructions.data == "inverse"
        else tuple([read_instruction(i) for i in instructions.items()]),
        location=piece.location,
    )


def _entry_data(entry: Entry, direction: Direction, places: bool) -> dict[str, Any]:
    pattern, steps = entry.version, entry.instructions
    version = {"regex": pattern.text} if pattern.regex else pattern.text
    written = steps if isinstance(steps, str) else [write_instruction(i, places=places) for i in steps]
    return {_OTHER[direction]: version, "instructions": written} | at(entry.location, places)


def _pattern(piece: Piece) -> VersionPattern:
    if isinstance(piece.data, dict):
        return VersionPattern(piece.required("regex")["regex"].text(), regex=True)
    return VersionPattern(piece.text())


def _bad_patterns(piece: Piece) -> Iterator[Diagnostic]:
    fields = piece.fields()
    for direction, key in _OTHER.items():
        for entry in fields[direction].items() if direction in fields else ():
            version = entry.fields()[key]
            if isinstance(version.data, dict):
                yield from _bad_regex(version.fields()["regex"])


def _bad_regex(piece: Piece) -> Iterator[Diagnostic]:
    fault = VersionPattern(piece.text(), regex=True).fault()
    if fault:
        yield Diagnostic("bad_regex", f"this is not a regular expression: {fault}", piece.location)
