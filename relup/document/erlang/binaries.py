"""What the segments of a binary say in bytes: Erlang's bit syntax, as far as it stands in a term.

A segment is a value, a size and types, each with defaults that depend on the others, and need not end where a
byte does. So each segment yields numbers with their widths in bits, and one place turns bits into bytes.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from relup.document.erlang.flaws import Flaw
from relup.document.erlang.terms import Binary, Number, String
from relup.document.piece import Spot

Bits: TypeAlias = tuple[int, int]
"""A number and how many bits it takes."""

LIMIT = 2**24
"""How many bits a binary may have."""

_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("integer", "float", "binary", "bytes", "bitstring", "bits", "utf8", "utf16", "utf32"), "kind"),
    **dict.fromkeys(("big", "little", "native"), "order"),
    **dict.fromkeys(("signed", "unsigned"), "sign"),
    "unit": "unit",
}
_DEFAULT_WIDTHS = {"integer": 8, "float": 64}
_DEFAULT_UNITS = {"binary": 8, "bytes": 8}
_FLOATS = {16: "e", 32: "f", 64: "d"}


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as it is written."""

    value: Number | String | Binary | Flaw
    size: int | None
    types: Sequence[tuple[str, int | None]]
    """Words, and with its number `unit`."""


class _Unfit(Exception):
    """The value, the size and the types of a segment do not fit together."""


def binary(segments: Sequence[Segment], spot: Spot) -> Binary | Flaw:
    """Return the bytes that the segments say, or what is wrong with the first that says none."""
    out, rest, width = bytearray(), 0, 0
    for segment in segments:
        if isinstance(segment.value, Flaw):
            return segment.value
        try:
            for number, bits in _bits(segment.value, segment.size, segment.types):
                rest, width = rest << bits | number & (1 << bits) - 1, width + bits
                whole, width = divmod(width, 8)
                out += (rest >> width).to_bytes(whole, "big")
                rest &= (1 << width) - 1
                if len(out) > LIMIT // 8:
                    raise _Unfit
        except (_Unfit, struct.error, TypeError, ValueError, OverflowError):
            message = f"this value does not fit its size and types, or takes more than {LIMIT:,} bits"
            return Flaw("bad_term", message, segment.value.spot or spot)
    if width:
        return Flaw("bad_term", "only whole bytes are read, and this binary ends within one", spot)
    return Binary(bytes(out), spot=spot)


def _bits(value: Number | String | Binary, size: int | None, types: Sequence[tuple[str, int | None]]) -> Iterator[Bits]:
    said = _said(types)
    kind, order, unit = said.get("kind", "integer"), said.get("order", "big"), dict(types).get("unit")
    little = (sys.byteorder if order == "native" else order) == "little"
    width = _width(kind, size, unit)
    match kind, value:
        case (("binary" | "bytes" | "bitstring" | "bits"), Binary(data)):
            there = len(data) * 8
            taken = there if width is None else width
            yield int.from_bytes(data, "big") >> there - taken, taken
        case (("utf8" | "utf16" | "utf32"), String() | Number()) if size is unit is None:
            codec = "utf-8" if kind == "utf8" else f"utf-{kind[3:]}-{'le' if little else 'be'}"
            yield from ((byte, 8) for number in _numbers(value) for byte in chr(number).encode(codec))
        case "integer", String() | Number() if width is not None:
            yield from ((_ordered(number, width, little), width) for number in _numbers(value))
        case "float", String() | Number() if width in _FLOATS:
            form = f"{'<' if little else '>'}{_FLOATS[width]}"
            yield from ((int.from_bytes(struct.pack(form, number), "big"), width) for number in _numbers(value))
        case _:
            raise _Unfit


def _said(types: Sequence[tuple[str, int | None]]) -> dict[str, str]:
    """Return the words by what they concern; raise `_Unfit` for an unknown one, or for two that differ."""
    found: dict[str, str] = {}
    for word, number in types:
        concern = _WORDS.get(word) if (number is not None) == (word == "unit") else None
        if concern is None or found.setdefault(concern, word) != word:
            raise _Unfit
    return found


def _width(kind: str, size: int | None, unit: int | None) -> int | None:
    """Return how many bits each number of a segment takes; None is as many as there are."""
    if size is None:
        if unit is not None and kind in _DEFAULT_WIDTHS:
            raise _Unfit
        return _DEFAULT_WIDTHS.get(kind)
    unit = _DEFAULT_UNITS.get(kind, 1) if unit is None else unit
    if not (0 < unit <= 256 and 0 <= size * unit <= LIMIT):
        raise _Unfit
    return size * unit


def _numbers(value: Number | String) -> Sequence[Any]:
    return [ord(c) for c in value.text] if isinstance(value, String) else [value.value]


def _ordered(number: int, width: int, little: bool) -> int:
    """Return a whole number with its bytes in the order that was asked for; a part of a byte comes last."""
    number &= (1 << width) - 1
    if not little:
        return number
    whole, part = divmod(width, 8)
    low = (number & (1 << whole * 8) - 1).to_bytes(whole, "little")
    return int.from_bytes(low, "big") << part | number >> whole * 8
