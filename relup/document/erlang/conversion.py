"""Appups from OTP's language to YAML and back, with their comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic
from relup.document import reader
from relup.document.appup import checked_appup, encode_appup
from relup.document.comments import Comment, Comments, PartPath, Step, attach
from relup.document.erlang.appup import read_source
from relup.document.erlang.forms import write_instruction
from relup.document.erlang.terms import Binary, List, String, Term, Tuple
from relup.document.erlang.writer import write_terms
from relup.document.piece import Piece, Place, Spot
from relup.document.text import read_text
from relup.document.writer import write_yaml
from relup.model.appup import Appup

_SECTIONS = {"up": "from", "down": "to"}
_ITEMS: Mapping[Step, Step] = {"vsn": 0, "up": 1, "down": 2, "instructions": 1}
"""Where in a tuple of OTP what YAML names stands."""
_FOR_TOOLS = re.compile(r"(?:-\*- *)?coding *[:=] *[A-Za-z0-9-]+(?: *-\*-)?|yaml-language-server:.*", re.IGNORECASE)
"""Comments that say something of the file and nothing of the appup; the other file has its own."""


def import_appup(path: str | Path, vsn: str | None = None) -> tuple[str, tuple[Diagnostic, ...]]:
    """Return OTP's file at *path* as YAML, and warnings of what was left out; raise `InvalidInput`.

    A template needs *vsn*, or an `.app` file beside it that says the version.
    """
    source = read_source(Path(path), vsn)
    checked_appup(source.piece)
    return write_yaml(source.piece.data, "appup", _attached(source.comments, source.piece)), source.unread


def export_appup(path: str | Path, appup: Appup | None = None) -> tuple[str, tuple[Diagnostic, ...]]:
    """Return the YAML file at *path* as OTP has it, and warnings of what was left out; raise `InvalidInput`.

    OTP has no inverses: where the file says `inverse`, *appup* is needed, which is what the file says with the
    derived instructions in their places.
    """
    from relup.document.yaml_comments import yaml_comments  # noqa: PLC0415  who reads OTP's files needs no YAML
    from relup.document.yaml_reader import read_yaml  # noqa: PLC0415

    text = read_text(Path(path))
    piece = read_yaml(text, str(path))
    checked_appup(piece)
    comments = _attached(yaml_comments(text), piece)
    return _written(piece if appup is None else Piece(encode_appup(appup, places=True)), comments)


def write_erlang_appup(data: Mapping[str, Any], comments: Comments | None = None) -> tuple[str, tuple[Diagnostic, ...]]:
    """Return an appup in the shape of its YAML data as OTP has it, and warnings of what was left out.

    Raise `InvalidInput` for an inverse, and for what Erlang has no term for.
    """
    return _written(Piece(dict(data)), comments)


def _written(piece: Piece, comments: Comments | None) -> tuple[str, tuple[Diagnostic, ...]]:
    told: list[Diagnostic] = []
    term = reader.decoded(piece, lambda piece: _appup(piece, told))
    told = list(dict.fromkeys(told))  # an inverse has the places of the list that it comes from
    reader.raise_errors(told)
    return write_terms([term], comments and _moved(comments)), tuple(told)


def _appup(piece: Piece, told: list[Diagnostic]) -> Term:
    fields = piece.fields()
    up, down = ([*fields[section].items()] if section in fields else [] for section in _SECTIONS)
    entries = [[_entry(entry, told) for entry in section] for section in (up, down)]
    return Tuple((String(fields["vsn"].text()), *(List(tuple(section)) for section in entries)))


def _entry(entry: Piece, told: list[Diagnostic]) -> Term:
    fields = entry.fields()
    version, steps = fields.get("from") or fields["to"], fields["instructions"]
    match version.data:
        case {"regex": pattern}:
            name: Term = Binary(str(pattern).encode(errors="surrogatepass"))
        case text:
            name = String(str(text))
    if steps.data == "inverse":
        message = "OTP has no inverses; the instructions must be derived from the other list before"
        told.append(Diagnostic("not_in_otp", message, steps.location or entry.location))
        return Tuple((name, List(())))
    return Tuple((name, List(tuple([write_instruction(step, told) for step in steps.items()]))))


# ── comments ───────────────────────────────────────────────────────────────────────────────────────────


def _attached(comments: Iterable[Comment], piece: Piece) -> Comments:
    spots = _spots(piece.place) if piece.place else ()
    return attach((c for c in comments if not _FOR_TOOLS.fullmatch(c.text)), spots)


def _spots(place: Place | Spot, path: PartPath = ()) -> Iterator[tuple[Spot, PartPath]]:
    """Yield every spot, with the part that a comment there belongs to: the file, a key, an entry, an instruction.

    A list starts where its first item does, or before: what stands there belongs to the item.
    """
    if len(path) != 1 and path[2:] != ("instructions",):
        yield (place[0], place[1]), _part(path)
    if isinstance(place, Place):
        yield from ((found, _part((*path, key))) for key, found in (place.keys or {}).items())
        parts: Any = place.parts.items() if isinstance(place.parts, Mapping) else enumerate(place.parts)
        for step, part in parts:
            yield from _spots(part, (*path, step))


def _part(path: PartPath) -> PartPath:
    return path[:4] if len(path) > 3 and path[2] == "instructions" else path[:2]


def _moved(comments: Comments) -> Comments:
    """Return comments by where their parts stand in OTP's term, the first of its file."""
    moved: dict[PartPath, list[str]] = {}
    for path, texts in comments.parts.items():
        moved.setdefault((0, *(_ITEMS.get(step, step) for step in path if step != "application")), []).extend(texts)
    return Comments(moved, comments.end)
