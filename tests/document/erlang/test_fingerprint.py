"""Fingerprints of modules, what does not count in them, and what is said of files that are no modules."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relup.diagnostics import Diagnostic
from relup.document.erlang.fingerprint import fingerprint
from tests.document.erlang.modules import beam

FUN = b"0123456789abcdefghij"
WHOLE = {"AtU8": b"\0\0\0\1\1m", "Code": b"code", "StrT": b"", "ImpT": b"\0\0\0\0", "ExpT": b"\0\0\0\0"}


def print_of(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    found = fingerprint(path)
    assert isinstance(found, str)
    return found


def test_what_the_loader_does_not_use_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "m.beam"
    wanted = print_of(file, beam(WHOLE))
    assert print_of(file, beam(WHOLE | {"Dbgi": b"debug", "CInf": b"yesterday", "Docs": b"d"})) == wanted
    assert print_of(file, gzip.compress(beam(WHOLE))) == wanted
    assert print_of(file, beam(WHOLE | {"LitT": b"literals"})) != wanted
    assert print_of(file, beam(WHOLE | {"Meta": b"meta"})) != wanted
    assert print_of(file, beam(dict(reversed(WHOLE.items())))) == wanted


def test_one_number_of_each_fun_does_not_count(tmp_path: Path) -> None:
    def funs(first: bytes, second: bytes) -> bytes:
        return beam(WHOLE | {"FunT": b"\0\0\0\2" + FUN + first + FUN + second})

    file = tmp_path / "m.beam"
    assert print_of(file, funs(b"1234", b"5678")) == print_of(file, funs(b"abcd", b"efgh"))


DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is not a BEAM file [not_a_beam_file]"),
    "text": (b"-module(m).\n", "it is not a BEAM file [not_a_beam_file]"),
    "another form": (b"FOR1\0\0\0\4AIFF", "it is not a BEAM file [not_a_beam_file]"),
    "no chunks": (beam({}), "it has no chunk Code [missing_chunk]"),
    "no atoms": (beam({k: v for k, v in WHOLE.items() if k != "AtU8"}), "it has no chunk AtU8 [missing_chunk]"),
    "no exports": (beam({k: v for k, v in WHOLE.items() if k != "ExpT"}), "it has no chunk ExpT [missing_chunk]"),
    "cut within a chunk": (
        beam(WHOLE | {"LitT": b"x" * 8})[:-5],
        "the chunk LitT has 8 bytes, only 3 are there [chunk_too_big]",
    ),
    "cut within what does not count": (
        beam(WHOLE | {"Docs": b"x" * 8})[:-5],
        "it says that it has 88 bytes, only 83 are there [invalid_beam_file]",
    ),
    "cut within a head": (beam(WHOLE) + b"Lit", "it ends within a chunk's head, near byte 72 [invalid_beam_file]"),
    "cut and compressed": (
        gzip.compress(beam(WHOLE))[:-12],
        "it is compressed, and cannot be decompressed [not_a_beam_file]",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_module_is_named(case: str, tmp_path: Path) -> None:
    data, message = DAMAGED[case]
    file = tmp_path / "m.beam"
    file.write_bytes(data)
    assert str(fingerprint(file)) == f"{file}:1:1: this module is damaged: {message}"


def test_a_module_that_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.beam")
    assert str(fingerprint(tmp_path / "pipe.beam")).endswith("this is not a regular file [not_a_file]")
    assert str(fingerprint(tmp_path / "gone.beam")).endswith("there is no such file [no_such_file]")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.integers(0, 80))
def test_any_bytes_are_a_module_or_damaged(tmp_path: Path, junk: bytes, at: int) -> None:
    file, whole = tmp_path / "m.beam", beam(WHOLE)
    file.write_bytes(whole[:at] + junk + whole[at:])
    assert isinstance(fingerprint(file), str | Diagnostic)
