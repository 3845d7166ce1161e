"""What is shown of a plan: each window with what it does to whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relup.executor import Outcome
from relup.executor.rehearsal import Rehearsal
from relup.model.instructions import AddModule, Advanced, Apply, Call, DeleteModule, Instruction, LoadModule, Update
from relup.planner import plan
from relup.report.text import outcome_lines, plan_lines
from tests.planner.build import app, appup, release

MODULES = ("cart", "clock", "old")
CASES: dict[str, tuple[list[Instruction], list[str]]] = {
    "a module is loaded": ([LoadModule("clock")], ["1. window", "loads        clock"]),
    "a module is new": ([AddModule("clock")], ["1. window", "loads        clock"]),
    "a module is gone": ([DeleteModule("old")], ["1. window", "removes      old"]),
    "state changes, and a module is gone": (
        [Update("cart", Advanced()), DeleteModule("old"), LoadModule("clock")],
        ["1. window", "suspends     cart", "loads        cart, clock", "removes      old", "code_change  cart"],
    ),
    "a call needs running processes": (
        [Update("cart"), Apply(Call("m", "f"), Call("m", "g")), LoadModule("clock")],
        [
            "1. window",
            "suspends     cart",
            "loads        cart",
            "2. apply m:f()   (needs running processes: cuts the window)",
            "3. window",
            "loads        clock",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_plan_shows_its_windows(case: str) -> None:
    instructions, wanted = CASES[case]
    gone = {i.module for i in instructions if isinstance(i, DeleteModule)}
    new = {i.module for i in instructions if isinstance(i, AddModule)}
    older, newer = (
        replace(app(vsn, dict.fromkeys([m for m in MODULES if m not in absent], "")), fingerprints={})
        for vsn, absent in (("1", new), ("2", gone))
    )
    made = plan(release("1", older), release("2", replace(newer, appup=appup({"1": instructions}, {"1": "inverse"}))))
    lines = [line.strip() for line in plan_lines(made)]
    assert lines[2 : lines.index("script") - 1] == wanted


def test_many_loads_in_a_row_are_one_line_of_a_script() -> None:
    many = {f"m{n:02}": "" for n in range(30)}
    older, newer = replace(app("1", {**many, "old": ""}), fingerprints={}), replace(app("2", many), fingerprints={})
    loads = [*(LoadModule(m) for m in many), DeleteModule("old")]
    made = plan(release("1", older), release("2", replace(newer, appup=appup({"1": loads}, {"1": "inverse"}))))
    lines = [line.strip() for line in plan_lines(made)]
    assert lines[lines.index("script") + 3 :][:2] == [
        "3  to 32: load m00, m01, m02, m03, m04, m05, m06, m07 and 22 more",
        "33  remove old",
    ]


def test_a_refusal_blames_a_rehearsal_only_where_one_failed() -> None:
    verdicts = {"failed": "refused: the rehearsal failed, nothing was touched", "not_rehearsable": None, "ok": None}
    for verdict, told in verdicts.items():
        rehearsal = Rehearsal(verdict, 0.0, 0.0, 0.0)  # type: ignore[arg-type]  # a str of the dict
        *_, last = outcome_lines(Outcome("refused", "1", "2", rehearsals=(rehearsal,)))
        assert last == (told or "refused: nothing was touched")
    assert [*outcome_lines(Outcome("refused", "1", "2"))] == ["refused: nothing was touched"]
