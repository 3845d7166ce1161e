"""Every file that differs between two releases is dealt with, or the plan is not made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relup.model.instructions import (
    AddModule,
    DeleteModule,
    Instruction,
    LoadModule,
    RestartApplication,
    RestartEmulator,
    Update,
)
from relup.planner import plan
from tests.planner.build import app, appup, at, beam, codes, release

OLD = {"cart": "1", "tax": "1", "gone": "1"}
NEW = {"cart": "2", "tax": "1", "fresh": "1"}
UP: list[Instruction] = [Update("cart"), AddModule("fresh"), DeleteModule("gone")]
DOWN: list[Instruction] = [Update("cart"), AddModule("gone"), DeleteModule("fresh")]


def found(up: list[Instruction], down: list[Instruction]) -> list[tuple[str, int | None]]:
    base, goal = release("1", app("1", OLD)), release("2", app("2", NEW, appup=appup({"1": up}, {"1": down})))
    return codes(base, goal)


GAPS: dict[str, tuple[list[Instruction], list[Instruction], list[tuple[str, int | None]]]] = {
    "complete": (UP, DOWN, []),
    "nothing up": (
        [],
        DOWN,
        [("changed_not_loaded", 10), ("new_not_loaded", 10), ("removed_not_deleted", 10)],
    ),
    "nothing down": (
        UP,
        [],
        [("changed_not_loaded", 110), ("removed_not_deleted", 110), ("new_not_loaded", 110)],
    ),
    "restarted as a whole": ([RestartApplication("shop")], [RestartApplication("shop")], []),
    "deleted though it stays": ([*UP, DeleteModule("tax")], DOWN, [("deleted_but_present", 10)]),
}


@pytest.mark.parametrize(("up", "down", "expected"), GAPS.values(), ids=GAPS.keys())
def test_gaps(up: list[Instruction], down: list[Instruction], expected: list[tuple[str, int | None]]) -> None:
    assert found(up, down) == expected


def test_a_restarted_emulator_has_what_its_release_has() -> None:
    there = appup({"1": [RestartEmulator()]}, {"1": [RestartEmulator()]})
    base = beam("1", app("1", OLD))
    assert codes(base, beam("2", app("2", NEW, appup=there))) == []


def test_without_fingerprints_nothing_is_compared() -> None:
    base = release("1", replace(app("1", OLD), fingerprints={}))
    assert codes(base, release("2", app("2", NEW, appup=appup({"1": []}, {"1": []})))) == []


def test_a_loaded_file_that_did_not_change_is_noted() -> None:
    unchanged = LoadModule("tax", location=at(13))
    goal = release("2", app("2", NEW, appup=appup({"1": [*UP, unchanged]}, {"1": DOWN})))
    warnings = plan(release("1", app("1", OLD)), goal).warnings
    assert [(d.code, d.severity, d.location) for d in warnings] == [("loaded_unchanged", "note", at(13))]


def test_code_that_changed_under_the_same_version_is_an_error() -> None:
    base, goal = release("1", app("1", OLD)), release("2", app("1", OLD | {"tax": "2"}))
    assert codes(base, goal) == [("code_changed_vsn_did_not", 4)]


def test_it_is_a_warning_when_another_application_loads_it() -> None:
    """A module that moves with the instructions of its user still runs new code."""
    user = app("2", {"user": "2"}, "user", appup=appup({"1": _both()}, {"1": _both()}, name="user"))
    base = release("1", app("1", {"tax": "1"}), app("1", {"user": "1"}, "user"))
    warnings = plan(base, release("2", app("1", {"tax": "2"}), user)).warnings
    assert [(d.code, d.severity) for d in warnings] == [("code_changed_vsn_did_not", "warning")]


def _both() -> list[Instruction]:
    return [LoadModule("user", ("tax",)), LoadModule("tax")]


def test_a_module_that_moves_to_another_application_unchanged_needs_nothing() -> None:
    base = release("1", app("1", {"a": "1", "b": "1"}, "one"), app("1", {"c": "1"}, "two"))
    one = app("2", {"a": "1"}, "one", appup=appup({"1": []}, {"1": []}, name="one"))
    two = app("2", {"b": "1", "c": "1"}, "two", appup=appup({"1": []}, {"1": []}, name="two"))
    assert codes(base, release("2", one, two)) == []
