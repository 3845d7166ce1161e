"""Erlang's data is plain data and back, without a loss."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from relup.document.erlang.data import from_data, to_data
from relup.document.erlang.terms import Atom, Binary, Fun, List, Map, Number, String, Term, Tuple
from relup.document.piece import Malformed, Plain
from tests.document.erlang.otp import canonical
from tests.document.erlang.strategies import terms

DATA: list[tuple[Term, object]] = [
    (Atom("a"), "a"),
    (Atom("true"), True),
    (Atom("null"), "null"),
    (Number(-1), -1),
    (Number(1.0), 1.0),
    (String("a"), {"string": "a"}),
    (Binary("ü".encode()), {"binary": "ü"}),
    (Binary(b"\xfc\0"), {"binary": [252, 0]}),
    (Tuple((Atom("a"), Tuple(()))), {"tuple": ["a", {"tuple": []}]}),
    (List(()), []),
    (List((Atom("a"),), Atom("b")), {"list": ["a"], "tail": "b"}),
    (Map(()), {}),
    (Map(((Atom("a"), Number(1)), (Atom("true"), Number(2)))), {"a": 1, "true": 2}),
    (Map(((Atom("string"), Number(1)),)), {"map": [["string", 1]]}),
    (Map(((Atom("list"), List(())), (Atom("tail"), Atom("b")))), {"map": [["list", []], ["tail", "b"]]}),
    (Map(((Atom("list"), List(())),)), {"list": []}),
    (Map(((Number(1), Atom("b")),)), {"map": [[1, "b"]]}),
    (Map(((Atom("map"), List(())),)), {"map": [["map", []]]}),
    (Fun("m", "f", 2), {"fun": ["m", "f", 2]}),
]


@pytest.mark.parametrize(("term", "data"), DATA)
def test_data_says_what_a_term_is(term: Term, data: object) -> None:
    assert repr(to_data(term)) == repr(data)
    assert repr(from_data(data)) == repr(term)


@settings(max_examples=150, deadline=None)
@given(terms)
def test_data_loses_nothing(term: Term) -> None:
    assert canonical([from_data(to_data(term))]) == canonical([term])


SPELLINGS: list[tuple[object, Term]] = [
    (None, Atom("null")),
    (Plain("1.50"), Number(1.5)),
    ("true", Atom("true")),
    ({"string": Plain("1.10")}, String("1.10")),
    ({"binary": [Plain("1")]}, Binary(b"\1")),
    ({"list": ["a"], "tail": ["b"]}, List((Atom("a"), Atom("b")))),
    ({"fun": ["m", "f", Plain("0")]}, Fun("m", "f", 0)),
    ({"map": [["a", None]]}, Map(((Atom("a"), Atom("null")),))),
    (("a", 1), List((Atom("a"), Number(1)))),
]


@pytest.mark.parametrize(("data", "term"), SPELLINGS)
def test_data_may_be_written_otherwise(data: object, term: Term) -> None:
    assert repr(from_data(data)) == repr(term)


@pytest.mark.parametrize(
    "data",
    [
        {"string": ["a"]},
        {"binary": [256]},
        {"binary": [True]},
        {"binary": ["a"]},
        {"tuple": "a"},
        {"list": [], "tail": "a"},
        {"map": [["a"]]},
        {"map": {"a": 1}},
        {"fun": ["m", "f"]},
        {"fun": ["m", "f", -1]},
        {"fun": ["m", "f", "x"]},
        float("nan"),
        float("inf"),
        object(),
        [{"tuple": 1}],
    ],
)
def test_data_that_is_no_term_is_refused(data: object) -> None:
    with pytest.raises(Malformed):
        from_data(data)
