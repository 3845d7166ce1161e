"""Terms in Erlang's external format (`erlang:term_to_binary`): the attributes of a module are kept so.

The bytes come from a file that may be cut, damaged or made to hurt: no size is believed before as many bytes are there,
what is compressed is decompressed up to a limit, and the depth is bounded. So the work is in proportion to the
bytes, whatever they say.
"""

from __future__ import annotations

import struct
import zlib
from math import isfinite
from typing import TypeAlias

from relup.document.erlang.chunks import Damaged
from relup.document.erlang.terms import (
    LONGEST,
    MOST_ARGUMENTS,
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
from relup.document.piece import DEPTH

LIMIT = 2**20
"""The largest term that is read, in bytes, also when it is compressed.

Each byte may be a value of its own, so this is a second of work; of OTP's and Elixir's modules the largest has 80 kB.
"""

_VERSION, _COMPRESSED = 131, 80
_LONG = 1_500
"""From how many bytes on a number is kept as hexadecimal text: Python writes no decimal of more than 4,300 digits."""
_EMPTY = List(())
_CONTROLS = frozenset("\b\t\n\v\f\r\x1b")

_Read: TypeAlias = tuple[Term, int]
"""A term, and where the next one starts."""


def decode(data: bytes) -> Term:
    """Return the term that *data* holds; raise `Damaged` when it holds none."""
    if data[:1] != bytes([_VERSION]):
        raise Damaged("invalid_term", "it holds data that is not in Erlang's external format")
    if len(data) > LIMIT:
        raise _too_large(len(data))
    try:
        inner = _decompressed(data) if data[1:2] == bytes([_COMPRESSED]) else data[1:]
        return _term(inner, 0, DEPTH)[0]
    except (IndexError, ValueError, zlib.error, struct.error):
        raise Damaged("invalid_term", "it holds a term that is cut off or damaged") from None


def _decompressed(data: bytes) -> bytes:
    size = _number(data, 2, 4)
    if size > LIMIT:
        raise _too_large(size)
    inner = zlib.decompressobj().decompress(data[6:], size + 1)
    if len(inner) != size:
        raise ValueError("another size than was said")
    return inner


def _too_large(size: int) -> Damaged:
    return Damaged("term_too_large", f"it holds a term of {size:,} bytes; terms are read up to {LIMIT:,}")


def _term(data: bytes, at: int, depth: int) -> _Read:
    if not depth:
        raise Damaged("too_deep", f"it holds a term that is more than {DEPTH} levels deep")
    match data[at]:  # the most frequent ones first
        case 100 | 119 | 115 | 118:
            name, at = _atom(data, at)
            return Atom(name), at
        case 104:
            items, at = _items(data, at + 2, data[at + 1], depth)
            return Tuple(tuple(items)), at
        case 97:
            return Number(data[at + 1]), at + 2
        case 106:
            return _EMPTY, at + 1
        case 108:
            return _list(data, at, depth)
        case 110:
            return _big(data, at + 3, data[at + 1], data[at + 2])
        case 107:
            size = _number(data, at + 1, 2)
            return _listed([Number(code) for code in _cut(data, at + 3, size)]), at + 3 + size
        case 109:
            size = _number(data, at + 1, 4)
            return Binary(_cut(data, at + 5, size)), at + 5 + size
        case 98:
            return Number(_number(data, at + 1, 4, signed=True)), at + 5
        case 111:
            return _big(data, at + 6, _number(data, at + 1, 4), data[at + 5])
        case 70:
            return _float(struct.unpack(">d", _cut(data, at + 1, 8))[0]), at + 9
        case 99:
            return _float(float(_cut(data, at + 1, 31).rstrip(b"\0"))), at + 32
        case 105:
            items, at = _items(data, at + 5, _number(data, at + 1, 4), depth)
            return Tuple(tuple(items)), at
        case 116:
            items, at = _items(data, at + 5, 2 * _number(data, at + 1, 4), depth)
            return Map(tuple(zip(items[::2], items[1::2], strict=True))), at
        case 113:
            return _fun(data, at + 1, depth)
        case tag:
            return _opaque(data, at, tag)


def _opaque(data: bytes, at: int, tag: int) -> _Read:
    """Return what no text can hold, as text like the one that Erlang prints."""
    match tag:
        case 77:
            return _bits(data, at)
        case 103 | 88:
            return _identifier("Pid", data, at + 1, (4, 4, 1 if tag == 103 else 4))
        case 102 | 89 | 120:
            return _identifier("Port", data, at + 1, (8 if tag == 120 else 4, 1 if tag == 102 else 4))
        case 101:
            return _identifier("Ref", data, at + 1, (4, 1))
        case 114 | 90:
            words = _number(data, at + 1, 2)
            return _identifier("Ref", data, at + 3, (1 if tag == 114 else 4, *[4] * words))
        case 112:
            return _closure(data, at)
        case _:
            raise Damaged("invalid_term", f"it holds a term of an unknown kind, {tag}")


# ── the parts of terms ─────────────────────────────────────────────────────────────────────────────────


def _cut(data: bytes, at: int, size: int) -> bytes:
    """Return *size* bytes; slices are short where the data ends, and that must not pass for a shorter term."""
    found = data[at : at + size]
    if len(found) != size:
        raise IndexError
    return found


def _number(data: bytes, at: int, size: int, *, signed: bool = False) -> int:
    return int.from_bytes(_cut(data, at, size), signed=signed)


def _items(data: bytes, at: int, count: int, depth: int) -> tuple[list[Term], int]:
    if count > len(data) - at:
        raise IndexError
    items = []
    for _ in range(count):
        item, at = _term(data, at, depth - 1)
        items.append(item)
    return items, at


def _list(data: bytes, at: int, depth: int) -> _Read:
    items, at = _items(data, at + 5, _number(data, at + 1, 4), depth)
    tail, at = _term(data, at, depth - 1)
    match tail:
        case List(more, end) if items:
            return (_listed([*items, *more]) if end is None else List((*items, *more), end)), at
        case String(text) if items:
            return _listed([*items, *(Number(ord(c)) for c in text)]), at
        case _:
            return (List(tuple(items), tail) if items else tail), at


def _listed(items: list[Term]) -> Term:
    """Return a list; it is a string when it is of nothing but characters, as Erlang prints it."""
    codes = []
    for item in items:
        if not isinstance(item, Number) or not isinstance(item.value, int) or not is_character(item.value):
            return List(tuple(items))
        codes.append(item.value)
    text = "".join(map(chr, codes))
    return String(text) if text and all(c.isprintable() or c in _CONTROLS for c in text) else List(tuple(items))


def _big(data: bytes, at: int, size: int, sign: int) -> _Read:
    value = int.from_bytes(_cut(data, at, size), "little") * (-1 if sign else 1)
    if size <= _LONG:
        return Number(value), at + size
    return Opaque(f"{'-' if sign else ''}16#{abs(value):X}"), at + size


def _float(value: float) -> Number:
    if not isfinite(value):
        raise ValueError("no number in Erlang")
    return Number(value)


def _atom(data: bytes, at: int) -> tuple[str, int]:
    match data[at]:
        case 115 | 119 as tag:
            size, start = data[at + 1], at + 2
        case 100 | 118 as tag:
            size, start = _number(data, at + 1, 2), at + 3
        case _:
            raise ValueError("no atom")
    name = str(_cut(data, start, size), "latin-1" if tag in (100, 115) else "utf-8")
    if len(name) > LONGEST:
        raise ValueError("no atom is as long as this")
    return name, start + size


def _fun(data: bytes, at: int, depth: int) -> _Read:
    module, at = _atom(data, at)
    function, at = _atom(data, at)
    arity, at = _term(data, at, depth - 1)
    match arity:
        case Number(int(count)) if 0 <= count <= MOST_ARGUMENTS:
            return Fun(module, function, count), at
        case _:
            raise ValueError("no arity")


def _bits(data: bytes, at: int) -> _Read:
    size, used = _number(data, at + 1, 4), data[at + 5]
    found = _cut(data, at + 6, size)
    if not size or not 1 <= used <= 8:
        raise ValueError("no bits")
    if used == 8:
        return Binary(found), at + 6 + size
    numbers = [*map(str, found[:-1]), f"{found[-1] >> (8 - used)}:{used}"]
    return Opaque(f"<<{', '.join(numbers)}>>"), at + 6 + size


def _identifier(kind: str, data: bytes, at: int, sizes: tuple[int, ...]) -> _Read:
    node, at = _atom(data, at)
    numbers = []
    for size in sizes:
        numbers.append(str(_number(data, at, size)))
        at += size
    return Opaque(f"#{kind}<{'.'.join([node, *numbers])}>"), at


def _closure(data: bytes, at: int) -> _Read:
    """Return a local fun; what it holds is skipped by its size."""
    end = at + 1 + _number(data, at + 1, 4)
    unique, index = _cut(data, at + 6, 16), _number(data, at + 22, 4)
    module, start = _atom(data, at + 30)
    if not start <= end <= len(data):
        raise IndexError
    return Opaque(f"#Fun<{module}.{index}.{unique.hex()}>"), end
