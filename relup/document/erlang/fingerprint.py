"""The fingerprint of a module: the MD5 that `beam_lib:md5/1` and `Module:module_info(md5)` give.

A digest of the file would change with every compilation: the file also holds debug information, documentation and
where and when it was compiled. So the chunks that the loader uses are digested, in OTP's order, and nothing else.
Of the table of funs one field is left out too: a number that older compilers made differently on each machine.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from relup.diagnostics import Diagnostic
from relup.document.erlang.chunks import DIGESTED, Chunks, read_chunks

_FUN = 24  # function, arity, code, index, free variables, and the number that is left out: four bytes each


def fingerprint(path: Path) -> str | Diagnostic:
    """Return the MD5 (hex) of the module in the `.beam` file at *path*, or what is wrong with the file."""
    chunks = read_chunks(path)
    return chunks if isinstance(chunks, Diagnostic) else _digest(chunks)


def _digest(chunks: Chunks) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    for name in DIGESTED:
        md5.update(_funs(chunks[name]) if name == b"FunT" and name in chunks else chunks.get(name, b""))
    return md5.hexdigest()


def _funs(table: bytes) -> bytes:
    count, funs = table[:4], table[4:]
    whole = len(funs) - len(funs) % _FUN
    kept = (funs[n : n + _FUN - 4] + bytes(4) for n in range(0, whole, _FUN))
    return b"".join((count, *kept, funs[whole:]))
