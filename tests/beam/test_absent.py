"""What a library raises in a rehearsal is told apart: is it not running there, or is the upgrade at fault?"""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

from tests.support import require_erl

ASKS = """
-module(asks).
-export([main/0]).
-compile(nowarn_unused_function).
-include("relup_peer_absent.hrl").
main() ->
    Raised = fun(F) -> try F() catch Class:Reason:Stack -> asleep(Class, Reason, Stack, [shop_cart]) end end,
    [io:format("~ts~n", [Why]) || Why <- [
        Raised(fun() -> rooms:find(first) end),
        Raised(fun() -> rooms:size(improper) end),
        Raised(fun() -> words:find(first) end),
        Raised(fun() -> shop_cart:find(first) end),
        Raised(fun() -> shop_price:find(first) end),
        Raised(fun() -> loose:find(first) end),
        Raised(fun() -> lists:nth(-1, []) end),
        Raised(fun() -> exit(no_such_room) end)]],
    halt().
"""
MODULE = """
-module(NAME).
-export([find/1, size/1]).
find(Name) -> error({no_such_room, Name}).
size(Rooms) -> {length(Rooms)}.
"""
APP = '{{application, {}, [{{vsn, "1"}}{}]}}.\n'
PROCESSES = ", {mod, {some_app, []}}"


def test_a_library_that_has_processes_and_does_not_run_is_no_fault_of_the_upgrade(tmp_path: Path) -> None:
    """Not where the language raised it, where it needs no processes, or where it is upgraded itself."""
    require_erl()
    paths = []
    for application, modules, more in (
        ("rooms", ["rooms"], PROCESSES),
        ("words", ["words"], ""),
        ("shop", ["shop_cart", "shop_price"], PROCESSES),
        ("", ["loose"], ""),
    ):
        ebin = tmp_path / f"{application}-1" / "ebin"
        ebin.mkdir(parents=True)
        paths += ["-pa", ebin]
        if application:
            (ebin / f"{application}.app").write_text(APP.format(application, more))
        for module in modules:
            (tmp_path / f"{module}.erl").write_text(MODULE.replace("NAME", module))
            subprocess.run(["erlc", "-o", ebin, tmp_path / f"{module}.erl"], check=True)
    (tmp_path / "asks.erl").write_text(ASKS)
    with resources.as_file(resources.files("relup.targets.beam")) as room:
        subprocess.run(["erlc", "-I", room, "asks.erl"], cwd=tmp_path, check=True)
    command = ["erl", "-noshell", *paths, "-s", "asks", "main"]
    told = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert told.splitlines() == ["it uses rooms, which does not run here", *["none"] * 7]
