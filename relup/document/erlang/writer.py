"""Terms as text that people like to read, and that `file:consult` reads back as the same terms.

Lists of tuples near the root, which are what OTP's files are made of, have a line for each item: an entry, an
instruction, an application. Everything else stands in one line when it fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from relup.diagnostics import Diagnostic, InvalidInput
from relup.document.comments import Comments, Notes, notes
from relup.document.erlang.reader import coding
from relup.document.erlang.terms import (
    LONGEST,
    RESERVED,
    Atom,
    Binary,
    Fun,
    List,
    Map,
    Number,
    Opaque,
    String,
    Term,
    Tuple,
    is_character,
)
from relup.document.wording import short

_WIDTH = 100
_LISTED = 4
"""A list of tuples that stands in fewer collections than this has a line for each item."""

_UNQUOTED = re.compile(r"[a-z\xdf-\xf6\xf8-\xff][0-9A-Z_a-z@\xc0-\xd6\xd8-\xf6\xf8-\xff]*")
_QUOTED = RESERVED | {"maybe", "else"}
"""The words that are reserved in some release of OTP."""
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", "\b": r"\b", "\f": r"\f", "\x1b": r"\e", "\\": r"\\"}
_UNSAID = re.compile("[\n\ufffe\uffff\ud800-\udfff]")
"""What cannot stand in a comment, which has no escapes."""


def write_terms(terms: Sequence[Term], comments: Comments | None = None) -> str:
    """Return a file of *terms*, with comments whose paths start with the number of their term.

    Raise `InvalidInput` for atoms that Erlang does not have.
    """
    if bad := [d for term in terms for d in _bad_atoms(term)]:
        raise InvalidInput(bad)
    tree = notes(comments)
    lines = [*_said(tree.texts)]
    for n, term in enumerate(terms):
        lines += _lines(term, tree.within(n), 0, _WIDTH)
        lines[-1] += "."
    lines += _said(comments.end if comments else ())
    text = "".join(f"{line}\n" for line in lines)
    return text if text.isascii() and coding(text.encode()) is None else f"%% coding: utf-8\n{text}"


def _said(texts: Iterable[str]) -> Iterator[str]:
    return (f"%% {_UNSAID.sub(' ', text)}".rstrip() for text in texts)


def _lines(term: Term, note: Notes, depth: int, room: int) -> list[str]:
    """Return the lines of a term, after those of its comments."""
    if not _spreads(term, note, depth) and len(line := flat(term)) < room:
        return [*_said(note.texts), line]
    match term:
        case Tuple(items) if items:
            blocks = [_lines(item, note.within(n), depth + 1, room - 1) for n, item in enumerate(items)]
            start = ["{", *_joined(" ", blocks, "}")] if blocks[0][0].startswith("%") else _joined("{", blocks, "}")
            return [*_said(note.texts), *start]
        case List(items, tail) if items:
            blocks = [_lines(item, note.within(n), depth + 1, room - 1) for n, item in enumerate(items)]
            last = [] if tail is None else [f" | {flat(tail)}"]
            return [*_said(note.texts), "[", *_joined(" ", blocks, ""), *last, "]"]
        case Map(pairs) if pairs:
            return [*_said(note.texts), *_joined("#{", [[_pair(*pair)] for pair in pairs], "}")]
        case _:
            return [*_said(note.texts), flat(term)]


def _spreads(term: Term, note: Notes, depth: int) -> bool:
    """Say whether a term has lines for its parts however short it is."""
    if note.parts:
        return True
    match term:
        case List(items) if depth < _LISTED and any(isinstance(item, Tuple) for item in items):
            return True
        case List(items) | Tuple(items) if depth < _LISTED:
            return any(_spreads(item, note, depth + 1) for item in items)
        case _:
            return False


def _joined(start: str, blocks: Sequence[list[str]], end: str) -> Iterator[str]:
    """Yield the lines of blocks with commas between them, between a start and an end."""
    for n, block in enumerate(blocks):
        block[-1] += "," if n < len(blocks) - 1 else end
        yield f"{start if n == 0 else ' '}{block[0]}"
        yield from (f" {line}" for line in block[1:])


def _pair(key: Term, value: Term) -> str:
    return f"{flat(key)} => {flat(value)}"


def flat(term: Term) -> str:
    """Return a term in one line."""
    match term:
        case Atom(name):
            return _atom(name)
        case Number(value):
            return _number(value)
        case String(text):
            if all(is_character(ord(c)) for c in text):
                return f'"{_escaped(text, chr(34))}"'
            return f"[{', '.join(str(ord(c)) for c in text)}]"
        case Binary(data):
            return f"<<{_bytes(data)}>>"
        case Tuple(items):
            return f"{{{_row(items)}}}"
        case List(items, tail):
            return f"[{_row(items)}{'' if tail is None else f' | {flat(tail)}'}]"
        case Map(pairs):
            return f"#{{{', '.join(_pair(*pair) for pair in pairs)}}}"
        case Fun(module, function, arity):
            return f"fun {_atom(module)}:{_atom(function)}/{arity}"
        case Opaque(text):
            return text
        case _:
            assert_never(term)


def _row(items: Iterable[Term]) -> str:
    return ", ".join(map(flat, items))


def _atom(name: str) -> str:
    return name if _UNQUOTED.fullmatch(name) and name not in _QUOTED else f"'{_escaped(name, chr(39))}'"


def _number(value: int | float) -> str:
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _bytes(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not all(c.isprintable() or c in "\n\t" for c in text):
        return ", ".join(map(str, data))
    return f'"{_escaped(text, chr(34))}"{"" if text.isascii() else "/utf8"}' if text else ""


def _escaped(text: str, quote: str) -> str:
    if text.isascii() and text.isprintable() and quote not in text and "\\" not in text:
        return text
    return "".join(_character(c, quote) for c in text)


def _character(character: str, quote: str) -> str:
    if character == quote:
        return f"\\{quote}"
    return _ESCAPES.get(character) or (character if character.isprintable() else f"\\x{{{ord(character):X}}}")


def _bad_atoms(term: Term) -> Iterator[Diagnostic]:
    match term:
        case Atom(name):
            yield from _bad_atom(name)
        case Fun(module, function):
            yield from _bad_atom(module)
            yield from _bad_atom(function)
        case Tuple(items):
            for item in items:
                yield from _bad_atoms(item)
        case List(items, tail):
            for item in items if tail is None else (*items, tail):
                yield from _bad_atoms(item)
        case Map(pairs):
            for item in (part for pair in pairs for part in pair):
                yield from _bad_atoms(item)
        case _:
            pass


def _bad_atom(name: str) -> Iterator[Diagnostic]:
    if len(name) > LONGEST or not all(is_character(ord(c)) for c in name):
        yield Diagnostic("bad_term", f"{short(name)!r} cannot be the name of an atom (at most {LONGEST} characters)")
