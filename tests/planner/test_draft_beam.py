"""Drafts for BEAM releases: the instruction that each kind of module needs, and OTP makes the same plan of them."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput
from relup.document import read_release
from relup.document.draft import draft_path, draft_text
from relup.model.draft import TODO, Draft, Drafted
from relup.model.instructions import (
    AddModule,
    Advanced,
    DeleteModule,
    LoadModule,
    ModuleInstruction,
    Soft,
    SupervisorChange,
    Update,
)
from relup.planner import draft
from tests.document.erlang.modules import beam, chunks_of
from tests.document.erlang.shop import NEW, OLD, write_shop
from tests.planner.otp_oracle import Oracle
from tests.planner.otp_terms import plain
from tests.planner.test_make_relup import compare

WANTED: Mapping[str, ModuleInstruction] = {
    "shop_app": LoadModule("shop_app", ("shop_sup", "shop_new")),
    "shop_sup": Update("shop_sup", SupervisorChange()),
    "shop_cart": Update("shop_cart", Advanced([]), ("shop_format",)),
    "shop_till": Update("shop_till", Soft()),
    "shop_bell": Update("shop_bell", Advanced([])),
    "shop_door": Update("shop_door", Advanced([])),
    "shop_log": Update("shop_log", Soft()),
    "shop_loop": Update("shop_loop", Advanced([])),
    "shop_format": LoadModule("shop_format"),
    "shop_old": DeleteModule("shop_old", ("shop_cart",)),
    "shop_new": AddModule("shop_new"),
}
"""What each module of the shop needs; `shop_same` needs nothing."""

SAID: Mapping[str, str] = {
    "shop_app": "an application: its start/2 changed, and is not called again",
    "shop_sup": "its init/1 names shop_new, and did not before",
    "shop_till": "what differs: handle_call/3",
    "shop_bell": f"{TODO}: its code_change/3 is that of 1: does it take over these states?",
    "shop_door": "    code_change(_OldVsn, State, Data, _Extra) -> {ok, State, Data}.  % from 1",
    "shop_cart": "    code_change({down, _Vsn}, #state{...}, _Extra) -> {ok, {state, F1, F2}};  % back to 1",
    "shop_loop": "    system_code_change(State, _Module, {down, _Vsn}, _Extra) -> {ok, State};  % back to 1",
    "shop_old": "gone: deleted after shop_cart, which used it",
}


@pytest.fixture(scope="module", params=[False, True], ids=["as compiled", "stripped of attributes"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_shop(tmp_path_factory.mktemp("shop"), stripped=request.param)


def drafted(files: list[Path]) -> Draft:
    found = draft(*(read_release(file) for file in files))
    assert len(found) == 1
    return found[0]


def named(found: tuple[Drafted, ...]) -> dict[str, Drafted]:
    return {d.instruction.module: d for d in found if isinstance(d.instruction, ModuleInstruction)}


def test_each_module_has_the_instruction_of_its_kind(shop: list[Path]) -> None:
    found = named(drafted(shop).up)
    assert {m: d.instruction for m, d in found.items()} == WANTED
    assert {m: text for m, text in SAID.items() if text not in found[m].comments} == {}


def test_a_state_of_another_size_is_said_to_have_it(shop: list[Path]) -> None:
    assert "{state, ...} has 3 fields, before 2" in named(drafted(shop).up)["shop_cart"].comments


def test_the_way_down_is_the_mirror(shop: list[Path]) -> None:
    found = drafted(shop)
    down = [d.instruction for d in found.down]
    assert [i.module for i in down if isinstance(i, ModuleInstruction)] == [*reversed(named(found.up))]
    assert AddModule("shop_old", ("shop_cart",)) in down
    assert DeleteModule("shop_new") in down
    assert not any(d.todos() for d in found.down)


def test_what_is_inferred_is_said_to_be(shop: list[Path]) -> None:
    release = read_release(shop[1])
    module = release.code.module("shop_door")
    stripped = module is not None and not getattr(module, "attributes", None)
    said = "it does not say what it is: taken for a gen_statem, by what it exports and calls"
    assert (said in named(drafted(shop).up)["shop_door"].comments) == stripped


def test_otp_makes_the_plan_of_an_answered_draft_that_relup_makes(otp: Oracle, shop: list[Path]) -> None:
    old, new = shop
    release = read_release(new)
    for found in draft(read_release(old), release):
        lines = draft_text(found, release).splitlines()
        answered = "\n".join(line for line in lines if not line.lstrip().startswith("%%"))
        draft_path(found, release).write_text(answered, encoding="utf-8")
    try:
        answer = plain(otp.make_relup(new, old, new.parents[2] / "lib"))
        assert answer[0] == "ok"
        compare(answer, old, new)
    finally:
        for file in new.parents[2].rglob("*.appup"):
            file.unlink()


def copied(shop: list[Path], folder: Path) -> list[Path]:
    shutil.copytree(shop[0].parents[2], folder, dirs_exist_ok=True)
    return [folder / file.relative_to(file.parents[2]) for file in shop]


def ebin(files: list[Path]) -> Path:
    return files[1].parents[2] / "lib" / "shop-2" / "ebin"


def chunks(file: Path) -> dict[str, bytes]:
    data = file.read_bytes()
    return chunks_of(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)


def test_a_file_that_holds_another_module_is_told(shop: list[Path], tmp_path: Path) -> None:
    files = copied(shop, tmp_path)
    (ebin(files) / "shop_till.beam").write_bytes((ebin(files) / "shop_log.beam").read_bytes())
    assert told(files) == {("wrong_module", "shop_till.beam")}


def test_modules_that_are_damaged_inside_are_told_together(shop: list[Path], tmp_path: Path) -> None:
    files = copied(shop, tmp_path)
    for module in ("shop_till", "shop_door"):
        parts = chunks(ebin(files) / f"{module}.beam")
        (ebin(files) / f"{module}.beam").write_bytes(beam({**parts, "ExpT": b"\0\0\0\xff"}))
    assert told(files) == {("invalid_chunk", "shop_till.beam"), ("invalid_chunk", "shop_door.beam")}


def told(files: list[Path]) -> set[tuple[str, str]]:
    with pytest.raises(InvalidInput) as error:
        drafted(files)
    return {(d.code, Path(d.location.file).name if d.location else "") for d in error.value.diagnostics}


def test_code_that_cannot_be_compared_is_asked_about(shop: list[Path], tmp_path: Path) -> None:
    files = copied(shop, tmp_path)
    parts = chunks(ebin(files) / "shop_till.beam")
    code = bytearray(parts["Code"])
    code[20] = 250
    (ebin(files) / "shop_till.beam").write_bytes(beam({**parts, "Code": bytes(code)}))
    found = named(drafted(files).up)["shop_till"]
    assert found.instruction == Update("shop_till", Advanced([]))
    assert found.todos() == 2


def test_modules_that_no_application_lists_are_asked_about(shop: list[Path], tmp_path: Path) -> None:
    files = copied(shop, tmp_path)
    (ebin(files) / "stray.beam").write_bytes(b"")
    found = drafted(files)
    assert [c for c in found.comments if c.startswith(f"{TODO}: stray lie in ebin of shop 2")]
    assert found.todos() == 1 + sum(d.todos() for d in found.up)


BECOMES: Mapping[str, tuple[str, str, ModuleInstruction, bool]] = {
    "a server": (OLD["shop_format"], OLD["shop_till"], LoadModule("shop_thing"), False),
    "a server no more": (OLD["shop_till"], OLD["shop_format"], LoadModule("shop_thing"), True),
    "a server of another kind": (OLD["shop_till"], OLD["shop_door"], Update("shop_thing", Advanced([])), True),
    "a server by itself": (
        OLD["shop_till"].replace("-behaviour(gen_server).", ""),
        NEW["shop_till"].replace("-behaviour(gen_server).", ""),
        Update("shop_thing", Soft()),
        False,
    ),
    "a server of another behaviour": (
        OLD["shop_till"].replace("gen_server", "shop_worker"),
        NEW["shop_till"].replace("gen_server", "shop_worker"),
        Update("shop_thing", Soft()),
        False,
    ),
    "a server with a map of other keys": (
        OLD["shop_till"],
        OLD["shop_till"].replace("handle_cast(_, S) -> {noreply, S}", "handle_cast(X, S) -> {noreply, S#{tax => X}}"),
        Update("shop_thing", Advanced([])),
        True,
    ),
    "a server with a code_change": (
        OLD["shop_till"],
        f"-export([code_change/3]).\n{OLD['shop_till']}"
        "code_change({down, _}, S, _) -> {ok, maps:get(s, S)}; code_change(_, S, _) -> {ok, S#{sum => {S}}}.\n",
        Update("shop_thing", Advanced([])),
        False,
    ),
    "an application that is its own supervisor": (
        OLD["shop_app"]
        .replace("shop_sup:start_link()", "supervisor:start_link(?MODULE, [])")
        .replace("stop/1]", "stop/1, init/1]")
        + "init([]) -> {ok, {#{}, []}}.\n",
        OLD["shop_app"]
        .replace("shop_sup:start_link()", "supervisor:start_link(?MODULE, [1])")
        .replace("stop/1]", "stop/1, init/1]")
        + "init([_]) -> {ok, {#{}, []}}.\n",
        Update("shop_thing", SupervisorChange()),
        True,
    ),
    "a supervisor whose children are the same": (
        OLD["shop_sup"],
        f"-export([f/0]).\n{OLD['shop_sup']}f() -> 1.\n",
        Update("shop_thing", SupervisorChange()),
        False,
    ),
}
"""What a module becomes, its texts, what it needs, and whether something is asked."""


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Drafted]:
    """The instructions for a module for each thing that becomes of it: all of one release."""
    modules = {name: f"shop_thing_{n}" for n, name in enumerate(BECOMES)}
    old, new = ({modules[name]: texts[which] for name, texts in BECOMES.items()} for which in (0, 1))
    found = named(drafted(write_shop(tmp_path_factory.mktemp("things"), stripped=False, old=old, new=new)).up)
    return {name: found[module] for name, module in modules.items()}


@pytest.mark.parametrize("name", BECOMES)
def test_what_a_module_becomes_decides(things: Mapping[str, Drafted], name: str) -> None:
    _, _, wanted, asked = BECOMES[name]
    found = things[name]
    assert isinstance(found.instruction, ModuleInstruction)
    assert repr(found.instruction).replace(found.instruction.module, "shop_thing") == repr(wanted)
    assert bool(found.todos()) == asked
