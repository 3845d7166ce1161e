"""Parsing, and syntax errors for people: what should stand there, and what does, in words.

A parser knows tokens and states, people know commas and terms. What is left out most often in a file that is
written by hand is a comma, or the term after one: that is told, it is supplied, and the parsing goes on.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache

from lark import Token, UnexpectedInput, UnexpectedToken

from relup.diagnostics import Diagnostic
from relup.document.erlang.flaws import Flaw, Read, program
from relup.document.erlang.grammar import parser
from relup.document.piece import MOST
from relup.document.wording import listed, short

_TERMS = {"BRACE": "a term", "BITS": "a number, a text", "ATOM": "an atom", "INTEGER": "a number"}
"""What is wanted, by the first of these tokens that could stand there."""
_ENDS = {
    "COMMA": "a comma",
    "RBRACE": "}",
    "RSQB": "]",
    "RPAR": ")",
    "CLOSE": ">>",
    "ARROW": "=>",
    "_DOT": "a full stop",
}
_LINKS = {"COLON": ":", "SLASH": "/", "LBRACE": "{"}

_OPENING = ("BRACE", "BRACKET", "BITS", "LPAR")
_CLOSING = ("RBRACE", "RSQB", "CLOSE", "RPAR")

_CALLS = {"LPAR": "a call", "COLON": "a call", "SLASH": "the operator /", "PLUS": "the operator +"}
_CALLS |= {"MINUS": "the operator -"}
"""What a token means that can stand in a term, but not there."""

_NO_TOKENS = tuple(
    (re.compile(pattern), code, words)
    for pattern, code, words in (
        ('"""', "bad_term", "three quotes in a row mean one thing before OTP 27 and another since; write one pair"),
        ('"', "bad_term", "this text does not end"),
        ("'", "bad_term", "this quoted atom does not end"),
        (r"\$", "bad_term", "a character stands after a dollar sign"),
        (r"\.", "bad_term", "white space stands after a full stop"),
        (r"<[0-9]+\.|#(?:Fun|Ref|Port)<", "bad_term", "what a node prints of a process cannot be read back"),
        ("#!", "erlang_script", "a line for the shell"),
        ("#", "erlang_script", "a record"),
        (r"\?", "erlang_script", "a macro"),
        (r"[-+*/=<>:|!;]+", "erlang_script", "the operator {}"),
        (r"[\s\S]", "bad_term", "{!r} cannot stand here"),
    )
)
"""What may stand where no token does: the first that matches."""


def parse(text: str, file: str) -> tuple[tuple[Read, ...], list[Diagnostic]]:
    """Return the terms of *text*, and its syntax errors; no terms when it could not be read to its end."""
    with suppress(UnexpectedInput):
        return _faultless(text), []
    problems: list[Diagnostic] = []

    def on_error(error: UnexpectedInput) -> bool:
        problems.append(_told(error, text, file))
        return len(problems) < MOST and isinstance(error, UnexpectedToken) and _supply(error)

    try:
        return parser().parse(text, on_error=on_error), problems  # type: ignore[return-value]  # our rules make it
    except UnexpectedInput:
        return (), problems


@lru_cache(maxsize=64)
def _faultless(text: str) -> tuple[Read, ...]:
    """Return the terms of *text*; raise `UnexpectedInput` at its first fault.

    What OTP's own applications say is the same in every release of it, and releases are read again before they are
    applied: the files of a command are mostly texts that it has parsed already.
    """
    return parser().parse(text)  # type: ignore[return-value]  # our rules make it


def _supply(error: UnexpectedToken) -> bool:
    """Go on as if a comma or a term stood before the token; say whether that helps."""
    supplied = {"COMMA": ("COMMA", ","), "BRACE": ("ATOM", "left_out")}
    wanted = next((supplied[t] for t in supplied if t in error.accepts), None)
    if wanted is None or error.token.type in ("$END", "VARIABLE", "RESERVED", *_CALLS):
        return False
    try:
        for token in (Token.new_borrow_pos(*wanted, error.token), error.token):
            error.interactive_parser.feed_token(token)
    except UnexpectedToken:
        return False
    return True


def _told(error: UnexpectedInput, text: str, file: str) -> Diagnostic:
    if isinstance(error, UnexpectedToken):
        flaw = _unexpected(error)
    else:
        flaw = _no_token(text, error.pos_in_stream or 0, (error.line, error.column))
    return flaw.diagnostic(file)


def _no_token(text: str, index: int, spot: tuple[int, int]) -> Flaw:
    for pattern, code, words in _NO_TOKENS:
        if found := pattern.match(text, index):
            said = words.format(short(found.group()))
            return program(said, spot) if code == "erlang_script" else Flaw(code, said, spot)
    raise AssertionError(f"no token at {index}")


def _unexpected(error: UnexpectedToken) -> Flaw:
    token = error.token
    spot = (token.line or 1, token.column or 1)
    match token.type:
        case "VARIABLE":
            return program(f"the variable {short(token.value)}", spot)
        case "RESERVED":
            return program(f"the word {token.value}", spot)
        case kind if kind in _CALLS:
            return program(_CALLS[kind], spot)
        case "$END":
            spot = (token.end_line or 1, token.end_column or 1)
            found = "the end of the file"
        case "_DOT":
            found = "a full stop"
        case _:
            found = short(token.value)
    return Flaw("bad_term", f"expected {_expected(error)}, found {found}{_open(error)}", spot)


def _expected(error: UnexpectedToken) -> str:
    accepted = error.accepts
    term = [words for token, words in _TERMS.items() if token in accepted][:1]
    ends = [words for token, words in _ENDS.items() if token in accepted]
    return listed(term + ends or [words for token, words in _LINKS.items() if token in accepted])


def _open(error: UnexpectedToken) -> str:
    """Name the innermost bracket that is open there, when it stands in another line."""
    closed = 0
    for token in reversed(error.interactive_parser.parser_state.value_stack):
        kind = token.type if isinstance(token, Token) else ""
        if kind in _OPENING and not closed:
            return "" if token.line == error.token.line else f"; the {token} of line {token.line} is open"
        closed += (kind in _CLOSING) - (kind in _OPENING)
    return ""
