"""Who stands in the way of a window, comes up in it, or does not come out of it: nobody else pays for them."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from relup.cli.demo import examples
from relup.diagnostics import Refused
from relup.model.instructions import Apply, Call, Start, Stop
from tests.beam.asking import GONE, LOADED
from tests.beam.beside import BIRTH, WORKERS, impatient, planned, tried, upgraded
from tests.beam.losing import CUT
from tests.beam.nodes import Beam
from tests.beam.test_contract import HOUR, VIEW
from tests.beam.test_limits import VERSIONS


def test_a_caller_that_waits_for_a_suspended_server_is_suspended_first(beam: Beam) -> None:
    """The till calls the stock all the time; in no order of suspending them does it fail."""
    with beam.depot_node(interval=0, workers=20) as node:
        outcome = upgraded(node, planned(beam.depot["1"], beam.depot["2"]))
        assert outcome.status == "done", outcome
        node.wait_for(r"^sold\[2\]: \d+$")
        assert node.ask(LOADED) == []


def test_who_takes_no_system_messages_is_named_before_anything_is_touched(beam: Beam) -> None:
    """A process that was started by the depot's worker module, and only waits."""
    with beam.depot_node(interval=HOUR, workers=2) as node:
        node.ask("""
            P = proc_lib:spawn(fun() -> put('$initial_call', {depot_worker, work, 1}), receive stop -> ok end end),
            register(deaf, P), is_process_alive(P)
        """)
        before = node.ask(VIEW)
        with pytest.raises(Refused, match="deaf runs code that changes and takes no system messages"):
            upgraded(node, planned(beam.depot["1"], beam.depot["2"]))
        assert node.ask(VIEW) == before


def test_who_is_born_under_code_that_is_taken_back_does_not_stay(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=9) as node:
        before = node.ask(VIEW)
        outcome = upgraded(node, planned(beam.depot["1"], beam.depot["3"]), "load", BIRTH)
        assert outcome.status == "rolled_back", outcome
        assert any("stray" in d.message for d in outcome.diagnostics)
        assert node.ask("whereis(stray)") == "undefined"
        assert node.ask(VIEW) == before


def test_a_server_of_which_neither_a_tree_nor_its_start_tells_is_named(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=2) as node:
        node.ask("""
            P = proc_lib:spawn(fun() -> gen_server:enter_loop(depot_worker, [], {9, 0}) end), register(stray, P),
            element(1, sys:get_state(P))
        """)
        (said,) = [
            d for d in tried(node, planned(beam.depot["1"], beam.depot["2"])).diagnostics if "stray" in d.message
        ]
        assert (said.code, said.severity) == ("unseen_server", "warning")


@pytest.mark.parametrize("born", ["depot_pool:start_worker(77)", BIRTH, "spawn(fun() -> receive never -> ok end end)"])
def test_who_is_born_between_the_preparation_and_the_window_is_upgraded_too(beam: Beam, born: str) -> None:
    with beam.depot_node(interval=HOUR, workers=3) as node:
        outcome = upgraded(node, planned(beam.depot["1"], beam.depot["2"]), "prepare", born)
        assert outcome.status == "done", outcome
        assert node.ask(VERSIONS) == [2]


def test_a_child_that_was_deleted_comes_back_with_its_spec_when_a_later_step_fails(beam: Beam) -> None:
    child = "depot_sup", "depot_door"
    ended, deleted = (Apply(Call("supervisor", f"{what}_child", child)) for what in ("terminate", "delete"))
    unknown = Apply(Call("supervisor", "terminate_child", ("depot_sup", "nobody")))
    children = """
        {lists:sort([Id || {Id, P, _, _} <- supervisor:which_children(depot_sup), is_pid(P)]),
         lists:flatten(io_lib:format("~0p", [supervisor:get_childspec(depot_sup, depot_door)]))}
    """
    with beam.depot_node(interval=HOUR, workers=2) as node:
        before = node.ask(children)
        relup = replace(planned(beam.depot["1"], beam.depot["2"]), script=(ended, deleted, unknown))
        outcome = upgraded(node, relup)
        assert outcome.status == "rolled_back", outcome
        assert "not_found" in outcome.diagnostics[0].message
        assert node.ask(children) == before


def test_a_code_change_that_hangs_is_named_and_only_that_process_stays_behind(beam: Beam, tmp_path: Path) -> None:
    goal = impatient(beam.depot["2"], tmp_path, 200)
    source = (examples() / "beam" / "erl" / "2" / "depot_worker.erl").read_text()
    hangs = "code_change(1, {2, _}, _Extra) -> receive go_on -> {ok, none} end;\ncode_change(1,"
    (tmp_path / "depot_worker.erl").write_text(source.replace("code_change(1,", hangs, 1))
    ebin = goal / "lib" / "depot-2" / "ebin"
    subprocess.run(["erlc", "+deterministic", "-o", ebin, tmp_path / "depot_worker.erl"], check=True)
    with beam.depot_node(interval=HOUR, workers=3) as node:
        started = time.monotonic()
        outcome = upgraded(node, planned(beam.depot["1"], goal))
        assert time.monotonic() - started < 5
        assert outcome.status == "operator_needed", outcome
        codes = {d.code for d in outcome.diagnostics}
        assert codes >= {"code_change_timeout", "not_restored"}
        (remains,) = (d.message for d in outcome.diagnostics if d.code == "not_restored")
        assert "depot_worker:code_change/3" in remains
        node.ask(
            f"[P ! go_on || P <- {WORKERS}, process_info(P, current_function) =:= "
            "{current_function, {depot_worker, code_change, 3}}]"
        )
        assert node.ask(f"[sys:get_state(P) || P <- {WORKERS}]") == [(1, 0), (2, 0), (3, 0)]


def test_code_whose_file_the_node_does_not_have_is_taken_back_from_the_release(beam: Beam) -> None:
    """As after an upgrade from another machine."""
    with beam.depot_node(interval=HOUR, workers=9) as node:
        node.ask("""
            {ok, Binary} = file:read_file(code:which(depot_worker)),
            code:load_binary(depot_worker, "/elsewhere/depot_worker.beam", Binary), code:purge(depot_worker)
        """)
        before = node.ask(VIEW)
        assert upgraded(node, planned(beam.depot["1"], beam.depot["3"])).status == "rolled_back"
        assert node.ask(VIEW) == before
        assert upgraded(node, planned(beam.depot["1"], beam.depot["2"])).status == "done"


@pytest.mark.parametrize("lost", [False, True])
def test_a_call_in_a_window_is_taken_back_with_it(beam: Beam, lost: bool) -> None:
    """By its undo, whether a later step fails or nobody is left to ask for it."""
    call = Apply(
        Call("application", "set_env", ("depot", "mark", 1)),
        Call("application", "set_env", ("depot", "mark", 2)),
        "inside",
    )
    fails = Apply(Call("erlang", "error", ("on purpose",)), Call("erlang", "self"), "inside")
    with beam.depot_node(interval=HOUR, workers=3) as node:
        before = node.ask(VIEW)
        relup = planned(beam.depot["1"], beam.depot["2"])
        relup = replace(relup, script=(*relup.script, call, *(() if lost else (fails,))))
        outcome = upgraded(node, relup, "call" if lost else "", CUT[:-1])
        assert outcome.status == ("operator_needed" if lost else "rolled_back"), outcome
        assert node.ask(GONE) == []
        assert node.ask(VIEW) == before
        assert node.ask("application:get_env(depot, mark)") == ("ok", 2)


def test_who_is_ended_for_an_upgrade_is_started_again_whatever_becomes_of_it(beam: Beam) -> None:
    fails = Apply(Call("erlang", "error", ("no",)))
    with beam.depot_node(interval=HOUR, workers=2) as node:
        relup = planned(beam.depot["1"], beam.depot["2"])
        door = node.ask("list_to_binary(pid_to_list(whereis(depot_door)))")
        outcome = upgraded(node, replace(relup, script=(Stop(("depot_door",)), fails, Start(("depot_door",)))))
        assert outcome.status == "rolled_back", outcome
        again = node.ask("list_to_binary(pid_to_list(whereis(depot_door)))")
        assert again != door
        outcome = upgraded(node, replace(relup, script=(Stop(("depot_door",)), Start(("depot_door",)))))
        assert outcome.status == "done", outcome
        assert node.ask("list_to_binary(pid_to_list(whereis(depot_door)))") not in (door, again)


def test_who_could_not_be_started_again_is_not_ended(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=2) as node:
        before = node.ask(VIEW)
        relup = replace(planned(beam.depot["1"], beam.depot["2"]), script=(Stop(("depot_worker",)),))
        outcome = upgraded(node, relup)
        assert outcome.status == "rolled_back", outcome
        assert "no supervisor could start it again" in outcome.diagnostics[0].message
        assert node.ask(VIEW) == before
