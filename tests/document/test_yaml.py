"""What YAML means here, and what is wrong with a YAML file."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.document.piece import Piece, locate
from relup.document.yaml_reader import Parser, read_yaml

PARSERS = [Parser, yaml.SafeLoader]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5", 5),
        ("-5", -5),
        ("0", 0),
        ("1.5", 1.5),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("+5", "+5"),
        (".5", ".5"),
        ("5.", "5."),
        ("12:30:45", "12:30:45"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22 10:00:00", "2026-11-22 10:00:00"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("=", "="),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("１２", "１２"),
        ("[1, 010, on]", [1, "010", "on"]),
        ("{a: 1, on: 2}", {"a": 1, "on": 2}),
        ("'<<'", "<<"),
    ],
)
@pytest.mark.parametrize("parser", PARSERS)
def test_free_data_means(written: str, meant: Any, parser: Any) -> None:
    value = read_yaml(f"args: {written}\n", "f", parser).value()["args"]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize("written", ["1.10", "010", "on", "1", "1e3", "2026-11-22", "1_000", "12:30:45", "-0", "no"])
def test_a_text_is_what_is_written(written: str) -> None:
    assert read_yaml(f"vsn: {written}\n", "f").fields()["vsn"].text() == written


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ["1:1 empty_file"]),
        ("# only a comment\n", ["1:1 empty_file"]),
        ("a: 1\n---\nb: 1\n", ["2:1 several_documents"]),
        ("a: 1\na: 2\n", ["2:1 duplicate_key"]),
        ("a: 1\nb: {c: 1, c: 2}\na: 2\n", ["2:11 duplicate_key", "3:1 duplicate_key"]),
        ("b: &b {x: 1}\na:\n  <<: *b\n", ["3:3 merge_key"]),
        ("a: !custom 1\n", ["1:4 custom_tag"]),
        ("a: !!python/object:os.system [x]\n", ["1:4 custom_tag"]),
        ("a: !!int 1\nb: !!map {}\n", ["1:4 custom_tag", "2:4 custom_tag"]),
        ("1: a\ntrue: b\n~: c\n1.5: d\n", ["1:1 bad_key", "2:1 bad_key", "3:1 bad_key", "4:1 bad_key"]),
        ("? [a, b]\n: 1\n? {c: d}\n: 2\n", ["1:3 bad_key", "3:3 bad_key"]),
        ("a: &x k\n*x : 1\n", ["2:1 bad_key"]),
        ("a: *x\n", ["1:4 undefined_alias"]),
        ("a: &x [1, *x]\n", ["1:11 recursive_alias"]),
        ("a: &x {b: {c: *x}}\n", ["1:15 recursive_alias"]),
        ("a: [1, 2\n", ["2:1 yaml_syntax"]),
        ("a: 'x\n", ["2:1 yaml_syntax"]),
        ("a:\n\t- b\n", ["2:1 yaml_syntax"]),
        ("a: b: c\n", ["1:5 yaml_syntax"]),
        ("a: 1\n b: 2\n", ["2:3 yaml_syntax"]),
        ("a: @x\n", ["1:4 yaml_syntax"]),
        ("a: %x\n", ["1:4 yaml_syntax"]),
        ("a: 1\x00\n", ["1:5 control_character"]),
        ("a: 1\nb: \x1b[0m\n", ["2:4 control_character"]),
        ("a: x\u2028y\n", ["1:5 control_character"]),
        ("a: 1e999\nb: " + "9" * 500 + "\n", ["1:4 number_too_large", "2:4 number_too_large"]),
        ("a: " + "[" * 200, ["1:103 too_deep"]),
        ("a: " + "{a: " * 200, ["1:400 too_deep"]),
        ("- " * 5_000, ["1:201 too_deep"]),
        ("? " * 5_000, ["1:3 bad_key"]),
    ],
)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_file_is_refused_with(text: str, wanted: list[str], parser: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_yaml(text, "f", parser)
    found = [f"{d.location.line}:{d.location.column} {d.code}" for d in caught.value.diagnostics if d.location]
    assert found[: len(wanted)] == wanted
    assert "\n" not in caught.value.diagnostics[0].message


def test_a_tab_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"f:2:1: a tab stands here; YAML is indented with spaces \[yaml_syntax\]"):
        read_yaml("a:\n\tb: 1\n", "f")


def bomb(levels: int, width: int = 9) -> str:
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def test_exploding_aliases_are_refused_where_they_explode() -> None:
    with pytest.raises(InvalidInput, match=r"f:6:\d+: the aliases of this file expand to more than 100,000 values"):
        read_yaml(bomb(20), "f")


def test_aliases_that_nest_without_growing_are_refused() -> None:
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 500))
    with pytest.raises(InvalidInput, match="nested more than 100 deep"):
        read_yaml(chain, "f")


def test_an_alias_stands_for_its_value() -> None:
    piece = read_yaml("a: &x {deep: [1, two]}\nb: *x\nc: &y 1.10\nd: *y\n", "f")
    assert piece.value() == {"a": {"deep": [1, "two"]}, "b": {"deep": [1, "two"]}, "c": 1.1, "d": 1.1}
    assert str(locate(piece, ["b", "deep", 1])) == "f:1:18"


def test_every_value_has_its_place() -> None:
    piece = read_yaml("a:\n  - x\n  - b: 5\n    'c d': [u,\n      v]\n", "f")
    assert str(locate(piece, [])) == "f:1:1"
    assert str(locate(piece, ["a", 0])) == "f:2:5"
    assert str(locate(piece, ["a", 1, "c d", 1])) == "f:5:7"
    assert str(locate(piece, ["a", 1], key="c d")) == "f:4:5"
    assert str(locate(piece, ["a", 1, "missing"])) == "f:3:5"
    assert locate(Piece({"a": 1}), ["a"]) is None


@pytest.mark.parametrize(
    "text",
    ['{"a": "\\ud83d\\ude00"}', '{"a":"x\x7fy"}', '{"a": "x\u2028y"}', '{\n\t"a": [1.0, "1.10"]\n}', '{"a": "\\/"}'],
)
def test_json_is_read_as_json_reads_it(text: str) -> None:
    import json

    assert read_yaml(text, "f").value() == json.loads(text)


@pytest.mark.parametrize("text", ['{"a": "\x7f", "a": 1}', '{"a": "\x7f", "b": NaN}', '{"a": "\x7f", "b": 1e999}'])
def test_json_that_json_readers_differ_on_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_yaml(text, "f")


def test_json_nested_without_end_is_refused() -> None:
    with pytest.raises(InvalidInput):
        read_yaml('{"a": "\x7f", "b": ' + "[" * 5_000 + "]" * 5_000 + "}", "f")


pieces = st.sampled_from(
    ["a", "b: ", "- ", "[", "]", "{", "}", ",", ": ", "\n", "\n  ", "&x ", "*x", "!t ", "'", '"', "|", ">", "? ", "#",
     "---", "...", "%", "\t", "<<", "1.10", "~", "on", "\x00", "é", "\ufeff", "\u2028", "\\"]
)  # fmt: skip


def one_line_each(error: InvalidInput) -> bool:
    return all(d.location and "\n" not in d.message for d in error.diagnostics)


@settings(max_examples=400, deadline=None)
@given(st.lists(pieces, max_size=25).map("".join) | st.text(max_size=60))
def test_any_text_is_read_or_refused_alike_by_both_parsers(text: str) -> None:
    found = []
    for parser in PARSERS:
        try:
            found.append(read_yaml(text, "f", parser).value())
        except InvalidInput as error:
            found.append("refused" if one_line_each(error) else "several lines")
    c, pure = found
    assert c == pure or "refused" in found
    assert "several lines" not in found


def test_problems_without_number_are_told_up_to_a_thousand() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_yaml("a:\n" * 100_000, "f")
    assert [d.code for d in caught.value.diagnostics] == ["duplicate_key"] * 1_000 + ["too_many_problems"]
