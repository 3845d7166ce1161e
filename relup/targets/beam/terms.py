"""Erlang's terms as Python values, for talking with a node.

What both languages have is itself: integers, floats, bytes (a binary), tuples, lists, dicts, and `True` and `False`
for the atoms of these names, because an `Atom("false")` would be true in an `if`. The other atoms are `Atom`, a text,
so that `match` reads as Erlang does: `case ("ok", value)`. A plain `str` is no term: it may mean an atom, a binary or
a list, and guessing wrong is found out only on the node.

The rest is opaque: pids, ports, references, funs and bit strings are kept as the bytes that came, which mean on the
way back what they meant on the way here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Term: TypeAlias = Any
"""An `Atom`, bool, int, float, bytes, tuple, list, dict, `Pairs`, `Improper` or `Opaque`, of terms again."""

Kind: TypeAlias = Literal["pid", "port", "reference", "fun", "bits"]


class Atom(str):
    """An atom; equal to the text of its name."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({str.__repr__(self)})"


@dataclass(frozen=True, slots=True)
class Opaque:
    """What Python only hands back: its encoding, byte for byte."""

    kind: Kind
    data: bytes


@dataclass(frozen=True, slots=True)
class Improper:
    """A list that ends in something else than a list: `[1, 2 | tail]`."""

    items: tuple[Term, ...]
    tail: Term


@dataclass(frozen=True, slots=True)
class Pairs:
    """A map that no dict can hold: a key is a list or a map, or two keys are equal in Python (1, 1.0 and true).

    One that was decoded has its keys in the order of their encodings.
    """

    items: tuple[tuple[Term, Term], ...]


def characters(value: Path | str) -> list[Term]:
    """Return what is a string in Erlang, the inverse of `text`: folders and versions are strings there."""
    return [*map(ord, str(value))]


def text(term: Term) -> str:
    """Return what Erlang would print for a binary, a list of characters, or an atom.

    Raises `ValueError` when it is none of these.
    """
    match term:
        case bytes():
            return term.decode("utf-8", "replace")
        case str():
            return str(term)
        case list():
            return "".join(chr(part) if type(part) is int else text(part) for part in term)
        case bool():
            return str(term).lower()
        case _:
            raise ValueError(f"{type(term).__name__} is no text")
