"""What a `.beam` file says of its module: its name, what it exports and calls, its attributes.

OTP's `beam_lib:chunks/2` says the same, but needs an Erlang. Only tables are read, never code, literals or debug
information: the facts are there in stripped files too, except for attributes, which stripping removes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType

from relup.diagnostics import Diagnostic
from relup.document.erlang.chunks import Chunks, Damaged, damage, read_chunks
from relup.document.erlang.external import decode
from relup.document.erlang.terms import LONGEST, MOST_ARGUMENTS, Atom, List, Number, String, Term, Tuple
from relup.model.code import BeamModule

_ROW = struct.Struct(">III")
_MOST = 2**20
"""How many rows a table may have; an Erlang has room for no more atoms, unless it is told to."""


def read_beam(path: Path) -> BeamModule | Diagnostic:
    """Return what the `.beam` file at *path* says, or what is wrong with the file."""
    chunks = read_chunks(path)
    if isinstance(chunks, Diagnostic):
        return chunks
    try:
        return _module(path, chunks)
    except Damaged as error:
        return damage(path, error)


def _module(path: Path, chunks: Chunks) -> BeamModule:
    names = atoms_of(chunks)
    atoms = dict(enumerate(names, 1))
    try:
        exports = [(atoms[function], arity) for function, arity, _ in rows(chunks[b"ExpT"])]
        imports = [(atoms[module], atoms[function], arity) for module, function, arity in rows(chunks[b"ImpT"])]
    except KeyError as error:
        raise Damaged("invalid_chunk", f"it names the atom {error}, and has {len(names):,}") from None
    most = max(map(itemgetter(-1), (*exports, *imports)), default=0)
    if most > MOST_ARGUMENTS:
        raise Damaged("invalid_chunk", f"it has a function of {most:,} arguments")
    attributes = _attributes(chunks.get(b"Attr", b""))
    return BeamModule(
        name=names[0],
        path=str(path),
        exports=frozenset(exports),
        imports=tuple(imports),
        behaviours=_behaviours(attributes),
        attributes=MappingProxyType(attributes),
    )


def rows(table: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the rows of a table: their number, then three numbers each."""
    count = int.from_bytes(table[:4])
    end = 4 + _ROW.size * count
    if end > len(table) or count > _MOST:
        raise Damaged("invalid_chunk", f"it has a table of {len(table):,} bytes that says it has {end:,}")
    return _ROW.iter_unpack(table[4:end])


# ── atoms ──────────────────────────────────────────────────────────────────────────────────────────────


def atoms_of(chunks: Chunks) -> list[str]:
    """Return the names that the tables refer to by number; the first is the module's."""
    table, encoding = (chunks[b"AtU8"], "utf-8") if b"AtU8" in chunks else (chunks[b"Atom"], "latin-1")
    count = int.from_bytes(table[:4], signed=True)
    if abs(count) > _MOST:
        raise Damaged("invalid_chunk", f"it says that it has {abs(count):,} atoms")
    try:
        names = [str(name, encoding) for name in (_long(table, -count) if count < 0 else _short(table, count))]
    except (IndexError, UnicodeDecodeError):
        names = []
    if not names or max(map(len, names)) > LONGEST:
        raise Damaged("invalid_chunk", "its table of atoms is cut off or damaged")
    return names


def _short(table: bytes, count: int) -> list[bytes]:
    """Return atoms with one byte for the length of each."""
    found, at = [], 4
    for _ in range(count):
        start = at + 1
        at = start + table[at]
        found.append(table[start:at])
    return _whole(found, at, table)


def _long(table: bytes, count: int) -> list[bytes]:
    """Return atoms as OTP 28 writes them, which has a negative count for a sign.

    Lengths are written like the operands of instructions: four bits in one byte, or eleven bits in two.
    """
    found, at = [], 4
    for _ in range(count):
        first = table[at]
        if first & 0b1000 == 0:
            size, start = first >> 4, at + 1
        elif first & 0b10000 == 0:
            size, start = first >> 5 << 8 | table[at + 1], at + 2
        else:
            raise IndexError
        at = start + size
        found.append(table[start:at])
    return _whole(found, at, table)


def _whole(found: list[bytes], end: int, table: bytes) -> list[bytes]:
    """Return what was found, unless the table ended before it: slices are short then, and no error."""
    if end > len(table):
        raise IndexError
    return found


# ── attributes ─────────────────────────────────────────────────────────────────────────────────────────


def _attributes(chunk: bytes) -> dict[str, tuple[Term, ...]]:
    """Return the values of each attribute, in the order of names, as `beam_lib` joins them."""
    found: dict[str, list[Term]] = {}
    for name, value in _pairs(decode(chunk)) if chunk else ():
        found.setdefault(name, []).extend(_values(value))
    return {name: tuple(found[name]) for name in sorted(found)}


def _pairs(term: Term) -> Iterator[tuple[str, Term]]:
    match term:
        case List(entries, None):
            for entry in entries:
                match entry:
                    case Tuple((Atom(name), value)):
                        yield name, value
                    case _:
                        raise Damaged("invalid_chunk", "one of its attributes has no name")
        case _:
            raise Damaged("invalid_chunk", "its attributes are no list")


def _values(value: Term) -> Sequence[Term]:
    match value:
        case List(items, None):
            return items
        case String(text):
            return [Number(ord(c)) for c in text]
        case _:
            return [value]


def _behaviours(attributes: Mapping[str, tuple[Term, ...]]) -> tuple[str, ...]:
    """Return the behaviours that a module says it has; Erlang takes the American spelling too."""
    values = (*attributes.get("behaviour", ()), *attributes.get("behavior", ()))
    return tuple(dict.fromkeys([v.name for v in values if isinstance(v, Atom)]))
