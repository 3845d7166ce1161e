"""Appups as OTP has them: `.appup` files, and the `.appup.src` templates that build tools fill in.

A file becomes the same data, with places, as its YAML spelling, and is checked and decoded as that. OTP's
`systools` reads the first term of the file and no other, and so does this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.appup import checked_appup
from relup.document.comments import Comment
from relup.document.erlang.app import only_term
from relup.document.erlang.fields import Node, mapping, sequence, spot, text, wrong
from relup.document.erlang.flaws import Flaw
from relup.document.erlang.forms import read_instruction
from relup.document.erlang.reader import LIMIT, decode, read_terms
from relup.document.erlang.terms import Atom, Binary, List, Term, Tuple
from relup.document.piece import Piece
from relup.document.text import read_bytes
from relup.document.todos import marked
from relup.model.appup import Appup


class Source(NamedTuple):
    """What a file of OTP says."""

    piece: Piece
    comments: tuple[Comment, ...]
    unread: tuple[Diagnostic, ...]
    """Warnings of what nobody reads."""


def read_erlang_appup(path: str | Path, vsn: str | None = None) -> Appup:
    """Return the appup in OTP's file at *path*; raise `InvalidInput` with everything that is wrong with it.

    A template needs *vsn*, or an `.app` file beside it that says the version.
    """
    source = read_source(Path(path), vsn)
    return checked_appup(source.piece, marked(source.comments, str(path)))


def appup_piece(text: str, file: str, vsn: str | None = None) -> Piece:
    """Return the text of an appup as data with places, as its YAML spelling has them; raise `InvalidInput`."""
    return _source(text, file, vsn).piece


def read_source(path: Path, vsn: str | None) -> Source:
    """Return what the file at *path* says; raise `InvalidInput` when it is no appup of OTP."""
    text = decode(read_bytes(path, LIMIT), str(path))
    if path.suffix in (".yaml", ".yml"):
        hint = "only an .appup or .appup.src has to be imported"
        raise InvalidInput([Diagnostic("not_erlang", "this is YAML already", Location(str(path), 1, 1), hint=hint)])
    try:
        return _source(text, str(path), vsn)
    except InvalidInput as error:
        if any(d.code == "needs_vsn" for d in error.diagnostics) and (found := next(_versions(path), None)):
            return _source(text, str(path), found)
        raise


def _source(text: str, file: str, vsn: str | None) -> Source:
    terms, comments = read_terms(text, file, vsn)
    if not terms:
        raise InvalidInput([Diagnostic("empty_file", "the file is empty", Location(file, 1, 1))])
    flaws: list[Flaw] = []
    data, place = _appup(terms[0], _application(Path(file)), flaws)
    reader.raise_errors(flaw.diagnostic(file) for flaw in flaws)
    message = f"OTP reads the first term alone; what follows is left out ({len(terms) - 1} more)"
    unread = [Diagnostic("unread_terms", message, Location(file, *spot(t)), severity="warning") for t in terms[1:2]]
    return Source(Piece(data, file, place), comments, tuple(unread))


def _application(path: Path) -> str:
    return path.name.removesuffix(".src").removesuffix(".appup")


def _versions(path: Path) -> Iterator[str]:
    """Yield the versions that the `.app` files around a template say, or their sources."""
    name = _application(path)
    beside, built = path.with_name(f"{name}.app"), path.parent.parent / "ebin" / f"{name}.app"
    for file in (beside, built, path.with_name(f"{name}.app.src")):
        with suppress(InvalidInput):
            match only_term(file):
                case Tuple((Atom("application"), _, List(items))):
                    pairs = [item.items for item in items if isinstance(item, Tuple) and len(item.items) == 2]
                    yield from (vsn for key, value in pairs if key == Atom("vsn") and (vsn := text(value)))
                case _:
                    pass


def _appup(term: Term, application: str, flaws: list[Flaw]) -> Node:
    match term:
        case Tuple((vsn, up, down)):
            nodes: dict[str, Node] = {"application": (application, spot(term)), "vsn": _vsn(vsn, flaws)}
            nodes |= {"up": _entries("from", up, flaws), "down": _entries("to", down, flaws)}
            return mapping(spot(term), nodes)
        case _:
            flaws.append(wrong("bad_appup", "{Vsn, [{UpFrom, Instructions}], [{DownTo, Instructions}]}", term))
            return None, spot(term)


def _vsn(term: Term, flaws: list[Flaw]) -> Node:
    if (vsn := text(term)) is None:
        flaws.append(wrong("bad_appup", "a version as text", term))
    return vsn, spot(term)


def _entries(other: str, term: Term, flaws: list[Flaw]) -> Node:
    def entry(term: Term, flaws: list[Flaw]) -> Node:
        match term:
            case Tuple((version, steps)):
                nodes = {other: _pattern(version, flaws), "instructions": sequence(steps, read_instruction, flaws)}
                return mapping(spot(term), nodes)
            case _:
                flaws.append(wrong("bad_appup", "{Version, Instructions}", term))
                return None, spot(term)

    return sequence(term, entry, flaws, code="bad_appup", wanted="a list of {Version, Instructions}")


def _pattern(term: Term, flaws: list[Flaw]) -> Node:
    if not isinstance(term, Binary):
        return _vsn(term, flaws)
    try:
        return mapping(spot(term), {"regex": (term.data.decode(), spot(term))})
    except UnicodeDecodeError:
        flaws.append(wrong("bad_regex", "a regular expression in UTF-8", term))
        return None, spot(term)
