"""One window where it can be, several where processes must run in between, and what a late failure undoes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Options, Outcome
from relup.planner import plan
from relup.runtime.context import inside
from relup.targets.python.service import Service, serve
from tests.support import write_release

APP = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    from shop.cart import Cart
    from shop.till import Till
    {late_import}

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            return SupervisorSpec([ChildSpec("cart", Cart, name="cart"), ChildSpec("till", Till, name="till"){late}])
"""
SERVER = """
    from relup.runtime import Down, GenServer, Reply

    class {cls}(GenServer):
        def init(self, args):
            return ["{vsn}"]

        def handle_call(self, request, caller, state):
            if request == "add":
                return Reply(None, [*state, "added by {vsn}"])
            return Reply(list(state), state)

        def code_change(self, old_vsn, state, extra):
            {fault}
            return [*state, "down" if isinstance(old_vsn, Down) else "up"]
"""
LATE = """
    from relup.runtime import GenServer

    class Late(GenServer):
        def init(self, args):
            {fault}
"""
OPS = """
    import asyncio
    calls = []

    async def meet():
        from relup.runtime import current_node
        calls.append(("meet", await current_node().call("cart", "list")))
        await current_node().call("cart", "add")

    def part():
        calls.append("part")

    def fail():
        raise RuntimeError("no")
"""
BOTH_SERVERS = """
      - update: {module: shop.cart, change: advanced}
      %s
      - update: {module: shop.till, change: advanced}
"""


def release(
    folder: Path, vsn: str, appup: str | None = None, *, late: str | None = None, till_fault: str = "pass"
) -> Path:
    app = APP.format(
        late_import="from shop.late import Late" if late else "",
        late=', ChildSpec("late", Late, name="late")' if late else "",
    )
    modules = {
        "app": app,
        "cart": SERVER.format(cls="Cart", vsn=vsn, fault="pass"),
        "till": SERVER.format(cls="Till", vsn=vsn, fault=till_fault),
        "ops": OPS,
    }
    if late:
        modules["late"] = LATE.format(fault=late)
    return write_release(folder, vsn, modules, appup)


def appup(up: str, down: str | None = None) -> str:
    text = 'application: shop\nvsn: "2"\nup:\n  - from: "1"\n    instructions:' + up
    return text + ('\ndown:\n  - to: "1"\n    instructions:' + down if down is not None else "")


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    async with serve(release(tmp_path / "1", "1"), base=tmp_path / "home") as service:
        yield service


async def apply(service: Service, goal: Path, **options: bool) -> Outcome:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    return await service.handler.install(relup, owner="a test", emit=lambda event: None, options=Options(**options))


async def states(service: Service) -> list[list[str]]:
    return [await service.node.call(name, "list") for name in ("cart", "till")]


def test_neighbouring_components_share_one_window(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            goal = release(tmp_path / "2", "2", appup(BOTH_SERVERS % "", BOTH_SERVERS % ""))
            outcome = await apply(service, goal)
            assert [w.processes for w in outcome.windows] == [2]
            assert await states(service) == [["1", "up"], ["1", "up"]]

    asyncio.run(scenario())


CALL = "- apply: {module: shop.ops, function: meet, undo: {module: shop.ops, function: part}}"
FAILING_CALL = "- apply: {module: shop.ops, function: fail}"


def test_an_apply_cuts_the_window_and_sees_running_processes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            goal = release(tmp_path / "2", "2", appup(BOTH_SERVERS % CALL, BOTH_SERVERS % ""))
            outcome = await apply(service, goal)
            assert [w.processes for w in outcome.windows] == [1, 1]
            assert [d for d in outcome.diagnostics if "not part of the upgrade" in d.message] == []
            assert await states(service) == [["1", "up", "added by 2"], ["1", "up"]]

    asyncio.run(scenario())


def test_a_late_failure_migrates_early_windows_down_with_what_they_did_since(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            import_module("shop.ops")
            goal = release(
                tmp_path / "2", "2", appup(BOTH_SERVERS % CALL, BOTH_SERVERS % ""), till_fault="raise ValueError('no')"
            )
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back", outcome
            assert await states(service) == [["1", "up", "added by 2", "down"], ["1"]]
            assert service.handler.running.vsn == "1"
            await service.node.call("cart", "add")
            assert (await states(service))[0][-1] == "added by 1"
            assert import_module("shop.ops").calls[-1] == "part"

    asyncio.run(scenario())


def test_a_call_that_fails_at_the_end_undoes_everything(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            both = BOTH_SERVERS % ""
            goal = release(tmp_path / "2", "2", appup(both + f"      {FAILING_CALL}\n", both))
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back", outcome
            assert outcome.diagnostics[0].code == "call_failed"
            assert await states(service) == [["1", "up", "down"], ["1", "up", "down"]]

    asyncio.run(scenario())


def test_a_plan_whose_early_window_could_not_be_undone_is_refused_unless_allowed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            goal = release(tmp_path / "2", "2", appup((BOTH_SERVERS % "") + f"      {FAILING_CALL}\n"))
            with pytest.raises(Refused) as refusal:
                await apply(service, goal)
            assert {d.code for d in refusal.value.diagnostics} == {"no_way_back"}
            assert await states(service) == [["1"], ["1"]]
            outcome = await apply(service, goal, allow_irreversible=True)
            assert outcome.status == "operator_needed"
            assert outcome.exit_code == 6
            assert any("shop.cart" in d.message for d in outcome.diagnostics)

    asyncio.run(scenario())


def test_a_call_inside_the_window_is_taken_back_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            inside = (
                "- apply: {module: shop.ops, function: part, window: inside, undo: {module: shop.ops, function: part}}"
            )
            up = (BOTH_SERVERS % "") + f"      {inside}\n      - load_module: shop.ops\n"
            down = (BOTH_SERVERS % "") + "      - load_module: shop.ops\n"
            goal = release(tmp_path / "2", "2", appup(up, down))
            (goal / "shop" / "ops.py").write_text(dedent(OPS) + "changed = True\n")
            outcome = await apply(service, goal)
            assert outcome.status == "done"
            assert len(outcome.windows) == 1

    asyncio.run(scenario())


SUPERVISED = """
      - add_module: shop.late
      - update: {module: shop.app, change: supervisor, depends: [shop.late]}
      - load_module: shop.cart
      - load_module: shop.till
      - apply: {module: supervisor, function: restart_child, args: [top, late]}
"""
SUPERVISED_DOWN = """
      - apply: {module: supervisor, function: terminate_child, args: [top, late]}
      - apply: {module: supervisor, function: delete_child, args: [top, late]}
      - update: {module: shop.app, change: supervisor}
      - load_module: shop.cart
      - load_module: shop.till
      - delete_module: shop.late
"""


def test_a_supervisor_gets_new_child_specs_and_the_appup_starts_the_child(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            pids = [service.node.whereis(name) for name in ("top", "cart", "till")]
            goal = release(tmp_path / "2", "2", appup(SUPERVISED, SUPERVISED_DOWN), late="return 7")
            assert (await apply(service, goal)).status == "done"
            assert service.node.whereis("late") is not None
            assert [service.node.whereis(name) for name in ("top", "cart", "till")] == pids
            await downgrade(service, goal, tmp_path / "1")
            assert service.node.whereis("late") is None
            assert not service.node.code.loaded("shop.late")

    async def downgrade(service: Service, goal: Path, old: Path) -> None:
        relup = plan(read_release(goal), read_release(old), "down")
        outcome = await service.handler.install(relup, owner="a test", emit=lambda e: None, options=Options())
        assert outcome.status == "done", outcome

    asyncio.run(scenario())


def test_a_child_that_was_deleted_uses_no_code(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            goal = release(tmp_path / "2", "2", appup(SUPERVISED, SUPERVISED_DOWN), late="return 7")
            assert (await apply(service, goal)).status == "done"
            relup = plan(read_release(goal), read_release(tmp_path / "1"), "down")
            outcome = await service.handler.install(relup, owner="a test", emit=lambda e: None, options=Options())
            assert outcome.status == "done", outcome
            await states(service)  # whatever the loop was at has ended
            gc.collect()
            assert "shop.late" in service.node.code.old
            assert service.node.code.lingering(["shop.late"]) == []

    asyncio.run(scenario())


def test_a_child_that_does_not_start_takes_the_new_child_specs_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            from relup.runtime.supervisor import which_children

            with inside(service.node):
                before = await which_children("top")
            goal = release(tmp_path / "2", "2", appup(SUPERVISED, SUPERVISED_DOWN), late="raise ValueError('no')")
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back", outcome
            assert not service.node.code.loaded("shop.late")
            with inside(service.node):
                assert [c for c in await which_children("top") if c.id != "late"] == before

    asyncio.run(scenario())
