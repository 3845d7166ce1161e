"""How two states differ, each as it was when it was written down."""

from __future__ import annotations

from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial
from random import Random
from re import Pattern
from typing import Any, NamedTuple

import pytest

from relup.targets.python.differing import MOST, Beyond, Then, differences
from relup.targets.python.layouts import python_made
from relup.targets.python.snapshot import Memory, Snapshot


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


SHORT = repr("x" * 90)[:28] + "..." + repr("x" * 90)[-29:]
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
    "the sign of nothing": (lambda: [0.0], lambda: [-0.0], "state[0]: 0.0 → -0.0"),
    "as many digits": (lambda: [Decimal("1.0")], lambda: [Decimal(1)], "state[0]: Decimal('1.0') → Decimal('1')"),
    "members of other types": (lambda: {1}, lambda: {True}, "state{…}: frozenset({1}) → frozenset({True})"),
    "a longest length": (lambda: deque([1], 3), lambda: deque([1]), "state.maxlen: 3 → None"),
    "a type code": (lambda: array("i", [1]), lambda: array("l", [1]), "state.typecode: 'i' → 'l'"),
    "an order that counts": (
        lambda: OrderedDict(a=1, b=2),
        lambda: OrderedDict(b=2, a=1),
        "state: its keys are in another order",
    ),
    "what makes missing values": (
        lambda: defaultdict(int),
        lambda: defaultdict(str),
        "state.default_factory: <class 'int'> → <class 'str'>",
    ),
    "an error": (lambda: [ValueError("a")], lambda: [ValueError("b")], "state[0][0]: 'a' → 'b'"),
    "long texts": (lambda: "x" * 90, lambda: "x" * 45 + "y" + "x" * 44, f"state: {SHORT} → {SHORT}"),
    "a dataclass": (lambda: Cart({"a": 1}), lambda: Cart({"a": 2}), "state.items['a']: 1 → 2"),
    "slots": (lambda: Slotted(1), lambda: Slotted(2), "state.number: 1 → 2"),
    "bytes that change": (lambda: [bytearray(b"a")], lambda: [bytearray(b"b")], "state[0]{…}: b'a' → b'b'"),
}


def test_a_class_statement_is_told_from_what_c_makes() -> None:
    ours = (Row, Count, Name, Money, Moment, Rows, Cart, Slotted, Fraction, Random)
    in_c = (dict, deque, defaultdict, array, Decimal, datetime, Pattern, Random.__base__, partial, Exception, object)
    assert [kind for kind in ours if not python_made(kind)] == []
    assert [kind for kind in in_c if python_made(kind)] == []


def differing(before: Any, snapshot: Snapshot, after: Any) -> list[str]:
    return list(differences(before, Then(snapshot), after, Then(MEMORY.remember(after)), exact=True))


@pytest.mark.parametrize("name", PAIRS)
def test_the_first_difference_of_two_states_is_told_with_its_path(name: str) -> None:
    old, new, first = PAIRS[name]
    state = old()
    snapshot = MEMORY.remember(state)
    assert not Then(snapshot).alike([state], [new()])
    assert differing(state, snapshot, new())[0] == first
    assert differing(state, snapshot, old()) == []


def test_a_state_is_compared_as_it_was_whatever_has_become_of_it_since() -> None:
    state: Any = {"rows": [1], "blob": bytearray(b"a"), "cart": Cart({"a": 1}), "pair": (1, [2])}
    snapshot = MEMORY.remember(state)
    state["rows"].append(2)
    state["blob"][0] = 0x62
    state["cart"].items["a"] = 2
    state["pair"][1].append(3)
    assert differing(state, snapshot, state) == [
        "+ state['rows'][1]: 2",
        "state['blob']{…}: b'a' → b'b'",
        "+ state['pair'][1][1]: 3",
        "state['cart'].items['a']: 1 → 2",
    ]
    assert not Then(snapshot).alike([state], [state])


MANY: dict[str, Callable[[int], Any]] = {
    "numbers": lambda n: n,
    "mappings": lambda n: {"number": n, "rows": [n, {"name": "x"}], "pair": (n, [n])},
    "instances": lambda n: Cart({"a": n}),
    "slots": Slotted,
    "stacks": lambda n: deque([n]),
    "several kinds": lambda n: [n, {"n": n}, Cart({}), Slotted(n), Row(n), (n,), None][n % 7],
}


@pytest.mark.parametrize("kind", MANY)
def test_of_many_states_those_are_named_that_are_others(kind: str) -> None:
    make, count = MANY[kind], 1000
    states = [make(n) for n in range(count)]
    then = Then(MEMORY.remember_all(states))
    now = [make(n) for n in range(count)]
    assert list(then.unlike(states, now)) == []
    assert list(then.unlike(states, states)) == []
    now[7], now[500] = make(8), object()
    assert list(then.unlike(states, now)) == [7, 500]


def test_states_that_refer_back_to_themselves_are_compared() -> None:
    def circle(number: int) -> Any:
        first: dict[str, Any] = {"number": 1}
        first["next"] = {"number": number, "next": first}
        return first

    states = [circle(1) for _ in range(10)]
    then = Then(MEMORY.remember_all(states))
    assert then.alike(states, [circle(1) for _ in range(10)])
    assert list(then.unlike(states, [circle(1 + (n == 3)) for n in range(10)])) == [3]


def test_members_of_sets_and_keys_that_were_changed_in_place_are_told() -> None:
    for make in (lambda slot: {slot}, lambda slot: frozenset({slot}), lambda slot: {slot: 1}):
        slot = Slotted(1)
        state = make(slot)
        snapshot = MEMORY.remember(state)
        slot.number = 2
        assert [d.partition("number")[2] for d in differing(state, snapshot, state)] == [": 1 → 2"]


def test_states_are_compared_however_deep_they_are_and_paths_stay_short() -> None:
    def chain(last: int) -> Any:
        chain: Any = last
        for _ in range(1000):
            chain = [chain]
        return chain

    state = chain(1)
    then = Then(MEMORY.remember(state))
    assert then.alike([state], [chain(1)])
    (first,) = differing(state, MEMORY.remember(state), chain(2))
    assert first.endswith("…: 1 → 2")
    assert len(first) < 500


def test_what_a_program_raises_ends_the_comparison_of_one_state_alone() -> None:
    class Key:
        hashes = True

        def __hash__(self) -> int:
            return 1 if self.hashes else 1 // 0

        def __eq__(self, other: object) -> bool:
            return self is other

    before, after = {Key(): 1}, {Key(): 2}
    snapshot = MEMORY.remember(before)
    Key.hashes = False
    (said,) = differing(before, snapshot, after)
    assert isinstance(said, Beyond)
    assert "ZeroDivisionError" in said


def rows(count: int, **last: int) -> dict[str, Any]:
    return {"rows": [{"a": n} for n in range(count - 1)] + [{"a": 0, **last}]}


def test_the_last_of_many_parts_is_compared_too() -> None:
    before, count = rows(5 * MOST), 5 * MOST
    snapshot = MEMORY.remember(before)
    assert differing(before, snapshot, rows(count, a=-1)) == [f"state['rows'][{count - 1}]['a']: 0 → -1"]


def test_what_is_not_compared_is_said_and_is_no_difference() -> None:
    before, after = ([{"n": [object()]} for _ in range(MOST + 1)] for _ in range(2))
    (said,) = differing(before, MEMORY.remember(before), after)
    assert isinstance(said, Beyond)
    assert said.startswith("state[")
