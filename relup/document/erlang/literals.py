"""The value of what a literal says: numbers, and characters with their escapes.

A literal that stands for nothing is a `Flaw` in the place of its term, so that one reading finds all of them.
"""

from __future__ import annotations

import re

from relup.document.erlang.flaws import Flaw
from relup.document.erlang.terms import LONGEST, Atom, Number, is_character
from relup.document.piece import Spot


class _NoCharacter(Exception):
    """What stands at this index of a text is no character."""


_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "b": "\b", "f": "\f", "e": "\x1b", "s": " ", "d": "\x7f"}
_ESCAPE = re.compile(
    r"\\(?:x\{(?P<long>[0-9A-Fa-f]+)\}|x(?P<short>[0-9A-Fa-f]{2})|(?P<octal>[0-7]{1,3})"
    r"|\^(?P<control>[?-_a-z])|(?P<other>[^x^]|[x^]))|(?P<raw>[\ufffe\uffff\ud800-\udfff])"
)


def character(text: str, spot: Spot) -> Number | Flaw:
    """Return the number of a character, as it is written after the `$`."""
    found = unescaped(text, spot)
    return found if isinstance(found, Flaw) else Number(ord(found), spot=spot)


def unescaped(text: str, spot: Spot) -> str | Flaw:
    """Return what a text with escapes says; *spot* is where it starts."""
    try:
        return _ESCAPE.sub(_character, text)
    except _NoCharacter as error:
        before = text[: error.args[0]]
        line, column = spot[0] + before.count("\n"), len(before) - before.rfind("\n")
        place = (line, column + spot[1] - 1 if line == spot[0] else column)
        return Flaw("bad_term", "this stands for no character", place)


def _character(found: re.Match[str]) -> str:
    match found.lastgroup, found[found.lastgroup or 0]:
        case "long" | "short", digits if is_character(int(digits, 16)):
            return chr(int(digits, 16))
        case "octal", digits:
            return chr(int(digits, 8))
        case "control", letter:
            return "\x7f" if letter == "?" else chr(ord(letter) & 0x1F)
        case "other", letter if letter not in "x^":
            return _CONTROLS.get(letter, letter)
        case _:
            raise _NoCharacter(found.start())


def atom(name: str, spot: Spot) -> Atom | Flaw:
    """Return the atom of that name."""
    if len(name) > LONGEST:
        return Flaw("bad_term", f"an atom has at most {LONGEST} characters, this one has {len(name)}", spot)
    return Atom(name, spot=spot)


def integer(text: str, spot: Spot) -> Number | Flaw:
    """Return a whole number, in base 10 or as `16#FF`."""
    base, digits = text.split("#") if "#" in text else ("10", text)
    if len(base) > 9 or not 2 <= int(base) <= 36:
        return Flaw("bad_term", "a base is a number from 2 to 36", spot)
    if any(int(digit, 36) >= int(base) for digit in digits if digit != "_"):
        return Flaw("bad_term", f"these are not digits of base {int(base)}", spot)
    try:
        value = int(digits, int(base))
        float(value)
    except (OverflowError, ValueError):
        return _too_large(spot)
    return Number(value, spot=spot)


def real(text: str, spot: Spot) -> Number | Flaw:
    """Return a float."""
    value = float(text)
    return _too_large(spot) if value == float("inf") else Number(value, spot=spot)


def _too_large(spot: Spot) -> Flaw:
    return Flaw("number_too_large", "this number is too large", spot)
