"""Erlang's text as terms: what `file:consult` accepts, and templates of it, with every place.

OTP's files are terms, but a file with such a name may be a script, which builds its term when it is run, or a
template, whose version a build tool fills in; all three look alike for pages. So what only a program can have is
told apart from what is merely wrong, and what a template leaves open is filled in here, or asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.comments import Comment, lines_of
from relup.document.erlang.flaws import Flaw, Read, Variable, program
from relup.document.erlang.scan import comments, too_deep
from relup.document.erlang.terms import Binary, List, Map, String, Term, Tuple
from relup.document.piece import DEPTH, MOST, Spot
from relup.document.reader import raise_errors
from relup.document.wording import short

LIMIT = 2 * 2**20
"""The largest file of terms that is read, in bytes.

Each two bytes may be a value of its own, so this is a minute of work; an `.app` of ten thousand modules has 300 kB.
"""
_VARIABLE = "VSN"
_IN_TEXT = re.compile(r"%VSN%|\{\{vsn\}\}")
_IN_BYTES = re.compile(rb"%VSN%|\{\{vsn\}\}")
"""What build tools replace by the version, wherever it stands in a text."""

_SAY = "`relup import --vsn` fills it in, or an .app file beside the appup"

_CODING = re.compile(rb"%.*?coding *[:=] *([A-Za-z0-9-]+)")
_DECLARED = ((re.compile(rb"latin-1(?![a-z0-9])"), "latin-1"), (re.compile(rb"utf-8(?![a-z0-9])"), "utf-8"))


class ErlangText(NamedTuple):
    """What a file says: its terms, and beside them its comments."""

    terms: tuple[Term, ...]
    comments: tuple[Comment, ...]


def decode(data: bytes, file: str) -> str:
    """Return a file's text, by the coding that a comment in its first two lines declares (OTP's `epp`).

    Without one it is UTF-8, or, when it is not that, Latin-1, as every file was before OTP 17.
    """
    declared = coding(data)
    try:
        return data.decode("utf-8-sig" if declared != "latin-1" else "latin-1")
    except UnicodeDecodeError as error:
        if declared is None:
            return data.decode("latin-1")
        before = data[: error.start].decode(errors="replace")
        place = Location(file, *lines_of(before).spot(len(before)))
        raise InvalidInput([Diagnostic("not_utf8", "this byte is not UTF-8 text", place)]) from None


def coding(data: bytes) -> str | None:
    """Return the coding that a file declares, if it is one that Erlang knows."""
    for line in data.split(b"\n", 2)[:2]:
        if found := _CODING.search(line):
            return next((name for pattern, name in _DECLARED if pattern.match(found[1].lower())), None)
    return None


def read_terms(text: str, file: str, vsn: str | None = None) -> ErlangText:
    """Return the terms of *text*, a template's with *vsn*; raise `InvalidInput` with everything that is wrong.

    The errors are `bad_term`, `number_too_large`, `too_deep`; `erlang_script` for what only a program can have; and
    `needs_vsn` for a template whose version nobody gave.
    """
    from relup.document.erlang.syntax import parse  # noqa: PLC0415  who reads no such file needs no lark

    lines = lines_of(text)
    if (index := too_deep(text, DEPTH)) is not None:
        message = f"collections are nested more than {DEPTH} deep"
        raise InvalidInput([Diagnostic("too_deep", message, Location(file, *lines.spot(index)))])
    read, problems = parse(text, file)
    raise_errors([*problems, *(flaw.diagnostic(file) for flaw in islice(_flaws(read, vsn), MOST))])
    terms: Any = read if vsn is None else tuple(_filled(term, vsn) for term in read)
    return ErlangText(terms, tuple(comments(text, lines)))


def _flaws(read: Iterable[Read], vsn: str | None) -> Iterator[Flaw]:
    """Yield what is no term, and the first place that waits for a version when nobody gave one, in order."""
    waiting: Spot | None = None
    rest = [*read][::-1]
    while rest:
        term = rest.pop()
        match term:
            case Flaw():
                yield term
            case Variable(name, spot) if name != _VARIABLE:
                yield program(f"the variable {short(name)}", spot)
            case Variable() | String() | Binary() if vsn is None and waiting is None and _filled(term, "") is not term:
                waiting = term.spot or (1, 1)
                yield Flaw("needs_vsn", "a build tool would fill in the version here", waiting, _SAY)
            case _:
                rest += _parts(term)[::-1]


def _parts(term: Read) -> list[Read]:
    match term:
        case Tuple(items) | List(items, None):
            return [*items]
        case List(items, tail) if tail is not None:
            return [*items, tail]
        case Map(pairs):
            return [part for pair in pairs for part in pair]
        case _:
            return []


def _filled(term: Read, vsn: str) -> Any:
    """Return the term with *vsn* wherever a build tool would write it; the same when that is nowhere."""
    match term:
        case Variable(_, spot):
            return String(vsn, spot=spot)
        case String(text, spot=spot) if _IN_TEXT.search(text):
            return String(_IN_TEXT.sub(lambda _: vsn, text), spot=spot)
        case Binary(data, spot=spot) if _IN_BYTES.search(data):
            return Binary(_IN_BYTES.sub(lambda _: vsn.encode(), data), spot=spot)
        case Tuple(items, spot=spot):
            return Tuple(tuple([_filled(i, vsn) for i in items]), spot=spot)
        case List(items, tail, spot=spot):
            return List(
                tuple([_filled(i, vsn) for i in items]), None if tail is None else _filled(tail, vsn), spot=spot
            )
        case Map(pairs, spot=spot):
            return Map(tuple([(_filled(k, vsn), _filled(v, vsn)) for k, v in pairs]), spot=spot)
        case _:
            return term
