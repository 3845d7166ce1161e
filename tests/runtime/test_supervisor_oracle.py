"""Random scenarios give what OTP's own supervisor gives, step by step."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from relup.runtime import ChildError, ChildSpec, GenServer, Node, Stop, Supervisor, SupervisorSpec, sys
from relup.runtime.supervisor import delete_child, restart_child, start_child, terminate_child, which_children
from tests.runtime.program import program

ORACLE = Path(__file__).with_name("supervisor_oracle.escript")
IDS = ("a", "b", "c", "d", "e")
RESTARTS = ("permanent", "permanent", "transient", "temporary")
SCENARIOS = 250

Scenario = tuple[str, int, list[tuple[str, str]], list[tuple[Any, ...]]]


def scenario(r: random.Random) -> Scenario:
    def children() -> list[tuple[str, str]]:
        return [(i, r.choice(RESTARTS)) for i in r.sample(IDS, r.randint(1, 4))]

    def step() -> tuple[Any, ...]:
        match r.choice(("exit", "exit", "exit", "exit", "terminate", "restart", "delete", "start", "change")):
            case "exit":
                return ("exit", r.choice(IDS), r.choice(("normal", "shutdown", "boom")))
            case "start":
                return ("start", r.choice(IDS), r.choice(RESTARTS))
            case "change":
                return ("change", children())
            case kind:
                return (kind, r.choice(IDS))

    strategy = r.choice(("one_for_one", "one_for_all", "rest_for_one"))
    return strategy, r.choice((0, 2, 3, 100)), children(), [step() for _ in range(r.randint(3, 14))]


def term(value: Any) -> str:
    match value:
        case str() | int():
            return str(value)
        case tuple():
            return "{" + ",".join(map(term, value)) + "}"
        case _:
            return "[" + ",".join(map(term, value)) + "]"


class Child(GenServer):
    def init(self, args: Any) -> Any:
        name, starts = args
        starts[name] = starts.get(name, 0) + 1
        return None

    def handle_cast(self, message: Any, state: Any) -> Any:
        return Stop(message, state)


class Top(Supervisor):
    def init(self, args: Any) -> SupervisorSpec:
        strategy, intensity, children, starts = args
        specs = [ChildSpec(i, Child, (i, starts), restart=r) for i, r in children]
        return SupervisorSpec(specs, strategy, intensity, 1000.0)


async def play(case: Scenario) -> list[Any]:
    strategy, intensity, children, steps = case
    starts: dict[str, int] = {}
    current = list(children)
    async with Node() as node:
        sup = await node.start(Top, (strategy, intensity, current, starts))

        async def shown() -> list[Any]:
            if sup not in node.processes:
                return ["dead"]
            return [[c.id, starts[c.id] if c.child is not None else -1] for c in await which_children(sup)]

        return [[await do(node, sup, step, current, starts), await shown()] for step in steps]


async def do(node: Node, sup: Any, step: tuple[Any, ...], current: list[Any], starts: dict[str, int]) -> str:
    if sup not in node.processes:
        return "dead"
    try:
        match step:
            case ("exit", name, reason):
                found = {c.id: c.child for c in await which_children(sup)}
                if found.get(name) is None:
                    return "none"
                down = node.monitor(found[name])
                watch = node.monitor(sup)
                node.cast(found[name], reason)
                await down
                await settled(node, sup)
                watch.cancel()
            case ("terminate", name):
                await terminate_child(sup, name)
            case ("restart", name):
                await restart_child(sup, name)
            case ("delete", name):
                await delete_child(sup, name)
            case ("start", name, restart):
                await start_child(sup, ChildSpec(name, Child, (name, starts), restart=restart))
            case ("change", children):
                current[:] = children
                await sys.suspend(sup)
                await sys.change_code(sup, __name__, None, [])
                await sys.resume(sup)
    except ChildError as error:
        return error.tag
    return "ok"


async def settled(node: Node, sup: Any) -> None:
    """Wait until the supervisor has done what it does about an exit."""
    try:
        await sys.get_state(sup)
    except Exception:
        assert sup not in node.processes


@pytest.mark.skipif(shutil.which("escript") is None, reason="needs Erlang")
def test_scenarios_go_as_with_otp(tmp_path: Path) -> None:
    r = random.Random(20240607)
    cases = [scenario(r) for _ in range(SCENARIOS)]
    (tmp_path / "cases").write_text("".join(f"{term(case)}.\n" for case in cases))
    command = ["escript", str(ORACLE), str(tmp_path / "cases")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    expected = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(expected) == len(cases)
    compare(cases, expected)


@program
async def compare(cases: list[Scenario], expected: list[Any]) -> None:
    for case, wanted in zip(cases, expected, strict=True):
        found = await play(case)
        for n, (step, want, got) in enumerate(zip(case[3], wanted, found, strict=True)):
            assert got == want, f"{case[:3]} after {case[3][:n]}: {step}"
