"""From a file to a checked piece: read, parse, compare with the schema.

A decoder of a file runs only on what its schema accepts, so that errors are found all at once and worded for
people; the decoder's own errors are for data that never was a file. YAML and JSON Schema are imported when a
file is read, not before: a running node decodes plans and reads no files, and should not carry either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from relup.diagnostics import Diagnostic, InvalidInput, Location, errors
from relup.document.piece import Malformed, Piece
from relup.document.text import read_text

if TYPE_CHECKING:
    from relup.document.schemas import Kind

T = TypeVar("T")


def parse(path: Path) -> Piece:
    """Return what the file says; raise `InvalidInput` when it cannot be read or is not YAML."""
    from relup.document.yaml_reader import read_yaml  # noqa: PLC0415  a node that decodes plans needs no YAML

    return read_yaml(read_text(path), str(path))


def check(piece: Piece, kind: Kind) -> list[Diagnostic]:
    """Return what the schema of *kind* says against it."""
    from relup.document.validate import check as findings  # noqa: PLC0415  a node that decodes plans needs no schema

    return list(findings(piece, kind))


def decoded(piece: Piece, decode: Callable[[Piece], T]) -> T:
    """Return what *decode* makes of the piece; raise `InvalidInput` for data that no schema has seen."""
    try:
        return decode(piece)
    except Malformed as error:
        raise InvalidInput([Diagnostic("malformed", error.message, error.location)]) from None
    except RecursionError:
        raise InvalidInput([Diagnostic("too_deep", "collections are nested too deep", piece.location)]) from None


def raise_errors(diagnostics: Iterable[Diagnostic]) -> None:
    """Raise `InvalidInput` with every error, sorted by place; do nothing when there is none."""
    if found := errors(diagnostics):
        raise InvalidInput(sorted(found, key=_place))


def _place(diagnostic: Diagnostic) -> tuple[Location, str, str]:
    return diagnostic.location or Location("", 0, 0), diagnostic.code, diagnostic.message
