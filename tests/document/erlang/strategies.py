"""Terms of every type."""

from __future__ import annotations

from hypothesis import strategies as st

from relup.document.erlang.terms import RESERVED, Atom, Binary, Fun, List, Map, Number, String, Term, Tuple
from tests.document.erlang.otp import canonical

_characters = st.characters(codec="utf-8", exclude_characters="\ufffe\uffff")
_odd = [
    "",
    "a",
    "aB_@9",
    "A",
    "_a",
    "0a",
    "a b",
    "ünï",
    "Ünï",
    "ωmega",
    "don't",
    'say "x"',
    "back\\slash",
    "\n",
    "maybe",
    "else",
]
names = st.one_of(st.sampled_from([*_odd, *sorted(RESERVED)]), st.text(_characters, max_size=6))
atoms = st.builds(Atom, names)
numbers = st.builds(
    Number,
    st.one_of(
        st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-0.0, 1e22])
    ),
)
strings = st.builds(String, st.one_of(st.sampled_from(_odd), st.text(max_size=6)))
binaries = st.builds(Binary, st.one_of(st.binary(max_size=6), st.text(max_size=6).map(str.encode)))
_plain = st.sampled_from(["lists", "", "a b", "A", "don't", "x@y"])  # of others, Erlang prints what it cannot read
functions = st.builds(Fun, _plain, _plain, st.integers(0, 255))
leaves = st.one_of(atoms, numbers, strings, binaries, functions)


def _map(pairs: list[tuple[Term, Term]]) -> Map:
    """A map of those pairs whose keys differ; up to OTP 26, both zeros are one key."""
    last = {
        repr(canonical([key])).replace("128, 0, 0, 0, 0, 0, 0, 0", "0, 0, 0, 0, 0, 0, 0, 0"): (key, value)
        for key, value in pairs
    }
    return Map(tuple(last.values()))


def _collections(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    items = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Tuple, items),
        st.builds(List, items),
        st.builds(
            List,
            st.lists(inner, min_size=1, max_size=2).map(tuple),
            atoms | numbers | binaries | st.builds(Tuple, items),
        ),
        st.lists(st.tuples(inner, inner), max_size=3).map(_map),
    )


terms = st.recursive(leaves, _collections, max_leaves=10)
