"""A set of modules is closed, or who keeps old objects is named."""

from __future__ import annotations

import sys

import pytest

from tests.closure_cases import EARLY, LATE, MODEL, OTHERS
from tests.runtime.code.releases import Running, found


@pytest.mark.parametrize(("text", "line", "name"), EARLY.values(), ids=EARLY)
def test_what_is_bound_early_is_found(shop: Running, text: str, line: int, name: str) -> None:
    shop.boot({**OTHERS, "shop/model.py": MODEL.format(1), "shop/user.py": text})
    staged = shop.stage({"shop/model.py": MODEL.format(2)})
    assert (("shop.user", line, name)) in {(u.module, u.line, u.name) for u in staged.unclosed}
    assert found(staged.unclosed, f"user.py:{line}: shop.user", name)
    staged.abandon()
    both = shop.stage({"shop/model.py": MODEL.format(2), "shop/user.py": text})
    assert both.unclosed == ()


@pytest.mark.parametrize("text", LATE.values(), ids=LATE)
def test_what_is_looked_up_late_is_not(shop: Running, text: str) -> None:
    shop.boot({**OTHERS, "shop/model.py": MODEL.format(1), "shop/user.py": text})
    assert shop.stage({"shop/model.py": MODEL.format(2)}).unclosed == ()


def test_what_a_changed_module_only_hands_on_is_not(shop: Running) -> None:
    base, user = "class Base: ...\n", "from shop import Base\nclass A(Base): ...\n"
    shop.boot({"shop/__init__.py": "V = 1\nfrom shop.base import Base\n", "shop/base.py": base, "shop/user.py": user})
    assert shop.stage({"shop/__init__.py": "V = 2\nfrom shop.base import Base\n"}).unclosed == ()


def test_findings_go_on_through_modules_that_must_change_too(shop: Running) -> None:
    shop.boot(
        {
            **OTHERS,
            "shop/model.py": MODEL.format(1),
            "shop/mid.py": "from shop.model import Base\nclass Mid(Base): ...\n",
            "shop/top.py": "from shop.mid import Mid\n\nclass Top(Mid): ...\n",
            "shop/far.py": "from shop import top\ndef f(a=top.Top): ...\n",
        }
    )
    staged = shop.stage({"shop/model.py": MODEL.format(2)})
    assert [(u.module, u.line, u.name) for u in staged.unclosed] == [
        ("shop.far", 2, "top.Top"),
        ("shop.mid", 2, "Base"),
        ("shop.top", 3, "Mid"),
    ]


def test_an_old_object_that_a_new_body_got_is_found(shop: Running) -> None:
    """No text says so: the unchanged module hands it out of a function that a new body calls."""
    lender = "import shop.model\ndef lend():\n    import sys\n    return BOX[0]\nBOX = []\n"
    shop.boot({**OTHERS, "shop/model.py": MODEL.format(1), "shop/lender.py": lender, "shop/app.py": ""})
    shop["shop.lender"].BOX.append(shop["shop.model"].Base)
    body = "from shop.lender import lend\nclass A(lend()): ...\nB = lend()()\n"
    staged = shop.stage({"shop/model.py": MODEL.format(2), "shop/app.py": body})
    assert {(u.module, u.name) for u in staged.unclosed} == {("shop.app", "A"), ("shop.app", "B")}


def test_modules_outside_the_release_are_notes(shop: Running) -> None:
    (shop.folder / "site").mkdir()
    (shop.folder / "site/plug.py").write_text("from shop.model import Base\nclass A(Base): ...\n")
    shop.boot({**OTHERS, "shop/model.py": MODEL.format(1)})
    sys.path.insert(0, str(shop.folder / "site"))
    try:
        import plug  # type: ignore[import-not-found]  # noqa: F401
    finally:
        sys.path.pop(0)
    staged = shop.stage({"shop/model.py": MODEL.format(2)})
    assert staged.unclosed == ()
    assert found(staged.notes, "plug.py:2", "not of the release")
