"""An appup for readers that derive nothing."""

from __future__ import annotations

import pytest

from relup.diagnostics import InvalidInput
from relup.model.instructions import AddModule, Apply, Call, DeleteModule, Update
from relup.planner import written_out
from tests.planner.build import appup, at

CART = Update("cart", location=at(12))


def test_an_inverse_is_derived_from_the_list_for_the_same_version() -> None:
    given = appup({"1": [AddModule("tax"), CART], "re:1.*": [CART]}, {"1": "inverse", "re:1.*": "inverse"})
    assert [e.instructions for e in written_out(given).down] == [(CART, DeleteModule("tax")), (CART,)]


def test_what_is_written_stays() -> None:
    given = appup({"1": "inverse"}, {"1": [CART]})
    assert written_out(given).down == given.down


WRONG = {
    "no list for that version": appup({"1": [CART]}, {"1": "inverse", "2": "inverse"}),
    "two inverses of each other": appup({"1": "inverse"}, {"1": "inverse"}),
    "a call that nothing takes back": appup({"1": [Apply(Call("m", "f"))]}, {"1": "inverse"}),
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG.keys())
def test_what_has_no_inverse_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput) as error:
        written_out(given)  # type: ignore[arg-type]
    assert {d.code for d in error.value.diagnostics} == {"no_inverse"}
