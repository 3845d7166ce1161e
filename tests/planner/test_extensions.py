"""C extensions between two releases: what a live process can take, and what it cannot."""

from __future__ import annotations

import pytest

from relup.document import relup_from_data, relup_to_data
from relup.model.instructions import AddModule, DeleteModule, Instruction, LoadModule
from relup.planner import plan
from tests.planner.build import app, appup, codes, release

UP: list[Instruction] = [LoadModule("shop")]
REFUSED: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str], dict[str, str], list[Instruction]]] = {
    # extensions before and after, other sources before and after, other instructions
    "changed": ({"shop._fast": "1"}, {"shop._fast": "2"}, {}, {}, []),
    "pure Python now": ({"shop._fast": "1"}, {}, {}, {"shop._fast": "x"}, [AddModule("shop._fast")]),
    "pure Python before": ({}, {"shop._fast": "1"}, {"shop._fast": "x"}, {}, [DeleteModule("shop._fast")]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_extension_that_is_another_one_is_refused_in_both_directions(case: str) -> None:
    before, after, sources_before, sources_after, more = REFUSED[case]
    there = appup({"1": [*UP, *more]}, {"1": "inverse"})
    base = release("1", app("1", {"shop": "1", **sources_before}, extensions=before))
    goal = release("2", app("2", {"shop": "2", **sources_after}, extensions=after, appup=there))
    for pair in ((base, goal), (goal, base)):
        assert ("extension_changed", 4) in codes(*pair)


def test_an_extension_that_changed_though_no_version_did_is_refused() -> None:
    same, other = ({"extensions": {"a": digest}} for digest in "12")
    base = release("1", app("1", {"shop": "1"}), app("5", {"lib": "1"}, "lib", **same))
    goal = release("1", app("1", {"shop": "1"}), app("5", {"lib": "1"}, "lib", **other))
    assert codes(base, goal) == [("extension_changed", 4)]


def test_a_new_extension_is_taken_one_that_goes_is_noted_and_a_plan_carries_both() -> None:
    there = appup({"1": UP}, {"1": UP})
    base = release("1", app("1", {"shop": "1"}, extensions={"shop.gone": "1", "shop.same": "1"}))
    goal = release("2", app("2", {"shop": "2"}, extensions={"shop.new": "1", "shop.same": "1"}, appup=there))
    made = plan(base, goal)
    notes = [str(w) for w in made.warnings if w.code == "extension_stays"]
    assert len(notes) == 1
    assert (
        "note: the C extension 'shop.gone' is not in shop 2: a process that has it loaded keeps it loaded" in notes[0]
    )
    assert relup_from_data(relup_to_data(made)) == made
    assert relup_from_data(relup_to_data(made)).goal.extensions() == {"shop.new": "1", "shop.same": "1"}
