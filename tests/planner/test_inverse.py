"""`instructions: inverse`: what it derives, and what it declines to guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from relup.diagnostics import Diagnostic
from relup.model.instructions import (
    AddApplication,
    AddModule,
    Advanced,
    Apply,
    Call,
    DeleteModule,
    Instruction,
    Load,
    LoadModule,
    PointOfNoReturn,
    RemoveApplication,
    RestartApplication,
    SupervisorChange,
    Suspend,
    Suspension,
    Update,
)
from relup.planner import translate
from relup.planner.inverse import inverse
from tests.planner.build import app, appup, at, codes, release

TOP = Update("shop.top", SupervisorChange())
CART = Update("shop.cart", Advanced({"bonus": 1}), ("shop.tax",), "static", 500, "soft_purge", "soft_purge")


def child(function: str, name: str = "clerk") -> Apply:
    return Apply(Call("supervisor", function, ("shop.top", name)))


def start_child(spec: Any, **rest: Any) -> Apply:
    return Apply(Call("supervisor", "start_child", ("shop.top", spec)), **rest)


def ops(function: str) -> Call:
    return Call("shop.ops", function)


CASES: dict[str, tuple[Sequence[Instruction], Sequence[Instruction]]] = {
    "updates and loads are their own": ([CART, LoadModule("shop.tax")], [CART, LoadModule("shop.tax")]),
    "modules are added and deleted": (
        [AddModule("a", ("b",)), DeleteModule("b", ("a",))],
        [DeleteModule("a", ("b",)), AddModule("b", ("a",))],
    ),
    "what is independent is mirrored": ([LoadModule("a"), LoadModule("b")], [LoadModule("b"), LoadModule("a")]),
    "a component takes effect where its first module stood": (
        [Update("a", depends=("b",)), Apply(ops("f"), ops("g")), LoadModule("b")],
        [Apply(ops("g"), ops("f")), Update("a", depends=("b",)), LoadModule("b")],
    ),
    "applications": (
        [AddApplication("x", "load"), RemoveApplication("y"), RestartApplication("z")],
        [RestartApplication("z"), AddApplication("y", "transient"), RemoveApplication("x")],
    ),
    "a call with an undo is swapped": ([Apply(ops("up"), ops("down"))], [Apply(ops("down"), ops("up"))]),
    "a stopped application starts again as the release says": (
        [Apply(Call("application", "stop", ("y",)))],
        [Apply(Call("application", "start", ("y", "transient")))],
    ),
    "a child that was born ends": (
        [AddModule("shop.clerk"), TOP, child("restart_child")],
        [child("terminate_child"), child("delete_child"), TOP, DeleteModule("shop.clerk")],
    ),
    "a child that ended is born after its spec was read": (
        [TOP, child("terminate_child"), child("delete_child"), DeleteModule("shop.clerk")],
        [AddModule("shop.clerk"), TOP, child("restart_child")],
    ),
    "a child that is restarted is restarted": (
        [child("terminate_child"), LoadModule("shop.clerk"), child("restart_child")],
        [child("terminate_child"), LoadModule("shop.clerk"), child("restart_child")],
    ),
    "a child of another supervisor that has the same id is born all the same": (
        [TOP, Apply(Call("supervisor", "terminate_child", ("shop.other", "clerk"))), child("restart_child")],
        [
            child("terminate_child"),
            child("delete_child"),
            TOP,
            Apply(Call("supervisor", "restart_child", ("shop.other", "clerk"))),
        ],
    ),
    "a child started by an old spec, a tuple, ends by its id": (
        [start_child({"tuple": ["clerk", {"tuple": ["clerk", "start", []]}, "permanent", 5000, "worker", ["clerk"]]})],
        [child("terminate_child"), child("delete_child")],
    ),
    "a child started by its spec ends by its id": (
        [start_child({"id": "clerk", "start": "shop.clerk"})],
        [child("terminate_child"), child("delete_child")],
    ),
}


@pytest.mark.parametrize(("given", "expected"), CASES.values(), ids=CASES.keys())
def test_inverse(given: Sequence[Instruction], expected: Sequence[Instruction]) -> None:
    assert list(inverse(given, {"y": "transient"})) == expected


REFUSED: dict[str, Instruction] = {
    "an unknown call": Apply(ops("migrate"), location=at(13)),
    "a deleted child whose spec is nowhere": Apply(
        Call("supervisor", "delete_child", ("shop.top", "clerk")), location=at(13)
    ),
    "a child started from its supervisor's one spec, whose pid nobody knows": start_child(["tea"], location=at(13)),
    "a low-level load": Load("cart", location=at(13)),
    "a low-level suspend": Suspend((Suspension("cart"),), location=at(13)),
    "a point of no return": PointOfNoReturn(location=at(13)),
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED.keys())
def test_what_has_no_inverse_is_named_with_its_reason(given: Instruction) -> None:
    (found,) = inverse([given], {})
    assert isinstance(found, Diagnostic)
    assert (found.code, found.location) == ("no_inverse", at(13))
    assert "has no inverse: " in found.message


@pytest.mark.parametrize(
    ("up", "down", "line"),
    [({"1": "inverse"}, {"1": "inverse"}, 10), ({"1": "inverse"}, {"0": []}, 10), ({"1": []}, {"1": "inverse"}, None)],
)
def test_one_of_the_two_lists_must_be_written_out(up: dict, down: dict, line: int | None) -> None:  # type: ignore[type-arg]
    found = codes(release("1", app("1", {})), release("2", app("2", {}, appup=appup(up, down))))
    assert found[:1] == ([("no_inverse", line)] if line else [])


def test_what_loads_first_on_the_way_up_loads_last_on_the_way_back() -> None:
    up = [Update("a", depends=("b",)), LoadModule("b", ("c",)), LoadModule("c"), LoadModule("d")]
    back = [i for i in inverse(up, {}) if not isinstance(i, Diagnostic)]
    where = [app("1", dict.fromkeys("abcd", ""))]
    there = [i.module for i in translate("up", [up], where, where) if isinstance(i, Load)]
    again = [i.module for i in translate("down", [back], where, where) if isinstance(i, Load)]
    assert again == there[::-1]
