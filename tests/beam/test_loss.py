"""The node takes an upgrade back by itself, whichever of the others is lost, after every step."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.beam import losing
from tests.beam.asking import GONE
from tests.beam.nodes import Beam, BeamNode
from tests.beam.test_contract import HOUR, VIEW

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


@contextmanager
def lost(node: BeamNode, base: Path, goal: Path, effect: str, loss: str) -> Iterator[None]:
    """Let a controller lose, and see that the agent is gone by itself."""
    command = [sys.executable, losing.__file__, node.name, node.cookie, base, goal, effect, loss]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as controller:
        stopped: list[int] = []
        try:
            if loss == "silence":
                assert controller.stdout is not None
                stopped = [int(pid) for pid in controller.stdout.readline().split()]
                assert stopped
            else:
                controller.wait(30)
            assert node.ask(GONE) == []
            yield
        finally:
            controller.kill()
            for pid in stopped:
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("loss", ["bridge", "controller"])
def test_whoever_is_lost_at_whatever_step_the_node_goes_back_by_itself(beam: Beam, loss: str) -> None:
    """States, code, names and processes are as they were; each of the messages that kept coming is handled once."""
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        for step in STEPS:
            node.ask(START)
            with lost(node, beam.depot["1"], beam.depot["2"], step, loss):
                assert node.ask(STOP) == [0] * 5, step
            node.ask(RESET)
            assert node.ask(VIEW) == before, step


def test_a_bridge_that_falls_silent_is_waited_for_as_long_as_the_lease(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        with lost(node, beam.depot["1"], beam.depot["2"], "change_code", "silence"):
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
        with lost(node, beam.depot["1"], goal, "call", "controller"):
            for was, now in zip(before, node.ask(VIEW), strict=True):
                assert was == now
