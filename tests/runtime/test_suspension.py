"""Holding processes at their message boundaries: callers before callees, nothing lost, nobody left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from relup.runtime import CallTimeout, GenServer, Node, NoReply, Process, Reply, Stuck, sys
from relup.runtime.births import Births
from relup.runtime.suspension import resume, suspend
from tests.runtime.program import Log, program, turns, until


async def processes(node: Node, *classes: type[GenServer]) -> list[Process]:
    return [node.processes[await node.start(cls)] for cls in classes]


def held(members: list[Process]) -> bool:
    return all(p.suspended for p in members)


class Idler(GenServer):
    pass


@program
async def test_idle_servers_are_held_at_once_and_keep_their_mail_in_order() -> None:
    async with Node() as node:
        members = await processes(node, Log, Log)
        assert await suspend(node, members) == []
        for n in range(200):
            node.cast(members[0].pid, n)
        call = asyncio.create_task(node.call(members[1].pid, "hello"))
        await turns()
        assert held(members)
        assert len(members[0].mailbox) == 200
        resume(node, members)
        assert await call == "hello"
        assert await node.call(members[0].pid, "state") == tuple(range(200))
        assert node.held == 0


@program
async def test_holding_nobody_stops_no_clock() -> None:
    async with Node() as node:
        assert await suspend(node, []) == []
        pid, forever = await node.start(Log), asyncio.Event()
        with pytest.raises(CallTimeout):
            await node.call(pid, ("wait", forever), timeout=0.01)
        forever.set()


@program
async def test_the_sweep_over_idle_servers_is_synchronous() -> None:
    async with Node() as node:
        members = await processes(node, *[Log] * 100)
        for process in members:
            node.cast(process.pid, "mail")  # their tasks are scheduled, but none is inside a callback
        step = suspend(node, members).send  # one step of the coroutine, without an event loop
        with pytest.raises(StopIteration) as done:
            step(None)
        assert done.value.value == []
        await turns()
        assert [p.state for p in members] == [()] * 100
        resume(node, members)
        await turns()
        assert [p.state for p in members] == [("mail",)] * 100


@program
async def test_a_busy_member_is_held_after_its_callback() -> None:
    async with Node() as node:
        (busy,) = await processes(node, Log)
        event = asyncio.Event()
        call = asyncio.create_task(node.call(busy.pid, ("wait", event)))
        await turns()
        node.cast(busy.pid, "after")
        suspension = asyncio.create_task(suspend(node, [busy]))
        await turns()
        assert not suspension.done()
        event.set()
        assert await suspension == []
        assert await call == "waited"
        assert busy.state == ("waited",)
        resume(node, [busy])
        assert await node.call(busy.pid, "state") == ("waited", "after")


@pytest.mark.parametrize("between", [0, 1, 3])
@program
async def test_a_caller_gets_its_answer_from_a_member_through_processes_that_are_none(between: int) -> None:
    async with Node() as node:
        chain = await processes(node, *[Log] * (between + 2))
        event = asyncio.Event()
        request: Any = "question"
        for process in chain[:0:-1]:
            request = ("ask", process.pid, request)
        callee = chain[-1]
        blocker = asyncio.create_task(node.call(callee.pid, ("wait", event)))
        await turns()
        call = asyncio.create_task(node.call(chain[0].pid, request))
        await turns()
        assert chain[0].waiting_for == (chain[1],)
        members = [chain[0], callee]
        suspension = asyncio.create_task(suspend(node, members))
        await turns()
        event.set()
        assert await suspension == []
        assert held(members)
        assert await call == "question"
        assert await blocker == "waited"
        resume(node, members)


@program
async def test_a_caller_that_comes_to_its_call_only_while_being_drained_is_answered_too() -> None:
    async with Node() as node:
        caller, callee = members = await processes(node, Log, Log)
        event = asyncio.Event()

        async def wait_and_ask(server: Log) -> Any:
            await event.wait()
            return [await server.call(callee.pid, n) for n in range(3)]

        call = asyncio.create_task(node.call(caller.pid, ("run", wait_and_ask)))
        await turns()
        suspension = asyncio.create_task(suspend(node, members))
        await turns()
        assert callee.suspended
        event.set()
        assert await suspension == []
        assert await call == [0, 1, 2]
        assert held(members)
        resume(node, members)


@program
async def test_a_call_from_a_task_of_a_callback_counts() -> None:
    async with Node() as node:
        caller, one, two = members = await processes(node, Log, Log, Log)

        async def ask_both(server: Log) -> Any:
            return await asyncio.gather(server.call(one.pid, 1), server.call(two.pid, 2))

        call = asyncio.create_task(node.call(caller.pid, ("run", ask_both)))
        await until(lambda: caller.busy)
        assert await suspend(node, members) == []
        assert await call == [1, 2]
        resume(node, members)


class Front(GenServer):
    """Passes each caller on to a worker, which answers it."""

    def init(self, args: Any) -> Any:
        return args

    def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        self.cast(state, ("reply", caller, request))
        return NoReply(state)


@pytest.mark.parametrize("front_is_member", [True, False])
@program
async def test_a_deferred_reply_is_waited_for_though_another_member_gives_it(front_is_member: bool) -> None:
    async with Node() as node:
        caller, worker = await processes(node, Log, Log)
        front = node.processes[await node.start(Front, worker.pid)]
        call = asyncio.create_task(node.call(caller.pid, ("ask", front.pid, "question")))
        await until(lambda: caller.busy)
        members = [caller, worker, *([front] if front_is_member else [])]
        assert await suspend(node, members) == []
        assert held(members)
        assert await call == "question"
        resume(node, members)
        assert node.held == 0


@program
async def test_stuck_members_are_returned_with_where_they_stand_and_all_are_held() -> None:
    async with Node() as node:
        first, second, idle, patient = members = await processes(node, Log, Log, Log, Log)
        event = asyncio.Event()
        calls = [asyncio.create_task(node.call(p.pid, ("wait", event))) for p in (first, second)]
        await turns()
        begun = asyncio.get_running_loop().time()
        stuck = await suspend(node, members, {first: 0.1, second: 0.1, patient: None})
        assert asyncio.get_running_loop().time() - begun < 2
        assert [s.process for s in stuck] == [first, second]
        assert isinstance(stuck[0], Stuck)
        assert stuck[0].function.startswith("tests.runtime.program:Log.handle_call (program.py:")
        assert [p.holds for p in members] == [1, 1, 1, 1]
        resume(node, members)
        event.set()
        assert await asyncio.gather(*calls) == ["waited", "waited"]
        assert await node.call(idle.pid, "hello") == "hello"
        assert node.held == 0


@program
async def test_a_member_that_answers_a_patient_one_is_stuck_only_in_one_long_callback() -> None:
    async with Node() as node:
        caller, callee = members = await processes(node, Log, Log)
        event = asyncio.Event()
        call = asyncio.create_task(node.call(caller.pid, ("ask", callee.pid, ("wait", event))))
        await turns()
        stuck = await suspend(node, members, {caller: None, callee: 0.02})
        assert [s.process for s in stuck] == [callee]
        resume(node, members)
        event.set()
        assert await call == "waited"


@program
async def test_a_member_that_dies_meanwhile_is_gone() -> None:
    async with Node() as node:
        dying, other = members = await processes(node, Log, Log)
        forever = asyncio.Event()
        call = asyncio.create_task(node.call(dying.pid, ("wait", forever)))
        await turns()
        suspension = asyncio.create_task(suspend(node, members))
        await turns()
        node.exit(dying.pid, "kill")
        assert await suspension == []
        await asyncio.wait([call])
        assert call.exception() is not None
        assert other.suspended
        node.exit(other.pid, "kill")
        await turns()
        assert not node.processes
        resume(node, members)
        assert node.held == 0


@program
async def test_a_member_in_init_is_busy() -> None:
    class Slow(Log):
        async def init(self, args: Any) -> Any:
            await args.wait()
            return ("begun",)

    async with Node() as node:
        event = asyncio.Event()
        start = asyncio.create_task(node.start(Slow, event, name="slow"))
        await turns()
        process = node.processes[node.names["slow"]]
        suspension = asyncio.create_task(suspend(node, [process]))
        await turns()
        assert not suspension.done()
        event.set()
        assert await suspension == []
        assert process.suspended
        assert process.state == ("begun",)
        resume(node, [process])
        assert await start == process.pid


@program
async def test_a_suspension_that_is_cancelled_holds_nobody() -> None:
    async with Node() as node:
        busy, idle = members = await processes(node, Log, Log)
        event = asyncio.Event()
        call = asyncio.create_task(node.call(busy.pid, ("wait", event)))
        await turns()
        suspension = asyncio.create_task(suspend(node, members))
        await turns()
        assert idle.suspended
        suspension.cancel()
        await asyncio.wait([suspension])
        assert [p.holds for p in members] == [0, 0]
        assert node.held == 0
        assert node.drain is None
        event.set()
        await call


@program
async def test_a_process_suspended_by_sys_stays_suspended_after() -> None:
    async with Node() as node:
        (process,) = members = await processes(node, Log)
        await sys.suspend(process.pid)
        assert await suspend(node, members) == []
        assert process.holds == 2
        resume(node, members)
        call = asyncio.create_task(node.call(process.pid, "hello"))
        await turns()
        assert process.suspended
        assert not call.done()
        await sys.resume(process.pid)
        assert await call == "hello"


@program
async def test_calls_do_not_time_out_while_processes_are_held() -> None:
    loop = asyncio.get_running_loop()
    async with Node() as node:
        callee, between = await processes(node, Log, Log)
        assert await suspend(node, [callee]) == []
        direct = asyncio.create_task(node.call(callee.pid, "direct", timeout=0.02))
        through = asyncio.create_task(node.call(between.pid, ("ask", callee.pid, "through"), timeout=0.02))
        passed = loop.create_future()
        loop.call_later(0.1, passed.set_result, None)
        await passed
        assert not direct.done()
        assert not through.done()
        resume(node, [callee])
        assert await direct == "direct"
        assert await through == "through"
        forever = asyncio.Event()
        with pytest.raises(CallTimeout):
            await node.call(callee.pid, ("wait", forever), timeout=0.02)
        forever.set()


@program
async def test_an_order_to_exit_waits_for_the_end_of_the_hold_and_a_kill_does_not() -> None:
    async with Node() as node:
        asked, killed = members = await processes(node, Log, Log)
        assert await suspend(node, members) == []
        node.exit(asked.pid, "shutdown")
        node.exit(killed.pid, "kill")
        monitor = node.monitor(asked.pid)
        await turns()
        assert list(node.processes) == [asked.pid]
        resume(node, members)
        assert await monitor == "shutdown"


def closed(node: Node, *modules: str) -> Births:
    node.births.close(modules)
    return node.births


@program
async def test_births_in_scope_wait_for_the_gate_and_others_do_not() -> None:
    async with Node() as node:
        births = closed(node, Log.__module__)
        starts = [asyncio.create_task(node.start(Log)) for _ in range(3)]
        await turns()
        assert not node.processes
        await node.start(Idler)
        with births.exempt():
            await node.start(Log)
        assert len(births.born) == 1
        assert len(node.processes) == 2
        births.open()
        assert sorted(await asyncio.gather(*starts)) == await asyncio.gather(*starts)
        assert len(node.processes) == 5


@program
async def test_what_the_upgrade_starts_may_start_more() -> None:
    class Parent(Idler):
        async def init(self, args: Any) -> Any:
            return await self.node.start_link(Log)

    async with Node() as node:
        births = closed(node, Log.__module__)
        with births.exempt():
            parent = await node.start(Parent)
        assert len(births.born) == 1

        async def start(server: Any) -> Any:
            return await server.node.start(Log)

        later = asyncio.create_task(node.call(node.processes[parent].state, ("run", start)))
        await turns()
        assert not later.done(), "the exemption ends with init"
        births.open()
        await later


@pytest.mark.parametrize("order", ["gate first", "gate last"])
@program
async def test_a_birth_that_a_drained_member_waits_for_passes_the_gate(order: str) -> None:
    async with Node() as node:
        (busy,) = await processes(node, Log)

        async def start(server: Any) -> Any:
            await event.wait()
            return await server.node.start(Log)

        event = asyncio.Event()
        call = asyncio.create_task(node.call(busy.pid, ("run", start)))
        await turns()
        closed(node, Log.__module__)
        if order == "gate first":
            event.set()
            await turns()
            assert len(node.processes) == 1
        suspension = asyncio.create_task(suspend(node, [busy]))
        await turns()
        event.set()
        assert await suspension == []
        (born,) = node.births.born
        assert born.pid == await call
        node.births.open()
        resume(node, [busy])


@program
async def test_the_node_can_be_left_while_processes_are_held() -> None:
    async with Node() as node:
        node.ended = []  # type: ignore[attr-defined]
        members = await processes(node, Log, Log)
        closed(node, "anything")
        assert await suspend(node, members) == []
    assert len(node.ended) == 2  # type: ignore[attr-defined]


@program
async def test_only_one_suspension_drains_at_a_time() -> None:
    async with Node() as node:
        (busy,) = await processes(node, Log)
        event = asyncio.Event()
        call = asyncio.create_task(node.call(busy.pid, ("wait", event)))
        await turns()
        first = asyncio.create_task(suspend(node, [busy]))
        await turns()
        with pytest.raises(RuntimeError, match="another suspension"):
            await suspend(node, [busy])
        event.set()
        assert await first == []
        assert busy.holds == 1
        resume(node, [busy])
        await call


async def _measure(node: Node, action: Callable[[], Any]) -> float:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    result = action()
    if asyncio.iscoroutine(result):
        await result
    return loop.time() - begun


@program
async def test_many_idle_servers_are_held_without_waking_any() -> None:
    async with Node() as node:
        members = [node.processes[await node.start(Idler)] for _ in range(20_000)]
        seconds = [
            await _measure(node, lambda: suspend(node, members)),
            await _measure(node, lambda: resume(node, members)),
        ]
        assert max(seconds) < 0.1  # generous: it is the order of magnitude that a wake-up of each would break
        assert all(p.waiter is None and p.context is not None for p in members), "no task was made for it"


@program
async def test_order_is_kept_across_the_hold_for_a_server_in_the_middle_of_its_mail() -> None:
    class Slow(GenServer):
        def init(self, args: Any) -> Any:
            return ()

        async def handle_cast(self, message: Any, state: Any) -> Any:
            await asyncio.sleep(0)
            return (*state, message)

        def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
            return Reply(state, state)

    async with Node() as node:
        (process,) = await processes(node, Slow)
        for n in range(100):
            node.cast(process.pid, n)
        await until(lambda: len(process.state) >= 10)
        assert await suspend(node, [process]) == []
        half = process.state
        for n in range(100, 120):
            node.cast(process.pid, n)
        await turns()
        assert process.state == half == tuple(range(len(half)))
        resume(node, [process])
        assert await node.call(process.pid, "state") == tuple(range(120))
