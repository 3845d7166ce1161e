"""Every mistake in an appup of OTP: its place, its words, and OTP's tag where OTP has one; all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput
from relup.document.erlang.appup import read_erlang_appup

FORM = "expected {Vsn, [{UpFrom, Instructions}], [{DownTo, Instructions}]}, found"
DOCUMENTS = {
    "nothing": ("% nothing\n", ["1:1: the file is empty [empty_file]"]),
    "another tuple": ("{a}.", [f"1:1: {FORM} {{a}} [bad_appup]"]),
    "an application": (
        "{application, a, []}.",
        [
            "1:2: expected a version as text, found application [bad_appup]",
            "1:15: expected a list of {Version, Instructions}, found a [bad_appup]",
        ],
    ),
    "no lists": (
        '{"2", up, {"1", []}}.',
        [
            "1:7: expected a list of {Version, Instructions}, found up [bad_appup]",
            '1:11: expected a list of {Version, Instructions}, found {"1", []} [bad_appup]',
        ],
    ),
    "entries that are none": (
        '{"2", [{"1"}, {1, []}, {"1", up}], [[]]}.',
        [
            '1:8: expected {Version, Instructions}, found {"1"} [bad_appup]',
            "1:16: expected a version as text, found 1 [bad_appup]",
            "1:30: expected a list, found up [bad_list]",
            "1:37: expected {Version, Instructions}, found [] [bad_appup]",
        ],
    ),
    "a version of half a character": (
        "{[$1, 55296], [], []}.",
        ["1:2: expected a version as text, found [49, 55296] [bad_appup]"],
    ),
    "an empty version": ('{"", [], []}.', ["1:2: expected text, found an empty text [empty_text]"]),
    "a pattern that is none": (
        '{"2",\n [{<<"1(">>, []},\n  {<<255>>, []}],\n []}.',
        ["3:4: expected a regular expression in UTF-8, found <<255>> [bad_regex]"],
    ),
    "a pattern that is no regular expression": (
        '{"2",\n [{<<"1(">>, []}],\n []}.',
        ["2:4: this is not a regular expression: missing ), unterminated subpattern at position 1 [bad_regex]"],
    ),
}

# each case stands where an instruction does, in a line of its own
INSTRUCTIONS = {
    "a number": ("5", ["2:1: expected an instruction, found 5 [bad_instruction]"]),
    "an unknown one": (
        "{lod_module, m}",
        ["2:1: unknown instruction 'lod_module' (did you mean 'load_module'?) [bad_instruction]"],
    ),
    "an unknown name": ("restart", ["2:1: unknown instruction 'restart' (did you mean 'start'?) [bad_instruction]"]),
    "a backup": ("mnesia_backup", ["2:1: no release of OTP can do mnesia_backup [not_yet_implemented]"]),
    "a name that needs fields": (
        "load_module",
        ["2:1: expected {load_module, module}, found load_module [bad_instruction]"],
    ),
    "fields where none are": (
        "{restart_emulator, now}",
        ["2:1: expected restart_emulator, found {restart_emulator, now} [bad_instruction]"],
    ),
    "too few fields": (
        "{load, m}",
        ["2:1: expected {load, {module, pre_purge, post_purge}}, found {load, m} [bad_instruction]"],
    ),
    "too many fields": (
        "{add_module, m, [], x}",
        ["2:1: expected {add_module, module, depends}, found {add_module, m, [], x} [bad_instruction]"],
    ),
    "no fields": ("{}", ["2:1: expected an instruction, found {} [bad_instruction]"]),
    "neither change nor depends": (
        "{update, m, hard}",
        [
            "2:1: expected {update, module, change} or {update, module, depends}, found {update, m, hard}"
            " [bad_instruction]"
        ],
    ),
    "half a call": (
        "{apply, {m, f}}",
        ["2:1: expected {apply, {module, function, args}}, found {apply, {m, f}} [bad_instruction]"],
    ),
    "a call of nothing": (
        "{apply, {1, 2, 3}}",
        [
            "2:10: expected the name of a module, found 1 [bad_module]",
            "2:13: expected the name of a function, found 2 [bad_func]",
            "2:16: expected a list of arguments, found 3 [bad_args_list]",
        ],
    ),
    "modules that are none": (
        '{load_module, "m", soft, [], [n, 5]}',
        [
            '2:15: expected the name of a module, found "m" [bad_module]',
            "2:20: expected soft_purge or brutal_purge, found soft [bad_purge_method]",
            "2:26: expected soft_purge or brutal_purge, found [] [bad_purge_method]",
            "2:34: expected the name of a module, found 5 [bad_module]",
        ],
    ),
    "no list of modules": ("{purge, m}", ["2:9: expected a list, found m [bad_list]"]),
    "a list that does not end in one": ("{purge, [m | n]}", ["2:9: expected a list, found [m | n] [bad_list]"]),
    "a change that is none": (
        "{update, m, hard, soft_purge, soft_purge, []}",
        ["2:13: expected soft or {advanced, Extra}, found hard [bad_change]"],
    ),
    "a time that is none": (
        "{update, m, 0, soft, soft_purge, soft_purge, []}",
        ["2:13: expected milliseconds above 0, default or infinity, found 0 [bad_timeout]"],
    ),
    "half a millisecond": (
        "{suspend, [{m, 0.5}]}",
        ["2:16: expected milliseconds above 0, default or infinity, found 0.5 [bad_timeout]"],
    ),
    "a kind of module": (
        "{update, m, x, default, soft, soft_purge, soft_purge, []}",
        ["2:13: expected static or dynamic, found x [bad_mod_type]"],
    ),
    "an application by its text": (
        '{restart_application, "a"}',
        ['2:23: expected the name of an application, found "a" [bad_application]'],
    ),
    "a type that is none": (
        "{add_application, a, now}",
        ["2:22: expected permanent, transient, temporary, load or none, found now [bad_start_type]"],
    ),
    "a library": (
        "{load_object_code, {1, a, [m]}}",
        [
            "2:21: expected the name of an application, found 1 [bad_lib]",
            "2:24: expected a version, found a [bad_lib_vsn]",
        ],
    ),
    "a module alone": ("{code_change, [m]}", ["2:16: expected {Module, Extra}, found m [bad_code_change]"]),
    "a direction": ("{code_change, sideways, []}", ["2:15: expected up or down, found sideways [bad_mode]"]),
    "nodes": ('{sync_nodes, a, ["n"]}', ['2:18: expected the name of a node, found "n" [bad_node]']),
    "a node alone": ("{sync_nodes, a, n}", ["2:17: expected a list, found n [bad_list]"]),
    "an empty name": ("{load_module, ''}", ["2:15: expected text, found an empty text [bad_module]"]),
    "data too deep for YAML": (
        f"{{apply, {{m, f, [{'{' * 50}{'}' * 50}]}}}}",
        ["2:17: in YAML, this would be nested too deep [too_deep]"],
    ),
}
MISTAKES = DOCUMENTS | {
    n: (f'{{"2", [{{"1", [\n{text}]}}], []}}.', wanted) for n, (text, wanted) in INSTRUCTIONS.items()
}


@pytest.mark.parametrize("case", MISTAKES)
def test_an_appup_is_refused_with(case: str, tmp_path: Path) -> None:
    text, wanted = MISTAKES[case]
    file = tmp_path / "a.appup"
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_erlang_appup(file)
    assert str(caught.value).splitlines() == [f"{file}:{line}" for line in wanted]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.appup"
    file.write_text('{"2",\n [{"1", [{load, m},\n   {purge, m}, x]}],\n [{2, []}]}.\n')
    with pytest.raises(InvalidInput) as caught:
        read_erlang_appup(file)
    assert [(d.code, d.location.line) for d in caught.value.diagnostics if d.location] == [
        ("bad_instruction", 2),
        ("bad_list", 3),
        ("bad_instruction", 3),
        ("bad_appup", 4),
    ]
