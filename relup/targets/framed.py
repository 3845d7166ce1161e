"""Records that can be told from what a crash, or a bad disk, left of them.

A record is a line `[LENGTH,"CHECKSUM",{…}]`: the length in bytes and the checksum of the document that follows. The
line is JSON itself, so people and their tools read it as well. Of any file, whatever was cut off or flipped in it,
exactly the records are read that were written: each is found by its head, and believed when length and checksum agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, TypeAlias

_HEAD = re.compile(rb'\[([1-9][0-9]{0,8}),"([0-9a-f]{16})",')


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no record, and are left out."""

    offset: int
    length: int
    why: Literal["cut", "damaged"]
    """A record that was cut off is the last one; its end was never written, or is gone."""


Part: TypeAlias = dict[str, Any] | Damage


def framed(document: Mapping[str, Any]) -> bytes:
    """Return the line of a record."""
    text = json.dumps(document, separators=(",", ":")).encode()
    return b'[%d,"%s",%s]\n' % (len(text), _checksum(text), text)


def parts(content: bytes, plain: frozenset[str] = frozenset()) -> Iterator[Part]:
    """Yield the records of a file, in their order, and what between them is none.

    Lines that were written before records had a checksum are records when they stand before all that have one, and are
    objects with the keys *plain*; without *plain* there are none.
    """
    position, framed_one = 0, False
    for start, end, document in _framed(content):
        yield from _between(content, position, start, frozenset() if framed_one else plain)
        yield document
        position, framed_one = end, True
    yield from _between(content, position, len(content), frozenset() if framed_one else plain)


def only_record(content: bytes) -> dict[str, Any] | None:
    """Return the record that a file consists of; None when it does not."""
    match list(parts(content)):
        case [dict(document)]:
            return document
        case _:
            return None


def _framed(content: bytes) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield where each record with a checksum begins and ends, and the record."""
    position = 0
    while head := _HEAD.search(content, position):
        text = content[head.end() : head.end() + int(head[1])]
        end = head.end() + len(text)
        document = _document(text) if len(text) == int(head[1]) and _checksum(text) == head[2] else None
        if document is not None and content[end : end + 1] == b"]":
            yield head.start(), end + 1, document
            position = end + 1
        else:
            position = head.start() + 1


def _between(content: bytes, start: int, end: int, plain: frozenset[str]) -> Iterator[Part]:
    """Yield what stands between two records: the ends of lines, old lines, and damage."""
    offset = start
    for line in content[start:end].split(b"\n"):
        document = _document(line) if plain else None
        if document is not None and plain <= document.keys():
            yield document
        elif line:
            yield Damage(offset, len(line), "cut" if offset + len(line) == len(content) else "damaged")
        offset += len(line) + 1


def _document(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _checksum(text: bytes) -> bytes:
    return sha256(text).hexdigest()[:16].encode()
