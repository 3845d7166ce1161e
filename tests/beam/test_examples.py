"""The examples for BEAM do what their READMEs say, and what OTP itself does with them is written down."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relup.document import read_release
from relup.planner import find_route
from tests.beam.builds import ANEMONE
from tests.beam.nodes import Beam, BeamNode
from tests.beam.otp import unpack, with_otp_appup
from tests.support import Commands

HOUR = 3_600_000
STATES = """
    [{Server, sys:get_state(Server)} || Server <- [depot_till, depot_stock, depot_door, depot_news]] ++
    [{list_to_binary(pid_to_list(Pid)), sys:get_state(Pid)} || {_, Pid, _, _} <- supervisor:which_children(depot_pool)]
"""


def numbers(node: BeamNode, count: int, pattern: str = r"\[(\d)\]: (\d+)$") -> list[tuple[int, int]]:
    """Return the versions and numbers in the next lines that have some."""
    found = [node.wait_for(pattern) for _ in range(count)]
    return [(int(f[1]), int(f[2])) for f in found]


def states(node: BeamNode) -> dict[str, Any]:
    """Return all states; the till's is first, so that what it set out to do as it started is done."""
    return dict(node.ask(STATES))


def test_the_mix_releases_have_one_plan_whichever_language_their_appup_is_in(beam: Beam, tmp_path: Path) -> None:
    first = read_release(beam.anemone["1"])
    for vsn in ("2", "3"):
        new = read_release(beam.anemone[vsn])
        other = read_release(with_otp_appup(beam.anemone[vsn], tmp_path, ANEMONE / vsn / "anemone.appup"))
        ((up,), (down,)) = find_route(first, new).hops, find_route(new, first).hops
        assert [(r.script, r.way_back) for r in find_route(first, other).hops] == [(up.script, down.script)]


def test_the_mix_releases_hold(commands: Commands, beam: Beam) -> None:
    commands.run("check", *beam.anemone.values())


def exit_codes(readme: Path) -> list[tuple[list[str], int]]:
    """Return the options and the exit code of each `relup apply` of which a README says how it fails."""
    found = re.findall(r"relup apply \$NODE \S+/3 (.*?) +#.* exit code (\d)", readme.read_text())
    return [(options.split(), int(code)) for options, code in found]


@pytest.mark.parametrize("example", ["anemone", "erl"])
def test_release_3_fails_as_the_readme_says(commands: Commands, beam: Beam, example: str) -> None:
    rehearsing = replace(commands, rehearses=True)
    wanted = exit_codes(ANEMONE.parent / example / "README.md")
    assert [code for _, code in wanted] == [4, 5]
    with beam.anemone_node("2") if example == "anemone" else beam.depot_node() as node:
        releases = beam.anemone if example == "anemone" else beam.depot
        for options, code in wanted:
            rehearsing.run("apply", node.name, releases["3"], *options, exit_code=code)


def test_the_steps_of_the_tutorial_by_hand(beam: Beam) -> None:
    """As an operator types them: suspend, purge, load, change_code, resume; the new beam over the old one."""
    with beam.anemone_node() as node:
        (first, second) = numbers(node, 2)
        assert second == (1, first[1] + 1)
        assert node.ask("node()") == node.name
        assert node.ask("sys:suspend(counter)") == "ok"
        before = node.ask("sys:get_state(counter)")
        (old,) = node.root.glob("lib/anemone-*/ebin/Elixir.Counter.beam")
        (new,) = beam.anemone["2"].glob("lib/anemone-*/ebin/Elixir.Counter.beam")
        shutil.copy(new, old.with_suffix(".new"))
        old.with_suffix(".new").replace(old)
        assert node.ask("code:purge('Elixir.Counter'), code:load_file('Elixir.Counter')") == (
            "module",
            "Elixir.Counter",
        )
        assert node.ask("sys:change_code(counter, 'Elixir.Counter', 1, nil)") == "ok"
        assert node.ask("sys:get_state(counter)") == before + 1000
        assert node.ask("sys:resume(counter)") == "ok"
        node.wait_for(rf"^count\[2\]: {before + 1000}$")
        assert numbers(node, 2) == [(2, before + 1002), (2, before + 1004)]


def test_otp_upgrades_the_mix_release_from_its_appup(beam: Beam, tmp_path: Path) -> None:
    """`release_handler:upgrade_app`, with nothing but the module: what runs is changed, no record is."""
    new = with_otp_appup(beam.anemone["2"], tmp_path, ANEMONE / "2" / "anemone.appup")
    with beam.anemone_node() as node:
        was = node.ask("whereis(counter)")
        assert node.ask(f'release_handler:upgrade_app(anemone, "{new}/lib/anemone-0.2.0")') == ("ok", [])
        count = int(node.wait_for(r"^count\[2\]: (\d+)$")[1])
        assert count > 1000
        assert numbers(node, 1) == [(2, count + 2)]
        assert node.ask("whereis(counter)") == was
        assert bytes(node.ask("element(2, application:get_key(anemone, vsn))")) == b"0.2.0"
        assert node.ask('filelib:is_file("releases/RELEASES")') is False


def test_the_depot_sells_and_every_server_has_heard_of_each_sale(beam: Beam) -> None:
    async def life() -> None:
        async with beam.depot_node(workers=7) as node:
            await asyncio.to_thread(node.wait_for, r"^sold\[1\]: 5$")
            node.ask("sys:suspend(depot_till)")
            seen = states(node)
            sold = seen["depot_till"][1]
            assert seen["depot_stock"] == {"left": 1_000_000 - sold, "taken": sold}
            assert seen["depot_door"] == ("shut" if sold % 2 == 0 else "open", sold)
            assert seen["depot_news"] == [("depot_tally", False, sold), ("depot_log", False, [1] * 5)]
            assert sorted(s for who, s in seen.items() if who.startswith("<")) == [(n, 0) for n in range(1, 8)]

    asyncio.run(life())


def test_a_node_that_ended_leaves_no_process_and_is_started_again_as_the_same(beam: Beam) -> None:
    with beam.depot_node(workers=1, host="127.0.0.1") as node:
        assert node.ask("node()") == node.name
        assert node.name.endswith("@127.0.0.1")
        assert not list(node.root.glob(".erlang.cookie"))
    with pytest.raises(ProcessLookupError):
        os.killpg(node.pid, 0)
    with beam.depot_node(workers=2, again=node) as same:
        assert same.ask("{node(), list_to_binary(code:root_dir())}") == (node.name, str(node.root))
        assert same.pid != node.pid


def test_otp_takes_the_depot_up_and_down_with_the_relup_that_is_planned_here(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    """`release_handler` on a target system of its own, with the file of `relup plan --format otp`."""
    with beam.depot_node(workers=20, interval=HOUR) as node:
        before = states(node)
        relup = commands.run("plan", beam.depot["1"], beam.depot["2"], "--format", "otp").stdout
        unpack(node, beam.depot["2"], "2", relup, tmp_path)
        assert node.ask('{ok, V, []} = release_handler:check_install_release("2"), list_to_binary(V)') == "1"
        installed = node.ask('{ok, V, []} = release_handler:install_release("2"), list_to_binary(V)')
        assert installed == "1"
        up = states(node)
        assert up.keys() == before.keys()
        assert up["depot_stock"] == before["depot_stock"] | {"reserved": 0}
        assert up["depot_till"] == ("till", 1, 5)
        assert up["depot_door"] == ("open", {"pushes": 1})
        assert up["depot_news"] == [("depot_tally", False, (1, 1)), ("depot_log", False, {"last": [1], "most": 1})]
        assert sorted(s["id"] for who, s in up.items() if who.startswith("<")) == [*range(1, 21)]
        assert node.ask('release_handler:make_permanent("2")') == "ok"
        assert (node.root / "releases" / "start_erl.data").read_text().split()[1] == "2"
        node.ask('{ok, _, []} = release_handler:install_release("1")')
        assert states(node) == before


def test_one_worker_of_release_3_cannot_be_changed(beam: Beam) -> None:
    with beam.depot_node(workers=9, interval=HOUR) as node:
        (file,) = beam.depot["3"].glob("lib/*/ebin/depot_worker.beam")
        node.ask(f'{{ok, New}} = file:read_file("{file}"), code:load_binary(depot_worker, "3", New)')
        tried = node.ask("""
            [begin
                sys:suspend(Pid),
                Said = case sys:change_code(Pid, depot_worker, 1, []) of ok -> ok; {error, _} -> error end,
                {Said, sys:get_state(Pid)}
             end || {_, Pid, _, _} <- supervisor:which_children(depot_pool)]
        """)
        assert [state for said, state in tried if said == "error"] == [(7, 0)]
        assert sorted(state["id"] for said, state in tried if said == "ok") == [1, 2, 3, 4, 5, 6, 8, 9]
