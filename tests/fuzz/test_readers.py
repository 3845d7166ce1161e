"""Every reader says yes or no to whatever it is given, in bounds; the long form is `python -m tests.fuzz readers`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.readers import readers
from tests.fuzz.shapes import drawn
from tests.fuzz.trial import Fault, Reader, bounded, tried

MUTATED, DRAWN = 25, 15
"""Inputs for each reader: two seconds for all."""
NAMES = sorted(
    [
        *("appup", "draft", "appup-to-erlang", "release", "plan", "route", "document", "plan-on-wire"),
        *("erlang-appup", "erlang-to-yaml", "app", "rel", "otp-relup", "sys.config"),
        *("external", "etf", "beam", "beam-chunk", "wheel", "dist-info", "pyproject"),
    ]
)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Reader]]:
    with bounded():
        yield readers(tmp_path_factory.mktemp("readers"))


def test_every_reader_is_tried(every: dict[str, Reader]) -> None:
    assert sorted(every) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_takes_or_refuses_whatever_it_is_given(name: str, every: dict[str, Reader]) -> None:
    reader, faults = every[name], list[Fault | None]()
    for data in islice(mutated(reader.seeds, reader.words, Random(7), reader.parsed), MUTATED):
        faults.append(tried(reader, data))
    drawn(reader, DRAWN, 7, lambda data: faults.append(tried(reader, data)))
    assert len(faults) == MUTATED + DRAWN
    assert [str(f) for f in faults if f] == []


DEEP, LONG = 20_000, 300_000
BOMBS: dict[str, tuple[str, bytes]] = {
    "aliases": (
        "appup",
        b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 121)),
    ),
    "an alias in itself": ("appup", b"a: &a [*a]\n"),
    "deep lists": ("appup", b"[" * DEEP + b"]" * DEEP),
    "deep mappings": ("release", b"{a: " * DEEP + b"}" * DEEP),
    "deep indentation": ("plan", b"".join(b" " * n + b"-\n" for n in range(600))),
    "deep JSON": ("plan-on-wire", b"[" * DEEP),
    "a long number": ("appup", b"vsn: " + b"9" * LONG),
    "a long number on the wire": ("plan-on-wire", b'{"a": ' + b"9" * LONG + b"}"),
    "a long text": ("appup", b"vsn: " + b"x" * LONG),
    "a long key": ("appup", b"? " + b"x" * LONG + b"\n: 1\n"),
    "one key again and again": ("appup", b"a: 1\n" * 20_000),
    "a number with an exponent": ("release", b"vsn: 1e999999999"),
    "deep terms": ("sys.config", b"{" * DEEP + b"}" * DEEP + b"."),
    "a long integer": ("sys.config", b"16#" + b"F" * LONG + b"."),
    "a long float": ("sys.config", b"1.0e999999999."),
    "a wide bit field": ("sys.config", b"<<1:16777217>>."),
    "a wide unit": ("sys.config", b"<<1:99999999999999/unit:256>>."),
    "many wide bit fields": ("sys.config", b"<<" + b"1:16000000," * 2_000 + b"1>>."),
    "a character beyond all": ("sys.config", b'"\\x{FFFFFFFFFFFFFFFFFF}".'),
    "texts in a row": ("sys.config", b'"a" ' * 20_000 + b"."),
    "a compressed term": ("external", b"\x83P\x7f\xff\xff\xff" + b"x\x9c" + b"\xed\xc1" * 1_000),
    "a tuple that says it is large": ("external", b"\x83i\xff\xff\xff\xff"),
    "a map that says it is large": ("etf", b"\x83t\xff\xff\xff\xff"),
    "deep external terms": ("external", b"\x83" + b"h\x01" * DEEP),
    "deep external lists": ("etf", b"\x83" + b"l\x00\x00\x00\x01" * DEEP),
    "a large integer": ("etf", b"\x83o\x00\x04\x00\x00\x00" + b"\xff" * 2**18),
    "a table that says it is large": ("beam-chunk", b"\x04\xff\xff\xff\xff"),
    "deep tables of toml": ("pyproject", b"a = " + b"[" * DEEP),
    "dotted keys of toml": ("pyproject", b"a" + b".a" * 3_000 + b" = 1\n"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_small_files_that_mean_to_be_large_are_bounded(case: str, every: dict[str, Reader]) -> None:
    name, data = BOMBS[case]
    fault = tried(every[name], data)
    assert fault is None, str(fault)


def test_a_reader_that_raises_is_found() -> None:
    def careless(data: bytes) -> int:
        return data[3]

    with bounded():
        assert tried(Reader("careless", careless, [], []), b"1234") is None
        found = tried(Reader("careless", careless, [], []), b"123")
        greedy = tried(Reader("greedy", lambda _: bytearray(2**33), [], []), b"")
    assert found is not None
    assert "IndexError" in found.what
    assert greedy is not None
    assert "MemoryError" in greedy.what


def test_files_are_written_where_they_should_be(tmp_path: Path) -> None:
    reader = readers(tmp_path)["appup"]
    assert tried(reader, reader.seeds[0]) is None
    assert (tmp_path / "a.appup.yaml").read_bytes() == reader.seeds[0]
