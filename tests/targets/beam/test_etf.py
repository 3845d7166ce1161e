"""Terms come back from Python as they went there: with one another, and with a real Erlang."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.targets.beam.bridge import Bridge
from relup.targets.beam.connect import connect
from relup.targets.beam.etf import DEPTH, BadTerm, decode, encode, export
from relup.targets.beam.terms import Atom, Improper, Opaque, Pairs, Term, text
from tests.support import NodeProcess
from tests.targets.beam.nodes import World, own_host

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
"""hypothesis describes the longest names below when it feels like it."""
NAMES = ["ok", "", "Elixir.Counter", "åäö", "日本", "x" * 255, "日" * 255]
ATOMS = st.one_of(st.sampled_from(NAMES), st.text("aé日 '", max_size=6))
EDGES = [256, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**2040 - 1, 2**2040, -(2**2048)]
INTEGERS = st.one_of(st.integers(), st.integers(-300, 300), st.sampled_from(EDGES))
LEAVES = st.one_of(
    ATOMS.map(Atom),
    st.booleans(),
    INTEGERS,
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(max_size=40),
    st.builds(export, ATOMS, ATOMS, st.integers(0, 255)),
    st.lists(st.integers(0, 255)),
)


def no_list(term: Term) -> bool:
    return not isinstance(term, list | Improper)


def keyed(pairs: list[tuple[Term, Term]]) -> Term:
    """Return a map as it is decoded; keys that Erlang takes for one are left out."""
    unique = tuple(pair for _, pair in sorted({encode(key): (key, value) for key, value in pairs}.items()))
    try:
        found = dict(unique)
    except TypeError:
        return Pairs(unique)
    return found if len(found) == len(unique) else Pairs(unique)


def compound(terms: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    return st.one_of(
        st.lists(terms, max_size=5),
        st.lists(terms, max_size=5).map(tuple),
        st.lists(st.tuples(terms, terms), max_size=4).map(keyed),
        st.builds(Improper, st.lists(terms, min_size=1, max_size=3).map(tuple), terms.filter(no_list)),
    )


TERMS = st.recursive(LEAVES, compound, max_leaves=12)


@settings(max_examples=60, deadline=None)
@given(TERMS)
def test_what_is_encoded_is_decoded_as_the_same_term(term: Term) -> None:
    data = encode(term)
    found = decode(data)
    assert found == term
    assert encode(found) == data  # 1, 1.0 and True are told apart, which == does not


@settings(max_examples=60, deadline=None)
@given(TERMS.map(encode), st.data())
def test_a_term_that_is_cut_off_or_followed_by_more_is_refused(data: bytes, draw: st.DataObject) -> None:
    for bad in (data[: draw.draw(st.integers(0, len(data) - 1))], data + b"j"):
        with pytest.raises(BadTerm):
            decode(bad)


@settings(max_examples=60, deadline=None)
@given(TERMS.map(encode), st.integers(0), st.binary(min_size=1, max_size=3))
def test_damaged_terms_are_refused_or_are_other_terms(data: bytes, at: int, put: bytes) -> None:
    at %= len(data)
    refused_or_exact(data[:at] + put + data[at + len(put) :])


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_are_a_term(data: bytes) -> None:
    refused_or_exact(b"\x83" + data)


def refused_or_exact(data: bytes) -> None:
    try:
        term = decode(data)
    except BadTerm:
        return
    try:
        again = encode(term)
    except BadTerm:  # a list that closes as an improper one is begun, and the like
        return
    assert encode(decode(again)) == again


def nested(depth: int) -> Term:
    term: Term = []
    for _ in range(depth):
        term = [term, 1000]
    return term


BAD: dict[str, tuple[Any, str]] = {
    "a text": ("ok", "an atom, a binary or a list"),
    "a set": ({1}, "a set is no Erlang term"),
    "none": (None, "NoneType"),
    "infinity": (float("inf"), "inf"),
    "a long atom": (Atom("x" * 256), "256 characters"),
    "half a character": (Atom("\ud800"), "no text"),
    "a huge integer": (1 << 2**23, "bits"),
    "too deep": (nested(DEPTH), "levels deep"),
    "a list with a list for a tail": (Improper((1,), [2]), "improper"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_term_is_refused_in_words(name: str) -> None:
    bad, words = BAD[name]
    with pytest.raises(BadTerm, match=words):
        encode([bad])


def test_terms_are_nested_up_to_a_depth() -> None:
    deepest = nested(DEPTH - 2)
    assert decode(encode(deepest)) == deepest
    bomb = b"\x83" + b"l\0\0\0\x01" * 100_000
    with pytest.raises(BadTerm, match="levels deep"):
        decode(bomb)
    with pytest.raises(BadTerm):
        decode(b"\x83l\xff\xff\xff\xffa\x01")


def test_erlang_texts_are_read_in_each_of_their_forms() -> None:
    assert [text(t) for t in (b"caf\xc3\xa9", Atom("ok"), [*b"abc"], [b"a", [98, b"c"], 233], [], True)] == [
        "café",
        "ok",
        "abc",
        "abcé",
        "",
        "true",
    ]
    with pytest.raises(ValueError, match="float"):
        text(1.5)


# ── with Erlang ────────────────────────────────────────────────────────────────────────────────────────


def with_node(nodes: World, work: Any) -> None:
    async def main() -> None:
        async with connect(nodes.where(f"short@{own_host()}")) as bridge:
            await work(bridge)

    asyncio.run(main())


def test_erlang_reads_what_python_writes_and_python_what_erlang_writes(nodes: World, short: NodeProcess) -> None:
    draw = Random(25)
    batch = [random_term(draw, 4) for _ in range(300)]

    async def work(bridge: Bridge) -> None:
        assert await bridge.call("erlang", "binary_to_term", [encode(batch)]) == batch
        written = await bridge.call("erlang", "term_to_binary", [batch])
        assert decode(written) == batch
        assert [encode(t) for t in without_maps(decode(written))] == [encode(t) for t in without_maps(batch)]

    with_node(nodes, work)


def random_term(draw: Random, depth: int) -> Term:
    """Return a term that may have others in it, *depth* levels of them."""
    some = [random_term(draw, depth - 1) for _ in range(draw.randrange(4))] if depth else []
    leaves = [Atom(draw.choice(NAMES)), draw.choice(EDGES), draw.random() * 10 ** draw.randrange(-300, 300), True, some]
    leaves += [draw.randbytes(draw.randrange(20)), [*draw.randbytes(5)], export("m", draw.choice(NAMES), 3)]
    maps = keyed(list(zip(draw.sample([1, 1.0, True, [1], b"key", (Atom("a"),)], 3), some, strict=False)))
    return draw.choice([*leaves, tuple(some), maps, Improper((*some, 1), draw.randbytes(3)), tuple(range(300))])


def without_maps(terms: list[Term]) -> list[Term]:
    """Leave out terms with maps, whose order is each side's own."""
    return [t for t in terms if b"t\0\0\0" not in encode(t)]


ERLANG_MAKES = """
[self(), make_ref(), hd(erlang:ports()), fun() -> 1 end, fun(X) -> {X, self()} end, fun lists:map/2, <<5:3>>,
 <<1, 2:7>>, [1 | 2], [a, [b | c] | <<"d">>], "text", [256, 1], "", <<>>, {}, #{}, -1, 255, 256,
 -2147483648, 2147483648, 1 bsl 2040, -(1 bsl 2048), 0.0, -0.0, 1.0e300, 5.0e-324, true, false, undefined,
 '', 'åäö', '日本', #{1 => a, 1.0 => b, true => c}, #{"key" => "value", #{} => []}, #{a => #{b => [c]}},
 list_to_tuple(lists:seq(1, 300)),
 list_to_atom(lists:duplicate(255, 26085)), lists:seq(1, 300), lists:duplicate(70000, 7),
 erlang:list_to_pid("<0.100.2>"), code:which(lists), erlang:system_info(creation),
 binary_to_term(<<131, 100, 0, 1, 233>>), binary_to_term(<<131, 99, "1.50000000000000000000e+00", 0, 0, 0, 0, 0>>)]
"""


def test_every_kind_of_term_that_erlang_makes_comes_back_as_itself(nodes: World, short: NodeProcess) -> None:
    program = f"Ts = {ERLANG_MAKES}, [{{T, fun(Back) -> Back =:= T end}} || T <- Ts]."

    async def work(bridge: Bridge) -> None:
        _, tokens, _ = await bridge.call("erl_scan", "string", [[ord(c) for c in program]])
        _, parsed = await bridge.call("erl_parse", "parse_exprs", [tokens])
        _, made, _ = await bridge.call("erl_eval", "exprs", [parsed, []])
        assert len(made) == 45
        for term, is_it in made:
            assert isinstance(is_it, Opaque)
            assert await bridge.call("erlang", "apply", [is_it, [term]]) is True, term
            assert decode(encode(term)) == term

    with_node(nodes, work)
