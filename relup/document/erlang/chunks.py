"""The chunks of a `.beam` file: what is in them is the business of who asks.

A file is an IFF form: names and sizes, each chunk filled up to four bytes; OTP compresses it as a whole when it strips
releases. Most of its bytes are code, literals, documentation and debug information, so chunks are cut out and not
looked into. A file may have been cut off by a full disk, or be no module at all: sizes are never believed, and what
the loader would refuse for being cut is refused, also where the part that is missing does not matter here.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.text import read_bytes

LIMIT = 128 * 2**20
"""The largest module that is read, in bytes, also when it is compressed."""

DIGESTED = (b"Atom", b"AtU8", b"Code", b"StrT", b"ImpT", b"ExpT", b"FunT", b"LitT", b"Meta")
"""The chunks that the loader uses, in the order in which `beam_lib:md5` digests them."""

_NEEDED = (b"Code", b"StrT", b"ImpT", b"ExpT")
_KEPT = frozenset({*DIGESTED, b"Attr"})

Chunks: TypeAlias = Mapping[bytes, bytes]


class Damaged(Exception):
    """A module is not what a module should be; `code` is OTP's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_chunks(path: Path) -> Chunks | Diagnostic:
    """Return the chunks that count of the module at *path*, or what is wrong with the file."""
    try:
        return _chunks(_plain(read_bytes(path, LIMIT)))
    except InvalidInput as error:
        return error.diagnostics[0]
    except Damaged as error:
        return damage(path, error)


def damage(path: Path, error: Damaged) -> Diagnostic:
    """Return what is wrong with the module at *path* as a finding."""
    return Diagnostic(error.code, f"this module is damaged: {error}", Location(str(path), 1, 1))


def _plain(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.open(io.BytesIO(data)) as file:
            plain = file.read(LIMIT + 1)
    except (OSError, EOFError, zlib.error):
        raise Damaged("not_a_beam_file", "it is compressed, and cannot be decompressed") from None
    if len(plain) > LIMIT:
        raise Damaged("file_too_large", f"it has more than {LIMIT // 2**20} MB when it is decompressed")
    return plain


def _chunks(data: bytes) -> dict[bytes, bytes]:
    if data[:4] != b"FOR1" or data[8:12] != b"BEAM":
        raise Damaged("not_a_beam_file", "it is not a BEAM file")
    found: dict[bytes, bytes] = {}
    at = 12
    while at < len(data):
        name, size, start = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8]), at + 8
        if start > len(data):
            raise Damaged("invalid_beam_file", f"it ends within a chunk's head, near byte {at:,}")
        if name in _KEPT and start + size > len(data):
            had = f"the chunk {name.decode()} has {size:,} bytes, only {len(data) - start:,} are there"
            raise Damaged("chunk_too_big", had)
        if name in _KEPT:
            found.setdefault(name, data[start : start + size])
        at = start + (size + 3) // 4 * 4
    said = 8 + int.from_bytes(data[4:8])
    if said > len(data):
        raise Damaged("invalid_beam_file", f"it says that it has {said:,} bytes, only {len(data):,} are there")
    missing = [n for n in _NEEDED if n not in found]
    if missing or not {b"Atom", b"AtU8"} & found.keys():
        raise Damaged("missing_chunk", f"it has no chunk {(missing[0] if missing else b'AtU8').decode()}")
    return found
