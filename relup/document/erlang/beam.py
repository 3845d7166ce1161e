"""The fingerprint of a module: the MD5 that `beam_lib:md5/1` and `Module:module_info(md5)` give.

A digest of the file would change with every compilation: the file also holds debug information, documentation and
where and when it was compiled. So the chunks that the loader uses are digested, in OTP's order, and nothing else.
Of the table of funs one field is left out too: a number that older compilers made differently on each machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.text import read_bytes

LIMIT = 128 * 2**20
"""The largest module that is read, in bytes, also when it is compressed."""

_DIGESTED = (b"Atom", b"AtU8", b"Code", b"StrT", b"ImpT", b"ExpT", b"FunT", b"LitT", b"Meta")
_NEEDED = (b"Code", b"StrT", b"ImpT", b"ExpT")
_FUN = 24  # function, arity, code, index, free variables, and the number that is left out: four bytes each


class _Damaged(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def fingerprint(path: Path) -> str | Diagnostic:
    """Return the MD5 (hex) of the module in the `.beam` file at *path*, or what is wrong with the file."""
    try:
        chunks = _chunks(_plain(read_bytes(path, LIMIT)))
    except InvalidInput as error:
        return error.diagnostics[0]
    except _Damaged as error:
        return Diagnostic(error.code, f"this module is damaged: {error}", Location(str(path), 1, 1))
    digest = hashlib.md5(usedforsecurity=False)
    for name in _DIGESTED:
        digest.update(_funs(chunks[name]) if name == b"FunT" and name in chunks else chunks.get(name, b""))
    return digest.hexdigest()


def _plain(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.open(io.BytesIO(data)) as file:
            plain = file.read(LIMIT + 1)
    except (OSError, EOFError, zlib.error):
        raise _Damaged("not_a_beam_file", "it is compressed, and cannot be decompressed") from None
    if len(plain) > LIMIT:
        raise _Damaged("file_too_large", f"it has more than {LIMIT // 2**20} MB when it is decompressed")
    return plain


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Return the chunks that count; the file is an IFF form: names and sizes, each filled up to four bytes."""
    if data[:4] != b"FOR1" or data[8:12] != b"BEAM":
        raise _Damaged("not_a_beam_file", "it is not a BEAM file")
    found: dict[bytes, bytes] = {}
    at = 12
    while at < len(data):
        name, size, start = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8]), at + 8
        if start > len(data):
            raise _Damaged("invalid_beam_file", f"it ends within a chunk's head, near byte {at:,}")
        if name in _DIGESTED and start + size > len(data):
            had = f"the chunk {name.decode()} has {size:,} bytes, only {len(data) - start:,} are there"
            raise _Damaged("chunk_too_big", had)
        if name in _DIGESTED:
            found.setdefault(name, data[start : start + size])
        at = start + (size + 3) // 4 * 4
    missing = [n for n in _NEEDED if n not in found]
    if missing or not {b"Atom", b"AtU8"} & found.keys():
        raise _Damaged("missing_chunk", f"it has no chunk {(missing[0] if missing else b'AtU8').decode()}")
    return found


def _funs(table: bytes) -> bytes:
    count, funs = table[:4], table[4:]
    whole = len(funs) - len(funs) % _FUN
    kept = (funs[n : n + _FUN - 4] + bytes(4) for n in range(0, whole, _FUN))
    return b"".join((count, *kept, funs[whole:]))
