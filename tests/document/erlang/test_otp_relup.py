"""OTP's relup files: read, written, made of plans, and the same terms as OTP's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput, Location
from relup.document import read_document
from relup.document.erlang.otp_relup import not_in_otp, read_otp_relup, write_otp_relup
from relup.model.instructions import (
    Apply,
    Call,
    CodeChange,
    Load,
    LoadObjectCode,
    LowLevel,
    ModuleChange,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Start,
    Stop,
    Suspend,
    Suspension,
    SyncNodes,
)
from relup.model.otp_relup import OtpRelup, OtpScript, otp_relup
from relup.model.release import Release
from relup.model.relup import Relup
from tests.document.erlang.releases import app, build, erl, rel
from tests.document.strategies import scripts

ALL: tuple[LowLevel, ...] = (
    RestartNewEmulator(),
    LoadObjectCode("cart", "2", ("cart", "Elixir.Cart", "Straße")),
    PointOfNoReturn(),
    Suspend((Suspension("cart"), Suspension("web", "infinity"), Suspension("till", 5))),
    Load("cart", "soft_purge"),
    Remove("gone", "brutal_purge", "soft_purge"),
    PurgeModules(("gone",)),
    CodeChange("up", (ModuleChange("cart"), ModuleChange("web", {"tuple": ["x", {"string": 'a "b"'}, 1.5]}))),
    CodeChange("down", (ModuleChange("cart", [1, {"binary": [255]}]),)),
    Resume(("cart", "web", "till")),
    Stop(("old",)),
    Start(("new",)),
    SyncNodes({"tuple": ["a", 1]}, ("n@h", "m@h")),
    SyncNodes("b", Call("nodes", "all", ())),
    Apply(Call("io", "format", ({"string": "ü~n"}, []))),
    RestartEmulator(),
)
RELUP = OtpRelup("2", (OtpScript("1", "", ALL), OtpScript("0.9", "up it goes ü", ())), (OtpScript("1", "", ALL[:3]),))

TEXT = """%% coding: utf-8
{"2",
 [{"1", [],
   [{load_object_code, {cart, "2", [cart]}},
    point_of_no_return,
    {suspend, [cart]},
    {code_change, [{cart, []}]}]}],
 [{"1", "back",
   []}]}.
"""


def test_a_relup_file_is_its_scripts(tmp_path: Path) -> None:
    file = build(tmp_path, {"relup": TEXT}) / "relup"
    steps = (LoadObjectCode("cart", "2", ("cart",)), PointOfNoReturn(), Suspend((Suspension("cart"),)))
    change = CodeChange("up", (ModuleChange("cart"),))
    found = read_otp_relup(file)
    assert found == OtpRelup("2", (OtpScript("1", "", (*steps, change)),), (OtpScript("1", "back", ()),))
    assert [str(i.location) for i in found.up[0].instructions] == [f"{file}:{n}:5" for n in range(4, 8)]
    assert (str(found.location), str(found.down[0].location)) == (f"{file}:2:1", f"{file}:8:3")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = build(tmp_path, {"relup": write_otp_relup(RELUP)}) / "relup"
    assert read_otp_relup(file) == RELUP


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scripts, st.text(max_size=5))
def test_any_script_is_written_and_read_or_refused(tmp_path: Path, script: tuple[LowLevel, ...], words: str) -> None:
    file = tmp_path / "relup"
    try:
        file.write_text(write_otp_relup(OtpRelup("2", (OtpScript("1", words, script),))), encoding="utf-8")
        found = read_otp_relup(file)
    except InvalidInput:
        return
    assert [type(i) for i in found.up[0].instructions] == [type(i) for i in script]
    file.write_text(write_otp_relup(found), encoding="utf-8")
    assert read_otp_relup(file) == found


@pytest.mark.parametrize("name", ["relup", "anything", "relup.txt"])
def test_a_relup_file_is_told_by_its_name_or_by_how_it_begins(name: str, tmp_path: Path) -> None:
    for text in (write_otp_relup(RELUP), "% some words\n\n  %% more\n" + write_otp_relup(RELUP)):
        assert read_document(build(tmp_path, {name: text}) / name) == RELUP


# ── of plans ───────────────────────────────────────────────────────────────────────────────────────────

OLD, NEW = Release("shop", "1", kind="beam"), Release("shop", "2", kind="beam")
THERE, BACK = (PointOfNoReturn(), Load("cart")), (Load("web"),)


def test_a_plan_in_either_direction_is_the_relup_file_of_the_newer_release() -> None:
    wanted = OtpRelup("2", (OtpScript("1", "", THERE),), (OtpScript("1", "", BACK),))
    assert otp_relup(Relup("up", OLD, NEW, THERE, BACK)) == wanted
    assert otp_relup(Relup("down", NEW, OLD, BACK, THERE)) == wanted


def test_a_plan_without_a_way_back_makes_one_script() -> None:
    assert otp_relup(Relup("up", OLD, NEW, THERE)) == OtpRelup("2", (OtpScript("1", "", THERE),))
    assert otp_relup(Relup("down", NEW, OLD, BACK)) == OtpRelup("2", (), (OtpScript("1", "", BACK),))


def test_what_otp_cannot_say_is_told_and_left_out(tmp_path: Path) -> None:
    place = Location("cart.appup.yaml", 7, 9)
    call, undo = Call("cart", "open", (1,)), Call("cart", "close")
    steps = (Apply(call, undo, "inside", location=place), Apply(call), PointOfNoReturn(location=place))
    plan = otp_relup(Relup("up", OLD, NEW, steps, steps))
    told = [(d.code, d.severity, d.location) for d in not_in_otp(plan)]
    assert told == [("not_in_otp", "warning", place)] * 4
    plain = (Apply(call), Apply(call), PointOfNoReturn())
    file = build(tmp_path, {"relup": write_otp_relup(plan)}) / "relup"
    assert read_otp_relup(file) == otp_relup(Relup("up", OLD, NEW, plain, plain))
    assert list(not_in_otp(RELUP)) == []


# ── what is refused ────────────────────────────────────────────────────────────────────────────────────

SHAPE = 'expected {"vsn", [{"from", Description, Script}, …], [{"to", Description, Script}, …]}. [bad_relup_file]'
CASES: dict[str, tuple[str, list[str]]] = {
    "empty": ("", [f"{{}}:1:1: {SHAPE}"]),
    "an appup": ('{"2", []}.\n', [f"{{}}:1:1: {SHAPE}"]),
    "two terms": ('{"2", [], []}.\n{"2", [], []}.\n', [f"{{}}:1:1: {SHAPE}"]),
    "lists and texts that are none": (
        "{2,\n up,\n [{1, 2, 3},\n  {a}]}.\n",
        [
            "{}:1:2: expected a string, found 2 [bad_relup_file]",
            "{}:2:2: expected a list, found up [bad_relup_file]",
            "{}:3:4: expected a string, found 1 [bad_relup_file]",
            "{}:3:7: expected a string, found 2 [bad_relup_file]",
            "{}:3:10: expected a list, found 3 [bad_relup_file]",
            "{}:4:3: expected {Vsn, Description, Script}, found {a} [bad_relup_file]",
        ],
    ),
    "instructions of appups, and none": (
        '{"2",\n [{"1", [],\n   [{update, cart},\n    {load_module, cart, x},\n    {lode, cart},\n    {load, {cart, x,'
        " brutal_purge}}]}], []}.\n",
        [
            "{}:3:5: a relup file has low-level instructions only, update is for appups [bad_instruction]",
            "{}:4:5: a relup file has low-level instructions only, load_module is for appups [bad_instruction]",
            "{}:5:5: unknown instruction 'lode' (did you mean 'load'?) [bad_instruction]",
            "{}:6:19: expected soft_purge or brutal_purge, found x [bad_purge_method]",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_relup_file_is_refused(case: str, tmp_path: Path) -> None:
    text, wanted = CASES[case]
    file = build(tmp_path, {"relup": text}) / "relup"
    with pytest.raises(InvalidInput) as caught:
        read_document(file)
    assert str(caught.value).replace(str(file), "{}").splitlines() == wanted


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.text("{}[],.\"'%\n12 load", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "relup"
    file.write_bytes(content)
    with pytest.raises(InvalidInput):
        read_document(file)


# ── OTP's own files ────────────────────────────────────────────────────────────────────────────────────

APPUP = """{"2",
 [{"1", [{update, cart, {advanced, {x, "str", <<"bin">>, #{a => 1.5}, [a|b]}}, [web]},
         {load_module, web, soft_purge, soft_purge, []},
         {add_module, 'Elixir.Cart'}, {delete_module, gone}, {update, sup, supervisor},
         {apply, {io, format, ["hi~n", [$a, "ü"]]}}, {sync_nodes, {x, 1}, ['n@h']}]}],
 [{"1", [{update, cart, static, infinity, {advanced, []}, soft_purge, brutal_purge, []},
         {sync_nodes, y, {m, f, []}}, {load_module, web}, {delete_module, 'Elixir.Cart'}, {add_module, gone}]}]}.
"""
_MAKE = """
Path = {path, [filename:join(["lib", "*", "ebin"])]},
{ok, _, _, _} = systools:make_relup("new", ["old"], [{"old", "back ü"}], [Path, silent, restart_emulator]),
halt().
"""
_COMPARE = """
{ok, [Made]} = file:consult("relup"),
{ok, [Written]} = file:consult("written"),
{_, Ups, Downs} = Written,
Compile = fun(Module, Folder) ->
    {ok, _, Code} = compile:forms([{attribute, 1, module, Module}]),
    File = filename:join([Folder, "ebin", atom_to_list(Module) ++ ".beam"]),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, Code) end,
Check = fun({_, _, Script}) ->
    Folders = [{App, Vsn, filename:absname("code-" ++ Vsn)} || {load_object_code, {App, Vsn, _}} <- Script],
    [Compile(M, F) || {load_object_code, {_, _, Ms}} <- Script, {_, _, F} <- Folders, M <- Ms],
    release_handler_1:check_script(Script, Folders) end,
io:format("~p ~tp~n", [Made =:= Written, [Check(S) || S <- Ups ++ Downs]]),
halt().
"""


def test_a_file_of_systools_is_the_same_terms_when_it_is_read_and_written(tmp_path: Path) -> None:
    (kernel, stdlib, sasl, erts) = erl(
        "[begin application:load(A), {ok, V} = application:get_key(A, vsn), io:format('~w,~p~n', [A, V]) end"
        " || A <- [kernel, stdlib, sasl]], io:format('~ts~n', [erlang:system_info(version)]), halt().",
        tmp_path,
    )
    core = [f"{{{line}}}" for line in (kernel, stdlib, sasl)]
    files = {
        "lib/cart-1/ebin/cart.app": app("cart", "1", "[cart,web,gone,sup]"),
        "lib/cart-2/ebin/cart.app": app("cart", "2", "[cart,web,'Elixir.Cart',sup]"),
        "lib/cart-2/ebin/cart.appup": APPUP,
        "old.rel": rel(*core, '{cart,"1"}', vsn="1", erts=erts),
        "new.rel": rel(*core, '{cart,"2"}', vsn="2", erts=erts),
    }
    build(tmp_path, files)
    erl(_MAKE, tmp_path)
    found = read_otp_relup(tmp_path / "relup")
    assert [len(s.instructions) for s in (*found.up, *found.down)] == [17, 12]
    (tmp_path / "written").write_text(write_otp_relup(found), encoding="utf-8")
    assert erl(_COMPARE, tmp_path) == ["true [{ok,[]},{ok,[]}]"]


def test_every_low_level_instruction_is_one_to_release_handler(tmp_path: Path) -> None:
    text = write_otp_relup(OtpRelup("2", (OtpScript("1", "", ALL),)))
    build(tmp_path, {"relup": text, "written": text})
    assert erl(_COMPARE, tmp_path) == ["true [{ok,[]}]"]
