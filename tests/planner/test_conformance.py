"""What OTP answered to 115 calls of systools_rc and to 1,016 entries of real appups, relup answers too."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from relup.diagnostics import InvalidInput
from relup.model.instructions import Direction, Instruction, LowLevel
from relup.model.release import Application
from relup.planner import translate
from tests.planner.otp_terms import NoCounterpart, application, breaches, contents, instruction, outcome, rank_of

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("RELUP_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
needs_data = pytest.mark.skipif(
    not (FOLDER / "translate_cases.json").is_file(),
    reason="the conformance data is not here; name its folder in RELUP_CONFORMANCE",
)

EXCEPTIONS = {
    68: "code_change_not_suspended: OTP has the check, but its pattern matches no instruction",
    103: "restart: OTP passes it on, release_handler knows no such instruction",
    104: "reboot: likewise",
}
"""The numbers of the cases in which relup means to differ from OTP, and why."""


def translated(
    direction: Direction,
    scripts: Sequence[Sequence[Instruction]],
    applications: Sequence[Application],
    pre_applications: Sequence[Application],
    expected: tuple[LowLevel, ...] | str,
) -> tuple[LowLevel, ...] | set[str | None]:
    """relup's answer, with OTP's own order as the tie-break: a script, or the codes of all errors."""
    try:
        if isinstance(expected, tuple):
            free = translate(direction, scripts, applications, pre_applications)
            assert contents(free) == contents(expected)
            assert list(breaches(direction, scripts, free)) == []
            rank = rank_of(direction, expected)
            return translate(direction, scripts, applications, pre_applications, rank)
        return translate(direction, scripts, applications, pre_applications)
    except InvalidInput as error:
        return {d.code for d in error.diagnostics}


def verdict(
    direction: Direction,
    terms: Sequence[Sequence[Any]],
    applications: Sequence[Application],
    pre_applications: Sequence[Application],
    expected: tuple[LowLevel, ...] | str,
) -> bool:
    try:
        scripts = [[instruction(i) for i in script] for script in terms]
    except NoCounterpart as unknown:
        return unknown.tag == expected
    answer = translated(direction, scripts, applications, pre_applications, expected)
    return answer == expected if isinstance(expected, tuple) else expected in answer


def direction_of(mode: str) -> Direction:
    return "up" if mode == "up" else "down"


@needs_data
def test_every_call_of_translate_scripts_is_answered_as_otp_does() -> None:
    differ = []
    cases = json.loads((FOLDER / "translate_cases.json").read_text())
    for case in cases:
        applications = [application(a) for a in case["apps"]]
        pre_applications = [application(a) for a in case["pre_apps"]]
        try:
            expected = outcome(case["result"])
        except NoCounterpart:
            differ.append(case["n"])
            continue
        if not verdict(direction_of(case["mode"]), case["scripts"], applications, pre_applications, expected):
            differ.append(case["n"])
    assert len(cases) == 115
    assert differ == sorted(EXCEPTIONS)


@needs_data
def test_every_entry_of_real_appups_is_translated_as_otp_does() -> None:
    differ = []
    with gzip.open(FOLDER / "appup_cases.jsonl.gz", "rt") as lines:
        cases = [json.loads(line) for line in lines]
    for n, case in enumerate(cases):
        applications = [
            Application("app_under_test", "1.0", tuple(case["mods"])),
            *(Application(name, "1.0") for name in case["restart_apps"]),
        ]
        expected = outcome(case["result"])
        if not verdict(direction_of(case["dir"]), [case["script"]], applications, applications, expected):
            differ.append((n, case["file"]))
    assert len(cases) == 1016
    assert differ == []
