"""The plan between two releases: its direction, its order, its way back, and everything that prevents it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from relup.diagnostics import Diagnostic, InvalidInput
from relup.model.appup import Appup, Entry, VersionPattern
from relup.model.instructions import (
    AddModule,
    Advanced,
    Apply,
    Call,
    CodeChange,
    DeleteModule,
    Instruction,
    Load,
    LoadModule,
    LoadObjectCode,
    LowLevel,
    ModuleChange,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RestartApplication,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Start,
    Suspend,
    Suspension,
    SyncNodes,
    Update,
)
from relup.model.release import Application, Release
from relup.model.relup import Relup
from relup.planner import plan, translate
from tests.planner.build import app, appup, at, beam, codes, refused, release

POINT = PointOfNoReturn()
CART = Update("cart", Advanced({"bonus": 1}), location=at(12))
ONE = release("1", app("1", {"cart": "old"}))
TWO = release("2", app("2", {"cart": "new"}, appup=appup({"1": [CART]}, {"1": [CART]})))
UP: tuple[LowLevel, ...] = (
    LoadObjectCode("shop", "2", ("cart",)),
    POINT,
    Suspend((Suspension("cart"),)),
    Load("cart"),
    CodeChange("up", (ModuleChange("cart", {"bonus": 1}),)),
    Resume(("cart",)),
)
DOWN: tuple[LowLevel, ...] = (
    LoadObjectCode("shop", "1", ("cart",)),
    POINT,
    Suspend((Suspension("cart"),)),
    CodeChange("down", (ModuleChange("cart", {"bonus": 1}),)),
    Load("cart"),
    Resume(("cart",)),
)


# ── direction ──────────────────────────────────────────────────────────────────────────────────────────


def test_up_and_down_are_each_other_s_way_back() -> None:
    up, down = plan(ONE, TWO), plan(TWO, ONE)
    assert (up.direction, up.script, up.way_back, up.warnings) == ("up", UP, DOWN, ())
    assert (down.direction, down.script, down.way_back, down.warnings) == ("down", DOWN, UP, ())
    assert (up.base, up.goal) == (down.goal, down.base) == (ONE, TWO)


def test_the_direction_can_be_given() -> None:
    assert plan(ONE, TWO, "up") == plan(ONE, TWO)
    with pytest.raises(InvalidInput, match="no appup entry takes shop 1 → 2: shop 1 has no appup"):
        plan(ONE, TWO, "down")


def test_without_an_entry_those_that_there_are_are_named() -> None:
    goal = release("4", app("4", {"cart": "x"}, appup=appup({"2": [], "3": []}, {}, vsn="4")))
    with pytest.raises(InvalidInput) as error:
        plan(ONE, goal)
    assert str(error.value) == (
        "shop.appup.yaml:1:3: no appup entry takes shop 1 → 4: shop.appup.yaml has up entries from 2, 3 [no_relup]"
    )


def test_a_release_of_another_name_is_no_goal() -> None:
    with pytest.raises(InvalidInput, match="different_releases"):
        plan(ONE, replace(TWO, name="other"))


def test_a_release_like_itself_needs_nothing() -> None:
    found = plan(ONE, ONE)
    assert (found.direction, found.script, found.way_back, found.warnings) == ("up", (POINT,), (POINT,), ())


def test_a_missing_way_back_is_a_warning() -> None:
    found = plan(ONE, release("2", replace(TWO.applications[0], appup=appup({"1": [CART]}, {"0": []}))))
    assert (found.script, found.way_back) == (UP, None)
    assert [(d.code, d.severity, d.location) for d in found.warnings] == [("irreversible", "warning", at(1))]
    assert "no appup entry takes shop 2 → 1: shop.appup.yaml has down entries to 0" in found.warnings[0].message


def test_faults_of_the_way_back_are_errors_also_when_another_application_has_none() -> None:
    bank = {v: app(v, {"bank": v}, "bank") for v in "12"}
    there = {v: app(v, {"cart": v}) for v in "12"}
    one = release("1", there["1"], bank["1"])
    up = {"1": [replace(CART, depends=("bank",))]}

    def two(*down: Instruction) -> Release:
        only_up = appup({"1": [LoadModule("bank")]}, {}, name="bank")
        return release("2", replace(there["2"], appup=appup(up, {"1": down})), replace(bank["2"], appup=only_up))

    assert codes(one, two(LoadModule("nope", location=at(113)))) == [
        ("no_such_module", 113),
        ("changed_not_loaded", 110),
    ]
    assert [d.code for d in plan(one, two(*up["1"])).warnings] == ["irreversible"]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["1.10"], True),
        ([r"re:1\.1[0-9]?"], True),
        (["re:0", "1.1", "re:1.+"], True),
        (["re:1", "1.1"], False),
        (["re:1|1.10"], False),
    ],
)
def test_the_first_match_of_a_pattern_must_be_the_whole_version(patterns: list[str], found: bool) -> None:
    listed = {p: [CART] for p in patterns}
    goal = release("2", replace(TWO.applications[0], appup=appup(listed, listed)))
    assert (codes(release("1", app("1.10", {"cart": "old"})), goal) == []) is found


@pytest.mark.parametrize(
    ("vsn", "pattern", "expected"),
    [
        ("1.5", r"1\.[[:digit:]]+", []),
        ("1.5", r"1\.[^[:alpha:]\D]", []),
        ("1.5", r"\A1\.5\z", []),
        ("1.5", r"\G1\.5\Z", []),
        ("1.5", r"\Q1.5\E", []),
        ("1+5", r"\Q1+5", []),
        ("1.1", r"(?<n>1)\.\k<n>", []),
        ("1-5", r"1[\w-.]5", []),
        ("1 5", r"1\h\R?5", []),
        ("1.A", r"1\.\x{41}", []),
        ("1.5", r"1\.\o{65}", []),
        ("1.rc", r"1\.RC(?i)", ["no_relup"]),
        ("1.rc", r"1\.(?i)RC|x", []),
        ("2.rc", r"(1(?i)RC|2\.RC)", []),
        ("1.\u0665", r"1\.\d", ["no_relup"]),
        ("1.5{,2}", r"1\.5{,2}", []),
        ("1.55", r"1\.5{,2}", ["no_relup"]),
        ("1.[", r"1\.[[5&&~~]", []),
        ("1.5", r"1\.\p{N}", ["bad_version_pattern"]),
        ("1.5", r"1(\.)5(?1)?", ["bad_version_pattern"]),
        ("1.5", r"(?|(1)\.5|(2))", ["bad_version_pattern"]),
        ("1.5", r"1\.[[:number:]]", ["bad_version_pattern"]),
        ("1.5", r"1\.[5", ["bad_version_pattern"]),
    ],
)
def test_a_pattern_is_what_it_is_to_otp_or_an_error(vsn: str, pattern: str, expected: list[str]) -> None:
    listed = {f"re:{pattern}": [CART]}
    goal = release("2", replace(TWO.applications[0], appup=appup(listed, listed)))
    found = [code for code, _ in codes(release("1", app(vsn, {"cart": "old"})), goal, direction="up")]
    assert [code for code in dict.fromkeys(found) if code != "changed_not_loaded"] == expected


def test_the_first_entry_that_matches_wins() -> None:
    listed = {"re:[0-9]": [CART], "1": [LoadModule("cart")]}
    assert plan(ONE, release("2", replace(TWO.applications[0], appup=appup(listed, {"1": [CART]})))).script == UP


# ── applications that come and go ──────────────────────────────────────────────────────────────────────

FRESH = app("1", {"fresh": "a"}, "fresh", type="transient")
GONE = app("1", {"gone": "a", "gone.sup": "b"}, "gone")


def test_new_applications_come_first_and_old_ones_leave_last() -> None:
    found = plan(release("1", *ONE.applications, GONE), release("2", *TWO.applications, FRESH))
    assert found.script == (
        LoadObjectCode("fresh", "1", ("fresh",)),
        LoadObjectCode("shop", "2", ("cart",)),
        POINT,
        Load("fresh"),
        Apply(Call("application", "start", ("fresh", "transient"))),
        *UP[2:],
        Apply(Call("application", "stop", ("gone",))),
        Remove("gone"),
        Remove("gone.sup"),
        PurgeModules(("gone", "gone.sup")),
        Apply(Call("application", "unload", ("gone",))),
    )
    assert found.way_back is not None
    assert found.way_back[-1] == Apply(Call("application", "unload", ("fresh",)))
    assert found.warnings == ()


# ── what is wrong, all of it ───────────────────────────────────────────────────────────────────────────


def goal_with(*up: Instruction, files: dict[str, str] | None = None) -> Release:
    there = appup({"1": up}, {"1": [CART]})
    return release("2", app("2", {"cart": "new"} if files is None else files, appup=there))


WRONG: dict[str, tuple[Release, list[tuple[str, int | None]]]] = {
    "everything at once": (
        goal_with(
            replace(CART, depends=("tax",)),
            LoadModule("crat", location=at(13)),
            Load("nope", location=at(14)),
            Resume(("cart",), location=at(15)),
            Start(("cart",), location=at(16)),
            RestartApplication("shpo", location=at(17)),
        ),
        [
            ("no_object_code", 14),
            ("resumed_not_suspended", 15),
            ("start_not_stop", 16),
            ("no_such_application", 17),
            ("no_such_application", 17),
            ("undef_module", 12),
            ("no_such_module", 13),
            ("no_such_module", 14),
        ],
    ),
    "two instructions for one module": (goal_with(CART, replace(CART, location=at(13))), [("muldef_module", 13)]),
    "too early": (
        goal_with(CART, PointOfNoReturn(location=at(13)), PointOfNoReturn(location=at(14))),
        [("too_many_point_of_no_return", 14), ("bad_op_before_point_of_no_return", 12)],
    ),
    "a state change while running": (
        goal_with(CART, CodeChange("up", (ModuleChange("cart", location=at(13)),))),
        [("code_change_not_suspended", 13)],
    ),
    "code of another version": (
        goal_with(LoadObjectCode("shop", "1", ("cart",), location=at(11)), CART),
        [("conflicting_versions", 12)],
    ),
    "wrong values": (
        goal_with(
            Update("cart", timeout=0, location=at(11)),  # the type allows any int
            Update("cart", mod_type="statik", pre_purge="rutal", location=at(12)),  # type: ignore[arg-type]
            LoadModule("", location=at(13)),
        ),
        [("bad_timeout", 11), ("bad_mod_type", 12), ("bad_purge_method", 12), ("bad_module", 13)],
    ),
    "an appup for another application": (
        release("2", app("2", {"cart": "n"}, appup=appup({"1": [CART]}, {"1": [CART]}, name="shoop"))),
        [("wrong_application", 1)],
    ),
    "a pattern that is none": (
        release("2", app("2", {"cart": "n"}, appup=appup({"re:(1": [CART]}, {"1": [CART]}))),
        [("bad_version_pattern", 10)],
    ),
    "nodes of different kinds": (replace(TWO, kind="beam", erts="13"), [("different_kinds", None)]),
    "another release, whatever its appups lack": (
        replace(release("3", app("3", {"cart": ""})), name="other"),
        [("different_releases", None)],
    ),
}


@pytest.mark.parametrize(("goal", "expected"), WRONG.values(), ids=WRONG.keys())
def test_everything_wrong_is_named_with_its_line(goal: Release, expected: list[tuple[str, int | None]]) -> None:
    found = [c for c in codes(ONE, goal) if c[0] != "changed_not_loaded"]
    assert found == expected


def test_a_misspelt_module_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(InvalidInput, match=r"shop.appup.yaml:13:3: .*'crat'.*did you mean 'cart'\?") as error:
        plan(ONE, goal_with(CART, DeleteModule("crat", location=at(13))))
    assert error.value.exit_code == 3


def test_a_module_is_not_meant_to_depend_on_itself() -> None:
    files = {"cart_s": "x", "cart_l": "y"}
    for depends, hint in (("cart_t",), "cart_l"), (("cart_t", "cart_l"), None):
        goal = goal_with(Update("cart_s", depends=depends), LoadModule("cart_l"), files=files)
        with pytest.raises(InvalidInput) as error:
            plan(release("1", app("1", files)), goal)
        said = f"did you mean {hint!r}?" if hint else "leave it out of `depends`, or load it too"
        assert [d.hint for d in error.value.diagnostics if d.code == "undef_module"] == [said]


def test_a_fault_that_an_inverse_list_repeats_is_named_once() -> None:
    goal = release(
        "2", app("2", {"cart": "new"}, appup=appup({"1": [replace(CART, depends=("x",))]}, {"1": "inverse"}))
    )
    assert codes(ONE, goal) == [("undef_module", 12)]


# ── what a Python node refuses ─────────────────────────────────────────────────────────────────────────

RESTARTS = (
    SyncNodes("all", ("a", "b"), location=at(13)),
    RestartEmulator(location=at(14)),
    RestartNewEmulator(location=at(15)),
)


def test_a_python_node_refuses_what_only_an_emulator_can_do() -> None:
    refusal = refused(ONE, goal_with(CART, *RESTARTS))
    assert [(d.code, d.location) for d in refusal.diagnostics] == [("not_on_this_node", at(n)) for n in (13, 14, 15)]
    assert all(d.hint for d in refusal.diagnostics)
    assert refusal.exit_code == 4


def test_a_beam_node_takes_them() -> None:
    base, goal = beam("1", *ONE.applications), beam("2", *goal_with(CART, *RESTARTS).applications)
    assert plan(base, goal).script[0] == RestartNewEmulator()
    assert plan(base, goal).script[-1] == RestartEmulator()


LOUD = appup({"1": [CART]}, {"1": [CART]}, vsn="3")


def test_an_appup_for_another_version_is_a_warning() -> None:
    (warning,) = plan(ONE, release("2", app("2", {"cart": "new"}, appup=LOUD))).warnings
    assert (warning.code, warning.severity, warning.location) == ("bad_vsn", "warning", at(1))


def test_warnings_are_errors_when_they_are_treated_so() -> None:
    goal = release("2", app("2", {"cart": "new"}, appup=LOUD))
    assert codes(ONE, goal, warnings_as_errors=True) == [("warnings_treated_as_errors", 1)]


# ── another emulator ───────────────────────────────────────────────────────────────────────────────────

BOTH_WAYS = appup({"1": [CART]}, {"1": "inverse"})


def beam_plan(sasl: str, **rest: Any) -> Relup:
    base = beam("1", app("1", {"cart": "old"}), sasl=sasl, erts="5.8")
    return plan(base, beam("2", app("2", {"cart": "new"}, appup=BOTH_WAYS), sasl=sasl), **rest)


def test_another_emulator_is_started_first_and_left_last() -> None:
    made = beam_plan("2.2")
    assert made.script[0] == RestartNewEmulator()
    assert made.way_back is not None
    assert made.way_back[-1] == RestartEmulator()
    assert [d.code for d in made.warnings] == ["erts_vsn_changed"]


def test_a_release_handler_from_before_r15_restarts_last() -> None:
    made = beam_plan("2.1.10", restart_emulator=True)
    assert made.script[-1] == RestartNewEmulator()
    assert RestartEmulator() not in made.script
    assert [d.code for d in made.warnings] == ["erts_vsn_changed", "pre_R15_emulator_upgrade"]


def test_a_restart_that_an_appup_asks_for_comes_last_too() -> None:
    restart = appup({"1": [RestartNewEmulator(location=at(12)), CART]}, {"1": [CART]})
    old = beam("1", app("1", {"cart": "old"}), sasl="2.1.10")
    sasl = Application("sasl", "4.2", appup=appup({"2.1.10": []}, {"2.1.10": []}, "4.2", "sasl"))
    new = replace(old, vsn="2", applications=(sasl, app("2", {"cart": "new"}, appup=restart)))
    up, down = plan(old, new), plan(new, old)
    assert up.script[-1] == RestartNewEmulator()
    assert down.way_back == up.script
    for made in (up, down):
        assert [(d.code, d.location) for d in made.warnings] == [("pre_R15_emulator_upgrade", at(12))]


def test_a_restart_that_is_asked_for_is_the_last_step_both_ways() -> None:
    goal = beam("2", app("2", {"cart": "new"}, appup=BOTH_WAYS))
    made = plan(beam("1", app("1", {"cart": "old"})), goal, restart_emulator=True)
    assert made.script[-1] == RestartEmulator()
    assert made.way_back is not None
    assert made.way_back[-1] == RestartEmulator()


def test_a_module_that_nobody_has_is_a_warning_on_beam_where_otp_plans_it() -> None:
    there = appup({"1": [CART, DeleteModule("crat", location=at(13))]}, {"1": [CART]})
    made = plan(beam("1", app("1", {"cart": "old"})), beam("2", app("2", {"cart": "new"}, appup=there)))
    assert [(d.code, d.severity, d.location) for d in made.warnings] == [("no_such_module", "warning", at(13))]


def test_an_appup_with_faults_is_told_when_its_application_changes() -> None:
    fault = Diagnostic("bad_term", "a term is expected here", at(7))
    old, cart = app("1", {"cart": "old"}), app("2", {"cart": "new"}, faults=(fault,))
    assert codes(beam("1", old), beam("2", cart)) == [("bad_term", 7)]
    base, goal = beam("1", cart, sasl="4.1"), beam("2", cart, sasl="4.2")
    assert codes(base, goal) == [("file_problem", None)]


def test_a_missing_appup_of_a_beam_release_is_a_file_problem() -> None:
    assert codes(beam("1", app("1", {"cart": "old"})), beam("2", app("2", {"cart": "new"}))) == [("file_problem", 4)]


def test_only_an_appup_that_is_there_is_asked_for_a_way_down_from_the_base() -> None:
    """Whether the appups are the goal's or, on the way down, the base's is not known without an entry."""
    also = app("1", {"sys": "x"}, "sys", appup=appup({}, {}, "1", "sys"))
    bank = app("5", {"bank": "x"}, "bank", appup=appup({"4": []}, {"4": []}, "5", "bank"))
    old = beam("1", also, app("1", {"cart": "old"}), bank)
    new = beam("2", also, app("2", {"cart": "new"}), replace(bank, vsn="6", appup=None))
    with pytest.raises(InvalidInput) as error:
        plan(old, new)
    assert [(d.code, d.location and d.location.file) for d in error.value.diagnostics] == [
        ("file_problem", "2/release.yaml"),
        ("file_problem", "5/release.yaml"),
        ("no_relup", "bank.appup.yaml"),
    ]


def test_a_release_without_sasl_cannot_be_upgraded() -> None:
    base = release("1", app("1", {"cart": "old"}), kind="beam")
    goal = beam("2", app("2", {"cart": "new"}, appup=BOTH_WAYS))
    assert ("missing_sasl", None) in codes(base, goal)


def test_wrong_input_outweighs_a_refusal() -> None:
    assert codes(ONE, goal_with(CART, CART, RESTARTS[0])) == [("muldef_module", 12), ("not_on_this_node", 13)]


# ── warnings ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_taken_back_and_what_is_lost_is_said() -> None:
    calls = [
        Apply(Call("shop.ops", "migrate"), location=at(13)),
        Apply(Call("shop.ops", "migrate"), Call("shop.ops", "unmigrate"), location=at(14)),
        Apply(Call("supervisor", "terminate_child", ("top", "x")), location=at(15)),
        Apply(Call("supervisor", "restart_child", ("top", "x")), location=at(16)),
        RestartApplication("shop", location=at(17)),
        Apply(Call("supervisor", "terminate_child", ("top", "y")), location=at(18)),
    ]
    warnings = plan(ONE, goal_with(*calls)).warnings
    assert [(d.code, d.severity, d.location) for d in warnings] == [
        ("irreversible", "warning", at(13)),
        ("state_lost", "note", at(15)),
        ("state_lost", "warning", at(17)),
        ("state_lost", "warning", at(18)),
    ]


def test_a_python_release_is_not_searched_for_elixir_names() -> None:
    assert codes(ONE, goal_with(CART, AddModule("Cart", location=at(13)))) == [("no_such_module", 13)]


def test_elixir_modules_may_be_named_as_in_elixir() -> None:
    files = {"Elixir.Counter": "a", "Elixir.Counter.Format": "b", "plain": "c"}
    instructions = (
        Update("Counter", Advanced(), ("Counter.Format",)),
        LoadModule("Counter.Format"),
        LoadModule("plain"),
    )
    there = appup({"1": instructions}, {"1": "inverse"})
    base = beam("1", app("1", dict.fromkeys(files, "old")))
    found = plan(base, beam("2", app("2", files, appup=there)))
    assert found.script[0] == LoadObjectCode("shop", "2", ("Elixir.Counter", "Elixir.Counter.Format", "plain"))
    assert Suspend((Suspension("Elixir.Counter"),)) in found.script


# ── order ──────────────────────────────────────────────────────────────────────────────────────────────


def test_ties_are_broken_by_what_was_written_first_or_by_rank() -> None:
    script = [Update("top", depends=("b", "a", "c")), *(LoadModule(m) for m in "bac")]
    modules = [Application("x", "1", ("a", "b", "c", "top"))]

    def loaded(rank: dict[str, int] | None) -> list[str]:
        return [i.module for i in translate("up", [script], modules, modules, rank) if isinstance(i, Load)]

    assert loaded(None) == ["c", "a", "b", "top"]
    assert loaded({"c": 0, "b": 1, "a": 2}) == ["a", "b", "c", "top"]


_PROGRAM = """
from relup.model.instructions import *
from relup.model.release import Application
from relup.planner import translate
names = [f"module{n}" for n in range(40)]
script = [
    Update(m, Advanced(), tuple(names[(n * k) % 40] for k in (3, 7, 11)) if n % 4 else ()) for n, m in enumerate(names)
]
where = [Application("one", "2", tuple(names[:20])), Application("two", "2", tuple(names[20:]))]
for direction in ("up", "down"):
    print(translate(direction, [script], where, where))
"""


def test_the_plan_is_the_same_under_every_hash_seed() -> None:
    def output(seed: int) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-c", _PROGRAM]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert len({output(seed) for seed in (0, 1, 2, 3)}) == 1


def test_entries_of_appups_are_plain_values() -> None:
    """Planning leaves its arguments as they were."""
    before = repr((ONE, TWO))
    plan(ONE, TWO)
    assert repr((ONE, TWO)) == before
    assert Appup("a", "1", (Entry(VersionPattern("0"), ()),)).entry("up", "0") is not None
