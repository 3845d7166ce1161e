"""BEAM files written on the spot."""

from __future__ import annotations

import struct
from collections.abc import Mapping


def beam(chunks: Mapping[str, bytes]) -> bytes:
    """Return a file of these chunks."""
    parts = [name.encode() + struct.pack(">I", len(c)) + c + bytes(-len(c) % 4) for name, c in chunks.items()]
    return b"FOR1" + struct.pack(">I", 4 + len(b"".join(parts))) + b"BEAM" + b"".join(parts)


def chunks_of(data: bytes) -> dict[str, bytes]:
    """Return the chunks of a file."""
    found, at = {}, 12
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8])
        found[data[at : at + 4].decode()] = data[at + 8 : at + 8 + size]
        at += 8 + (size + 3) // 4 * 4
    return found


def table(rows: list[tuple[int, int, int]]) -> bytes:
    """Return the chunk of a table such as ExpT."""
    return struct.pack(">I", len(rows)) + b"".join(struct.pack(">III", *row) for row in rows)
