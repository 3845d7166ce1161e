"""A rehearsal for a BEAM node tells what an upgrade would do to its states, and the node does not notice."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from relup.document import read_release
from relup.executor import UNSAID, Limits, Options, Outcome, install
from relup.executor.rehearsal import Rehearsal
from relup.planner import find_route
from relup.targets.beam.connect import connect
from relup.targets.beam.target import BeamNode as Target
from tests.beam import test_migrate as migrating
from tests.beam.asking import LOADED
from tests.beam.builds import DEPOT
from tests.beam.nodes import Beam, BeamNode, copy_release
from tests.beam.reaching import reach
from tests.beam.test_commands import steps
from tests.support import Commands

HOUR = 3_600_000
STATES = "[catch sys:get_state(P, 200) || {_, P, _, _} <- supervisor:which_children(depot_pool)]"
SEEN = f"""
    {{[{{N, whereis(N)}} || N <- registered()], length(processes()), lists:sort([M || {{M, _}} <- code:all_loaded()]),
      erlang:system_info(atom_count), erlang:system_info(port_count), length(ets:all()), code:get_path(), {LOADED},
      {STATES}}}
"""


def rehearsed(node: BeamNode, base: Path, goal: Path, limits: Limits = UNSAID) -> Outcome:
    """Rehearse the upgrade from *base* to *goal*, and do no more."""

    async def once() -> Outcome:
        route = find_route(read_release(base), read_release(goal))
        async with connect(reach(node)) as bridge:
            options = Options(dry_run=True, rehearse=True, limits=limits)
            said = {"owner": "a test", "options": options}
            return await install(route, Target(bridge), emit=lambda event: None, clock=time.perf_counter, **said)

    return asyncio.run(once())


def found(outcome: Outcome) -> Rehearsal:
    (rehearsal,) = outcome.rehearsals
    return rehearsal


def sample(rehearsal: Rehearsal, module: str, way: str = "there") -> Mapping[str, tuple[str, ...]]:
    (entry,) = (m for m in rehearsal.modules if (m.module, m.way) == (module, way))
    return {s.process: s.lines for s in entry.samples}


def other_workers(depot: Path, folder: Path, clauses: str) -> Path:
    """Return a release 2 of the depot with clauses of its own for the states of workers."""
    goal = Path(shutil.copytree(depot, folder, symlinks=True, copy_function=os.link))
    (file,) = goal.glob("lib/depot-2/ebin/depot_worker.beam")
    file.unlink()
    source = (DEPOT / "2" / "depot_worker.erl").read_text()
    place = "%% up from 1, and down to it again\n"
    assert place in source
    (goal / "depot_worker.erl").write_text(source.replace(place, place + clauses))
    subprocess.run(["erlc", "+deterministic", "-o", file.parent, goal / "depot_worker.erl"], check=True)
    return goal


@pytest.fixture
def commands(commands: Commands) -> Commands:
    return replace(commands, rehearses=True)


def peers(commands: Commands) -> list[str]:
    """Return who was started from this test's commands and is no node of the test's."""
    own = f"RELUP_HOME={commands.home}".encode()
    running = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if own in (folder / "environ").read_bytes().split(b"\0"):
                running.append((folder / "cmdline").read_text())
        except OSError:
            pass
    return running


def test_apply_rehearses_and_is_refused_with_nothing_touched_when_a_code_change_raises(
    commands: Commands, beam: Beam
) -> None:
    with beam.anemone_node(interval=50) as node:
        refused = commands.run("apply", node.name, beam.anemone["3"], "--yes", exit_code=4).stdout
        assert "anemone.appup.yaml:7:9: code_change of Elixir.Counter for counter: ArgumentError: release 3 " in refused
        assert "rehearsal of 1 state(s) failed: " in refused
        assert "'Elixir.Counter':code_change/3 (lib/anemone/counter.ex, line 30)" in refused
        assert "relup_peer" not in refused
        assert "refused: the rehearsal failed, nothing was touched" in refused
        assert steps(node, "1") == [1, 1]
        done = commands.run("apply", node.name, beam.anemone["2"], "--yes").stdout
        assert "rehearsal of 1 state(s) went well: " in done
        assert "rehearsal of 1 state(s) went well: " in commands.run("downgrade", node.name, "--yes").stdout
        assert steps(node, "1") == [1, 1]
    assert peers(commands) == []


def test_a_rehearsal_reads_the_node_and_leaves_nothing_in_it_or_beside_it(commands: Commands, beam: Beam) -> None:
    with beam.depot_node(interval=HOUR) as node:
        # the new code has atoms, and an interactive node loads `sys` when a process is asked for its state
        commands.run("apply", node.name, beam.depot["2"], "--dry-run", "--no-rehearse")
        node.ask(SEEN)
        before, files = node.ask(SEEN), sorted(commands.home.rglob("*"))
        told = commands.run("rehearse", node.name, beam.depot["2"]).stdout
        assert "depot_worker there: 10 of 10 well" in told
        assert "depot_worker back: 10 of 10 well" in told
        assert node.ask(SEEN) == before
        assert sorted(commands.home.rglob("*")) == files
    assert peers(commands) == []


def test_states_of_every_kind_are_changed_as_in_the_node_and_back(beam: Beam, tmp_path: Path) -> None:
    with beam.zoo_node() as node:
        zoo = found(rehearsed(node, beam.zoo["1"], beam.zoo["2"]))
        assert (zoo.verdict, zoo.failures, [n for n in zoo.notes if n.code != "calls_not_rehearsed"]) == ("ok", (), [])
        assert all(m.processes and not m.failed for m in zoo.modules)
        assert sample(zoo, "Elixir.Zoo.Counter") == {"Elixir.Zoo.Counter": ("+ state.step: 1",)}
        assert sample(zoo, "Elixir.Zoo.Gate") == {"Elixir.Zoo.Gate": ("state{2}: 0 → #{opened => 0}",)}
        assert sample(zoo, "Elixir.Zoo.Basket") == {"Elixir.Zoo.Basket": ("state: [apple] → {basket,[apple]}",)}
        assert sample(zoo, "Elixir.Zoo.Pump", "back") == {"Elixir.Zoo.Pump": ("state: {litres,0} → 0",)}
        assert "state[1]{3}: 0 → {heard,0}" in sample(zoo, "Elixir.Zoo.Listener")["Elixir.Zoo.Gossip"]
        assert "state.max_children: 10 → 20" in sample(zoo, "Elixir.Zoo.Shifts")["Elixir.Zoo.Shifts"]
        assert "state{6}: 10 → 20" in sample(zoo, "Elixir.Zoo.Keepers")["Elixir.Zoo.Keepers"]
        assert {m.types for m in zoo.modules if m.module == "Elixir.Zoo.Counter"} == {("%Zoo.Counter{}",)}
    new = migrating.goal(beam, tmp_path / "migrated", migrating.MIGRATED + migrating.ORDINARY + migrating.NEW)
    with beam.depot_node(interval=HOUR, workers=3) as depot_node:
        depot = found(rehearsed(depot_node, beam.depot["1"], new))
        assert (depot.verdict, depot.notes) == ("ok", ())
        assert {m.module: m.processes for m in depot.modules if m.way == "back"}["depot_worker"] == 3
        assert sample(depot, "depot_door")["depot_door"][0].endswith("1001}")


FAILING = {
    "error(broken)": "broken in depot_worker:code_change/3 (depot_worker.erl:",
    "{error, never}": "it returned {error,never}, which is no {ok, State}",
    "{1, 2}": "it returned {1,2}, which is no {ok, State}",
    "{ok, _} = {error, erlang:system_time()}": "{badmatch,{error,",
    "receive never -> ok end": "does not return within 1.0 s: it is in depot_worker:code_change/3 (depot_worker.erl:",
}
ABSENT = {
    "gen_server:call(depot_stock, count)": "for it asks depot_stock, which is not here",
    "{ok, gen_server:call(get(friend), x)}": ", which is not here",
    "{ok, is_process_alive(get(friend))}": "for it hands erlang:is_process_alive what only the node has",
    "depot_stock ! told, {ok, none}": "for it sends to depot_stock, which does not run here",
    "ets:insert(depot_table, {a, 1})": "for it uses a table of the node's, depot_table",
}
UNDONE = {
    'file:write_file("x", <<>>)': "for it uses a file",
    'gen_tcp:connect("localhost", 9, [])': "for it wants a connection",
    "{ok, [erlang:make_tuple(16000000, N) || N <- lists:seq(1, 50)]}": "for it takes more than 512 MB",
}
ENDING = {"halt(3)": "code_change of depot_worker ends the node: with exit code 3"}


def test_what_fails_is_told_apart_from_what_cannot_be_rehearsed(beam: Beam, tmp_path: Path) -> None:
    befriend = "sys:replace_state(P, fun(S) -> put(friend, whereis(depot_stock)), S end)"
    with beam.depot_node(interval=HOUR, workers=5) as node:
        node.ask(f"[{befriend} || {{_, P, _, _}} <- supervisor:which_children(depot_pool)], ok")
        before = node.ask(STATES)
        cases = [
            (FAILING, 1.0, "failed", "refused"),
            (ABSENT, 30.0, "not_rehearsable", "ready"),
            (UNDONE, 30.0, "not_rehearsable", "ready"),
            (ENDING, 1.0, "failed", "refused"),
        ]
        for number, (bodies, limit, verdict, status) in enumerate(cases):
            clauses = [f"code_change(1, {{{n}, _}}, _) -> {body};\n" for n, body in enumerate(bodies, start=1)]
            goal = other_workers(beam.depot["2"], tmp_path / str(number), "".join(clauses))
            outcome = rehearsed(node, beam.depot["1"], goal, Limits(code_change=limit))
            rehearsal = found(outcome)
            assert (rehearsal.verdict, outcome.status) == (verdict, status), rehearsal
            for words, failure in zip(bodies.values(), rehearsal.failures, strict=True):
                assert words in failure.diagnostic.message
                assert str(failure.diagnostic.location).endswith("depot.appup:10:12")
        assert node.ask(STATES) == before


def test_the_node_itself_says_as_well_that_something_was_returned(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    goal = other_workers(beam.depot["2"], tmp_path / "goal", "code_change(1, {2, N}, _) -> {2, N};\n")
    with beam.depot_node(interval=HOUR, workers=3) as node:
        failed = commands.run("apply", node.name, goal, "--yes", "--no-rehearse", exit_code=5).stdout
    assert "it returned {2,0}, which is no {ok, ...}" in failed


def test_the_first_difference_after_the_way_there_and_back_is_told(beam: Beam, tmp_path: Path) -> None:
    lossy = "code_change({down, 1}, #{id := 2}, _) -> {ok, {2, 99}};\n"
    with beam.depot_node(interval=HOUR, workers=3) as node:
        outcome = rehearsed(node, beam.depot["1"], other_workers(beam.depot["2"], tmp_path / "lossy", lossy))
    (note,) = (n for n in found(outcome).notes if n.code == "round_trip_differs")
    assert (outcome.status, note.severity) == ("ready", "warning")
    assert "the states of depot_worker are not the same after the way there and back: in <" in note.message
    assert note.message.endswith("(depot_worker): state{2}: 0 → 99")


def test_states_that_do_not_travel_and_processes_that_do_not_answer_are_named(beam: Beam) -> None:
    worker = "hd([P || {{_, P, _, _}} <- supervisor:which_children(depot_pool), element(1, sys:get_state(P)) =:= {}])"
    state = {
        1: "{1, hd(erlang:ports())}",
        2: "{2, #{a => hd(erlang:ports()), table => ets:new(t, []), z => [atomics:new(1, []) || _ <- [1, 2, 3]]}}",
        3: "{3, fun depot_worker:work/1}",
        4: "{4, binary:copy(<<0>>, 17000000)}",
        5: "{5, lists:seq(1, 1200000)}",
    }
    with beam.depot_node(interval=HOUR, workers=7) as node:
        for number, text in state.items():
            node.ask(f"sys:replace_state({worker.format(number)}, fun(_) -> {text} end), ok")
        wait = "{replace_state, fun(S) -> receive go -> S end end}"
        busy = node.ask(
            f"P = {worker.format(6)}, P ! {{system, {{self(), x}}, {wait}}}, list_to_binary(pid_to_list(P))"
        )
        rehearsal = found(rehearsed(node, beam.depot["1"], beam.depot["2"]))
        node.ask(f'list_to_pid("{busy}") ! go, ok')
    said = {n.code: n.message for n in rehearsal.notes}
    assert rehearsal.verdict == "ok"
    assert f"busy just then: {busy} (depot_worker)" in said["busy_not_rehearsed"]
    assert said["large_not_rehearsed"].count("(depot_worker)") == 2
    assert "a port at state{2} in <" in said["held_by_node"]
    assert "a port at state{2}.a in <" in said["held_by_node"]
    handles = "a table or a handle of native code at state{2}.table, state{2}.z[1], state{2}.z[2] and 1 more in <"
    assert handles in said["held_by_node"]
    assert said["held_by_node"].count(" at state") == 3
    assert said["part_rehearsed"] == "4 of 7 processes of depot_worker were rehearsed"


def test_without_an_erlang_beside_the_node_apply_goes_on_unless_it_is_strict(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    goal = copy_release(beam.anemone["2"], tmp_path / "goal", "anemone")
    (program,) = goal.glob("erts-*/bin/erlexec")
    program.unlink()
    program.write_text("of another machine")
    program.chmod(0o755)
    with beam.anemone_node(interval=50) as node:
        refused = commands.run("apply", node.name, goal, "--yes", "--strict", exit_code=4).stdout
        assert "it could not be rehearsed: the Erlang at " in refused
        assert steps(node, "1") == [1, 1]
        done = commands.run("apply", node.name, goal, "--yes").stdout
        assert "warning: it could not be rehearsed: the Erlang at " in done
        assert "done: every process runs 0.2.0" in done


def test_the_erlang_beside_the_node_ends_with_the_controller(commands: Commands, beam: Beam, tmp_path: Path) -> None:
    """Also while a code_change hangs in it; its command names no node, and no cookie but one of nobody."""
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    tell = (
        f'{{ok, F}} = file:open("{fifo}", [raw, write]), ok = file:write(F, [os:getpid(), 10]), receive never -> ok end'
    )
    goal = other_workers(beam.depot["2"], tmp_path / "goal", f"code_change(1, {{2, _}}, _) -> {tell};\n")
    with beam.depot_node(interval=HOUR, workers=3) as node:
        before = node.ask(STATES)
        argv = commands.argv("rehearse", node.name, goal, "--code-change-timeout", 20)
        pipe = subprocess.DEVNULL
        with subprocess.Popen(argv, env=commands.environ, stdout=pipe, stderr=pipe) as controller:
            with fifo.open() as told:
                pid = int(told.readline())
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            ended = os.pidfd_open(pid)
            controller.kill()
        assert select.select([ended], [], [], 10)[0]
        os.close(ended)
        assert "-sname" not in words
        assert "-name" not in words
        assert words[words.index("-setcookie") + 1] == "relup"
        assert node.cookie not in " ".join(words)
        assert node.ask(STATES) == before
