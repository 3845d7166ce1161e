"""Terms in Erlang's external format: what Erlang writes is read, and what hurts is refused."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.document.erlang.chunks import Damaged
from relup.document.erlang.external import LIMIT, decode
from relup.document.erlang.terms import Binary, Opaque
from relup.document.erlang.writer import flat
from tests.document.erlang.releases import erl

WRITTEN: dict[str, str] = {
    "atom": "atom",
    "'an atom'": "'an atom'",
    "list_to_atom([233])": "é",
    "list_to_atom([26085])": "'日'",
    "list_to_atom(lists:duplicate(255, 16#1f7e6))": "'" + "\N{LARGE BLUE SQUARE}" * 255 + "'",
    "''": "''",
    "[0, 255, 256, -1]": "[0, 255, 256, -1]",
    "2147483648": "2147483648",
    "-(1 bsl 64)": "-18446744073709551616",
    "(1 bsl 3000) rem 1000007 + (1 bsl 3000)": str(2**3000 % 1000007 + 2**3000),
    "[0.0, 1.5, -1.0e300]": "[0.0, 1.5, -1.0e+300]",
    "[]": "[]",
    "{}": "{}",
    "{a, {b, [c | d]}}": "{a, {b, [c | d]}}",
    "lists:duplicate(300, a)": f"[{', '.join(['a'] * 300)}]",
    "list_to_tuple(lists:duplicate(300, a))": f"{{{', '.join(['a'] * 300)}}}",
    '"text"': '"text"',
    "[1, 2, 3]": "[1, 2, 3]",
    "[26085, 26412]": '"日本"',
    "lists:duplicate(70000, $a)": f'"{"a" * 70000}"',
    "[$a | b]": "[97 | b]",
    "[16#d800, 65]": "[55296, 65]",
    '<<"text">>': '<<"text">>',
    "<<1, 2, 255>>": "<<1, 2, 255>>",
    "<<>>": "<<>>",
    "<<1, 5:3>>": "<<1, 5:3>>",
    "#{a => 1}": "#{a => 1}",
    "#{}": "#{}",
    "fun lists:map/2": "fun lists:map/2",
}
"""Erlang that is evaluated, and the text that the term it gives has here."""

LIKE: dict[str, str] = {
    "self()": "#Pid<nonode@nohost.",
    "make_ref()": "#Ref<nonode@nohost.",
    "hd(erlang:ports())": "#Port<nonode@nohost.",
    "fun(X) -> X end": "#Fun<erl_eval.",
    "1 bsl 20000": "16#1000",
    "-(1 bsl 20000)": "-16#1000",
}
"""What only a running Erlang has, and what is too long: how the text starts."""

_ASKED = r"""
{ok, Text} = file:read_file("expressions"),
Evaluated = fun(Line) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Line) ++ "."),
    {ok, Parsed} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Parsed, []),
    Value end,
Forms = [[], [compressed], [{minor_version, 0}], [{minor_version, 1}], [{minor_version, 2}]],
Tell = fun(Line) ->
    Value = Evaluated(Line),
    [io:format("~ts~n", [binary:encode_hex(term_to_binary(Value, Form))]) || Form <- Forms] end,
lists:foreach(Tell, string:lexemes(Text, "\n")),
halt().
"""
_FORMS = 5


def test_terms_are_read_in_every_form_in_which_erlang_writes_them(tmp_path: Path) -> None:
    (tmp_path / "expressions").write_text("\n".join([*WRITTEN, *LIKE]), encoding="utf-8")
    lines = erl(_ASKED, tmp_path)
    terms = [[decode(bytes.fromhex(line)) for line in lines[n : n + _FORMS]] for n in range(0, len(lines), _FORMS)]
    assert len(terms) == len(WRITTEN) + len(LIKE)
    for text, forms in zip(WRITTEN.values(), terms, strict=False):
        assert {flat(term) for term in forms} == {text}
    for start, forms in zip(LIKE.values(), terms[len(WRITTEN) :], strict=True):
        assert all(isinstance(term, Opaque) and term.text.startswith(start) for term in forms), forms


# ── what hurts ─────────────────────────────────────────────────────────────────────────────────────────


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def packed(data: bytes, said: int) -> bytes:
    return b"\x83P" + number(said) + zlib.compress(data)


CUT = "it holds a term that is cut off or damaged [invalid_term]"
DEEP = "it holds a term that is more than 100 levels deep [too_deep]"
HURTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it holds data that is not in Erlang's external format [invalid_term]"),
    "another version": (b"\x82j", "it holds data that is not in Erlang's external format [invalid_term]"),
    "no term": (b"\x83", CUT),
    "a term of an unknown kind": (b"\x83\x01", "it holds a term of an unknown kind, 1 [invalid_term]"),
    "a list of billions": (b"\x83l\xff\xff\xff\xffa", CUT),
    "a tuple of billions": (b"\x83i\xff\xff\xff\xffa", CUT),
    "a map of billions": (b"\x83t\xff\xff\xff\xffa", CUT),
    "a binary of billions": (b"\x83m\xff\xff\xff\xffa", CUT),
    "a number of billions of digits": (b"\x83o\xff\xff\xff\xff\0a", CUT),
    "a reference of many words": (b"\x83Z\xff\xffw\1aaaaa", CUT),
    "lists in lists": (b"\x83" + b"l\0\0\0\1" * 10_000, DEEP),
    "tuples in tuples": (b"\x83" + b"h\1" * 10_000 + b"j", DEEP),
    "arities in arities": (b"\x83" + b"qw\1aw\1a" * 10_000, DEEP),
    "no number": (b"\x83F\x7f\xf0\0\0\0\0\0\0", CUT),
    "no number in text": (b"\x83c" + b"nan".ljust(31, b"\0"), CUT),
    "no number at all in text": (b"\x83c" + b"one".ljust(31, b"\0"), CUT),
    "an atom that is not UTF-8": (b"\x83w\1\xff", CUT),
    "an atom of 256 characters": (b"\x83v\1\0" + b"a" * 256, CUT),
    "a fun of a number": (b"\x83qa\1w\1aa\1", CUT),
    "a fun of 256 arguments": (b"\x83qw\1aw\1ab\0\0\1\0", CUT),
    "bits of no byte": (b"\x83M\0\0\0\0\3", CUT),
    "nine bits of a byte": (b"\x83M\0\0\0\1\x09a", CUT),
    "a closure that ends before it starts": (b"\x83p\0\0\0\4" + bytes(25) + b"w\1a", CUT),
    "compressed, and not": (b"\x83P\0\0\0\1abc", CUT),
    "compressed, and shorter than said": (packed(b"j", 2), CUT),
    "compressed, and longer than said": (packed(b"m\0\0\0\2ab", 3), CUT),
    "compressed twice": (
        packed(inner := packed(b"j", 1)[1:], len(inner)),
        "it holds a term of an unknown kind, 80 [invalid_term]",
    ),
    "compressed, and huge": (
        packed(b"m" + number(2**28) + bytes(2**28), 2**28 + 5),
        "it holds a term of 268,435,461 bytes; terms are read up to 1,048,576 [term_too_large]",
    ),
}


@pytest.mark.parametrize("case", HURTS)
def test_what_hurts_is_refused_at_once(case: str) -> None:
    data, message = HURTS[case]
    started = monotonic()
    with pytest.raises(Damaged) as refused:
        decode(data)
    assert f"{refused.value} [{refused.value.code}]" == message
    assert monotonic() - started < 2


def test_the_largest_term_is_read() -> None:
    size = LIMIT - 6
    assert decode(b"\x83m" + number(size) + bytes(size)) == Binary(bytes(size))


RICH = b"\x83h\x09" + b"".join(
    [
        *(b"w\3vsn", b"n\2\0\1\2", b"l\0\0\0\1w\1aw\1b", b"m\0\0\0\2ab", b"M\0\0\0\2\3ab", b"t\0\0\0\1w\1aa\1"),
        *(b"F" + struct.pack(">d", 1.5), b"qw\1aw\1ba\1", b"Xw\1a" + bytes(12)),
    ]
)


@settings(max_examples=500, deadline=1000)
@given(st.binary(max_size=40), st.integers(0, len(RICH)), st.integers(0, 40))
def test_any_bytes_are_a_term_or_damaged(junk: bytes, at: int, over: int) -> None:
    with suppress(Damaged):
        assert flat(decode(RICH[:at] + junk + RICH[at + over :]))


def test_a_term_that_is_cut_off_anywhere_is_damaged() -> None:
    told = '{vsn, 513, [a | b], <<"ab">>, <<97, 3:3>>, #{a => 1}, 1.5, fun a:b/1, #Pid<a.0.0.0>}'
    assert flat(decode(RICH)) == told
    for end in range(len(RICH)):
        with pytest.raises(Damaged):
            decode(RICH[:end])
