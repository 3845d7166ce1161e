"""A set of modules that is not closed is refused by the plan, from the texts alone, as a node refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput
from relup.document import read_release
from relup.model.release import Release
from relup.planner import members, plan
from relup.planner.closure import dependants
from tests.closure_cases import EARLY, LATE, MODEL, OTHERS

APPUP = (
    'application: shop\nvsn: "2"\nup:\n- from: "1"\n  instructions: [{}]\ndown:\n- to: "1"\n  instructions: inverse\n'
)


def release(folder: Path, vsn: str, files: Mapping[str, str], *loaded: str) -> Release:
    """Write and read a release of `shop`, whose appup loads some modules."""
    for file, text in files.items():
        path = folder / vsn / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    applications = f'applications:\n- name: shop\n  vsn: "{vsn}"\n'
    (folder / vsn / "release.yaml").write_text(f'name: shop\nvsn: "{vsn}"\n{applications}')
    if loaded:
        instructions = ", ".join(f"load_module: {m}" for m in loaded).replace(", ", "}, {")
        (folder / vsn / "shop.appup.yaml").write_text(APPUP.format(f"{{{instructions}}}"))
    return read_release(folder / vsn)


def both(folder: Path, files: Mapping[str, str], *loaded: str) -> tuple[Release, Release]:
    """Return two releases that differ in `shop.model`."""
    old = {**OTHERS, **files, "shop/model.py": MODEL.format(1)}
    return release(folder, "1", old), release(folder, "2", {**old, "shop/model.py": MODEL.format(2)}, *loaded)


@pytest.mark.parametrize(("text", "line", "name"), EARLY.values(), ids=EARLY)
def test_what_is_bound_early_is_refused_with_module_line_and_name(
    tmp_path: Path, text: str, line: int, name: str
) -> None:
    base, goal = both(tmp_path, {"shop/user.py": text}, "shop.model")
    with pytest.raises(InvalidInput) as refused:
        plan(base, goal)
    (found,) = {d for d in refused.value.diagnostics if "shop.user" in d.message}
    assert found.code == "not_closed"
    assert f"'shop.user' evaluates {name!r} of" in found.message
    assert f"user.py:{line})" in found.message
    assert found.location
    assert found.location.line == 5
    assert found.hint
    assert "load_module: shop.user" in found.hint


@pytest.mark.parametrize(("text", "line", "name"), EARLY.values(), ids=EARLY)
def test_a_set_with_it_is_closed_and_the_plan_says_why_it_is_in(
    tmp_path: Path, text: str, line: int, name: str
) -> None:
    base, goal = both(tmp_path, {"shop/user.py": text}, "shop.model", "shop.user")
    made = plan(base, goal)
    (window,) = members(base, goal, made.script)
    assert [(m.module, m.difference) for m in window] == [("shop.model", "changed"), ("shop.user", "same")]
    because = window[1].because
    assert because
    assert (because.line, because.name) == (line, name)


@pytest.mark.parametrize("text", LATE.values(), ids=LATE)
def test_what_is_looked_up_late_is_not_refused(tmp_path: Path, text: str) -> None:
    base, goal = both(tmp_path, {"shop/user.py": text}, "shop.model")
    assert plan(base, goal).script


def test_the_set_grows_through_those_that_join_it(tmp_path: Path) -> None:
    files = {
        "shop/mid.py": "from .reexport import Base\nclass Mid(Base): ...\n",
        "shop/again.py": "from shop.mid import *\n",
        "shop/top.py": "from shop import again\nclass Top(again.Mid): ...\n",
        "shop/far.py": "import shop.top as t\ndef f(a=t.Top): ...\n",
        "shop/calm.py": "from shop.top import Top\ndef f():\n    return Top\n",
    }
    base, _ = both(tmp_path, files)
    found = {d.module: d.of for d in dependants(base, {"shop.model"})}
    assert found == {"shop.mid": "shop.model", "shop.top": "shop.mid", "shop.far": "shop.top"}


def test_what_a_changed_module_only_hands_on_is_not_refused(tmp_path: Path) -> None:
    files = {"shop/base.py": "class Base: ...\n", "shop/user.py": "from shop.front import Base\nclass A(Base): ...\n"}
    base = release(
        tmp_path, "1", {**OTHERS, **files, "shop/model.py": "", "shop/front.py": "V = 1\nfrom shop.base import Base\n"}
    )
    assert dependants(base, {"shop.front"}) == ()
    assert [d.module for d in dependants(base, {"shop.base", "shop.front"})] == ["shop.user"]


def test_a_namespace_package_leads_to_its_modules(tmp_path: Path) -> None:
    files = {
        "shop/space/part.py": "class Base: ...\n",
        "shop/user.py": "import shop.space.part\nclass A(shop.space.part.Base): ...\n",
    }
    base, _ = both(tmp_path, files)
    assert [d.module for d in dependants(base, {"shop.space.part"})] == ["shop.user"]


def test_a_module_whose_comments_go_and_leave_nothing_changed_in_its_comments_only(tmp_path: Path) -> None:
    base = release(tmp_path, "1", {**OTHERS, "shop/quiet.py": "# words\n"})
    goal = release(tmp_path, "2", {**OTHERS, "shop/quiet.py": ""}, "shop.quiet")
    ((member,),) = members(base, goal, plan(base, goal).script)
    assert (member.module, member.difference) == ("shop.quiet", "comments")


def test_windows_that_a_call_parts_are_each_closed_or_refused(tmp_path: Path) -> None:
    base, _ = both(tmp_path, {"shop/user.py": EARLY["base class"][0]}, "shop.model", "shop.user")
    file = tmp_path / "2/shop.appup.yaml"
    call = "{apply: {module: gc, function: collect, undo: {module: gc, function: collect}}}"
    file.write_text(file.read_text().replace("}, {load_module: shop.user", f"}}, {call}, {{load_module: shop.user"))
    with pytest.raises(InvalidInput, match=r"'shop\.user' evaluates .*a call parts the window that loads both"):
        plan(base, read_release(tmp_path / "2"))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("# why\n" + MODEL.format(1), False),
        ('"""Words."""\n' + MODEL.format(1).replace("    vsn = 1", '    """More."""\n    vsn   =  1'), False),
        (MODEL.format(2), True),
        ('"""Words."""\nX = __doc__\n' + MODEL.format(1), True),
        (MODEL.format(1).replace("LIMIT = 1", "LIMIT = True"), True),
    ],
    ids=["a comment", "docstrings and blanks", "a value", "a docstring that is read", "an equal value of another type"],
)
def test_a_module_needs_an_instruction_unless_only_its_comments_changed(
    tmp_path: Path, text: str, refused: bool
) -> None:
    old = {**OTHERS, "shop/model.py": MODEL.format(1)}
    base = release(tmp_path, "1", old)
    goal = release(tmp_path, "2", {**old, "shop/model.py": text, "shop/other.py": "V = 2\n"}, "shop.other")
    if refused:
        with pytest.raises(InvalidInput, match=r"'shop.model'.*changed, and no instruction loads it"):
            plan(base, goal)
    else:
        assert plan(base, goal).script
