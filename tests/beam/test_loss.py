"""The node takes an upgrade back by itself, whichever of the others is lost, after every step."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from relup.document import read_release
from relup.planner import plan
from relup.targets.beam.errors import Gone
from relup.targets.beam.transaction import BeamTransaction
from relup.targets.beam.way_back import WayBack
from tests.beam import losing
from tests.beam.asking import GONE
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


Lost: TypeAlias = Callable[[str, str], AbstractContextManager[None]]


@contextmanager
def losing_upgrades(node: BeamNode, *releases: Path) -> Iterator[Lost]:
    """Yield what lets a controller lose something at a step of an upgrade, and sees that the agent is gone then."""
    command = [sys.executable, losing.__file__, node.name, node.cookie, *releases]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as controllers:
        assert controllers.stdin is not None
        assert controllers.stdout is not None
        says, told = controllers.stdin, controllers.stdout

        @contextmanager
        def lost(step: str, loss: str) -> Iterator[None]:
            says.write(f"{step} {loss}\n")
            says.flush()
            stopped = [int(pid) for pid in told.readline().split()]
            assert bool(stopped) == (loss == "silence")
            try:
                assert node.ask(GONE) == []
                yield
            finally:
                for pid in stopped:
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


def test_a_bridge_that_falls_silent_is_waited_for_as_long_as_the_lease(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        with (
            losing_upgrades(node, beam.depot["1"], beam.depot["2"]) as lost,
            lost("change_code", "silence"),
        ):
            assert node.ask(VIEW) == before


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


def cutting_off(depot: Path, folder: Path) -> Path:
    """Return a release 2 of the depot in which a worker's code_change ends the connection."""
    goal = Path(shutil.copytree(depot, folder / "cutting", symlinks=True))
    (ebin,) = goal.glob("lib/depot-2/ebin")
    source = (DEPOT / "2" / "depot_worker.erl").read_text()
    clause = f"code_change(1, {{2, _}}, _Extra) -> {losing.CUT[:-1]}, {{ok, none}};\n"
    changed = source.replace("code_change(1,", f"{clause}code_change(1,", 1)
    (folder / "depot_worker.erl").write_text(changed)
    subprocess.run(["erlc", "+deterministic", "-o", ebin, folder / "depot_worker.erl"], check=True)
    return goal


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


def test_a_window_that_an_agent_undid_by_itself_is_no_second_failure(beam: Beam) -> None:
    """Its lease had run out while its controller and the bridge stood still; they ask it again when they go on."""

    class Left:
        async def ask(self, *_request: object) -> None:
            raise Gone("the process relup_agent", "noproc", "noproc")

    async def failing() -> None:
        route = plan(read_release(beam.depot["1"]), read_release(beam.depot["2"]))
        async with BeamTransaction(Left(), route, WayBack(1)) as transaction:  # type: ignore[arg-type]
            transaction._open = True

    asyncio.run(failing())
