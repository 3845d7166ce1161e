"""A draft and a check say of the same servers that their code_change is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from relup.cli.files import findings
from relup.document import read_release
from relup.planner.draft import draft
from tests.planner.lint.cases import Case
from tests.support import write_release

BASE = """\
from relup.runtime import Down, GenServer

class Base(GenServer):
    def init(self, args):
        return {}
"""
CART = """\
from shop.base import Base

class Cart(Base):
    LIMIT = 1
"""
TAKES = """
    def code_change(self, old_vsn, state, extra):
        return state if isinstance(old_vsn, Down) else {**state, "tax": TAX}
"""
ONE, TWO = TAKES.replace("TAX", "1"), TAKES.replace("TAX", "2")
SAID = '\n    def code_change(self, old_vsn, state, extra):\n        """Words."""' + ONE.partition("extra):")[2]
CASES = {
    "its own is new": ((BASE, CART), (BASE, CART + ONE), True),
    "its own changed": ((BASE, CART + ONE), (BASE, CART + TWO), True),
    "its own is what it was": ((BASE, CART + ONE), (BASE, CART.replace("1", "2") + ONE), False),
    "its own has other words": ((BASE, CART + ONE), (BASE, CART.replace("1", "2") + SAID), False),
    "it has none any more": ((BASE, CART + ONE), (BASE, CART), False),
    "its base has a new one": ((BASE, CART), (BASE + ONE, CART.replace("1", "2")), True),
    "its base has another": ((BASE + ONE, CART), (BASE + TWO, CART.replace("1", "2")), True),
    "its base has another, and it has its own": ((BASE + ONE, CART + ONE), (BASE + TWO, CART + ONE), False),
    "its own takes the place of its base's": ((BASE + ONE, CART), (BASE + ONE, CART + TWO), True),
}


@pytest.mark.parametrize(("old", "new", "is_new"), CASES.values(), ids=CASES)
def test_a_code_change_is_new_to_a_draft_when_it_is_to_a_check(
    tmp_path: Path, old: tuple[str, str], new: tuple[str, str], is_new: bool
) -> None:
    before, after = ({"base": base, "cart": cart} for base, cart in (old, new))
    case = Case(before, after, ("update: shop.base", "update: shop.cart"))
    folders = write_release(tmp_path / "1", "1", before), write_release(tmp_path / "2", "2", after, case.text())
    told = [d.message for d in findings(list(folders)) if d.code == "code_change_not_called"]
    comments = [c for made in draft(*map(read_release, folders)) for d in made.up for c in d.comments]
    checked, drafted = (any(part in line for line in lines) for part, lines in (("Cart of", told), (NEW, comments)))
    assert (checked, drafted) == (is_new, is_new)


NEW = "Cart: its code_change"
