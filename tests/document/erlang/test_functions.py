"""Functions, one by one: the same after any edit elsewhere, different after any of their own; every module is read."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from relup.document.erlang.functions import read_functions
from relup.model.functions import Functions, Name, reached
from tests.document.erlang.modules import beam, chunks_of
from tests.document.erlang.releases import build, erl

_SHOP = r"""
-module(shop).
-export([init/1, add/2, text/1, all/1, code_change/3, code_change/4, total/1, mine/3]).
-record(state, {items, total = 0}).

init(X) -> {ok, #state{items = fresh(X)}}.
fresh(X) -> shop_store:items(X), [X, helper(X), {pair, X}].
helper(X) -> lists:map(fun(Y) -> Y + X end, [1.5, 2]).
add(#state{items = I} = S, X) when X > 7 -> S#state{items = [X | I]};
add(#{price := P} = M, _) -> M#{cost => P, total => 16#FFFFFFFFFFFFFFFFFF}.
text(X) -> <<"some text", X/binary, "more">>.
all(<<"prefix", Rest/binary>>) -> try binary_to_atom(Rest) catch error:E -> {caught, E} end;
all(X) -> case X of one -> 1; two -> 2; three -> 3; {four, Y} -> Y; _ -> receive M -> M after 10 -> none end end.
code_change(_, S, _) -> {ok, S}.
code_change(_, S, D, _) -> {ok, S, D}.
mine(_, S, _) -> {ok, {S}}.
total(X) -> ets:lookup(total, X).
"""

_EDITS: Mapping[str, tuple[str, str, set[Name]]] = {
    "nothing": ("", "", set()),
    "lines and comments": ("init(X) ->", "%% how it begins\n\n\ninit(X) ->\n", set()),
    "names of variables": ("total(X) -> ets:lookup(total, X)", "total(Y) -> ets:lookup(total, Y)", set()),
    "a new function": (
        "total(X) ->",
        'new(A) -> {brand, new, <<"words">>, A, shop_other:f()}.\ntotal(X) ->',
        {("new", 1)},
    ),
    "an atom": ("none", "nothing", {("all", 1)}),
    "a constant": ("2]", "3]", {("helper", 1)}),
    "a text": ("some text", "some more text", {("text", 1)}),
    "a text that is matched": ("prefix", "before", {("all", 1)}),
    "a comparison": ("X > 7", "X > 8", {("add", 2)}),
    "a key": ("cost =>", "costs =>", {("add", 2)}),
    "who is called": ("shop_store:items", "shop_store:all", {("fresh", 1)}),
    "a field": ("total = 0}", "total = 0, tax}", {("init", 1), ("add", 2)}),
    "a fun": ("Y + X", "Y - X", {("-helper/1-fun-0-", 2)}),
}
"""What is written instead of what, and which functions are others then."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module after each edit, compiled."""
    root = tmp_path_factory.mktemp("shops")
    exported = "-compile([export_all, nowarn_export_all]).\n"
    texts = {}
    for n, (was, now, _) in enumerate(_EDITS.values()):
        assert was in _SHOP
        text = _SHOP.replace(was, now, 1) if was else _SHOP
        texts[f"{n}/shop.erl"] = text.replace("-record", f"{exported}-record")
    build(root, texts)
    erl(
        '[{ok, _} = compile:file(F, [{outdir, filename:dirname(F)}]) || F <- filelib:wildcard("*/*.erl")], halt().',
        root,
    )
    return root


@pytest.fixture(scope="module")
def shops(folder: Path) -> Mapping[str, Functions]:
    """The functions of the module after each edit."""
    found = {}
    for n, name in enumerate(_EDITS):
        read = read_functions(folder / str(n) / "shop.beam")
        assert read is not None
        found[name] = read
    return found


@pytest.fixture
def chunks(folder: Path) -> dict[str, bytes]:
    """The chunks of the module."""
    return chunks_of((folder / "0" / "shop.beam").read_bytes())


@pytest.mark.parametrize("edit", _EDITS)
def test_the_functions_that_were_edited_differ_and_no_others(shops: Mapping[str, Functions], edit: str) -> None:
    before, after = shops["nothing"], shops[edit]
    differ = {n for n in {*before, *after} if n not in before or n not in after or before[n] != after[n]}
    assert differ == _EDITS[edit][2]


def test_what_a_function_names_is_told(shops: Mapping[str, Functions]) -> None:
    shop = shops["nothing"]
    assert ("state", 2) in shop["init", 1].records
    assert ("pair", 1) in shop["fresh", 1].records
    assert shop["fresh", 1].remote == (("shop_store", "items", 1),)
    assert shop["add", 2].keys == {"price", "cost", "total"}
    assert {"one", "two", "three", "four"} <= shop["all", 1].atoms
    assert [*reached(shop, ("init", 1))] == [("init", 1), ("fresh", 1), ("helper", 1), ("-helper/1-fun-0-", 2)]


def test_a_code_change_that_returns_what_it_is_given_is_nobodys(shops: Mapping[str, Functions]) -> None:
    assert {n for n, f in shops["nothing"].items() if f.untouched} == {("code_change", 3), ("code_change", 4)}


def test_modules_of_otp_and_elixir_are_read_to_their_ends() -> None:
    found = erl('[io:format("~s~n", [code:lib_dir(A, ebin)]) || A <- [stdlib, kernel]], halt().', Path("/"))
    elixir = shutil.which("elixir")
    folders = [*map(Path, found), *(Path(elixir).resolve().parent.parent.glob("lib/*/ebin") if elixir else ())]
    files = sorted(f for folder in folders for f in folder.glob("*.beam"))
    assert len(files) > 100
    assert [f for f in random.Random(1).sample(files, 60) if not read_functions(f)] == []


def test_damaged_code_is_refused_or_read_and_never_raises(tmp_path: Path, chunks: dict[str, bytes]) -> None:
    file, chance, refused = tmp_path / "shop.beam", random.Random(7), 0
    for _ in range(300):
        name = chance.choice(["Code", "LitT", "FunT", "ImpT", "AtU8"])
        data = bytearray(chunks[name])
        data[chance.randrange(len(data))] = chance.randrange(256)
        damaged = bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        file.write_bytes(beam({**chunks, name: damaged}))
        refused += read_functions(file) is None
    assert 100 < refused < 300


def test_instructions_of_a_later_otp_are_not_guessed(tmp_path: Path, chunks: dict[str, bytes]) -> None:
    code = bytearray(chunks["Code"])
    code[20] = 250
    (tmp_path / "shop.beam").write_bytes(beam({**chunks, "Code": bytes(code)}))
    assert read_functions(tmp_path / "shop.beam") is None
