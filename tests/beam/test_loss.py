"""The node takes an upgrade back by itself, whichever of the others is lost, after every step."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from relup.model.instructions import Apply, Call, PointOfNoReturn
from tests.beam import losing
from tests.beam.asking import GONE, STANDS_BY
from tests.beam.beside import VSN, planned, upgraded
from tests.beam.builds import DEPOT
from tests.beam.nodes import Beam, BeamNode
from tests.beam.test_contract import HOUR, VIEW
from tests.support import Commands

STEPS = ("prepare", "select", "suspend", "load", "change_code", "verify")
START = """
    Ws = [P || {_, P, _, _} <- supervisor:which_children(depot_pool)],
    Pid = spawn(fun() -> Go = fun G(N) -> [depot_worker:work(W) || W <- Ws], receive {stop, From} -> From ! {sent, N}
        after 1 -> G(N + 1) end end, Go(1) end),
    persistent_term:put(traffic, Pid), ok
"""
STOP = """
    persistent_term:get(traffic) ! {stop, self()}, Sent = receive {sent, N} -> N end,
    [depot_worker:jobs(P) - Sent || {_, P, _, _} <- supervisor:which_children(depot_pool)]
"""
RESET = """
    [sys:replace_state(P, fun({Id, _}) -> {Id, 0} end) || {_, P, _, _} <- supervisor:which_children(depot_pool)], ok
"""


Lost: TypeAlias = Callable[[str, str], AbstractContextManager[list[int]]]


@contextmanager
def losing_upgrades(node: BeamNode, *releases: Path, ends: str = f"begin {GONE} end =:= []") -> Iterator[Lost]:
    """Yield what lets a controller lose something at a step of an upgrade, and sees how it *ends* for the agent."""
    command = [sys.executable, losing.__file__, node.name, node.cookie, *releases]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as controllers:
        assert controllers.stdin is not None
        assert controllers.stdout is not None
        says, told = controllers.stdin, controllers.stdout

        @contextmanager
        def lost(step: str, loss: str) -> Iterator[list[int]]:
            says.write(f"{step} {loss}\n")
            says.flush()
            stopped = [int(pid) for pid in told.readline().split()]
            assert bool(stopped) == (loss in ("silence", "standstill"))
            try:
                assert node.ask(ends) is True
                yield stopped
            finally:
                for pid in stopped:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

        try:
            yield lost
        finally:
            controllers.kill()


@pytest.mark.parametrize("loss", ["bridge", "controller", "connection"])
def test_whoever_is_lost_at_whatever_step_the_node_goes_back_by_itself(beam: Beam, loss: str) -> None:
    """States, code, names and processes are as they were; each of the messages that kept coming is handled once."""
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        with losing_upgrades(node, beam.depot["1"], beam.depot["2"]) as lost:
            for step in STEPS:
                node.ask(START)
                with lost(step, loss):
                    assert node.ask(STOP) == [0] * 5, step
                node.ask(RESET)
                assert node.ask(VIEW) == before, step


@pytest.mark.parametrize("loss", ["silence", "standstill"])
def test_a_bridge_or_a_controller_that_is_stopped_is_waited_for_as_long_as_the_lease(beam: Beam, loss: str) -> None:
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        with (
            losing_upgrades(node, beam.depot["1"], beam.depot["2"]) as lost,
            lost("change_code", loss),
        ):
            assert node.ask(VIEW) == before


def test_a_controller_that_was_taken_for_dead_has_no_part_in_the_next_upgrade(beam: Beam) -> None:
    """It goes on in the middle of the window of another one; what it asks for then is refused, and it ends."""
    with beam.depot_node(interval=HOUR, workers=5) as node:
        with losing_upgrades(node, beam.depot["1"], beam.depot["2"]) as lost, lost("load", "standstill") as stopped:

            def come_back() -> None:
                ends = os.pidfd_open(stopped[0])
                os.kill(stopped[0], signal.SIGCONT)
                assert select.select([ends], [], [], 20)[0]
                os.close(ends)

            outcome = upgraded(node, planned(beam.depot["1"], beam.depot["2"]), "load", come_back)
        assert outcome.status == "done", outcome
        assert node.ask(VSN) == (2, "2")
        assert node.ask(GONE) == []


def test_a_loss_between_two_windows_leads_back_over_the_first(beam: Beam, tmp_path: Path) -> None:
    """By the downgrade: what the processes of the first window handled at the new version is kept."""
    goal = Path(shutil.copytree(beam.depot["2"], tmp_path / "cut", symlinks=True))
    (appup,) = goal.glob("lib/depot-2/ebin/depot.appup")
    text = appup.read_text()
    there, back = text.split('[{"1"', 2)[0] + '[{"1"', text.split('[{"1"', 2)[1:]
    cut = "{update, depot_worker, {advanced, []}}"
    back[0] = back[0].replace(cut, "{apply, {erlang, garbage_collect, []}}, " + cut)
    appup.chmod(0o644)
    appup.write_text(there + '[{"1"'.join(back))
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        with losing_upgrades(node, beam.depot["1"], goal) as lost, lost("call", "controller"):
            for was, now in zip(before, node.ask(VIEW), strict=True):
                assert was == now


def test_a_downgrade_that_is_lost_leaves_the_node_as_it_was_with_its_deadline(commands: Commands, beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        commands.run("apply", node.name, beam.depot["2"], "--yes", "--confirm", "600")
        commands.run("downgrade", node.name, "--dry-run")  # which purges what nobody runs any more
        provisional = node.ask(VIEW)
        assert provisional != before
        with losing_upgrades(node, beam.depot["2"], node.root, ends=STANDS_BY) as lost:
            for step in ("suspend", "change_code", "verify"):
                with lost(step, "controller"):
                    assert node.ask(VIEW) == provisional, step
        node.ask("relup_agent ! expired")  # as when the time is over
        assert node.ask(GONE) == []
        assert node.ask(VIEW) == before


def third(depot: Path, folder: Path) -> Path:
    """Return a release 4 of the depot, whose appup knows of the second only."""
    goal = Path(shutil.copytree(depot, folder / "third", symlinks=True))
    (goal / "lib" / "depot-2").rename(goal / "lib" / "depot-4")
    (goal / "releases" / "2").rename(goal / "releases" / "4")
    (rel,) = goal.glob("releases/4/depot.rel")
    app, appup = (goal / "lib" / "depot-4" / "ebin" / name for name in ("depot.app", "depot.appup"))
    for file, before, after in ((rel, '"2"', '"4"'), (app, '{vsn, "2"}', '{vsn, "4"}')):
        text = file.read_text()
        assert before in text
        file.chmod(0o644)
        file.write_text(text.replace(before, after))
    again = '[{"2", [{update, depot_worker, soft}, {load_module, depot_price}]}]'
    appup.chmod(0o644)
    appup.write_text(f'{{"4", {again}, {again}}}.')
    return goal


def test_a_loss_in_a_later_hop_leads_back_over_the_hops_before(beam: Beam, tmp_path: Path) -> None:
    goal = third(beam.depot["2"], tmp_path)
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        with losing_upgrades(node, node.root, beam.depot["2"], goal) as lost:
            for step in ("suspend", "load", "commit"):
                with lost(step, "controller"):
                    assert node.ask(VIEW) == before, step


def remaining(node: BeamNode) -> list[str]:
    """Return what the node's log says of what could not be taken back."""
    node.ask('spawn(fun() -> group_leader(whereis(init), self()), logger:error("that was all") end), ok')
    node.wait_for("that was all")
    return [line for line in node.process.lines if "taken back" in line]


def cutting_off(
    depot: Path, folder: Path, clauses: str = "code_change(1, {{2, _}}, _Extra) -> {cut}, {{ok, none}};"
) -> Path:
    """Return a release 2 of the depot in which a worker's code_change ends the connection."""
    goal = Path(shutil.copytree(depot, folder / "cutting", symlinks=True))
    (ebin,) = goal.glob("lib/depot-2/ebin")
    source = (DEPOT / "2" / "depot_worker.erl").read_text()
    changed = source.replace("code_change(1,", f"{clauses.format(cut=losing.CUT[:-1])}\ncode_change(1,", 1)
    (folder / "depot_worker.erl").write_text(changed)
    subprocess.run(["erlc", "+deterministic", "-o", ebin, folder / "depot_worker.erl"], check=True)
    return goal


def test_a_loss_while_states_change_leads_back_once(beam: Beam, tmp_path: Path) -> None:
    """Twice would be once too often: what the second time loads has been loaded, and a node dies of that."""
    clauses = """
        code_change(2, #{{id := 2}}, _) -> {cut}, timer:sleep(200), {{ok, none}};
        code_change(2, State, _) -> {{ok, State}};
    """
    goal = third(cutting_off(beam.depot["2"], tmp_path, clauses), tmp_path)
    (appup,) = goal.glob("lib/depot-4/ebin/depot.appup")
    appup.write_text(appup.read_text().replace("soft", "{advanced, []}"))
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        with losing_upgrades(node, node.root, beam.depot["2"], goal) as lost, lost("never", "none"):
            assert node.ask(VIEW) == before
        assert not remaining(node)


def test_a_command_whose_connection_is_lost_asks_again_what_became_of_the_upgrade(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    goal = cutting_off(beam.depot["2"], tmp_path)
    with beam.depot_node(interval=HOUR, workers=3) as node:
        before = node.ask(VIEW)
        told = commands.run("apply", node.name, goal, "--yes", exit_code=5).stdout
        assert "the node went back to depot 1 by itself" in told
        assert node.ask(VIEW) == before
        (entry,) = json.loads(commands.run("history", node.name, "--json").stdout)
        assert (entry["to"], entry["outcome"]) == ("2", "rolled_back")


def test_a_loss_as_everybody_is_to_go_on_is_an_outcome_too(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=3) as node:
        before = node.ask(VIEW)
        outcome = upgraded(node, planned(beam.depot["1"], beam.depot["2"]), "commit", losing.CUT[:-1])
        assert outcome.status != "done"
        assert node.ask(GONE) == []
        assert node.ask(VIEW) == before


@pytest.mark.parametrize("window", ["cuts", "inside"])
def test_what_takes_a_call_back_is_done_once_and_wholly_though_its_controller_is_lost_meanwhile(
    beam: Beam, tmp_path: Path, window: Literal["cuts", "inside"]
) -> None:
    count = "application:set_env(depot, mark, application:get_env(depot, mark, 0) + 1)"
    back = f"back() -> {losing.CUT[:-1]}, timer:sleep(200), {count}."
    (tmp_path / "cutter.erl").write_text(f"-module(cutter).\n-export([back/0]).\n{back}\n")
    subprocess.run(["erlc", "+deterministic", "cutter.erl"], cwd=tmp_path, check=True)
    call = Apply(Call("erlang", "self"), undo=Call("cutter", "back"), window=window)
    fails = Apply(Call("erlang", "error", ("on purpose",)), undo=Call("erlang", "self"), window=window)
    with beam.depot_node(interval=HOUR, workers=3) as node:
        node.ask(f'{{module, _}} = code:load_abs("{tmp_path}/cutter"), ok')
        relup = planned(beam.depot["1"], beam.depot["2"])
        script = (*relup.script, call, fails) if window == "inside" else (call, fails)
        upgraded(node, replace(relup, script=script), "")
        assert node.ask(GONE) == []
        assert node.ask(VSN) == (1, "1")
        assert node.ask("application:get_env(depot, mark)") == ("ok", 1)


def test_what_may_take_for_ever_is_waited_for_by_the_agent_alone(beam: Beam) -> None:
    """A call that takes back another has no time limit, and its end is waited for."""
    wait = Call("timer", "sleep", (100,))
    with beam.depot_node(interval=HOUR, workers=3) as node:
        relup = planned(beam.depot["1"], beam.depot["2"])
        call = Apply(wait, undo=wait)
        relup = replace(relup, script=(call, *(i for i in relup.script if not isinstance(i, PointOfNoReturn))))
        upgraded(node, relup, "suspend", losing.CUT[:-1])
        assert node.ask(GONE) == []
        assert node.ask(VSN) == (1, "1")
        assert not remaining(node)


def test_a_limit_for_heaps_of_the_whole_node_does_not_end_the_agent_in_a_window(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=499, arguments=["+hmax", "200000"]) as node:
        assert upgraded(node, planned(beam.depot["1"], beam.depot["2"])).status == "done"
        assert (
            node.ask(
                "[P || P <- processes(), process_info(P, current_function) =:= "
                "{current_function, {sys, suspend_loop_hib, 6}}]"
            )
            == []
        )
