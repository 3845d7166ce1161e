"""Instructions on a live node: applications, stop and start, purge policies, time-outs, who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import pytest

from relup.diagnostics import Busy, Refused
from relup.document import read_release
from relup.executor import Emit, Options, Outcome
from relup.model.instructions import Direction
from relup.planner import plan
from relup.targets.python.service import Service, serve
from tests.support import supervised, write_release

SERVER = """
    import asyncio
    from relup.runtime import Down, GenServer, Reply

    class Worker(GenServer):
        def init(self, number):
            return [{vsn}]

        async def handle_call(self, request, caller, state):
            match request:
                case "wait":
                    entered.set()
                    await gate.wait()
                case ("ask", name):
                    return Reply(await self.call(name, "get", timeout=2.0), state)
                case ("slowly ask", name):
                    entered.set()
                    await gate.wait()
                    return Reply(await self.call(name, "get", timeout=2.0), state)
                case "spawn":
                    await self.node.start(Worker, 0, name="born")
            return Reply(list(state), state)

        def code_change(self, old_vsn, state, extra):
            return [*state, "down" if isinstance(old_vsn, Down) else "up"]

    gate = asyncio.Event()
    entered = asyncio.Event()
"""
UPDATE = "- update: {module: shop.worker, change: advanced}"


def appup(*up: str, down: tuple[str, ...] | None = None, name: str = "shop") -> str:
    lists = {"up:\n  - from": up, "down:\n  - to": up if down is None else down}
    text = "".join(
        f'{head}: "1"\n    instructions:\n' + "".join(f"      {i}\n" for i in items) for head, items in lists.items()
    )
    return f'application: {name}\nvsn: "2"\n{text}'


@asynccontextmanager
async def running(old: Path, home: Path) -> AsyncIterator[Service]:
    async with asyncio.timeout(30), serve(old, base=home) as service:
        yield service


def shop(
    folder: Path, vsn: str, text: str | None = None, count: int = 2, extra: Mapping[str, str] | None = None
) -> Path:
    modules = {"app": supervised(count), "worker": SERVER.format(vsn=vsn), **(extra or {})}
    return write_release(folder, vsn, modules, text)


async def apply(
    service: Service, goal: Path, direction: Direction | None = None, emit: Emit = lambda event: None
) -> Outcome:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal), direction)
    return await service.handler.install(relup, owner="a test", emit=emit, options=Options())


async def reach(service: Service, goal: Path, phase: str) -> asyncio.Future[Outcome]:
    """Begin an upgrade, and return it when it has come to *phase*."""
    reached = asyncio.Event()
    upgrade = asyncio.ensure_future(apply(service, goal, emit=lambda e: reached.set() if e.phase == phase else None))
    await reached.wait()
    return upgrade


def test_a_process_that_does_not_suspend_in_time_is_named_and_everything_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            worker = import_module("shop.worker")
            stuck = asyncio.ensure_future(service.node.call("w0", "wait"))
            goal = shop(tmp_path / "2", "2", appup("- update: {module: shop.worker, change: advanced, timeout: 50}"))
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back"
            [diagnostic] = outcome.diagnostics
            assert diagnostic.code == "suspend_timeout"
            assert "w0" in diagnostic.message
            assert "handle_call" in diagnostic.message
            assert await service.node.call("w1", "get") == [1]
            worker.gate.set()
            assert await stuck == [1]
            assert not any(p.holds for p in service.node.processes.values())

    asyncio.run(scenario())


def test_many_stuck_processes_cost_one_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1", count=20), tmp_path / "home") as service:
            worker = import_module("shop.worker")
            stuck = [asyncio.ensure_future(service.node.call(f"w{i}", "wait")) for i in range(20)]
            text = appup("- update: {module: shop.worker, change: advanced, timeout: 100}")
            outcome = await apply(service, shop(tmp_path / "2", "2", text, count=20))
            assert len(outcome.diagnostics) == 20
            assert 100 <= outcome.windows[0].milliseconds < 1000
            worker.gate.set()
            assert await asyncio.gather(*stuck) == [[1]] * 20

    asyncio.run(scenario())


def test_a_busy_caller_is_drained_before_the_server_that_it_asks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            worker = import_module("shop.worker")
            answer = asyncio.ensure_future(service.node.call("w0", ("slowly ask", "w1")))
            await worker.entered.wait()
            asyncio.get_running_loop().call_later(0.05, worker.gate.set)
            outcome = await apply(service, shop(tmp_path / "2", "2", appup(UPDATE)))
            assert outcome.status == "done", outcome
            assert await answer == [1]
            assert [await service.node.call(n, "get") for n in ("w0", "w1")] == [[1, "up"], [1, "up"]]

    asyncio.run(scenario())


def test_a_process_born_while_others_are_drained_is_upgraded_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            born = asyncio.ensure_future(service.node.call("w0", "spawn"))
            outcome = await apply(service, shop(tmp_path / "2", "2", appup(UPDATE)))
            await born
            assert outcome.status == "done", outcome
            state = await service.node.call("born", "get")
            assert state in ([1, "up"], [2])

    asyncio.run(scenario())


def test_messages_sent_all_through_the_window_arrive_once_and_in_order(tmp_path: Path) -> None:
    counter = """
        import asyncio
        from relup.runtime import GenServer, Reply

        class Worker(GenServer):
            def init(self, number):
                return []

            def handle_cast(self, message, seen):
                seen.append(message)
                return seen

            def handle_call(self, request, caller, seen):
                return Reply(seen, seen)

            async def code_change(self, old_vsn, seen, extra):
                await asyncio.sleep(0.02)
                return list(seen)
    """
    changed = counter.replace("list(seen)", "[*seen]")

    async def scenario() -> None:
        old = write_release(tmp_path / "1", "1", {"app": supervised(3), "worker": counter})
        goal = write_release(tmp_path / "2", "2", {"app": supervised(3), "worker": changed}, appup(UPDATE))
        async with running(old, tmp_path / "home") as service:
            upgrade = asyncio.ensure_future(apply(service, goal))
            sent = 0
            while not upgrade.done():
                for name in ("w0", "w1", "w2"):
                    service.node.cast(name, sent)
                sent += 1
                await asyncio.sleep(0)
            assert (await upgrade).status == "done"
            for name in ("w0", "w1", "w2"):
                assert await service.node.call(name, "seen") == list(range(sent))

    asyncio.run(scenario())


def with_extra(goal: Path) -> Path:
    """Add an application to a release, with one server of its own."""
    app = supervised(1, "extra").replace('"w', '"x').replace("top", "xtop")
    write_release(goal, "2", {"app": app, "worker": SERVER.format(vsn=7)}, name="extra")
    both = 'name: shop\nvsn: "2"\napplications:\n  - {name: shop, vsn: "2", start: "shop.app:App"}\n'
    (goal / "release.yaml").write_text(both + '  - {name: extra, vsn: "1", start: "extra.app:App"}\n')
    return goal


def test_an_application_is_added_and_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        old, goal = shop(tmp_path / "1", "1"), with_extra(shop(tmp_path / "2", "2", appup(UPDATE)))
        async with running(old, tmp_path / "home") as service:
            assert (await apply(service, goal)).status == "done"
            assert await service.node.call("x0", "get") == [7]
            assert (await apply(service, old, "down")).status == "done"
            assert service.node.whereis("x0") is None
            assert not service.node.code.loaded("extra.worker")
            assert await service.node.call("w0", "get") == [1, "up", "down"]

    asyncio.run(scenario())


def test_an_added_application_is_gone_again_when_what_comes_after_it_fails(tmp_path: Path) -> None:
    async def scenario() -> None:
        bad, good = (with_extra(shop(tmp_path / name, "2", appup(UPDATE))) for name in ("bad", "good"))
        worker = bad / "shop" / "worker.py"
        worker.write_text(worker.read_text().replace("[*state", "[1 / 0, *state"))
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            for _ in range(2):
                outcome = await apply(service, bad)
                assert outcome.status == "rolled_back", outcome
                assert service.node.whereis("x0") is None
                assert not service.node.code.loaded("extra.worker")
                assert await service.node.call("w0", "get") == [1]
            assert (await apply(service, good)).status == "done"
            assert await service.node.call("x0", "get") == [7]
            assert await service.node.call("w0", "get") == [1, "up"]

    asyncio.run(scenario())


def test_a_restarted_application_begins_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = shop(tmp_path / "2", "2", appup("- restart_application: shop"))
            outcome = await apply(service, goal)
            assert outcome.status == "done", outcome
            assert await service.node.call("w0", "get") == [2]
            assert any(d.code == "state_lost" for d in outcome.diagnostics)

    asyncio.run(scenario())


def test_stop_and_start_end_and_begin_the_processes_of_a_module(tmp_path: Path) -> None:
    script = (
        "- load_object_code: {application: shop, vsn: '2', modules: [shop.worker]}",
        "- point_of_no_return",
        "- stop: [shop.worker]",
        "- load: {module: shop.worker, pre_purge: brutal_purge, post_purge: brutal_purge}",
        "- start: [shop.worker]",
    )
    down = tuple(line.replace("'2'", "'1'") for line in script)

    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            outcome = await apply(service, shop(tmp_path / "2", "2", appup(*script, down=down)))
            assert outcome.status == "done", outcome
            assert [await service.node.call(n, "get") for n in ("w0", "w1")] == [[2], [2]]

    asyncio.run(scenario())


def test_a_soft_pre_purge_refuses_while_somebody_uses_code_that_is_two_versions_old(tmp_path: Path) -> None:
    lingering = """
        import asyncio
        async def linger(started, end):
            started.set()
            await end.wait()
    """
    soft = "- load_module: {module: shop.helper, pre_purge: soft_purge}"

    async def scenario() -> None:
        first = shop(tmp_path / "1", "1", extra={"helper": lingering})
        second = shop(tmp_path / "2", "2", appup(UPDATE, soft), extra={"helper": lingering + "\n        B = 1\n"})
        third = shop(
            tmp_path / "3",
            "3",
            appup(UPDATE, soft).replace('"2"', '"3"').replace('"1"', '"2"'),
            extra={"helper": lingering + "\n        C = 1\n"},
        )
        async with running(first, tmp_path / "home") as service:
            started, end = asyncio.Event(), asyncio.Event()
            helper = import_module("shop.helper")
            task = asyncio.ensure_future(helper.linger(started, end))
            del helper
            await started.wait()
            assert (await apply(service, second)).status == "done"
            with pytest.raises(Refused) as refusal:
                await apply(service, third)
            assert refusal.value.diagnostics[0].code == "not_purged"
            assert "shop.helper" in str(refusal.value)
            end.set()
            await task
            del task
            assert (await apply(service, third)).status == "done"

    asyncio.run(scenario())


def test_what_a_python_node_cannot_do_is_refused_with_the_reason(tmp_path: Path) -> None:
    for instruction in ("- restart_emulator", "- restart_new_emulator", "- sync_nodes: {id: x, nodes: [a@b]}"):
        old, goal = shop(tmp_path / "1", "1"), shop(tmp_path / "2", "2", appup(UPDATE, instruction))
        with pytest.raises(Refused) as refusal:
            plan(read_release(old), read_release(goal))
        assert {d.code for d in refusal.value.diagnostics} == {"not_on_this_node"}
        assert refusal.value.diagnostics[0].location is not None


def test_a_second_upgrade_at_the_same_time_is_busy_and_names_the_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            worker = import_module("shop.worker")
            goal = shop(tmp_path / "2", "2", appup(UPDATE))
            waiting = asyncio.ensure_future(service.node.call("w0", "wait"))
            await worker.entered.wait()
            first = await reach(service, goal, "suspend")
            with pytest.raises(Busy, match="a test"):
                await apply(service, goal)
            worker.gate.set()
            assert (await first).status == "done"
            assert await waiting == [1]

    asyncio.run(scenario())


def test_leaving_the_node_in_the_middle_of_an_upgrade_strands_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            worker = import_module("shop.worker")
            waiting = asyncio.ensure_future(service.node.call("w0", "wait"))
            await worker.entered.wait()
            upgrade = await reach(service, shop(tmp_path / "2", "2", appup(UPDATE)), "suspend")
            upgrade.cancel()
            with pytest.raises(asyncio.CancelledError):
                await upgrade
            assert await service.node.call("w1", "get") == [1]
            worker.gate.set()
            assert await waiting == [1]

    asyncio.run(scenario())


def test_a_call_inside_a_window_to_the_supervisor_that_it_suspends_is_refused(tmp_path: Path) -> None:
    """It would wait in the supervisor's mailbox, and be carried out after the rollback."""
    call = "apply: {module: supervisor, function: terminate_child, args: [top, w0], window: inside}"
    steps = (f"- {call}", "- update: {module: shop.app, change: supervisor}", UPDATE)

    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            with pytest.raises(Refused, match=r"terminate_child asks 'top' inside the window that suspends it"):
                await apply(service, shop(tmp_path / "2", "2", appup(*steps)))
            assert await service.node.call("w0", "get") == [1]

    asyncio.run(scenario())
