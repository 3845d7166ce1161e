"""What a draft asks about children is what a check finds missing: both read a supervisor's children the same way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relup.cli.files import findings
from relup.document import read_release
from relup.model.instructions import Apply
from relup.planner.draft import draft
from tests.planner.lint.cases import Case, server
from tests.support import write_release

APP = """\
from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
from shop.cart import Cart

class App(Application):
    async def start(self, args):
        return await self.node.start_link(Top, args, name="shop_sup")

class Base(Supervisor):
    def init(self, args):
        return SupervisorSpec([BASE])

class Top(Base):
    TOP
"""
CART, BASKET, TAX = (f'ChildSpec("{name}", Cart)' for name in ("cart", "basket", "tax"))
MORE = "def init(self, args): return SupervisorSpec([*super().init(args).children, {}])"
OTHER = "def init(self, args): return SupervisorSpec([{}])"
COMPUTED = '*(ChildSpec(f"cart{n}", Cart) for n in range(3))'
CASES = {
    "a child of a base": ((CART, "..."), (f"{CART}, {BASKET}", "..."), {("Base", "basket"), ("Top", "basket")}),
    "a child of a base that is called": (
        (CART, MORE.format(TAX)),
        (f"{CART}, {BASKET}", MORE.format(TAX)),
        {("Base", "basket"), ("Top", "basket")},
    ),
    "a child beside those of a base": ((CART, MORE.format("")), (CART, MORE.format(TAX)), {("Top", "tax")}),
    "a child of a base that is not called": (
        (CART, OTHER.format(TAX)),
        (f"{CART}, {BASKET}", OTHER.format(TAX)),
        {("Base", "basket")},
    ),
    "a child that a base had": ((BASKET, "..."), ("", MORE.format(BASKET)), {("Base", "basket")}),
    "a child that goes": ((f"{CART}, {BASKET}", "..."), (CART, "..."), {("Base", "basket"), ("Top", "basket")}),
    "the same id in both": ((CART, MORE.format("")), (CART, MORE.format(CART)), set()),
    "a child beside some with computed ids": ((COMPUTED, "..."), (f"{COMPUTED}, {BASKET}", "..."), set()),
    "a child that may be anything": ((CART, "..."), (f"{CART}, ChildSpec(**args)", "..."), set()),
}


def app(base: str, top: str) -> str:
    """Return an application with a supervisor that derives from another."""
    return APP.replace("BASE", base).replace("TOP", top)


@pytest.mark.parametrize(("old", "new", "differing"), CASES.values(), ids=CASES)
def test_a_draft_and_a_check_tell_of_the_same_children(
    tmp_path: Path, old: tuple[str, str], new: tuple[str, str], differing: set[tuple[str, str]]
) -> None:
    update = "update: {module: shop.app, change: supervisor}"
    case = Case({"app": app(*old), "cart": server(1)}, {"app": app(*new), "cart": server(1)}, (update,))
    folders = write_release(tmp_path / "1", "1", case.old), write_release(tmp_path / "2", "2", case.new, case.text())
    told = [d for d in findings(list(folders)) if d.code in ("child_not_started", "child_not_ended")]
    up = {m.groups() for d in told if d.location and d.location.line < 7 and (m := _CHECKED.search(d.message))}
    (made,) = draft(*map(read_release, folders))
    applied = {("Top", d.instruction.call.args[1]) for d in made.up if isinstance(d.instruction, Apply)}
    asked, about = set[tuple[str, str]](), ""
    for line in (line for d in made.up for line in d.comments):
        about = m[1] if (m := _ASKED.search(line)) else about
        asked |= {(about, m[1])} if (m := _CALLED.search(line)) and m[1] != "CHILD" else set()
    assert (up, applied | asked) == (differing, differing)


_CHECKED = re.compile(r"^(\w+) of 'shop\.app' \w+ the child '(\w+)'")
_ASKED = re.compile(r"^TODO: (\w+) has other children")
_CALLED = re.compile(r"args: \[NAME_OF_BASE, (\w+)\]")
"""The process of Base is never started, that of Top is shop_sup."""


def test_a_draft_asks_about_children_whose_ids_are_computed_when_what_computes_them_changed(tmp_path: Path) -> None:
    for vsn, other in (("1", "range(3)"), ("2", "range(4)")):
        write_release(tmp_path / vsn, vsn, {"app": app(COMPUTED.replace("range(3)", other), "..."), "cart": server(1)})
    (made,) = draft(read_release(tmp_path / "1"), read_release(tmp_path / "2"))
    (todos,) = ([c for c in d.comments if c.startswith("TODO")] for d in made.up)
    assert [t.partition(" are")[0] for t in todos] == ["TODO: the children of Base", "TODO: the children of Top"]


UNKNOWN = {
    "under a condition": "def init(self, args): return SupervisorSpec([*([CART] if args else []), BASKET])",
    "put in later": """def init(self, args):
        all = [CART]
        all.append(BASKET)
        return SupervisorSpec(all)""",
    "made elsewhere": "def init(self, args): return SupervisorSpec(self.specs())",
    "several ways": "def init(self, args): return SupervisorSpec([CART]) if args else SupervisorSpec([BASKET])",
}
"""Inits whose children cannot be read from the text."""


@pytest.mark.parametrize("body", UNKNOWN.values(), ids=UNKNOWN)
def test_children_that_the_text_does_not_tell_of_are_asked_about_and_no_call_is_written(
    tmp_path: Path, body: str
) -> None:
    known = f"def init(self, args): return SupervisorSpec([{CART}])"
    unknown = body.replace("CART", CART).replace("BASKET", BASKET)
    for vsn, top in (("1", known), ("2", unknown)):
        text = app("", top) + f"\nVERSION = {vsn}\n"
        write_release(tmp_path / vsn, vsn, {"app": text, "cart": server(1)})
    (made,) = draft(read_release(tmp_path / "1"), read_release(tmp_path / "2"))
    assert not [d for d in made.up if isinstance(d.instruction, Apply)]
    todos = [c for d in made.up for c in d.comments if c.startswith("TODO: the children of Top are computed")]
    assert len(todos) == 1


def drafted(folder: Path, *tops: str) -> list[tuple[str, ...]]:
    """Return the calls of a draft between releases with these supervisors, and ask for its TODOs by `?`."""
    for vsn, text in zip("12", tops, strict=True):
        write_release(folder / vsn, vsn, {"app": text, "cart": server(1)})
    (made,) = draft(read_release(folder / "1"), read_release(folder / "2"))
    calls = [d.instruction.call for d in made.up if isinstance(d.instruction, Apply)]
    asked = [("?", c.split()[1]) for d in made.up for c in d.comments if "other children" in c]
    return [(c.function, *map(str, c.args)) for c in calls] + asked


def test_a_temporary_child_is_not_deleted_for_it_is_forgotten_when_it_ends(tmp_path: Path) -> None:
    passing = 'ChildSpec("passing", Cart, restart="temporary")'
    calls = drafted(tmp_path, app("", OTHER.format(f"{CART}, {passing}")), app("", OTHER.format(CART)))
    assert calls == [("terminate_child", "shop_sup", "passing")]


def test_a_child_whose_process_gets_another_name_begins_anew(tmp_path: Path) -> None:
    old, new = (app("", OTHER.format(f'ChildSpec("c", Cart, name="{name}")')) for name in ("old", "new"))
    calls = drafted(tmp_path, old, new)
    assert calls == [("terminate_child", "shop_sup", "c"), ("restart_child", "shop_sup", "c")]


def test_a_supervisor_that_ends_itself_is_asked_for_nothing(tmp_path: Path) -> None:
    inner = 'ChildSpec("inner", Base, name="inner_sup", type="supervisor")'
    old = app(f"{CART}, {BASKET}", OTHER.format(inner)).replace("class Top(Base)", "class Top(Supervisor)")
    new = app(CART, OTHER.format("")).replace("class Top(Base)", "class Top(Supervisor)")
    calls = drafted(tmp_path, old, new)
    assert calls == [
        ("terminate_child", "shop_sup", "inner"),
        ("delete_child", "shop_sup", "inner"),
        ("?", "Base"),
    ]
