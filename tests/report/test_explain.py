"""A plan explained in words, which are shortened, and as data, which is whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from relup.document.explanation import explanation_to_data
from relup.document.instructions import write_instruction
from relup.model.explanation import Explanation
from relup.model.instructions import (
    AddModule,
    Advanced,
    Apply,
    Call,
    DeleteModule,
    Instruction,
    LoadModule,
    LoadObjectCode,
    Update,
)
from relup.model.release import Release
from relup.planner import plan
from relup.planner.explain import explain
from relup.report.explain import explain_lines
from tests.planner.build import Listed, app, appup, at, beam, release

MODULES = ("cart", "clock", "old", "price", "top")
CART = Update("cart", Advanced(), ("price",), location=at(12))
PRICE = LoadModule("price", location=at(13))
CLOCK = Update("clock", Advanced(), ("price",), "static", location=at(14))
TOP = Update("top", location=at(15))


def releases(up: Listed, down: Listed = "inverse", modules: Sequence[str] = MODULES) -> tuple[Release, Release]:
    older, newer = (replace(app(vsn, dict.fromkeys(modules, "")), fingerprints={}) for vsn in "12")
    return release("1", older), release("2", replace(newer, appup=appup({"1": up}, {"1": down})))


def up(*instructions: Instruction) -> Explanation:
    return explain(*releases(instructions))


def down(*instructions: Instruction) -> Explanation:
    old, new = releases(instructions)
    return explain(new, old)


# ── in full ────────────────────────────────────────────────────────────────────────────────────────────

UP = """\
how shop 1 → 2 (up) came about; + is new, ~ has moved

collect: the scripts of all applications
  shop 1 → 2: its up list (shop.appup.yaml:10)
     1   load_module price                       (shop.appup.yaml:13)
     2   update top soft                         (shop.appup.yaml:15)
     3   update cart advanced, depends on price  (shop.appup.yaml:12)

order: modules that depend on each other stand together, dependents first (1 moved)
     1 ~ update cart advanced, depends on price  (shop.appup.yaml:12)
     2   load_module price                       (shop.appup.yaml:13)
     3   update top soft                         (shop.appup.yaml:15)

lower: each component became load_object_code, and after point_of_no_return suspend, load, code_change, resume \
(11 new, 3 gone)
     1 + load_object_code shop 2: cart, price  (shop.appup.yaml:12)
     2 + load_object_code shop 2: top          (shop.appup.yaml:15)
     3 + point_of_no_return
     4 + suspend cart                          (shop.appup.yaml:12)
     5 + load price                            (shop.appup.yaml:13)
     6 + load cart                             (shop.appup.yaml:12)
     7 + code_change up cart                   (shop.appup.yaml:12)
     8 + resume cart                           (shop.appup.yaml:12)
     9 + suspend top                           (shop.appup.yaml:15)
    10 + load top                              (shop.appup.yaml:15)
    11 + resume top                            (shop.appup.yaml:15)

merge: code is fetched once for each application, and restarts stand where they must (1 new, 2 gone)
  load_object_code stands before point_of_no_return: nothing after that may fail for want of a file
     1 + load_object_code shop 2: cart, price, top  (shop.appup.yaml:12)
     2   point_of_no_return
     3   suspend cart                               (shop.appup.yaml:12)
     4   load price                                 (shop.appup.yaml:13)
     5   load cart                                  (shop.appup.yaml:12)
     6   code_change up cart                        (shop.appup.yaml:12)
     7   resume cart                                (shop.appup.yaml:12)
     8   suspend top                                (shop.appup.yaml:15)
     9   load top                                   (shop.appup.yaml:15)
    10   resume top                                 (shop.appup.yaml:15)

modules: the first of a component is suspended first and resumed last
  up, what others depend on is loaded first; states change after the loads, by the code that was loaded
component 1, 2 modules: stands where the first of them was written, load_module price (shop.appup.yaml:13)
     1. cart: update, loaded 2 of 3, code_change after the loads (dynamic)
        nothing depends on it
     2. price: load_module, loaded 1 of 3, nobody is suspended for it
        after cart, which depends on it (shop.appup.yaml:12)
component 2, top alone: update, loaded 3 of 3, no code_change (soft); stands as written (shop.appup.yaml:15)"""

DOWN = """\
how shop 2 → 1 (down) came about; + is new, ~ has moved

collect: the scripts of all applications
  shop 2 → 1: the inverse of its up list (shop.appup.yaml:110)
     1   update cart advanced, depends on price   (shop.appup.yaml:12)
     2   update clock advanced, depends on price  (shop.appup.yaml:14)
     3   load_module price                        (shop.appup.yaml:13)

lower: each component became load_object_code, and after point_of_no_return suspend, load, code_change, resume \
(9 new, 3 gone)
     1 + load_object_code shop 1: cart, clock, price  (shop.appup.yaml:12)
     2 + point_of_no_return
     3 + suspend cart, clock                          (shop.appup.yaml:12)
     4 + code_change down cart                        (shop.appup.yaml:12)
     5 + load cart                                    (shop.appup.yaml:12)
     6 + load clock                                   (shop.appup.yaml:14)
     7 + load price                                   (shop.appup.yaml:13)
     8 + code_change down clock                       (shop.appup.yaml:14)
     9 + resume clock, cart                           (shop.appup.yaml:12)

modules: the first of a component is suspended first and resumed last
  down, dependents are loaded first; states change before the loads (dynamic: by the code that is left,
  which knows both versions) or after them (static: by the code that comes)
component 1, 3 modules: stands where the first of them was written, update cart (shop.appup.yaml:12)
     1. cart: update, loaded 1 of 3, code_change before the loads (dynamic)
        nothing depends on it
     2. clock: update, loaded 2 of 3, code_change after the loads (static)
        nothing depends on it; after cart, no dependency between them: as written
     3. price: load_module, loaded 3 of 3, nobody is suspended for it
        after clock, which depends on it (shop.appup.yaml:14)"""


@pytest.mark.parametrize(
    ("explained", "expected"), [(up(PRICE, TOP, CART), UP), (down(CART, CLOCK, PRICE), DOWN)], ids=["up", "down"]
)
def test_a_plan_is_explained_pass_by_pass_and_module_by_module(explained: Explanation, expected: str) -> None:
    assert "\n".join(explain_lines(explained)) == expected


# ── what else there is to say ──────────────────────────────────────────────────────────────────────────

FRESH, GONE = app("7", {"fresh": ""}, "fresh"), app("5", {"gone": ""}, "gone")


def applications(direction: str) -> Explanation:
    old, new = releases([PRICE])
    base, goal = release("1", *old.applications, GONE), release("2", *new.applications, FRESH)
    return explain(base, goal) if direction == "up" else explain(goal, base)


def emulators(direction: str, sasl: str = "4.2") -> Explanation:
    old, new = releases([PRICE])
    base = beam("1", *old.applications, sasl=sasl, erts="13.1")
    goal = beam("2", *new.applications, sasl=sasl, erts="14.0")
    return explain(*((base, goal) if direction == "up" else (goal, base)), restart_emulator=True)


SAID: dict[str, tuple[Callable[[], Explanation], list[str]]] = {
    "nothing to do": (
        lambda: explain(releases([])[0], releases([])[0]),
        ["  none: no application changed", "lower: everything comes after point_of_no_return (1 new)"],
    ),
    "a circle": (
        lambda: up(replace(CART, depends=("clock",)), replace(CLOCK, depends=("cart", "price")), PRICE),
        [
            "        nothing outside its circle depends on it; in a circle with clock: kept as written",
            "        in a circle with cart: kept as written",
            "        after clock, which depends on it (shop.appup.yaml:14)",
        ],
    ),
    "a circle on which a module depends that is not its first": (
        lambda: up(
            replace(CART, depends=("clock",)), replace(CLOCK, depends=("cart",)), replace(TOP, depends=("clock",))
        ),
        ["        after top, which depends on clock (shop.appup.yaml:15); in a circle with clock: kept as written"],
    ),
    "a rank": (
        lambda: explain(*releases([CART, CLOCK, PRICE]), rank={"clock": 0}),
        ["        nothing depends on it; after clock, no dependency between them: by rank"],
    ),
    "neighbouring circles": (
        lambda: explain(
            *releases(
                [
                    replace(CART, depends=("clock", "price")),
                    replace(CLOCK, depends=("cart",)),
                    replace(TOP, depends=("old", "price")),
                    LoadModule("old", ("top",)),
                    PRICE,
                ]
            ),
            rank={"clock": 0, "old": 1},
        ),
        [
            "        nothing outside its circle depends on it; clock before old, no dependency between them: by rank;"
            " in a circle with old: kept as written",
        ],
    ),
    "what is added and deleted": (
        lambda: up(AddModule("top", location=at(12)), DeleteModule("old", location=at(13))),
        [
            "component 1, top alone: add_module, loaded 1 of 2; stands as written (shop.appup.yaml:12)",
            "component 2, old alone: delete_module, removed 2 of 2; stands as written (shop.appup.yaml:13)",
        ],
    ),
    "code that is to be read, moved": (
        lambda: explain(*releases([PRICE, LoadObjectCode("shop", "2", ("price",), location=at(20))], [PRICE])),
        [
            "cut: what may fail without any effect stands before point_of_no_return (1 new, 1 moved)",
            "  load_object_code stands before point_of_no_return: nothing after that may fail for want of a file",
            "     1 ~ load_object_code shop 2: price  (shop.appup.yaml:20)",
        ],
    ),
    "applications that come and go": (
        lambda: applications("up"),
        [
            "  fresh 7: added, as shop 1 does not have it (7/release.yaml:4)",
            "     1   add_application fresh permanent  (7/release.yaml:4)",
            "  gone 5: removed, as shop 2 does not have it (5/release.yaml:4)",
            "expand: instructions about applications became instructions about their modules (6 new, 2 gone)",
        ],
    ),
    "applications that come back and go": (
        lambda: applications("down"),
        [
            "  gone 5: added, as shop 2 does not have it (5/release.yaml:4)",
            "  fresh 7: removed, as shop 1 does not have it (7/release.yaml:4)",
        ],
    ),
    "a new emulator": (
        lambda: emulators("up"),
        [
            "  ERTS changes from 13.1 to 14.0",
            "  a restart of the emulator was asked for",
            "  restart_new_emulator stands first: everything else is done in the new emulator",
            "  restart_emulator stands last: everything else is done before the node restarts",
            "     1 ~ restart_new_emulator",
        ],
    ),
    "the old emulator": (
        lambda: emulators("down"),
        [
            "  ERTS changes from 14.0 to 13.1",
            "  restart_emulator stands last: everything else is done before the node restarts",
            "  restart_new_emulator became restart_emulator: on the way down the node restarts last, and once",
        ],
    ),
    "an old release handler": (
        lambda: emulators("up", sasl="2.1.10"),
        ["  restart_new_emulator stands last: a release handler from before R15 cannot do it first"],
    ),
    "an argument without end": (
        lambda: up(Apply(Call("m", "f", ("x" * 1000,)), Call("m", "g"))),
        [f"     1   apply m:f('{'x' * 148}…"],
    ),
}


@pytest.mark.parametrize(("explained", "expected"), SAID.values(), ids=SAID.keys())
def test_what_there_is_to_say_is_said(explained: Callable[[], Explanation], expected: list[str]) -> None:
    lines = list(explain_lines(explained()))
    assert [line for line in expected if line not in lines] == []


# ── large plans ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def large() -> Explanation:
    """2,000 modules in blocks of ten, of which only the last block was not written in its order."""
    names = [f"m{n:04}" for n in range(2_000)]
    chained = [
        Update(m, Advanced(), () if n % 10 == 9 else (names[n + 1],), location=at(n + 12)) for n, m in enumerate(names)
    ]
    return explain(*releases([*chained[:-10], *reversed(chained[-10:])], modules=names))


def test_a_large_plan_is_shortened_to_what_changed_and_counts_the_rest(large: Explanation) -> None:
    lines = list(explain_lines(large, most=12))
    assert len(lines) < 100
    assert lines[3] == "  shop 1 → 2: its up list (shop.appup.yaml:10)"
    assert lines[4].split()[:3] == ["1", "update", "m0000"]
    assert lines[16:20] == [
        "         … 1,988 more",
        "",
        "order: modules that depend on each other stand together, dependents first (9 moved)",
        "         … 1,990 more",
    ]
    assert [line.split()[:4] for line in lines[20:29]] == [
        [str(1_991 + n), "~", "update", f"m{1_990 + n}"] for n in range(9)
    ]
    assert lines[29] == "         … 1 more"
    assert lines[-1] == "… 1,980 more modules in 198 more components"
    assert "         … 8 more" in lines


def test_data_have_everything(large: Explanation) -> None:
    data = json.loads(json.dumps(explanation_to_data(large)))
    assert [len(c["modules"]) for c in data["components"]] == [10] * 200
    assert [p["pass"] for p in data["passes"]] == ["order", "lower", "merge"]
    script = [step["instruction"] for step in data["passes"][-1]["script"]]
    assert script == [write_instruction(i, places=True) for i in plan(large.relup.base, large.relup.goal).script]


def test_data_say_why() -> None:
    given = (replace(CART, depends=("clock",)), replace(CLOCK, depends=("cart", "price")), PRICE, TOP)
    data = explanation_to_data(up(*given))
    assert [(s["application"], s["origin"], s["at"], len(s["script"])) for s in data["sources"]] == [
        ("shop", "entry", "shop.appup.yaml:10:3", 4)
    ]
    first, second = data["components"]
    assert (first["number"], first["stands_at"]) == (1, {"module": "cart", "at": "shop.appup.yaml:12:3"})
    assert first["circles"] == [["cart", "clock"]]
    assert [(m["rank"], m["loaded"], m["code_change"], m["circle"], m["because"]) for m in first["modules"]] == [
        (1, 3, "after", 0, [{"kind": "free"}]),
        (2, 2, "after", 0, []),
        (3, 1, None, None, [{"kind": "after", "dependent": "clock", "on": "price", "at": "shop.appup.yaml:14:3"}]),
    ]
    assert second["modules"][0] == {
        "module": "top",
        "instruction": {"update": {"module": "top", "at": "shop.appup.yaml:15:3"}},
        "rank": 1,
        "loaded": 4,
        "code_change": None,
        "circle": None,
        "because": [{"kind": "free"}],
    }


def test_data_name_ties() -> None:
    (component,) = explanation_to_data(up(CART, CLOCK, PRICE))["components"]
    tie = {"kind": "tie", "first": "cart", "second": "clock", "by": "written"}
    assert component["modules"][1]["because"] == [{"kind": "free"}, tie]
