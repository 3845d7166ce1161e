"""How two states differ, each as it was when it was written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from relup.targets.python.differing import MOST, Beyond, Then, clearly_same, differences
from relup.targets.python.snapshot import Memory


class Row(NamedTuple):
    number: int


class Count(int):
    pass


class Name(str):
    __slots__ = ()


class Money(Decimal):
    pass


class Moment(datetime):
    __slots__ = ()


class Rows(list[int]):
    __slots__ = ()


@dataclass
class Cart:
    items: dict[str, int]
    owner: str = "nobody"


class Slotted:
    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


MEMORY = Memory(lambda kind: kind.__module__ == __name__)
PAIRS: dict[str, tuple[Callable[[], Any], Callable[[], Any], str]] = {
    "a number": (lambda: 1, lambda: 2, "state: 1 → 2"),
    "a number of another type": (lambda: {"n": 1}, lambda: {"n": True}, "state['n']: 1 → True"),
    "a dictionary": (lambda: {"a": [1]}, lambda: {"a": [2]}, "state['a'][0]: 1 → 2"),
    "one key more": (lambda: {"a": 1}, lambda: {"a": 1, "b": 2}, "+ state['b']: 2"),
    "a tuple": (lambda: (1, {2}), lambda: (1, {3}), "state[1]{…}: frozenset({2}) → frozenset({3})"),
    "a named tuple": (lambda: {"x": Row(1)}, lambda: {"x": Row(2)}, "state['x'].number: 1 → 2"),
    "an instance of a class that extends int": (lambda: [Count(1)], lambda: [Count(2)], "state[0] as int: 1 → 2"),
    "one that extends str": (lambda: [Name("a")], lambda: [Name("b")], "state[0] as str: 'a' → 'b'"),
    "one that extends Decimal": (
        lambda: {"due": Money("1.50")},
        lambda: {"due": Money("2")},
        "state['due'] as Decimal: Decimal('1.50') → Decimal('2')",
    ),
    "one that extends datetime": (
        lambda: [Moment(2026, 1, 1)],
        lambda: [Moment(2026, 1, 2)],
        "state[0] as datetime: Moment(2026, 1, 1, 0, 0) → Moment(2026, 1, 2, 0, 0)",
    ),
    "a date": (
        lambda: {"due": date(2026, 1, 1)},
        lambda: {"due": date(2026, 1, 2)},
        "state['due']: datetime.date(2026, 1, 1) → datetime.date(2026, 1, 2)",
    ),
    "one that extends list": (lambda: Rows([1]), lambda: Rows([2]), "state[0]: 1 → 2"),
    "a dataclass": (lambda: Cart({"a": 1}), lambda: Cart({"a": 2}), "state.items['a']: 1 → 2"),
    "slots": (lambda: Slotted(1), lambda: Slotted(2), "state.number: 1 → 2"),
    "bytes that change": (lambda: [bytearray(b"a")], lambda: [bytearray(b"b")], "state[0]{…}: b'a' → b'b'"),
}


def then(state: Any) -> Then:
    return Then(state, MEMORY.remember(state))


@pytest.mark.parametrize("name", PAIRS)
def test_the_first_difference_of_two_states_is_told_with_its_path(name: str) -> None:
    old, new, first = PAIRS[name]
    state = old()
    snapshot = MEMORY.remember(state)
    assert not clearly_same(state, snapshot, new())
    before = Then(state, snapshot)
    assert not before.clearly_alike(state, new())
    assert next(differences(before, then(new()), exact=True)) == first
    assert list(differences(before, then(old()), exact=True)) == []


def test_a_state_is_compared_as_it_was_whatever_has_become_of_it_since() -> None:
    state: Any = {"rows": [1], "blob": bytearray(b"a"), "cart": Cart({"a": 1})}
    snapshot = MEMORY.remember(state)
    before = Then(state, snapshot)
    state["rows"].append(2)
    state["blob"][0] = 0x62
    state["cart"].items["a"] = 2
    assert list(differences(before, then(state), exact=True)) == [
        "+ state['rows'][1]: 2",
        "state['blob']{…}: b'a' → b'b'",
        "state['cart'].items['a']: 1 → 2",
    ]
    assert not before.clearly_alike(state, state)
    assert not clearly_same(state, snapshot, state)


def rows(count: int, **last: int) -> dict[str, Any]:
    return {"rows": [{"a": n} for n in range(count - 1)] + [{"a": 0, **last}]}


def test_the_last_of_many_parts_is_compared_too() -> None:
    before, count = then(rows(5 * MOST)), 5 * MOST
    assert list(differences(before, then(rows(count, a=-1)), exact=True)) == [
        f"state['rows'][{count - 1}]['a']: 0 → -1"
    ]


def test_what_is_not_compared_is_said_and_is_no_difference() -> None:
    unclear = [{"n": [object()]} for _ in range(MOST + 1)]
    (said,) = differences(then(unclear), then([{"n": [object()]} for _ in range(MOST + 1)]), exact=True)
    assert isinstance(said, Beyond)
    assert said.startswith("state[")
