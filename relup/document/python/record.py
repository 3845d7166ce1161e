"""RECORD: the files that an installed distribution, or a wheel, consists of, with the line that says so."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, Location
from relup.document.text import read_text

FILE = "RECORD"


@dataclass(frozen=True, slots=True)
class Row:
    """One file: its path below the folder, its hash as `sha256=…` ("" for none), and its line in RECORD."""

    path: str
    hash: str
    line: int


def read_record(path: Path) -> Iterator[Row | Diagnostic]:
    """Yield the files that the RECORD at *path* names; raise `InvalidInput` when it cannot be read."""
    yield from rows(read_text(path), str(path))


def rows(text: str, file: str) -> Iterator[Row | Diagnostic]:
    """Yield the rows of a RECORD, and what is wrong with those that are none."""
    reader = csv.reader(text.splitlines())
    try:
        for row in reader:
            if row and not (row[0] and len(row) <= 3):
                what = "a row of RECORD is a path, a hash and a size"
                yield Diagnostic("bad_record_file", what, Location(file, reader.line_num, 1))
            elif row:
                yield Row(row[0], row[1] if len(row) > 1 else "", reader.line_num)
    except csv.Error as error:
        yield Diagnostic("bad_record_file", f"not a RECORD: {error}", Location(file, reader.line_num or 1, 1))


def inside(path: str) -> bool:
    """Say whether a file of RECORD lies below its folder: pip names scripts by `../../bin`."""
    return not path.startswith("/") and ".." not in path.split("/") and "\\" not in path


def line(path: str, digest: str) -> str:
    """Return one row of a RECORD, ended by a line feed."""
    quoted = '"' + path.replace('"', '""') + '"' if any(c in path for c in '",\r\n') else path
    return f"{quoted},{digest},\n"
