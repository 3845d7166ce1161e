"""What a plan makes of `keep` and `instances`: what it carries, what it warns of, and who refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from relup.diagnostics import Diagnostic
from relup.document.erlang.otp_relup import not_in_otp
from relup.model.instructions import Advanced, Instruction, Load, LoadModule, Migration, Update
from relup.model.naming import describe
from relup.model.otp_relup import otp_relup
from relup.model.release import Release
from relup.model.windows import Window, inverse, segments
from relup.planner import plan
from relup.planner.inverse import inverse as derived
from tests.planner.build import app, appup, at, beam, codes, refused, release

TURN, TURN_BACK = (Migration("Cart", "turn"),), (Migration("Cart", "turn_back"),)
UP = (
    Update("shop.cart", Advanced(), keep=("SESSIONS",), location=at(11)),
    LoadModule("shop.model", keep=("RATES",), instances=TURN, location=at(12)),
)
DOWN = (
    Update("shop.cart", Advanced(), keep=("SESSIONS",), location=at(111)),
    LoadModule("shop.model", keep=("RATES",), instances=TURN_BACK, location=at(112)),
)
OLD, NEW = ({f"shop.{m}": f"{m} {vsn}" for m in ("cart", "model")} for vsn in "12")


def releases(up: Sequence[Instruction] = UP, down: Any = DOWN, make: Any = release) -> tuple[Release, Release]:
    return make("1", app("1", OLD)), make("2", app("2", NEW, appup=appup({"1": up}, {"1": down})))


def test_the_script_carries_it_in_both_directions() -> None:
    relup = plan(*releases())
    assert [i for i in relup.script if isinstance(i, Load)] == [
        Load("shop.cart", keep=("SESSIONS",)),
        Load("shop.model", keep=("RATES",), instances=TURN),
    ]
    assert [i.instances for i in relup.way_back or () if isinstance(i, Load)] == [(), TURN_BACK]
    assert relup.warnings == ()


def test_a_list_that_only_keeps_is_its_own_inverse_and_one_that_migrates_has_none() -> None:
    assert list(derived(UP[:1], {})) == [UP[0]]
    [found] = derived(UP[1:], {})
    assert isinstance(found, Diagnostic)
    assert (found.code, found.location) == ("no_inverse", at(12))
    assert "instances of Cart of 'shop.model'" in found.message
    assert "`instances`" in str(found.hint)


@pytest.mark.parametrize(
    ("down", "expected"),
    [
        (DOWN, []),
        ((DOWN[0], LoadModule("shop.model", location=at(112))), ["not_kept_down", "not_migrated_down"]),
        ((LoadModule("shop.cart", location=at(111)), DOWN[1]), ["not_kept_down"]),
    ],
)
def test_what_the_way_down_leaves_behind_is_warned_of_at_its_place(down: Any, expected: list[str]) -> None:
    base, goal = releases(down=down)
    for relup in (plan(base, goal), plan(goal, base)):
        warned = [d for d in relup.warnings if d.code.endswith("_down")]
        assert [d.code for d in warned] == expected
        assert {d.severity for d in warned} <= {"warning"}
        assert all(d.location and d.location.line > 110 for d in warned)


def test_the_downgrade_of_a_window_carries_back_what_the_way_back_does() -> None:
    relup = plan(*releases())
    [window] = (s for s in segments(relup.script) if isinstance(s, Window))
    back, lost = inverse(window, relup.way_back or ())
    assert [c for c in back.code if isinstance(c, Load)] == [
        Load("shop.model", keep=("RATES",), instances=TURN_BACK),
        Load("shop.cart", keep=("SESSIONS",)),
    ]
    assert lost == ()
    without = [i for i in relup.way_back or () if not (isinstance(i, Load) and i.instances)]
    back, lost = inverse(window, without)
    assert [(c.keep, c.instances) for c in back.code if isinstance(c, Load)] == [((), ()), (("SESSIONS",), ())]
    assert lost == ("shop.model",)


def test_a_beam_node_has_neither() -> None:
    refusal = refused(*releases(make=beam))
    assert [(d.code, d.location) for d in refusal.diagnostics] == [
        ("not_on_this_node", at(n)) for n in (11, 12, 12, 111, 112, 112)
    ]
    assert all(d.hint for d in refusal.diagnostics)


def test_otp_has_no_words_for_it() -> None:
    told = list(not_in_otp(otp_relup(plan(*releases()))))
    assert [(d.code, d.location) for d in told] == [("not_in_otp", at(n)) for n in (11, 12, 12, 111, 112, 112)]


def test_a_plan_says_it_in_words() -> None:
    assert describe(UP[0]) == "update shop.cart advanced, keeps SESSIONS"
    load = Load("shop.model", keep=("A", "B"), instances=(Migration("Cart", "f"), Migration("Cart.Item", "g")))
    assert describe(load) == "load shop.model, keeps A, B, migrates instances of Cart, Cart.Item"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"keep": ("a b",)}, "bad_keep"),
        ({"keep": ("a.b",)}, "bad_keep"),
        ({"keep": ("__file__",)}, "bad_keep"),
        ({"keep": "SESSIONS"}, "bad_keep"),
        ({"keep": (5,)}, "bad_keep"),
        ({"instances": (Migration("Cart.", "f"),)}, "bad_instances"),
        ({"instances": (Migration("Cart", "a:b:c"),)}, "bad_instances"),
        ({"instances": (Migration("Cart", ""),)}, "bad_instances"),
        ({"instances": {"Cart": "f"}}, "bad_instances"),
        ({"instances": ("Cart",)}, "bad_instances"),
    ],
)
def test_what_python_cannot_name_is_an_error_with_its_place(wrong: dict[str, Any], code: str) -> None:
    for i in (Update, LoadModule):
        found = codes(*releases(up=(UP[0], i("shop.model", location=at(12), **wrong))))
        assert found == [(code, 12)]
