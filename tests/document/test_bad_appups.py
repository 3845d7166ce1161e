"""Every mistake in an appup: its code, its place and its words; all of them at once, in the order of their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput
from relup.document import read_appup

HEAD = "application: a\nvsn: 1\nup:\n  - from: 0\n    instructions:\n"

# each line of what is expected: line:column: message [code]
DOCUMENTS = {
    "nothing known": ("vsn: 1\n", ["1:1: missing key 'application' [missing_key]"]),
    "a list": ("- a\n", ["1:1: expected a mapping, found a list [wrong_type]"]),
    "a text": ("appup\n", ["1:1: expected a mapping, found the text 'appup' [wrong_type]"]),
    "no value": ("application: a\nvsn:\n", ["2:5: expected text, found nothing [wrong_type]"]),
    "a truth value": ("application: a\nvsn: true\n", ["2:6: expected text, found true [wrong_type]"]),
    "an empty text": ("application: ''\nvsn: 1\n", ["1:14: expected text, found an empty text [empty_text]"]),
    "a misspelt key": (
        "application: a\nvsn: 1\nups: []\n",
        ["3:1: unknown key 'ups' (did you mean 'up'?) [unknown_key]"],
    ),
    "a key like no other": (
        "application: a\nvsn: 1\n'zzz qq': []\n",
        ["3:1: unknown key 'zzz qq'; known: application, vsn, up, down, at [unknown_key]"],
    ),
    "a mapping for a list": (
        "application: a\nvsn: 1\nup: {from: 1}\n",
        ["3:5: expected a list, found a mapping [wrong_type]"],
    ),
    "to for from": (
        "application: a\nvsn: 1\nup:\n  - to: 0\n    instructions: []\n",
        [
            "4:5: missing key 'from' [missing_key]",
            "4:5: unknown key 'to'; known: from, instructions, at [unknown_key]",
        ],
    ),
    "a word for instructions": (
        "application: a\nvsn: 1\ndown:\n  - to: 0\n    instructions: invers\n",
        ["5:19: expected a list or inverse, found the text 'invers' (did you mean 'inverse'?) [unknown_value]"],
    ),
    "a number for instructions": (
        "application: a\nvsn: 1\ndown:\n  - to: 0\n    instructions: {}\n",
        ["5:19: expected a list or inverse, found a mapping [wrong_type]"],
    ),
    "a pattern without a regex": (
        "application: a\nvsn: 1\nup:\n  - from: {rege: '1'}\n    instructions: []\n",
        [
            "4:11: missing key 'regex' [missing_key]",
            "4:12: unknown key 'rege' (did you mean 'regex'?) [unknown_key]",
        ],
    ),
    "a regex that is none": (
        "application: a\nvsn: 1\nup:\n  - from: {regex: '1('}\n    instructions: []\n",
        [
            "4:19: this is not a regular expression: missing ), unterminated subpattern at position 1 [bad_regex]",
        ],
    ),
    "two keys, twice": (
        "application: a\napplication: b\nvsn: 1\nvsn: 2\n",
        [
            "2:1: the key 'application' is written twice, first in line 1 [duplicate_key]",
            "4:1: the key 'vsn' is written twice, first in line 3 [duplicate_key]",
        ],
    ),
    "many mistakes": (
        "application: 1.10\nvsn: []\nup:\n  - from: 0\n    instruction: []\n  - from: [1]\n    instructions: []\n",
        [
            "2:6: expected text, found a list [wrong_type]",
            "4:5: missing key 'instructions' [missing_key]",
            "5:5: unknown key 'instruction' (did you mean 'instructions'?) [unknown_key]",
            "6:11: expected text or a mapping, found a list [wrong_type]",
        ],
    ),
}

# each case stands where an instruction does, in line 6 from column 9
INSTRUCTIONS = {
    "an unknown one": (
        "upgrade: m",
        ["6:9: unknown instruction 'upgrade' (did you mean 'update'?) [bad_instruction]"],
    ),
    "a misspelt field": (
        "update: {modul: m}",
        [
            "6:17: missing key 'module' [missing_key]",
            "6:18: unknown key 'modul' (did you mean 'module'?) [unknown_key]",
        ],
    ),
    "fields one level too high": (
        "update:\n        module: m",
        [
            "6:16: expected text or a mapping, found nothing [bad_module]",
            "7:9: unknown instruction 'module' (did you mean 'add_module'?) [bad_instruction]",
            "7:9: an instruction has exactly one key, found 2: update, module (its fields stand one level deeper)"
            " [several_instructions]",
        ],
    ),
    "none": ("{}", ["6:9: an instruction has exactly one key, found none [no_instruction]"]),
    "a list": (
        "[update, m]",
        [
            "6:9: expected point_of_no_return, restart_new_emulator, restart_emulator or a mapping, found a list"
            " [bad_instruction]",
        ],
    ),
    "a bare name that needs a value": (
        "update",
        [
            "6:9: expected point_of_no_return, restart_new_emulator, restart_emulator or a mapping,"
            " found the text 'update' [bad_instruction]",
        ],
    ),
    "a change that is none": (
        "update: {module: m, change: hard}",
        ["6:37: expected soft, advanced, supervisor or a mapping, found the text 'hard' [bad_change]"],
    ),
    "a change of another name": (
        "update: {module: m, change: {advance: 1}}",
        [
            "6:37: missing key 'advanced' [missing_key]",
            "6:38: unknown key 'advance' (did you mean 'advanced'?) [unknown_key]",
        ],
    ),
    "a negative timeout": (
        "update: {module: m, timeout: -1}",
        ["6:38: expected 0 or more, found the number -1 [bad_timeout]"],
    ),
    "a timeout of half a millisecond": (
        "update: {module: m, timeout: 0.5}",
        ["6:38: expected a whole number, default or infinity, found the number 0.5 [bad_timeout]"],
    ),
    "a timeout in a list": (
        "update: {module: m, timeout: [5]}",
        ["6:38: expected a whole number, default or infinity, found a list [bad_timeout]"],
    ),
    "a purge of another kind": (
        "load_module: {module: m, pre_purge: hard}",
        ["6:45: expected soft_purge or brutal_purge, found the text 'hard' [bad_purge_method]"],
    ),
    "depends as a text": (
        "load_module: {module: m, depends: n}",
        ["6:43: expected a list, found the text 'n' [bad_list]"],
    ),
    "a module that is a list": (
        "add_module: {module: [m]}",
        ["6:30: expected text, found a list [bad_module]"],
    ),
    "a module that is nothing": ("load:", ["6:14: expected text or a mapping, found nothing [bad_module]"]),
    "a type of application": (
        "add_application: {application: a, type: eternal}",
        [
            "6:49: expected permanent, transient, temporary, load or none, found the text 'eternal' [bad_start_type]",
        ],
    ),
    "code without a version": (
        "load_object_code: {application: a, modules: [m]}",
        ["6:27: missing key 'vsn' [missing_key]"],
    ),
    "a text where fields are needed": (
        "load_object_code: a",
        ["6:27: expected a mapping, found the text 'a' [bad_instruction]"],
    ),
    "a module among many": ("resume: [m, 5, true]", ["6:24: expected text, found true [bad_module]"]),
    "both forms of suspend": (
        "suspend: {modules: [m], module: m}",
        ["6:33: the key 'module' cannot stand here [unknown_key]"],
    ),
    "suspend of nothing": ("suspend: {timeout: 5}", ["6:18: missing key 'module' [missing_key]"]),
    "a suspension without its module": (
        "suspend: [{timeout: 5}]",
        ["6:19: missing key 'module' [missing_key]"],
    ),
    "a mode that is none": (
        "code_change: {mode: sideways, changes: [m]}",
        ["6:29: expected up or down, found the text 'sideways' [bad_mode]"],
    ),
    "nodes that are a text": (
        "sync_nodes: {id: x, nodes: n}",
        ["6:36: expected a list or a mapping, found the text 'n' [bad_node]"],
    ),
    "a call of a module alone": ("apply: [m]", ["6:16: expected at least 2 items, found 1 [bad_instruction]"]),
    "a call of nothing": ("apply: []", ["6:16: expected at least 2 items, found none [bad_instruction]"]),
    "a call with too much": (
        "apply: [m, f, [], x]",
        ["6:27: expected at most 3 items, found 4 [bad_instruction]"],
    ),
    "arguments that are no list": (
        "apply: [m, f, 5]",
        ["6:23: expected a list, found the number 5 [bad_args_list]"],
    ),
    "an undo without a function": (
        "apply: {module: m, function: f, undo: {module: m}}",
        ["6:47: missing key 'function' [missing_key]"],
    ),
    "a window of another kind": (
        "apply: {module: m, function: f, window: outside}",
        ["6:49: expected cuts or inside, found the text 'outside' (did you mean 'inside'?) [unknown_value]"],
    ),
    "a value for what has none": (
        "restart_emulator: now",
        ["6:27: expected nothing or a mapping, found the text 'now' [bad_instruction]"],
    ),
    "a function that migrates as a text": (
        "update: {module: m, migrate: 'x:f'}",
        ["6:38: expected a mapping, found the text 'x:f' [wrong_type]"],
    ),
    "a function that migrates without its module": (
        "update: {module: m, migrate: {function: f}}",
        ["6:38: missing key 'module' [missing_key]"],
    ),
    "a function that migrates and has arguments": (
        "update: {module: m, migrate: {module: x, function: f, args: [1]}}",
        ["6:63: unknown key 'args'; known: module, function [unknown_key]"],
    ),
    "a function that migrates without a name": (
        "code_change: [{module: m, migrate: {module: x, function: ''}}]",
        ["6:66: expected text, found an empty text [bad_func]"],
    ),
    "a probe that may take for ever": (
        "verify: {module: m, function: f, timeout: infinity}",
        ["6:51: expected a whole number or default, found the text 'infinity' [bad_timeout]"],
    ),
    "a probe without its function": (
        "verify: {module: m}",
        ["6:17: missing key 'function' [missing_key]"],
    ),
    "a probe that is taken back": (
        "verify: {module: m, function: f, undo: {module: m, function: g}}",
        ["6:42: unknown key 'undo'; known: module, function, args, timeout, at [unknown_key]"],
    ),
    "a load that migrates": (
        "load_module: {module: m, migrate: {module: x, function: f}}",
        [
            "6:34: unknown key 'migrate'; known: module, depends, pre_purge, post_purge, keep, instances, at"
            " [unknown_key]"
        ],
    ),
    "a place that is none": (
        "load: {module: m, at: here}",
        ["6:31: expected something like anemone.appup.yaml:7:9, found the text 'here' [bad_text]"],
    ),
    "a place with a line break": (
        'load: {module: m, at: "a:1:2\\n"}',
        ["6:31: expected something like anemone.appup.yaml:7:9, found the text 'a:1:2\\n' [bad_text]"],
    ),
}
CASES = {f"document: {n}": case for n, case in DOCUMENTS.items()} | {
    f"instruction: {n}": (f"{HEAD}      - {text}\n", wanted) for n, (text, wanted) in INSTRUCTIONS.items()
}


@pytest.mark.parametrize("case", CASES)
def test_an_appup_is_refused_with(case: str, tmp_path: Path) -> None:
    text, wanted = CASES[case]
    file = tmp_path / "a.appup.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_appup(file)
    assert str(caught.value).splitlines() == [f"{file}:{line}" for line in wanted]


def test_a_message_never_holds_a_whole_value(tmp_path: Path) -> None:
    file = tmp_path / "a.appup.yaml"
    long = "x" * 10_000
    file.write_text(f"{long}: 1\napplication: [{long}]\nvsn: 1\nup: {long}\n? [{long}]\n: 1\n")
    with pytest.raises(InvalidInput) as caught:
        read_appup(file)
    assert all(len(line) < 300 + len(str(file)) for line in str(caught.value).splitlines())


def test_mistakes_without_number_are_told_up_to_a_thousand(tmp_path: Path) -> None:
    file = tmp_path / "a.appup.yaml"
    file.write_text(HEAD + "".join(f"      - updat{n}: m\n" for n in range(20_000)))
    with pytest.raises(InvalidInput) as caught:
        read_appup(file)
    assert [d.location.line for d in caught.value.diagnostics if d.location] == [*range(6, 1_006), 1_005]
    assert {d.code for d in caught.value.diagnostics} == {"bad_instruction", "too_many_problems"}
