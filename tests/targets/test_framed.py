"""Records with length and checksum: whatever was cut off or damaged, the others are read and the rest is counted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relup.targets.framed import Damage, framed, only_record, parts

ENTRIES = [
    {"at": 1.5, "what": "start", "who": "uid 0", "release": "shop 1", "text": 'a "quoted"\nline, ünïcode'},
    {"at": 2, "what": "begin", "who": "uid 0", "release": "shop 1", "nested": [123, "0123456789abcdef", {}]},
    {"at": 3, "what": "upgrade", "who": "uid 0", "release": "shop 2", "windows_ms": [1.25]},
]
OLD = [
    {"at": 1, "what": "start", "who": "uid 0", "release": "shop 0"},
    {"at": 1, "what": "stop", "who": "uid 0", "release": "shop 0"},
]
PLAIN = frozenset({"at", "what"})
WHOLE = b"".join(map(framed, ENTRIES))
OLD_LINES = b"".join(json.dumps(e).encode() + b"\n" for e in OLD)


def read(content: bytes, plain: frozenset[str] = PLAIN) -> list[dict[str, object]]:
    """Return the records; every byte that is in none, and ends no line, must be counted in a damage."""
    found = list(parts(content, plain))
    records = [part for part in found if isinstance(part, dict)]
    left_out = sum(part.length for part in found if isinstance(part, Damage))
    inside = sum(len(framed(r)) - 1 if r in ENTRIES else len(json.dumps(r)) for r in records)
    assert inside + left_out + content.count(b"\n") == len(content)
    return records


def test_a_file_cut_at_any_byte_gives_the_records_before_and_says_what_is_left() -> None:
    ends = [len(b"".join(map(framed, ENTRIES[:n]))) for n in range(len(ENTRIES) + 1)]
    for length in range(len(WHOLE) + 1):
        # the end of a line may be missing: the record before it is whole
        whole = sum(end - 1 <= length for end in ends[1:])
        assert read(WHOLE[:length]) == ENTRIES[:whole]
        cut = [p for p in parts(WHOLE[:length]) if isinstance(p, Damage)]
        assert [p.why for p in cut] == (["cut"] if length not in (ends[whole], ends[whole] - 1, 0) else [])


def test_of_records_with_a_flipped_bit_the_others_are_read_and_nothing_is_invented() -> None:
    for position in range(len(WHOLE)):
        for bit in range(8):
            damaged = bytearray(WHOLE)
            damaged[position] ^= 1 << bit
            found = read(bytes(damaged))
            struck = [n for n, e in enumerate(ENTRIES) if e not in found]
            assert len(struck) <= 1
            assert found == [e for n, e in enumerate(ENTRIES) if n not in struck]


def test_lines_of_earlier_homes_are_read_before_records_with_a_checksum_and_not_among_them() -> None:
    assert read(OLD_LINES + WHOLE) == [*OLD, *ENTRIES]
    for length in range(len(OLD_LINES) + 1):
        ends = [len(json.dumps(e)) for e in OLD]
        whole = (length >= ends[0]) + (length >= ends[0] + 1 + ends[1])
        assert read(OLD_LINES[:length]) == OLD[:whole]
    assert read(WHOLE + OLD_LINES) == ENTRIES


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([*map(framed, ENTRIES), OLD_LINES, b"\n", b'[9,"']), max_size=8)
)
def test_whatever_is_in_a_file_is_read_or_counted(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    found = list(parts(content, PLAIN))
    assert [p for p in found if isinstance(p, dict) and p in ENTRIES] == [
        entry for piece in pieces for entry in ENTRIES if piece == framed(entry)
    ]


@pytest.mark.parametrize("content", [b"", b"\n", b"[]", b"{}", WHOLE, framed({}) + b"x", framed({})[:-3]])
def test_what_is_not_one_record_is_none(content: bytes) -> None:
    assert only_record(content) is None
    assert only_record(framed(ENTRIES[0])) == ENTRIES[0]
