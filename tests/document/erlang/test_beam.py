"""What modules say of themselves: what `beam_lib` says, for every module at hand, and never anything but an answer."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import pytest

from relup.diagnostics import Diagnostic
from relup.document.erlang.beam import read_beam
from relup.document.erlang.code import BeamCode
from relup.document.erlang.fingerprint import fingerprint
from relup.document.erlang.release import read_beam_release
from relup.document.erlang.terms import Atom, List
from relup.document.erlang.writer import flat
from relup.model.code import BeamModule
from tests.document.erlang.modules import beam, chunks_of, table
from tests.document.erlang.otp import AS_JSON, canonical, ordered
from tests.document.erlang.releases import app, build, erl, shop

_ASKED = (
    r"""
-module(asked).
-export([tell/1]).

tell(File) ->
    {ok, {Module, Digest}} = beam_lib:md5(File),
    Chunks = [exports, imports, attributes],
    {ok, {Module, Found}} = beam_lib:chunks(File, Chunks, [allow_missing_chunks]),
    [{_, Exports}, {_, Imports}, {_, Attributes}] = Found,
    Names = [hex(atom_to_binary(Module)), functions(Exports), functions(Imports), hex(Digest), File],
    io:put_chars([lists:join("\t", [json(Attributes) | Names]), "\n"]).

functions(Functions) -> lists:join(" ", [lists:join("/", [part(P) || P <- tuple_to_list(F)]) || F <- Functions]).

part(Arity) when is_integer(Arity) -> integer_to_list(Arity);
part(Name) -> hex(atom_to_binary(Name)).

hex(Bytes) -> binary:encode_hex(Bytes).

json(Term) ->
"""
    + AS_JSON
    + """
    Json(Term).
"""
)
"""A module that tells what `beam_lib` finds in a file. It is compiled: evaluated it would take a minute."""

_SOURCE = r"""
-module(shop).
-behaviour(gen_server).
-behavior(supervisor).
-vsn("1.2").
-author({"A", <<"b">>, 1.5, #{k => [1, -2 | c]}}).
-author(fun lists:map/2).
-author(18446744073709551616).
-'étrange'([{'日本', 200}, "日本"]).
-export([handle_call/3, init/1, handle_cast/2, go/1, 'été'/0]).

init(X) -> {ok, lists:map(fun(Y) -> X + Y end, [1])}.
handle_call(A, _, B) -> {reply, ets:lookup(A, b), B}.
handle_cast(_, S) -> {noreply, maps:merge(S, #{a => 1})}.
go(X) -> X:run(1).
'été'() -> 'lodz':'日本'(1).
"""

_LATIN = "-module(latin).\n-export(['été'/0]).\n'été'() -> ok.\n"

_VARIANTS = r"""
{ok, asked, Asked} = compile:file("asked.erl", [binary, report]),
{module, asked} = code:load_binary(asked, "asked.erl", Asked),
Written = fun(Name, Options) ->
    {ok, shop, Binary} = compile:file("shop.erl", [binary | Options]),
    ok = file:write_file(Name, Binary),
    Binary end,
Plain = Written("plain.beam", []),
Written("debug_info.beam", [debug_info]),
Written("deterministic.beam", [deterministic, debug_info]),
Written("compressed.beam", [compressed]),
Written("literal_funs.beam", [no_type_opt, no_copt]),
{ok, {shop, Stripped}} = beam_lib:strip(Plain),
ok = file:write_file("stripped.beam", Stripped),
{module, shop} = code:load_binary(shop, "stripped.beam", Stripped),
{ok, {shop, Digest}} = beam_lib:md5(Plain),
Digest = shop:module_info(md5),
{ok, latin, Latin} = compile:file("latin.erl", [binary]),
{ok, latin, Chunks} = beam_lib:all_chunks(Latin),
Old = fun
    ({"AtU8", <<Count:32, Rest/binary>>}) ->
        Names = [unicode:characters_to_list(Name) || <<Size, Name:Size/binary>> <= Rest],
        {"Atom", <<Count:32, (list_to_binary([[length(N) | N] || N <- Names]))/binary>>};
    (Chunk) -> Chunk end,
{ok, Older} = beam_lib:build_module([Old(C) || C <- Chunks]),
ok = file:write_file("latin1.beam", Older),
{ok, Listed} = file:read_file("libraries"),
Folders = [code:lib_dir() | [binary_to_list(F) || F <- string:lexemes(Listed, "\n")]],
Found = lists:append([filelib:wildcard(filename:join([F, "*", "ebin", "*.beam"])) || F <- Folders]),
lists:foreach(fun asked:tell/1, filelib:wildcard("*.beam") ++ Found),
halt().
"""


class Told(NamedTuple):
    """What `beam_lib` says of a file."""

    file: Path
    digest: str
    module: str
    exports: frozenset[tuple[Any, ...]]
    imports: list[tuple[Any, ...]]
    attributes: dict[str, Any]


def told(line: str, folder: Path) -> Told:
    attributes, module, exports, imports, digest, file = line.split("\t")
    pairs = ordered(json.loads(attributes)).get("l", ())
    named = {"".join(map(chr, name["a"])): value["l"] for name, value in (pair["t"] for pair in pairs)}
    calls = sorted(functions(imports))
    return Told(folder / file, digest.lower(), name_of(module), frozenset(functions(exports)), calls, named)


def functions(text: str) -> Iterator[tuple[Any, ...]]:
    for function in text.split():
        *names, arity = function.split("/")
        yield (*map(name_of, names), int(arity))


def name_of(text: str) -> str:
    return bytes.fromhex(text).decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("beams"), {"asked.erl": _ASKED, "shop.erl": _SOURCE, "latin.erl": _LATIN})


@pytest.fixture(scope="module")
def everything(folder: Path) -> list[Told]:
    """What Erlang says of the modules written here, and of those of OTP and of Elixir."""
    elixir = shutil.which("elixir")
    build(folder, {"libraries": str(Path(elixir).resolve().parent.parent / "lib") if elixir else ""})
    return [told(line, folder) for line in erl(_VARIANTS, folder)]


def facts(path: Path) -> BeamModule:
    found = read_beam(path)
    assert isinstance(found, BeamModule), found
    return found


def said(file: Path) -> Told:
    found, digest = facts(file), fingerprint(file)
    assert isinstance(digest, str), digest
    named = {name: canonical(values) for name, values in found.attributes.items()}
    return Told(file, digest, found.name, found.exports, sorted(found.imports), named)


def test_every_module_is_read_as_beam_lib_reads_it(everything: list[Told]) -> None:
    assert len(everything) > 200
    assert [t for t in everything if said(t.file) != t] == []


def test_what_a_module_says_does_not_depend_on_how_it_was_compiled(folder: Path, everything: list[Told]) -> None:
    assert everything
    plain = said(folder / "plain.beam")
    for name in ("debug_info", "deterministic", "compressed"):
        assert said(folder / f"{name}.beam")[1:] == plain[1:], name
    assert said(folder / "stripped.beam")[1:] == (*plain[1:-1], {})


def test_behaviours_are_found_in_both_spellings(folder: Path, everything: list[Told]) -> None:
    assert everything
    found = facts(folder / "plain.beam")
    assert found.behaviours == ("gen_server", "supervisor")
    assert ("été", 0) in found.exports
    assert ("lodz", "日本", 1) in found.imports
    assert facts(folder / "latin1.beam").exports >= {("été", 0)}


# ── OTP 28 ─────────────────────────────────────────────────────────────────────────────────────────────


def as_in_otp_28(atoms: bytes) -> bytes:
    """Return a table of atoms with long lengths."""
    count, at, parts = int.from_bytes(atoms[:4]), 4, []
    for _ in range(count):
        parts.append(atoms[at + 1 : at + 1 + atoms[at]])
        at += 1 + atoms[at]
    return long_atoms(parts)


def long_atoms(names: list[bytes]) -> bytes:
    sizes = [bytes([len(n) << 4] if len(n) < 16 else [len(n) >> 8 << 5 | 8, len(n) & 255]) for n in names]
    return struct.pack(">i", -len(names)) + b"".join(size + name for size, name in zip(sizes, names, strict=True))


def test_atoms_as_otp_28_writes_them_are_read(tmp_path: Path, everything: list[Told]) -> None:
    file = tmp_path / "new.beam"
    for one in everything[::20]:
        chunks = chunks_of(plain(one.file))
        if "AtU8" in chunks:
            file.write_bytes(beam(chunks | {"AtU8": as_in_otp_28(chunks["AtU8"])}))
            assert said(file)[2:] == one[2:]


def plain(file: Path) -> bytes:
    data = file.read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


WHOLE = {"AtU8": b"\0\0\0\2\1m\1f", "Code": b"", "StrT": b"", "ImpT": table([]), "ExpT": table([(2, 1, 7)])}


def test_an_atom_may_have_255_characters_of_four_bytes(tmp_path: Path) -> None:
    file, name = tmp_path / "m.beam", "\U0001f7e6" * 255
    file.write_bytes(beam(WHOLE | {"AtU8": long_atoms([b"m", name.encode()])}))
    assert facts(file).exports == {(name, 1)}
    file.write_bytes(beam(WHOLE | {"AtU8": long_atoms([b"m", b"f" * 256])}))
    assert str(read_beam(file)).endswith("its table of atoms is cut off or damaged [invalid_chunk]")


# ── damage ─────────────────────────────────────────────────────────────────────────────────────────────

ATOMS = "its table of atoms is cut off or damaged"
BIG = b"\x83l" + struct.pack(">I", 3 * 2**20) + b"j" * (3 * 2**20 + 1)
DAMAGED: dict[str, tuple[dict[str, bytes], str]] = {
    "no atoms": ({"AtU8": b"\0\0\0\0"}, ATOMS),
    "an empty table of atoms": ({"AtU8": b""}, ATOMS),
    "fewer atoms than said": ({"AtU8": b"\0\0\0\3\1m\1f"}, ATOMS),
    "a shorter atom than said": ({"AtU8": b"\0\0\0\2\1m\2f"}, ATOMS),
    "an atom that is not UTF-8": ({"AtU8": b"\0\0\0\2\1m\1\xff"}, ATOMS),
    "a length of an atom that is none": ({"AtU8": b"\xff\xff\xff\xff\x18m"}, ATOMS),
    "billions of atoms": ({"AtU8": b"\x7f\xff\xff\xff\1m"}, "it says that it has 2,147,483,647 atoms"),
    "billions of long atoms": ({"AtU8": b"\x80\0\0\0\1m"}, "it says that it has 2,147,483,648 atoms"),
    "fewer exports than said": (
        {"ExpT": table([(2, 1, 7)])[:-1]},
        "it has a table of 15 bytes that says it has 16",
    ),
    "no table of exports": ({"ExpT": b""}, "it has a table of 0 bytes that says it has 4"),
    "an atom that is not there": ({"ImpT": table([(1, 3, 0)])}, "it names the atom 3, and has 2"),
    "the atom nought": ({"ExpT": table([(0, 3, 0)])}, "it names the atom 0, and has 2"),
    "too many arguments": ({"ImpT": table([(1, 2, 256)])}, "it has a function of 256 arguments"),
    "attributes in another format": (
        {"Attr": b"vsn"},
        "it holds data that is not in Erlang's external format [invalid_term]",
    ),
    "attributes that are no list": ({"Attr": b"\x83a\1"}, "its attributes are no list"),
    "attributes without names": ({"Attr": b"\x83l\0\0\0\1a\1j"}, "one of its attributes has no name"),
    "endless attributes": (
        {"Attr": BIG},
        "it holds a term of 3,145,735 bytes; terms are read up to 1,048,576 [term_too_large]",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_table_is_named(case: str, tmp_path: Path) -> None:
    chunks, message = DAMAGED[case]
    file = tmp_path / "m.beam"
    file.write_bytes(beam(WHOLE | chunks))
    code = "" if message.endswith("]") else " [invalid_chunk]"
    assert str(read_beam(file)) == f"{file}:1:1: this module is damaged: {message}{code}"


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path, folder: Path, everything: list[Told]) -> None:
    assert everything
    file = tmp_path / "m.beam"
    file.write_bytes((folder / "debug_info.beam").read_bytes())
    for end in range(file.stat().st_size - 1, -1, -1):
        os.truncate(file, end)
        assert isinstance(read_beam(file), Diagnostic), end


@pytest.mark.parametrize("name", ["plain.beam", "compressed.beam"])
def test_a_byte_that_is_wrong_is_an_answer_or_a_finding_at_once(
    name: str, tmp_path: Path, folder: Path, everything: list[Told]
) -> None:
    assert everything
    whole, file = (folder / name).read_bytes(), tmp_path / "m.beam"
    chance = random.Random(name)
    file.write_bytes(whole)
    started = monotonic()
    with file.open("r+b", buffering=0) as opened:
        for at, right in enumerate(whole):
            wrong = chance.choice((0, 0xFF, right ^ 1 << chance.randrange(8)))
            os.pwrite(opened.fileno(), bytes([wrong]), at)
            assert isinstance(read_beam(file), BeamModule | Diagnostic)
            os.pwrite(opened.fileno(), bytes([right]), at)
    assert monotonic() - started < len(whole) * 0.05


# ── the modules of a release ───────────────────────────────────────────────────────────────────────────


def test_a_module_that_is_another_one_by_its_own_words_is_not_there(tmp_path: Path) -> None:
    mine, other, broken = (tmp_path / f"{name}.beam" for name in ("m", "n", "k"))
    mine.write_bytes(beam(WHOLE))
    other.write_bytes(beam(WHOLE))
    broken.write_bytes(b"FOR1")
    code = BeamCode({"m": mine, "n": other, "k": broken, "gone": tmp_path / "gone.beam"})
    assert code.module("m") == facts(mine)
    assert code.module("m") is code.module("m")
    assert [code.module(name) for name in ("n", "k", "gone", "unknown")] == [None] * 4


def test_a_release_says_what_its_modules_say(tmp_path: Path, folder: Path, everything: list[Told]) -> None:
    assert everything
    files = shop('{shop,"1"}') | {"lib/shop-1/ebin/shop.app": app("shop", "1", "[shop, cart]")}
    ebin = build(tmp_path, files) / "lib/shop-1/ebin"
    shutil.copy(folder / "plain.beam", ebin / "shop.beam")
    code = read_beam_release(tmp_path / "releases/1/shop.rel").code
    assert code.module("shop") == facts(ebin / "shop.beam")
    assert (code.module("cart"), code.module("lists"), code.text("shop")) == (None, None, None)


def test_attributes_are_terms(folder: Path, everything: list[Told]) -> None:
    assert everything
    found = facts(folder / "plain.beam").attributes
    assert found["behaviour"] == (Atom("gen_server"),)
    assert [flat(term) for term in found["author"]] == [
        '{"A", <<"b">>, 1.5, #{k => [1, -2 | c]}}',
        "fun lists:map/2",
        "18446744073709551616",
    ]
    assert flat(List(found["étrange"])) == "[{'日本', 200}, \"日本\"]"
