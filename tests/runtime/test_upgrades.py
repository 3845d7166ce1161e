"""What the code server relies on: the next message runs the current class, and idle servers keep no old one alive."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relup.runtime import ChildSpec, Down, GenServer, Node, Reply, Supervisor, SupervisorSpec
from relup.runtime.code import ClassReference
from relup.runtime.supervisor import restart_child, terminate_child
from relup.runtime.suspension import resume, suspend
from tests.runtime.program import program, turns


class Counter(GenServer):
    """Version 1: counts by one."""

    def init(self, args: Any) -> Any:
        return args

    async def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        if isinstance(request, asyncio.Event):
            await request.wait()
        return Reply((1, state), state)

    def handle_cast(self, message: Any, state: Any) -> Any:
        return state + 1

    def code_change(self, old_vsn: Any, state: Any, extra: Any) -> Any:
        match old_vsn:
            case Down(_):
                return state["n"]
        return state


def second_version() -> type[GenServer]:
    class Second(Counter):
        """Version 2: counts by two, in a dict, asynchronously."""

        async def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
            return Reply((2, state["n"]), state)

        async def handle_cast(self, message: Any, state: Any) -> Any:
            await asyncio.sleep(0)
            return {"n": state["n"] + 2}

        async def code_change(self, old_vsn: Any, state: Any, extra: Any) -> Any:
            await asyncio.sleep(0)
            return {"n": state + extra}

    return Second


@contextmanager
def loaded(node: Node, cls: type, version: type) -> Iterator[ClassReference]:
    """Make *version* the current code of *cls*, as a swap does, and undo it at the end."""
    reference = node.code.reference(cls)
    reference.cls = version
    try:
        yield reference
    finally:
        reference.cls = cls


@program
async def test_the_message_after_a_swap_runs_new_code_and_after_its_undo_old_code() -> None:
    async with Node() as node:
        pid = await node.start(Counter, {"n": 1})
        assert (await node.call(pid, 0))[0] == 1
        with loaded(node, Counter, second_version()):
            assert (await node.call(pid, 0))[0] == 2
        assert (await node.call(pid, 0))[0] == 1


@program
async def test_messages_queued_together_change_version_between_them() -> None:
    class Swapper(Counter):
        def handle_cast(self, message: Any, state: Any) -> Any:
            message()
            return state

    async with Node() as node:
        pid = await node.start(Swapper, {"n": 1})
        reference, second = node.processes[pid].reference, second_version()

        def swap() -> None:
            reference.cls = second

        node.cast(pid, swap)
        assert (await node.call(pid, 0))[0] == 2


@program
async def test_a_window_changes_code_and_state_of_all_and_can_be_taken_back() -> None:
    async with Node() as node:
        members = [node.processes[await node.start(Counter, n)] for n in range(5)]
        assert await suspend(node, members) == []
        for process in members:
            node.cast(process.pid, "count")
        with loaded(node, Counter, second_version()) as reference:
            before = [p.state for p in members]
            for process in members:
                process.state = await process.change_code(__name__, "1", 1000)
            assert [p.state for p in members] == [{"n": 1000 + n} for n in range(5)]
            resume(node, members)
            assert [await node.call(p.pid, 0) for p in members] == [(2, 1002 + n) for n in range(5)]
            assert await suspend(node, members) == []
            reference.cls = Counter
            for process in members:
                process.state = process.change_code(__name__, Down("2"), None)
            resume(node, members)
            assert [await node.call(p.pid, 0) for p in members] == [(1, 1002 + n) for n in range(5)]
        assert before == list(range(5))


@program
async def test_an_idle_server_keeps_no_old_class_alive() -> None:
    async with Node() as node:
        old = second_version()
        pid = await node.start(Counter, {"n": 1})
        untouched = await node.start(Counter, {"n": 1})
        with loaded(node, Counter, old):
            node.cast(pid, "count")
            assert (await node.call(pid, 0))[0] == 2
        await turns()
        gone = weakref.ref(old)
        del old
        gc.collect()
        assert gone() is None
        assert node.processes[untouched].reference.cls is Counter


@program
async def test_a_finished_call_keeps_neither_request_nor_answer_alive() -> None:
    class Thing:
        pass

    async with Node() as node:

        class Echo(GenServer):
            def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
                return Reply(request, state)

        pid = await node.start(Echo)
        thing = Thing()
        gone = weakref.ref(thing)
        assert await node.call(pid, thing) is thing
        await turns()
        del thing
        gc.collect()
        assert gone() is None


class Top(Supervisor):
    def init(self, args: Any) -> Any:
        return SupervisorSpec([ChildSpec("counter", Counter, {"n": 1}, name="counter")])


@program
async def test_a_restart_starts_the_current_version() -> None:
    async with Node() as node:
        sup = await node.start(Top)
        with loaded(node, Counter, second_version()):
            await terminate_child(sup, "counter")
            await restart_child(sup, "counter")
            assert await node.call("counter", 0) == (2, 1)
        assert not any(isinstance(c.spec.start, type) for c in node.processes[sup].state.children.values())


@program
async def test_a_server_held_inside_a_call_finishes_it_in_the_old_version() -> None:
    async with Node() as node:
        pid, event = await node.start(Counter, 1), asyncio.Event()
        members = [node.processes[pid]]
        call = asyncio.create_task(node.call(pid, event))
        await turns()
        suspension = asyncio.create_task(suspend(node, members))
        await turns()
        event.set()
        assert await suspension == []
        assert await call == (1, 1)
        with loaded(node, Counter, second_version()):
            members[0].state = await members[0].change_code(__name__, "1", 0)
            resume(node, members)
            assert await node.call(pid, 0) == (2, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["count", "swap", "turn"]), max_size=40))
def test_counting_never_skips_or_repeats_under_any_upgrades(script: list[str]) -> None:
    upgrade_along(script)


@program
async def upgrade_along(script: list[str]) -> None:
    async with Node() as node:
        pid = await node.start(Counter, 0)
        process, second, version, expected = node.processes[pid], second_version(), 1, 0
        reference = node.code.reference(Counter)
        try:
            for step in script:
                match step:
                    case "count":
                        node.cast(pid, 1)
                        expected += 1  # counted by one or by two: what counts is that each is counted
                    case "turn":
                        await asyncio.sleep(0)
                    case "swap":
                        await node.call(pid, 0)
                        assert await suspend(node, [process]) == []
                        version = 3 - version
                        reference.cls = second if version == 2 else Counter
                        new = process.change_code(__name__, "1" if version == 2 else Down("2"), 0)
                        process.state = await new if version == 2 else new
                        resume(node, [process])
            assert (await node.call(pid, 0))[0] == version
        finally:
            reference.cls = Counter
