"""`verify`: which window it belongs to, what of it a plan shows, and what becomes of it on the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relup.diagnostics import InvalidInput
from relup.document import relup_from_data, relup_to_data
from relup.model.instructions import Apply, Call, Instruction, LoadModule, Resume, Update, Verify
from relup.model.relup import Relup
from relup.model.windows import Window, inverse, probes, segments
from relup.planner import explain, plan
from relup.planner.inverse import inverse as inverted
from relup.planner.syntax import check_syntax
from relup.report.explain import explain_lines
from relup.report.text import plan_lines
from tests.planner.build import app, appup, at, beam, release

CART = Update("shop.cart", location=at(11))
TILL = Update("shop.till", depends=("shop.cart",), location=at(13))
SANE = Verify(Call("shop.ops", "sane", (1,)), location=at(12))
WELL = Verify(Call("shop.ops", "well"), timeout=200, location=at(15))
CUT = Apply(Call("shop.ops", "open"), Call("shop.ops", "shut"), location=at(14))
MODULES = {"shop.cart": "1", "shop.till": "1"}


def planned(*up: Instruction, down: str | list[Instruction] = "inverse", kind: str = "python") -> Relup:
    make = beam if kind == "beam" else release
    new = app("2", dict.fromkeys(MODULES, "2"), appup=appup({"1": list(up)}, {"1": down}))
    return plan(make("1", app("1", MODULES)), make("2", new))


def asked(relup: Relup) -> list[tuple[Verify, ...] | None]:
    return [part.asks if isinstance(part, Window) else None for part in segments(relup.script)]


def test_it_belongs_to_the_window_of_its_place_and_cuts_none() -> None:
    assert asked(planned(SANE, CART, TILL)) == [(SANE,)]
    assert asked(planned(CART, SANE, TILL)) == [(SANE,)]
    assert asked(planned(CART, SANE, CUT, replace(TILL, depends=()), WELL)) == [(SANE,), None, (WELL,)]


def test_it_may_stand_alone_after_a_call() -> None:
    made = planned(CART, TILL, CUT, WELL)
    assert asked(made) == [(), None, (WELL,)]
    assert [type(part) for part in segments(made.script)] == [Window, Apply, Window]


def test_the_derived_way_back_asks_nothing_and_a_written_one_asks_what_it_says() -> None:
    assert probes(planned(CART, TILL, SANE).way_back or ()) == ()
    assert probes(planned(CART, TILL, SANE, down=[CART, TILL, WELL]).way_back or ()) == (WELL,)
    assert list(inverted([SANE], {})) == []


def test_a_window_that_is_taken_back_is_not_asked() -> None:
    made = planned(CART, TILL, SANE, CUT, down=[CART, TILL, WELL])
    window = segments(made.script)[0]
    assert isinstance(window, Window)
    back, lost = inverse(window, made.way_back or ())
    assert (back.asks, lost) == ((), ())


def test_a_plan_shows_and_keeps_it() -> None:
    made = planned(CART, TILL, SANE, WELL)
    assert relup_from_data(relup_to_data(made)) == made
    lines = list(plan_lines(made))
    assert made.script[-3:] == (SANE, WELL, Resume(("shop.cart", "shop.till")))
    assert "       verifies     shop.ops:sane(1), shop.ops:well()" in lines
    assert any(line.endswith("verify shop.ops:sane(1)") for line in lines)


def test_how_a_plan_came_about_tells_of_it() -> None:
    new = app("2", dict.fromkeys(MODULES, "2"), appup=appup({"1": [CART, TILL, SANE]}, {"1": "inverse"}))
    told = "\n".join(explain_lines(explain(release("1", app("1", MODULES)), release("2", new))))
    assert "verify shop.ops:sane(1)" in told


def test_names_of_elixir_are_written_out() -> None:
    new = app("2", {"Elixir.Shop": "2"}, appup=appup({"1": [LoadModule("Shop"), Verify(Call("Shop", "sane"))]}, {}))
    made = plan(beam("1", app("1", {"Elixir.Shop": "1"})), beam("2", new))
    assert [p.call.module for p in probes(made.script)] == ["Elixir.Shop"]


@pytest.mark.parametrize(
    ("probe", "code"),
    [
        (replace(SANE, timeout="infinity"), "bad_timeout"),
        (replace(SANE, timeout=0), "bad_timeout"),
        (replace(SANE, call=Call("", "sane")), "bad_module"),
        (replace(SANE, call=Call("shop", "")), "bad_func"),
    ],
)
def test_what_is_wrong_with_one_is_found(probe: Verify, code: str) -> None:
    assert {d.code for d in check_syntax(probe)} == {code}


def test_before_the_point_of_no_return_nobody_can_be_asked() -> None:
    from relup.model.instructions import PointOfNoReturn

    with pytest.raises(InvalidInput, match="verify stands before point_of_no_return"):
        planned(SANE, PointOfNoReturn(), CART, TILL)
