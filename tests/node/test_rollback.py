"""A failing upgrade leaves every process at the old version with the state it had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput, Refused
from relup.document import read_release
from relup.executor import Options, Outcome
from relup.planner import plan
from relup.targets.python.service import Service, serve
from tests.support import supervised, write_release

COUNT = 5
OLD = """
    from relup.runtime import GenServer, Reply

    class Worker(GenServer):
        def init(self, number):
            return {"number": number, "items": [number, {"deep": number}], "kind": "old"}

        def handle_call(self, request, caller, state):
            return Reply(state["kind"], state)
"""
NEW = """
    import asyncio
    from relup.runtime import Down, GenServer, Reply

    class Worker(GenServer):
        def init(self, number):
            return {"number": number, "items": [number, {"deep": number}], "kind": "new"}

        def handle_call(self, request, caller, state):
            return Reply(state["kind"] + "!", state)

        %(kind)s code_change(self, old_vsn, state, extra):
            state["kind"] = "new"
            state["items"][1]["deep"] = "changed in place"
            state["items"].append(len(state["items"]))
            if state["number"] == extra:
                %(failure)s
            return state
"""
APPUP = """
    application: shop
    vsn: "2"
    up:
      - from: "1"
        instructions:
          - update: {{module: shop.worker, change: {{advanced: {extra}}}}}
    down:
      - to: "1"
        instructions:
          - update: {{module: shop.worker, change: advanced}}
"""
FAILURES = {
    "raises": ("def", "raise ValueError('no')", "code_change_failed"),
    "exits": ("def", "raise SystemExit(3)", "code_change_failed"),
    "recursion": ("def", "self.code_change(old_vsn, state, extra)", "code_change_failed"),
    "forgets its return": ("def", "return None", "bad_return_value"),
    "raises late": ("async def", "await asyncio.sleep(0); raise ValueError('no')", "code_change_failed"),
}


@asynccontextmanager
async def running(tmp_path: Path, new: str, extra: object = None) -> AsyncIterator[tuple[Service, Path]]:
    old = write_release(tmp_path / "1", "1", {"app": supervised(COUNT), "worker": OLD})
    goal = write_release(tmp_path / "2", "2", {"app": supervised(COUNT), "worker": new}, APPUP.format(extra=extra))
    async with serve(old, base=tmp_path / "home") as service:
        yield service, goal


async def apply(service: Service, goal: Path) -> Outcome:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    return await service.handler.install(relup, owner="a test", emit=lambda event: None, options=Options())


def view(service: Service) -> dict[str, object]:
    node = service.node
    return {
        "processes": {p.pid: (p.name, p.state, p.holds, p.reference.cls) for p in node.processes.values()},
        "identity": {p.pid: (id(p.state),) for p in node.processes.values()},
        "old code": sorted(node.code.old),
        "release": service.handler.running,
        "records": service.handler.records,
    }


def frozen(value: object) -> str:
    return repr(value)


@pytest.mark.parametrize("failing", range(COUNT))
@pytest.mark.parametrize("failure", FAILURES)
def test_code_change_fails_in_process_i_of_n(tmp_path: Path, failing: int, failure: str) -> None:
    kind, statement, code = FAILURES[failure]

    async def scenario() -> None:
        async with running(tmp_path, NEW % {"kind": kind, "failure": statement}, failing) as (service, goal):
            before = frozen(view(service))
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back"
            assert outcome.diagnostics[0].code == code
            assert f"w{failing}" in outcome.diagnostics[0].message
            assert str(outcome.diagnostics[0].location).endswith("shop.appup.yaml:7:9")
            assert frozen(view(service)) == before
            assert [await service.node.call(f"w{i}", "kind") for i in range(COUNT)] == ["old"] * COUNT

    asyncio.run(scenario())


def test_the_same_upgrade_without_a_fault_changes_every_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, NEW % {"kind": "def", "failure": "pass"}) as (service, goal):
            pids = {p.name: p.pid for p in service.node.processes.values()}
            assert (await apply(service, goal)).status == "done"
            assert [await service.node.call(f"w{i}", "kind") for i in range(COUNT)] == ["new!"] * COUNT
            assert {p.name: p.pid for p in service.node.processes.values()} == pids

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("raise ValueError('at import')", "bad_code"),
        ("def broken(:", "bad_code"),
        ("import no_such_module_anywhere", "bad_code"),
        ("import sys; sys.exit(1)", "bad_code"),
        ("class Other: pass", "bad_code"),
    ],
)
def test_code_that_cannot_be_loaded_is_refused_before_anything_is_touched(tmp_path: Path, body: str, code: str) -> None:
    async def scenario() -> None:
        async with running(tmp_path, body) as (service, goal):
            before = frozen(view(service))
            with pytest.raises((InvalidInput, Refused)) as refusal:  # what does not compile is not even planned
                await apply(service, goal)
            assert refusal.value.diagnostics[0].code == code
            assert "worker" in str(refusal.value)
            assert frozen(view(service)) == before

    asyncio.run(scenario())
