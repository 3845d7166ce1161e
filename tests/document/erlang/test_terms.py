"""Terms are read as Erlang reads them, and written so that Erlang reads them back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.document.erlang.reader import decode, read_terms
from relup.document.erlang.terms import Atom, String, Term, Tuple
from relup.document.erlang.writer import write_terms
from tests.document.erlang.oddities import LATIN_1, TEXTS
from tests.document.erlang.otp import Otp, canonical, started
from tests.document.erlang.strategies import terms


@pytest.fixture(scope="module")
def otp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Otp]:
    with started(tmp_path_factory.mktemp("otp")) as found:
        yield found


def read(text: str | bytes) -> tuple[Term, ...]:
    return read_terms(decode(text.encode() if isinstance(text, str) else text, "f"), "f").terms


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(terms, max_size=2))
def test_erlang_reads_what_is_written_and_what_erlang_writes_is_read(otp: Otp, values: list[Term]) -> None:
    text = write_terms(values)
    assert otp.consult(text.encode()) == canonical(values)
    assert [canonical(read(printed)) for printed in otp.printed()] == [canonical(values)] * 2


@settings(max_examples=150, deadline=None)
@given(st.lists(terms, max_size=2))
def test_what_is_written_is_read_as_the_same_terms(values: list[Term]) -> None:
    assert canonical(read(write_terms(values))) == canonical(values)


OTHERWISE: list[tuple[str, bytes, tuple[Term, ...] | None]] = [
    ("an editor's mark at the start of a file says nothing", b"\xef\xbb\xbfa.", (Atom("a"),)),
    ("before OTP 17 files were Latin-1 and did not say so", b'"\xfc".', (String("\xfc"),)),
    ("Coding is not coding", b'%% Coding: latin-1\n"\xfc".', (String("\xfc"),)),
    ("^? is delete; Erlang once took any character there", b'"\\^?".', (String("\x7f"),)),
    ("texts side by side may stand as near as they like; from OTP 27 on, not", b'"a""b".', (String("ab"),)),
    (
        "words that a release of OTP reserves are atoms in the others",
        b"{maybe, else}.",
        (Tuple((Atom("maybe"), Atom("else"))),),
    ),
    ("there is no control character of a digit", b'"\\^1".', None),
    ("three quotes are another text from OTP 27 on", b'"""a""".', None),
    ("a part of a byte has no counterpart", b"<<1:3>>.", None),
    ("infinity is no float", b"<<1.0e300:32/float>>.", None),
    ("a megabyte in a few characters", b"<<1:9999999>>.", None),
    ("more digits than YAML reads", b"1" + b"0" * 400 + b".", None),
]
"""Texts that Erlang takes otherwise, and why."""


@pytest.mark.parametrize(
    "text", [t.encode() for texts in TEXTS.values() for t in texts] + [t.encode("latin-1") for t in LATIN_1]
)
def test_a_text_means_what_it_means_to_erlang(otp: Otp, text: bytes) -> None:
    assert meaning(text) == otp.consult(text)


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in OTHERWISE], ids=[case[0] for case in OTHERWISE])
def test_a_text_means_something_else(text: bytes, expected: tuple[Term, ...] | None) -> None:
    assert meaning(text) == (None if expected is None else canonical(expected))


def meaning(text: bytes) -> list[Any] | None:
    try:
        return canonical(read(text))
    except InvalidInput:
        return None
