"""Applications: what is started and stopped as a unit."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from relup.runtime import (
    Application,
    ApplicationError,
    ApplicationSpec,
    GenServer,
    Node,
    NodeStopped,
    Stop,
    application,
)
from tests.runtime.program import program, turns, until


class Top(GenServer):
    def handle_cast(self, message: Any, state: Any) -> Any:
        return Stop(message, state)


class Shop(Application):
    async def start(self, args: Any) -> Any:
        match args:
            case {"journal": journal, "name": name}:
                journal.append(("start", name))
                return await self.node.start_link(Top, name=name), (journal, name)
            case asyncio.Event():
                await args.wait()
            case Exception():
                raise args
        return args

    def stop(self, state: Any) -> None:
        if state is not None:
            journal, name = state
            journal.append(("stop", name))
            if name == "bad":
                raise ValueError("cannot stop")


class Several(Application):
    async def start(self, args: Any) -> Any:
        await self.node.start(Top, name="side")
        pid = await self.node.start_link(Top, name="top")
        if args:
            raise ValueError("after all")
        return pid


def shop(name: str, journal: Any = None, **options: Any) -> ApplicationSpec:
    args = options.pop("args", {"journal": journal, "name": name})
    return ApplicationSpec(name, "1", f"{__name__}:Shop", args=args, **options)


@program
async def test_applications_stop_in_the_reverse_order_of_their_start() -> None:
    journal: list[Any] = []
    async with Node() as node:
        for spec in (shop("a", journal), shop("b", journal, applications=("a", "lib")), ApplicationSpec("lib", "2")):
            application.load(spec)
        with pytest.raises(ApplicationError) as refused:
            await application.start("b")
        assert refused.value.tag == "not_started"
        assert "a, lib" in str(refused.value)
        for name in ("lib", "a", "b"):
            await application.start(name)
        assert [(a.name, a.vsn) for a in application.which_applications()] == [("lib", "2"), ("a", "1"), ("b", "1")]
        assert node.applications.top("a") == node.whereis("a")
        assert node.applications.top("lib") is None
    assert journal == [("start", "a"), ("start", "b"), ("stop", "b"), ("stop", "a")]


@program
async def test_an_application_can_be_stopped_and_started_again() -> None:
    journal: list[Any] = []
    async with Node() as node:
        application.load(shop("a", journal))
        for _ in range(2):
            await application.start("a")
            first = node.whereis("a")
            await application.stop("a")
            assert node.whereis("a") is None
        assert first
        assert journal == [("start", "a"), ("stop", "a")] * 2
        assert not node.stopped.done()
        application.unload("a")
        assert node.applications.loaded == {}


@program
async def test_refusals_have_otps_tags() -> None:
    async with Node():
        application.load(shop("a", []))
        await application.start("a")
        application.load(ApplicationSpec("junk", "1", f"{__name__}:Shop", args=42))
        application.load(ApplicationSpec("ghost", "1", "no.such:Thing"))
        application.load(ApplicationSpec("wrong", "1", f"{__name__}:Top"))

        async def load_again() -> None:
            application.load(shop("a"))

        async def unload_running() -> None:
            application.unload("a")

        for request, tag in (
            (load_again(), "already_loaded"),
            (unload_running(), "running"),
            (application.start("a"), "already_started"),
            (application.start("nobody"), "not_loaded"),
            (application.stop("nobody"), "not_loaded"),
            (application.stop("junk"), "not_started"),
            (application.start("junk"), "bad_return"),
            (application.start("ghost"), "bad_start"),
            (application.start("wrong"), "bad_start"),
        ):
            with pytest.raises(ApplicationError) as refused:
                await request
            assert refused.value.tag == tag
        assert [a.name for a in application.which_applications()] == ["a"]


@program
async def test_what_start_raises_is_raised_and_it_can_be_tried_again() -> None:
    async with Node() as node:
        node.applications.load(shop("a", args=ValueError("no")))
        with pytest.raises(ValueError, match="no"):
            await node.applications.start("a")
        before = node.applications.replace(shop("a", []))
        assert isinstance(before.args, ValueError)
        await node.applications.start("a")
        assert node.whereis("a")


@pytest.mark.parametrize(
    ("type_", "reason", "node_stops"),
    [
        ("permanent", "normal", True),
        ("permanent", "boom", True),
        ("transient", "normal", False),
        ("transient", "shutdown", True),
        ("transient", "boom", True),
        ("temporary", "boom", False),
    ],
)
@program
async def test_the_end_of_a_top_process_means_what_the_type_says(type_: Any, reason: str, node_stops: bool) -> None:
    journal: list[Any] = []
    async with Node() as node:
        for spec in (shop("other", journal), shop("a", journal)):
            node.applications.load(spec)
        await node.applications.start("other")
        await node.applications.start("a", type_)
        down = node.monitor("a")
        node.cast("a", reason)
        await down
        if node_stops:
            assert await node.stopped == ("a", reason)
            assert not node.processes
            with pytest.raises(NodeStopped):
                await node.start(Top)
        else:
            await until(lambda: ("stop", "a") in journal and len(node.applications.which_applications()) == 1)
            await node.applications.start("a")
            assert [a.name for a in node.applications.which_applications()] == ["other", "a"]
            assert not node.stopped.done()
    assert journal.count(("start", "other")) == journal.count(("stop", "other")) == 1


@program
async def test_an_application_ends_all_that_its_start_began() -> None:
    async with Node() as node:
        for name, args in (("good", False), ("bad", True)):
            node.applications.load(ApplicationSpec(name, "1", f"{__name__}:Several", args=args))
        unrelated = await node.start(Top)
        with pytest.raises(ValueError, match="after all"):
            await node.applications.start("bad")
        assert list(node.processes) == [unrelated]
        await node.applications.start("good")
        await node.applications.stop("good")
        assert list(node.processes) == [unrelated]


@program
async def test_a_stop_that_raises_is_logged_and_stops_nevertheless(caplog: pytest.LogCaptureFixture) -> None:
    async with Node() as node:
        node.applications.load(shop("bad", []))
        await node.applications.start("bad")
        await node.applications.stop("bad")
        assert node.applications.which_applications() == []
        assert not node.processes
    assert "cannot stop" in caplog.text


@program
async def test_a_start_in_progress_is_given_up_when_the_node_stops() -> None:
    async with Node() as node:
        node.applications.load(shop("a", args=asyncio.Event()))
        start = asyncio.create_task(node.applications.start("a"))
        await turns()
    with pytest.raises(NodeStopped):
        await start


@program
async def test_the_restart_of_an_application_runs_the_current_class() -> None:
    journal: list[Any] = []

    class NewShop(Shop):
        def stop(self, state: Any) -> None:
            journal.append("new stop")

    async with Node() as node:
        node.applications.load(shop("a", journal))
        await node.applications.start("a")
        reference = node.code.reference(Shop)
        reference.cls = NewShop
        await node.applications.stop("a")
        await node.applications.start("a")
        assert journal == [("start", "a"), "new stop", ("start", "a")]
        await node.applications.stop("a")
        reference.cls = Shop


@program
async def test_leaving_a_node_leaves_nothing_running() -> None:
    async with Node() as node:
        node.applications.load(shop("a", []))
        await node.applications.start("a")
        pids = [await node.start(Top) for _ in range(10)]
        node.send_after(60, pids[0], "never")
    assert node.stopped.result() == "shutdown"
    assert not node.processes
    gc.collect()


@program
async def test_a_stuck_server_is_killed_when_the_node_is_left_cancelled() -> None:
    class Stuck(GenServer):
        async def handle_cast(self, message: Any, state: Any) -> Any:
            await asyncio.Event().wait()

    async def life() -> None:
        async with Node() as node:
            for _ in range(3):
                node.cast(await node.start(Stuck), 1)
            await turns()
            left.set()

    left = asyncio.Event()
    task = asyncio.create_task(life())
    await left.wait()
    await turns()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@program
async def test_a_node_can_be_told_to_stop_from_inside() -> None:
    class Bomb(GenServer):
        def handle_cast(self, message: Any, state: Any) -> Any:
            self.node.terminate("boom")
            return state

    async with Node() as node:
        node.cast(await node.start(Bomb), 1)
        assert await node.stopped == "boom"
    with pytest.raises(RuntimeError, match="entered before"):
        await node.__aenter__()


@program
async def test_two_nodes_live_side_by_side() -> None:
    async with Node("one") as one, Node("two") as two:
        assert application.which_applications() == []
        first, second = await one.start(Top, name="top"), await two.start(Top, name="top")
        assert one.processes[first] is not two.processes[second]
