"""A code_change that changes states has to know which way it goes; one that leaves them what they are need not."""

from __future__ import annotations

import pytest

from relup.syntax.direction import ignores_direction

CLASS = """\
import copy
from relup.runtime import GenServer, counterpart, migrate

def renewed(state):
    return [fresh(item) for item in state]

def fresh(item):
    return migrate(item, counterpart(type(item)))

class Cart(GenServer):
    def code_change(self, old_vsn, state, extra):
        {}
"""
BLIND = {
    "an entry more": 'return {**state, "tax": 0}',
    "an entry more in a copy": "return dict(state, tax=0)",
    "a copy that is written to": 'new = dict(state); new["tax"] = 0; return new',
    "a copy that is given away": "new = {**state}; new.update(tax=0); return new",
    "a state that is written to": 'state["tax"] = 0; return state',
    "another state": "state = (state, 0); return state",
    "another kind": "return migrate(state, Cart)",
    "a copy of something else": "return dict(extra)",
    "one way of two": 'return dict(state) if extra else {"tax": 0}',
    "what another method returns": "return super().other(state)",
}
SOUND = {
    "the state": "return state",
    "the counterpart of its class": "return migrate(state, counterpart(type(state)))",
    "the counterpart by its module": "import relup.runtime as r; return migrate(state, r.counterpart(type(state)))",
    "the counterpart in a function that it calls": "return renewed(state)",
    "a copy": "return {**state}",
    "a copy made by its type": "return dict(state)",
    "a list": "return list(state)",
    "its items": "return [*state]",
    "a slice of all": "return state[:]",
    "its own copy": "return state.copy()",
    "a deep copy": "return copy.deepcopy(state)",
    "a copy with a name": "new = dict(state); return new",
    "a copy under the same name": "state = dict(state); return state",
    "a copy or the state": "return dict(state) if extra else state",
    "what a base returns": "return super().code_change(None, state, extra)",
    "what a base returns, with a name": "new = super().code_change(None, state, extra); return new",
    "one that looks": "return state if old_vsn == 1 else (state,)",
    "one that refuses": "raise ValueError(extra)",
}


@pytest.mark.parametrize("body", BLIND.values(), ids=BLIND)
def test_who_changes_the_state_and_never_looks_is_found_by_its_line(body: str) -> None:
    assert ignores_direction(CLASS.format(body).encode(), "Cart") == 11


@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_who_looks_or_leaves_the_state_what_it_is_is_not(body: str) -> None:
    assert ignores_direction(CLASS.format(body).encode(), "Cart") is None


def test_nothing_is_found_in_a_text_that_does_not_parse() -> None:
    assert ignores_direction(b"class Cart:\n    def code_change(self, a, b, c) return", "Cart") is None
