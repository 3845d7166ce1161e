"""Erlang terms as values, each with the spot where it was written.

A string and the list of its characters are one value in Erlang, and two here: who writes a file back must know
how its author wrote it. `spot` takes no part in equality, so terms compare by what they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from relup.document.piece import Spot


def _spot() -> Any:
    return field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Atom:
    """`name`, `'quoted name'`."""

    name: str
    spot: Spot | None = _spot()


@dataclass(frozen=True, slots=True)
class Number:
    """`1`, `16#FF`, `$a`, `1.5`."""

    value: int | float
    spot: Spot | None = _spot()


@dataclass(frozen=True, slots=True)
class String:
    """`"text"`."""

    text: str
    spot: Spot | None = _spot()


@dataclass(frozen=True, slots=True)
class Binary:
    """`<<"text">>`, `<<1, 2>>`."""

    data: bytes
    spot: Spot | None = _spot()


@dataclass(frozen=True, slots=True)
class Tuple:
    """`{a, b}`."""

    items: tuple[Term, ...]
    spot: Spot | None = _spot()


@dataclass(frozen=True, slots=True)
class List:
    """`[a, b]`, or `[a, b | tail]` when it does not end in a list."""

    items: tuple[Term, ...]
    tail: Term | None = None
    spot: Spot | None = _spot()


@dataclass(frozen=True, slots=True)
class Map:
    """`#{key => value}`, in the order in which it was written."""

    pairs: tuple[tuple[Term, Term], ...]
    spot: Spot | None = _spot()


@dataclass(frozen=True, slots=True)
class Fun:
    """`fun module:function/arity`."""

    module: str
    function: str
    arity: int
    spot: Spot | None = _spot()


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that a running Erlang has, and no file of text can give: a pid, a closure, a part of a byte."""

    text: str
    """What stands for it where terms are printed, like what Erlang prints."""
    spot: Spot | None = _spot()


Term: TypeAlias = Atom | Number | String | Binary | Tuple | List | Map | Fun | Opaque

RESERVED = frozenset(
    [
        *("after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case", "catch", "cond"),
        *("div", "end", "fun", "if", "let", "not", "of", "or", "orelse", "receive", "rem", "try", "when", "xor"),
    ]
)
"""The words that are no atoms unless they are quoted."""

LONGEST = 255
"""How many characters an atom may have."""
MOST_ARGUMENTS = 255
"""How many arguments a function may take."""


def is_character(code: int) -> bool:
    """Say whether Erlang takes a number for a Unicode character; surrogates, U+FFFE and U+FFFF are none."""
    return 0 <= code < 0xD800 or 0xDFFF < code < 0xFFFE or 0xFFFF < code <= 0x10FFFF
