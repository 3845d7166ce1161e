"""`migrate`: whose code is loaded, who asks which function when, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from relup.cli.otp import relup_text
from relup.diagnostics import Diagnostic, InvalidInput
from relup.document import relup_from_data, relup_to_data
from relup.executor.hop import check_reversible
from relup.model.instructions import (
    AddModule,
    Advanced,
    Apply,
    Call,
    CodeChange,
    Instruction,
    Load,
    LoadModule,
    ModuleChange,
    StateFunction,
    SupervisorChange,
    Suspension,
    Update,
)
from relup.model.naming import describe
from relup.model.release import Application, Release
from relup.model.relup import Relup
from relup.model.windows import Window, inverse, segments
from relup.planner import explain, plan
from relup.planner.lint import check_appup
from relup.report.explain import explain_lines
from relup.report.text import plan_lines
from tests.planner.build import app, appup, at, beam, refused, release
from tests.planner.lint.test_beam import Known, module

CAGE = StateFunction("zoo_convert", "cage")
KEEPER = Update("keeper", migrate=CAGE, location=at(12))
"""A server of a library that stays as it is; what it keeps for the zoo changes its shape."""
CONVERT = LoadModule("zoo_convert", location=at(13))
ADD = AddModule("zoo_convert", location=at(13))
LIBRARY = app("1.0", {"keeper": "same", "keeper_sup": "same"}, name="library")
CODE = Known(
    {"zoo_convert": module("zoo_convert", [("cage", 3), ("cages", 3), ("free", 1)]), "keeper": module("keeper")}
)


def zoo(vsn: str, files: Sequence[str], up: Sequence[Instruction] = (), down: Any = "inverse", **rest: Any) -> Release:
    ours = app(vsn, dict.fromkeys(files, vsn), name="zoo", appup=appup({"1": up}, {"1": down}, name="zoo"))
    return beam(vsn, rest.pop("library", LIBRARY), ours, code=CODE, **rest)


ONE = zoo("1", ["zoo"])
BOTH = zoo("1", ["zoo", "zoo_convert"])
ZOO = LoadModule("zoo", pre_purge="soft_purge", post_purge="soft_purge", location=at(11))


def planned(base: Release, *up: Instruction, down: Any = "inverse") -> Relup:
    return plan(base, zoo("2", ["zoo", "zoo_convert"], [ZOO, *up], down))


def found(base: Release, *up: Instruction, down: Any = "inverse") -> list[Diagnostic]:
    with pytest.raises(InvalidInput) as caught:
        planned(base, *up, down=down)
    return list(caught.value.diagnostics)


# ── the plan ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", [(KEEPER, ADD), (ADD, KEEPER)])
def test_a_librarys_server_is_not_loaded_and_the_function_is_there_when_it_is_called(
    order: tuple[Instruction, ...],
) -> None:
    made = planned(ONE, *order)
    assert made.way_back is not None
    (up,), (down,) = (segments(script) for script in (made.script, made.way_back))
    assert isinstance(up, Window)
    assert isinstance(down, Window)
    assert up.suspensions == down.suspensions == (Suspension("keeper"),)
    assert sorted(up.modules()) == sorted(down.modules()) == ["zoo", "zoo_convert"]
    change = ModuleChange("keeper", migrate=CAGE)
    assert (up.before, up.after) == ((), (CodeChange("up", (change,)),))
    assert (down.before, down.after) == ((CodeChange("down", (change,)),), ())


def test_a_server_whose_file_differs_is_loaded_too() -> None:
    new = zoo(
        "2",
        ["zoo", "zoo_convert"],
        [ZOO, ADD, KEEPER],
        library=app("1.0", {"keeper": "new", "keeper_sup": "same"}, name="library"),
    )
    loads = [i.module for i in plan(ONE, new).script if isinstance(i, Load)]
    assert sorted(loads) == ["keeper", "zoo", "zoo_convert"]


def test_without_fingerprints_the_version_of_its_application_says_whether_it_stays() -> None:
    for vsn, loaded in (("1.0", False), ("1.1", True)):
        bare = Application("library", vsn, ("keeper",), appup=appup({"1.0": []}, {"1.0": []}, vsn, "library"))
        old = zoo("1", ["zoo"], library=replace(bare, vsn="1.0"))
        script = plan(old, zoo("2", ["zoo", "zoo_convert"], [ZOO, ADD, KEEPER], library=bare)).script
        assert (Load("keeper") in script) is loaded


def test_a_static_module_asks_the_code_that_comes() -> None:
    static = replace(KEEPER, mod_type="static")
    made = planned(BOTH, CONVERT, static)
    (down,) = segments(made.way_back or ())
    assert isinstance(down, Window)
    assert down.before == ()
    assert [c.changes[0].migrate for c in down.after] == [CAGE]


def test_extra_is_that_of_an_advanced_change() -> None:
    made = planned(ONE, ADD, replace(KEEPER, change=Advanced({"bars": 5})))
    (change,) = [i for i in made.script if isinstance(i, CodeChange)]
    assert change.changes == (ModuleChange("keeper", {"bars": 5}, CAGE),)


def test_a_window_that_was_resumed_is_taken_back_by_the_down_list() -> None:
    free = StateFunction("zoo_convert", "cages")
    cut = Apply(Call("zoo", "open"), Call("zoo", "shut"), location=at(15))
    down = [replace(KEEPER, migrate=free), CONVERT, ZOO]
    made = plan(BOTH, zoo("2", ["zoo", "zoo_convert"], [CONVERT, KEEPER, cut, ZOO], down))
    window = segments(made.script)[0]
    assert isinstance(window, Window)
    back, lost = inverse(window, made.way_back or ())
    assert lost == ()
    assert back.before == (CodeChange("down", (ModuleChange("keeper", migrate=free),)),)
    assert list(check_reversible(made)) == []


def test_one_that_only_the_way_up_migrates_could_not_be_taken_back() -> None:
    cut = Apply(Call("zoo", "open"), Call("zoo", "shut"), location=at(15))
    made = plan(BOTH, zoo("2", ["zoo", "zoo_convert"], [CONVERT, KEEPER, cut, ZOO], [CONVERT, ZOO]))
    assert [(d.code, d.location) for d in check_reversible(made)] == [("no_way_back", at(12))]


def test_a_plan_keeps_it() -> None:
    made = planned(ONE, ADD, KEEPER)
    assert relup_from_data(relup_to_data(made)) == made


def test_nothing_is_said_of_code_that_stays() -> None:
    assert [str(d) for d in planned(ONE, ADD, KEEPER).warnings] == []


# ── in words ───────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_shown() -> None:
    assert describe(KEEPER) == "update keeper migrated by zoo_convert:cage"
    new = zoo("2", ["zoo", "zoo_convert"], [ZOO, ADD, KEEPER])
    shown = "\n".join(plan_lines(plan(ONE, new)))
    assert "code_change  keeper migrated by zoo_convert:cage" in shown
    told = "\n".join(explain_lines(explain(ONE, new)))
    assert "keeper: update, its code stays, migrated by zoo_convert:cage after the loads (dynamic)" in told
    assert "zoo_convert: add_module, loaded 2 of 2" in told


# ── what is wrong with it ──────────────────────────────────────────────────────────────────────────────


def test_a_function_that_is_not_there_is_found_in_the_files() -> None:
    misspelt = replace(KEEPER, migrate=StateFunction("zoo_convert", "cagges"))
    assert [(d.code, d.location, d.hint) for d in found(ONE, ADD, misspelt)] == [
        ("no_such_function", at(12), "did you mean 'cages'?")
    ]
    narrow = replace(KEEPER, migrate=StateFunction("zoo_convert", "free"))
    (wrong,) = found(ONE, ADD, narrow)
    assert wrong.message == "migrate: zoo_convert:free/3 is not exported by ebin/zoo_convert.beam of shop 2"
    assert wrong.hint == "free/1 is: let it take three arguments, OldVsn, State and Extra"


def test_a_module_that_is_in_no_application_is_found() -> None:
    nowhere = replace(KEEPER, migrate=StateFunction("zoo_conwert", "cage"))
    assert [(d.code, d.location, d.hint) for d in found(ONE, ADD, nowhere)] == [
        ("no_such_module", at(12), "did you mean 'zoo_convert'?")
    ]
    servers = found(ONE, ADD, replace(KEEPER, module="keepr"))
    assert [(d.code, d.location, d.hint) for d in servers] == [("no_such_module", at(12), "did you mean 'keeper'?")]


def test_a_supervisor_has_no_state_that_a_function_could_change() -> None:
    wrong = found(ONE, ADD, replace(KEEPER, change=SupervisorChange()))
    assert [(d.code, d.location) for d in wrong] == [("bad_migrate", at(12))]


@pytest.mark.parametrize("value", ["zoo_convert:cage", ("zoo_convert", "cage"), StateFunction("", ""), {}])
def test_a_value_of_another_kind_is_found(value: Any) -> None:
    assert {d.location for d in found(ONE, ADD, replace(KEEPER, migrate=value))} == {at(12)}


def test_a_list_that_does_not_migrate_back_is_no_inverse() -> None:
    both = appup({"1": [KEEPER]}, {"1": [replace(KEEPER, migrate=None)]})
    assert [d.code for d in check_appup(both)] == ["not_inverse"]
    assert list(check_appup(appup({"1": [KEEPER]}, {"1": [KEEPER]}))) == []


def test_elixir_names_are_written_as_people_write_them() -> None:
    names = ["Elixir.Zoo", "Elixir.Zoo.Convert"]
    library = app("1.0", {"Elixir.Keeper": "same"}, name="library")
    update = Update("Keeper", migrate=StateFunction("Zoo.Convert", "cage"))
    code = Known({"Elixir.Zoo.Convert": module("Elixir.Zoo.Convert", [("cage", 3)])})
    old, new = (
        replace(zoo(vsn, names, [LoadModule("Zoo"), LoadModule("Zoo.Convert"), update], library=library), code=code)
        for vsn in ("1", "2")
    )
    (change,) = [i for i in plan(old, new).script if isinstance(i, CodeChange)]
    assert change.changes == (ModuleChange("Elixir.Keeper", migrate=StateFunction("Elixir.Zoo.Convert", "cage")),)


# ── who cannot ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_python_node_refuses_it_before_anything_is_touched() -> None:
    files = {"shop.cart": "old"}, {"shop.cart": "new"}
    update = Update("shop.cart", migrate=StateFunction("shop.cart", "change"), location=at(12))
    entries = appup({"1": [update]}, {"1": [update]})
    refusal = refused(release("1", app("1", files[0])), release("2", app("2", files[1], appup=entries)))
    assert {(d.code, d.location) for d in refusal.diagnostics} == {("not_on_this_node", at(12))}
    assert "have a `code_change` of their own" in refusal.diagnostics[0].message


def test_otp_has_no_word_for_it_and_its_file_is_not_written_without() -> None:
    with pytest.raises(InvalidInput) as caught:
        relup_text(planned(ONE, ADD, KEEPER))
    assert [(d.code, d.location) for d in caught.value.diagnostics] == [("not_in_otp", at(12))]
