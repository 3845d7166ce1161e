"""Every mistake in Erlang's text: its place, its words and its code; all of them at once, in order."""

from __future__ import annotations

import pytest

from relup.diagnostics import InvalidInput
from relup.document.erlang.reader import decode, read_terms
from relup.document.erlang.terms import Atom, Binary, String, Tuple
from relup.document.piece import DEPTH, MOST

SCRIPT = "this file is an Erlang script: it builds its term when it is run; {} stands here [erlang_script]"

# each line of what is expected: line:column: message [code]
CASES = {
    "commas left out": (
        '{"2"\n [{"1" [{load_module, a}\n   {load_module b}]}],\n []}.',
        [
            "2:2: expected a comma or }, found [; the { of line 1 is open [bad_term]",
            "2:8: expected a comma or }, found [ [bad_term]",
            "3:4: expected a comma or ], found {; the [ of line 2 is open [bad_term]",
            "3:17: expected a comma or }, found b [bad_term]",
        ],
    ),
    "a term left out": (
        "{a,\n [b,],\n #{c => }}.",
        [
            "2:5: expected a term, found ] [bad_term]",
            "3:9: expected a term, found } [bad_term]",
        ],
    ),
    "a bracket left open": (
        '{"2",\n [{"1", []},\n []}.',
        ["3:4: expected a comma or ], found }; the [ of line 2 is open [bad_term]"],
    ),
    "a bracket too many": ("{a}}.", ["1:4: expected a full stop, found } [bad_term]"]),
    "a file that ends too early": (
        '{"2",\n [{"1"',
        ["2:7: expected a comma or }, found the end of the file [bad_term]"],
    ),
    "no full stop": ("{a}\n% the end\n", ["1:4: expected a full stop, found the end of the file [bad_term]"]),
    "a full stop in the middle": ("{a.\nb}.", ["1:3: expected a comma or }, found a full stop [bad_term]"]),
    "a full stop without white space": ("a.b.", ["1:2: white space stands after a full stop [bad_term]"]),
    "two terms for one": ("a b.", ["1:3: expected a full stop, found b [bad_term]"]),
    "a map without values": ("#{a}.", ["1:4: expected =>, found } [bad_term]"]),
    "an arrow in a tuple": ("{a => b}.", ["1:4: expected a comma or }, found => [bad_term]"]),
    "a sign before a name": ("{-a}.", ["1:3: expected a number, found a [bad_term]"]),
    "an atom in a binary": ("<<a>>.", ["1:3: expected a number, a text or >>, found a [bad_term]"]),
    "half a function": ("[fun a].", ["1:7: expected :, found ] [bad_term]"]),
    "a text that does not end": ('{a,\n "b}.', ["2:2: this text does not end [bad_term]"]),
    "an atom that does not end": ("{a, 'b}.", ["1:5: this quoted atom does not end [bad_term]"]),
    "a dollar sign at the end": ("$", ["1:1: a character stands after a dollar sign [bad_term]"]),
    "a letter that no atom starts with": ("{ωmega}.", ["1:2: 'ω' cannot stand here [bad_term]"]),
    "a byte of zero": ("{a}.\n\0\n{b`}.", ["3:3: '`' cannot stand here [bad_term]"]),
    "a process": ("{<0.1.0>}.", ["1:2: what a node prints of a process cannot be read back [bad_term]"]),
    "a function of a node": ("#Fun<a.1>.", ["1:1: what a node prints of a process cannot be read back [bad_term]"]),
    "three quotes": (
        '{"""\na\n"""}.',
        ["1:2: three quotes in a row mean one thing before OTP 27 and another since; write one pair [bad_term]"],
    ),
    "flaws of literals": (
        '{"a\\x1",\n "b\n\\^1", \'\\x{110000}\', $\\x, 1.0e999, 37#1, 2#12, 1234}.',
        [
            "1:4: this stands for no character [bad_term]",
            "3:1: this stands for no character [bad_term]",
            "3:8: this stands for no character [bad_term]",
            "3:22: this stands for no character [bad_term]",
            "3:26: this number is too large [number_too_large]",
            "3:35: a base is a number from 2 to 36 [bad_term]",
            "3:41: these are not digits of base 2 [bad_term]",
        ],
    ),
    "numbers without end": (
        f"{{{'9' * 5000}, 16#{'F' * 5000}, {'9' * 400}#1, -{'9' * 309}}}.",
        [
            "1:2: this number is too large [number_too_large]",
            "1:5004: this number is too large [number_too_large]",
            "1:10009: a base is a number from 2 to 36 [bad_term]",
            "1:10414: this number is too large [number_too_large]",
        ],
    ),
    "an atom without end": (
        f"{'a' * 300}.",
        ["1:1: an atom has at most 255 characters, this one has 300 [bad_term]"],
    ),
    "parts of binaries": (
        '{<<1:3>>, <<"a"/binary>>, <<1:99999999>>, <<X>>}.',
        [
            "1:2: only whole bytes are read, and this binary ends within one [bad_term]",
            "1:13: this value does not fit its size and types, or takes more than 16,777,216 bits [bad_term]",
            "1:29: this value does not fit its size and types, or takes more than 16,777,216 bits [bad_term]",
            f"1:45: {SCRIPT.format('the variable X')}",
        ],
    ),
    "nesting without end": (
        "[" * 5000 + "]" * 5000 + ".",
        [f"1:{DEPTH + 1}: collections are nested more than {DEPTH} deep [too_deep]"],
    ),
    "variables": (
        "{X,\n [_, VSn]}.",
        [
            f"1:2: {SCRIPT.format('the variable X')}",
            f"2:3: {SCRIPT.format('the variable _')}",
            f"2:6: {SCRIPT.format('the variable VSn')}",
        ],
    ),
    "a line for the shell": ("#!/usr/bin/escript\na.", [f"1:1: {SCRIPT.format('a line for the shell')}"]),
    "a record": ("{#r{a = 1}}.", [f"1:2: {SCRIPT.format('a record')}"]),
    "a macro": ("{?VSN}.", [f"1:2: {SCRIPT.format('a macro')}"]),
    "a call": ("{lists:seq(1, 2)}.", [f"1:7: {SCRIPT.format('a call')}"]),
    "a call of the same module": ("{seq(1, 2)}.", [f"1:5: {SCRIPT.format('a call')}"]),
    "an expression": ("{1 + 1}.", [f"1:4: {SCRIPT.format('the operator +')}"]),
    "a match": ("{ok, T} = a.", [f"1:9: {SCRIPT.format('the operator =')}"]),
    "lists put together": ('{"a" ++ "b"}.', [f"1:6: {SCRIPT.format('the operator ++')}"]),
    "a comprehension": ("[a || true].", [f"1:4: {SCRIPT.format('the operator ||')}"]),
    "a case": ("case a of b -> c end.", [f"1:1: {SCRIPT.format('the word case')}"]),
    "a function with a body": ("{fun() -> ok end}.", [f"1:5: {SCRIPT.format('a call')}"]),
    "a variable after a word": ("{fun M:f/1}.", [f"1:6: {SCRIPT.format('the variable M')}"]),
    "a template": (
        '{"%VSN%", [{<<"{{vsn}}">>, []}, {VSN, []}], []}.',
        ["1:2: a build tool would fill in the version here [needs_vsn]"],
    ),
    "a template in a variable": ("{VSN}.", ["1:2: a build tool would fill in the version here [needs_vsn]"]),
    "a template with other flaws": (
        '{"%VSN%", 1.0e999}.',
        [
            "1:2: a build tool would fill in the version here [needs_vsn]",
            "1:11: this number is too large [number_too_large]",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_text_is_refused_with(case: str) -> None:
    text, wanted = CASES[case]
    with pytest.raises(InvalidInput) as caught:
        read_terms(text, "f")
    assert [f"{d.location}: {d.message} [{d.code}]" for d in caught.value.diagnostics] == [f"f:{w}" for w in wanted]


def test_a_message_never_holds_a_whole_value() -> None:
    for text in ("{" + "a" * 10_000 + " b}.", "[X" + "y" * 10_000 + ", " + "=" * 10_000 + "]."):
        with pytest.raises(InvalidInput) as caught:
            read_terms(text, "f")
        assert all(len(str(d)) < 400 for d in caught.value.diagnostics)


def test_mistakes_without_number_are_told_up_to_a_thousand() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_terms("[" + "a\n" * 5_000 + "].", "f")
    assert [d.location.line for d in caught.value.diagnostics if d.location] == [*range(2, MOST + 2)]
    with pytest.raises(InvalidInput) as caught:
        read_terms("[" + "X,\n" * 5_000 + "a].", "f")
    assert len(caught.value.diagnostics) == MOST


def test_a_template_is_filled_wherever_a_build_tool_would() -> None:
    text = '{"%VSN%-rc", <<"v{{vsn}}">>, VSN, \'%VSN%\', "VSN"}. % %VSN%'
    (term,) = read_terms(text, "f", "1.10").terms
    assert term == Tuple((String("1.10-rc"), Binary(b"v1.10"), String("1.10"), Atom("%VSN%"), String("VSN")))


def test_a_declared_coding_must_hold() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(b"%% coding: utf-8\n{a,\n \xfc}.", "f")
    assert str(caught.value) == "f:3:2: this byte is not UTF-8 text [not_utf8]"


def test_every_term_knows_its_place() -> None:
    (term,) = read_terms('{a, "b"\n "c",\n  [-1, <<2>>, #{d => {e}}, fun f:g/1]}.', "f").terms
    assert isinstance(term, Tuple)
    assert [term.spot, *(item.spot for item in term.items)] == [(1, 1), (1, 2), (1, 5), (3, 3)]
    assert [item.spot for item in term.items[2].items] == [(3, 4), (3, 8), (3, 15), (3, 28)]  # type: ignore[union-attr]


def test_comments_are_found_where_they_stand() -> None:
    text = '%%% head %\n{a, % b\n  "% no", $%, \'%\',\n\t%\n <<"%">>}. %end'
    assert [tuple(c) for c in read_terms(text, "f").comments] == [
        (1, 1, "head %", True),
        (2, 5, "b", False),
        (4, 2, "", True),
        (5, 12, "end", False),
    ]
