"""Terms to and from Erlang's external format, exactly: what is decoded and encoded again is the same term.

`relup.document.erlang.external` reads the same format into what a file of Erlang would say, for files that may be
made to hurt, and writes none; it keeps pids and funs as the text that Erlang prints. Here they have to go back, so
the two share the numbers of the tags and nothing else.

The other side is an `erl` that relup started, but a term it hands on was made by anybody: the depth is bounded, and
no size is believed before as many bytes are there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from math import isfinite
from typing import TypeAlias

from relup.targets.beam.terms import Atom, Improper, Kind, Opaque, Pairs, Term

DEPTH = 200
"""How deep terms may be nested; a list of any length is one level."""
_VERSION = b"\x83"
_LONGEST_ATOM = 255
_MOST_BITS = 4_194_303
"""The longest integer that every OTP accepts."""
_STRING = 65_535
_NIL = b"j"
_TRUE, _FALSE = b"w\x04true", b"w\x05false"

_Read: TypeAlias = tuple[Term, int]
"""A term, and where the next one starts."""


class BadTerm(ValueError):
    """A value that is no term, or bytes that hold none."""


def encode(term: Term) -> bytes:
    """Return *term* in the external format. Raises `BadTerm` for a value that is none."""
    out = bytearray(_VERSION)
    _write(term, out, DEPTH)
    return bytes(out)


def decode(data: bytes) -> Term:
    """Return the term that *data* holds, all of it. Raises `BadTerm` when it holds none, or more than one."""
    if data[:1] != _VERSION:
        raise BadTerm("not in Erlang's external format")
    try:
        term, end = _read(data, 1, DEPTH)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise BadTerm("a term that is cut off or damaged") from None
    if end != len(data):
        raise BadTerm(f"{len(data) - end} bytes behind the term")
    return term


def export(module: str, function: str, arity: int) -> Opaque:
    """Return `fun module:function/arity`: a fun that lives in no process, and leaves nothing of the module there."""
    if not 0 <= arity <= _LONGEST_ATOM:
        raise BadTerm(f"no function has {arity} arguments")
    return Opaque("fun", b"q" + _atom(module) + _atom(function) + bytes((97, arity)))


# ── writing ────────────────────────────────────────────────────────────────────────────────────────────


def _write(term: Term, out: bytearray, depth: int) -> None:
    if not depth:
        raise BadTerm(f"a term that is more than {DEPTH} levels deep")
    match term:
        case bool():
            out += _TRUE if term else _FALSE
        case int():
            out += _integer(term)
        case Atom():
            out += _atom(term)
        case bytes():
            out += b"m" + _size(len(term)) + term
        case tuple():
            out += b"h" + bytes((len(term),)) if len(term) < 256 else b"i" + _size(len(term))
            _write_all(term, out, depth)
        case list():
            _write_list(term, out, depth)
        case dict():
            _write_pairs(term.items(), len(term), out, depth)
        case Pairs(items):
            _write_pairs(items, len(items), out, depth)
        case Improper(items, tail):
            _write_improper(items, tail, out, depth)
        case float():
            if not isfinite(term):
                raise BadTerm(f"{term} is no number in Erlang")
            out += b"F" + struct.pack(">d", term)
        case Opaque(_, data):
            out += data
        case str():
            raise BadTerm(f"the text {term[:40]!r} may mean an atom, a binary or a list: say which")
        case _:
            raise BadTerm(f"a {type(term).__name__} is no Erlang term")


def _write_all(terms: Iterable[Term], out: bytearray, depth: int) -> None:
    for term in terms:
        _write(term, out, depth - 1)


def _write_list(items: list[Term], out: bytearray, depth: int) -> None:
    """Write a list; one of small numbers takes a byte each, as Erlang does it."""
    if not items:
        out += _NIL
    elif len(items) <= _STRING and all(type(i) is int and 0 <= i < 256 for i in items):
        out += b"k" + len(items).to_bytes(2) + bytes(items)
    else:
        out += b"l" + _size(len(items))
        _write_all(items, out, depth)
        out += _NIL


def _write_pairs(pairs: Iterable[tuple[Term, Term]], count: int, out: bytearray, depth: int) -> None:
    out += b"t" + _size(count)
    for pair in pairs:
        _write_all(pair, out, depth)


def _write_improper(items: tuple[Term, ...], tail: Term, out: bytearray, depth: int) -> None:
    if not items or isinstance(tail, list | Improper):
        raise BadTerm("an improper list has items, and a tail that is no list")
    out += b"l" + _size(len(items))
    _write_all(items, out, depth)
    _write(tail, out, depth - 1)


def _size(count: int) -> bytes:
    try:
        return count.to_bytes(4)
    except OverflowError:
        raise BadTerm(f"a term of {count:,} parts is too large") from None


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return bytes((97, value))
    if -(2**31) <= value < 2**31:
        return b"b" + value.to_bytes(4, signed=True)
    if value.bit_length() > _MOST_BITS:
        raise BadTerm(f"an integer of {value.bit_length():,} bits; Erlang has up to {_MOST_BITS:,}")
    digits = abs(value).to_bytes((value.bit_length() + 7) // 8, "little")
    head = b"n" + bytes((len(digits),)) if len(digits) < 256 else b"o" + _size(len(digits))
    return head + bytes((value < 0,)) + digits


def _atom(name: str) -> bytes:
    if len(name) > _LONGEST_ATOM:
        raise BadTerm(f"an atom of {len(name)} characters; Erlang has up to {_LONGEST_ATOM}")
    try:
        data = str(name).encode()
    except UnicodeEncodeError:
        raise BadTerm(f"the atom {name!r} is no text") from None
    return b"w" + bytes((len(data),)) + data if len(data) < 256 else b"v" + len(data).to_bytes(2) + data


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────


def _read(data: bytes, at: int, depth: int) -> _Read:
    if not depth:
        raise BadTerm(f"a term that is more than {DEPTH} levels deep")
    match data[at]:  # the most frequent ones first
        case 119 | 118 | 100 | 115:
            return _read_atom(data, at)
        case 97:
            return data[at + 1], at + 2
        case 104:
            items, at = _items(data, at + 2, data[at + 1], depth)
            return tuple(items), at
        case 106:
            return [], at + 1
        case 108:
            return _read_list(data, at, depth)
        case 109:
            return _cut(data, at + 5, _number(data, at + 1, 4))
        case 107:
            codes, at = _cut(data, at + 3, _number(data, at + 1, 2))
            return list(codes), at
        case 98:
            return int.from_bytes(_cut(data, at + 1, 4)[0], signed=True), at + 5
        case 116:
            items, at = _items(data, at + 5, 2 * _number(data, at + 1, 4), depth)
            return _map(items), at
        case 70:
            return _float(struct.unpack_from(">d", data, at + 1)[0]), at + 9
        case 110:
            return _big(data, at + 3, data[at + 1], data[at + 2])
        case 111:
            return _big(data, at + 6, _number(data, at + 1, 4), data[at + 5])
        case 105:
            items, at = _items(data, at + 5, _number(data, at + 1, 4), depth)
            return tuple(items), at
        case 113:
            return _read_export(data, at + 1)
        case tag:
            kind, end = _opaque(data, at, tag)
            found, end = _cut(data, at, end - at)
            return Opaque(kind, found), end


def _opaque(data: bytes, at: int, tag: int) -> tuple[Kind, int]:
    """Return what starts at *at*, and where it ends: the name of a node and numbers, or a size."""
    match tag:
        case 88 | 103:
            return "pid", _name_end(data, at + 1) + (12 if tag == 88 else 9)
        case 90 | 114:
            return "reference", _name_end(data, at + 3) + 4 * _number(data, at + 1, 2) + (4 if tag == 90 else 1)
        case 89 | 120 | 102:
            return "port", _name_end(data, at + 1) + {89: 8, 120: 12, 102: 5}[tag]
        case 112:
            return "fun", at + 1 + max(_number(data, at + 1, 4), 4)
        case 77:
            return "bits", at + 6 + _number(data, at + 1, 4)
        case _:
            raise BadTerm(f"a term of an unknown kind, {tag}")


def _cut(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    """Return *size* bytes; slices are short where the data ends, and that must not pass for a shorter term."""
    found = data[at : at + size]
    if len(found) != size:
        raise IndexError
    return found, at + size


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(_cut(data, at, size)[0])


def _items(data: bytes, at: int, count: int, depth: int) -> tuple[list[Term], int]:
    if count > len(data) - at:
        raise IndexError
    items = []
    for _ in range(count):
        item, at = _read(data, at, depth - 1)
        items.append(item)
    return items, at


def _read_list(data: bytes, at: int, depth: int) -> _Read:
    items, at = _items(data, at + 5, _number(data, at + 1, 4), depth)
    tail, at = _read(data, at, depth - 1)
    match tail:
        case list():
            return items + tail, at
        case Improper(more, end):
            return Improper((*items, *more), end), at
        case _:
            return (Improper(tuple(items), tail) if items else tail), at


def _map(items: list[Term]) -> Term:
    keys, values = items[::2], items[1::2]
    try:
        found = dict(zip(keys, values, strict=True))
    except TypeError:  # a key that is a list or a map
        found = {}
    if len(found) == len(keys):
        return found
    pairs = sorted(zip(keys, values, strict=True), key=lambda pair: encode(pair[0]))  # Erlang's order is its own
    return Pairs(tuple(pairs))


def _float(value: float) -> float:
    if not isfinite(value):
        raise BadTerm(f"{value} is no number in Erlang")
    return value


def _big(data: bytes, at: int, size: int, sign: int) -> _Read:
    digits, end = _cut(data, at, size)
    value = int.from_bytes(digits, "little")
    return (-value if sign else value), end


def _read_export(data: bytes, at: int) -> _Read:
    """Return `fun m:f/a` as `export` makes it: Erlang has several ways to write its names, and it is one fun."""
    module, at = _name(data, at)
    function, at = _name(data, at)
    if data[at] != 97:
        raise BadTerm("a fun whose arity is no small number")
    return export(module, function, data[at + 1]), at + 2


def _name_end(data: bytes, at: int) -> int:
    return _name(data, at)[1]


def _read_atom(data: bytes, at: int) -> _Read:
    name, end = _name(data, at)
    return (name == "true" if name in ("true", "false") else Atom(name)), end


def _name(data: bytes, at: int) -> tuple[str, int]:
    tag = data[at]
    if tag not in (100, 115, 118, 119):
        raise BadTerm("a name that is no atom")
    wide = tag in (100, 118)
    start = at + (3 if wide else 2)
    found, end = _cut(data, start, _number(data, at + 1, 2 if wide else 1))
    name = str(found, "utf-8" if tag >= 118 else "latin-1")
    if len(name) > _LONGEST_ATOM:
        raise BadTerm("an atom that is longer than any")
    return name, end
