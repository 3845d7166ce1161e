"""GenServers: their messages, answers and ends."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest

from relup.runtime import (
    AlreadyStarted,
    BadReturnValue,
    CallingSelf,
    CallTimeout,
    GenServer,
    Ignore,
    Ignored,
    Node,
    NoProcess,
    NoReply,
    ProcessDown,
    Reply,
    ServerDied,
    Stop,
    current_node,
    current_process,
)
from relup.runtime.pid import Pid
from relup.runtime.shutdown import shut_down
from tests.runtime.program import Log, Trap, program, turns


class Plain(GenServer):
    """Every callback `def`."""

    def init(self, args: Any) -> Any:
        return args

    def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        match request:
            case "junk":
                return 42
            case "self":
                self.count = 1  # type: ignore[attr-defined]
            case "where":
                return Reply((current_node(), current_process()), state)
        return Reply((request, state), request)

    def handle_cast(self, message: Any, state: Any) -> Any:
        if message == "reply":
            return Reply(1, 2)
        if message == "again":
            self.cast(self.pid, "again")
        return state


class Async(GenServer):
    """Every callback `async def`."""

    async def init(self, args: Any) -> Any:
        await asyncio.sleep(0)
        return [args]

    async def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        await asyncio.sleep(0)
        return Reply(state, state)

    async def handle_cast(self, message: Any, state: Any) -> Any:
        await asyncio.sleep(0)
        return [*state, message]

    async def handle_info(self, message: Any, state: Any) -> Any:
        await asyncio.sleep(0)
        return [*state, message]

    async def terminate(self, reason: Any, state: Any) -> None:
        await asyncio.sleep(0)
        state.append(reason)


@program
async def test_a_call_returns_the_reply_and_the_next_one_sees_the_new_state() -> None:
    async with Node() as node:
        pid = await node.start_link(Plain, "a", name="plain")
        assert await node.call(pid, "b") == ("b", "a")
        assert await node.call("plain", "c") == ("c", "b")
        assert node.whereis("plain") == pid
        assert dict(node.names) == {"plain": pid}


@program
async def test_async_callbacks_are_awaited() -> None:
    async with Node() as node:
        pid = await node.start(Async, 1)
        node.cast(pid, 2)
        node.send(pid, 3)
        state = await node.call(pid, "state")
        assert state == [1, 2, 3]
        await node.stop(pid)
    assert state == [1, 2, 3, "normal"]


@program
async def test_messages_are_handled_in_the_order_sent_whatever_their_kind() -> None:
    async with Node() as node:
        pid = await node.start(Log)
        for n in range(0, 300, 3):
            node.cast(pid, n)
            node.send(pid, n + 1)
            answer = node.call(pid, n + 2)
            asyncio.current_task()
            await answer
        assert await node.call(pid, "state") == tuple(range(300))


@program
async def test_a_server_casting_to_itself_does_not_starve_others() -> None:
    async with Node() as node:
        busy, other = await node.start(Plain), await node.start(Plain, 1)
        node.cast(busy, "again")
        assert await node.call(other, 2) == (2, 1)


@program
async def test_nothing_can_be_kept_on_self() -> None:
    async with Node() as node:
        pid = await node.start(Plain)
        with pytest.raises(ServerDied) as died:
            await node.call(pid, "self")
        assert "nothing is kept on self" in str(died.value.reason)
        assert isinstance(died.value.__cause__, AttributeError)


@pytest.mark.parametrize("cls", [Plain, Async])
@program
async def test_callbacks_know_their_node_and_process(cls: type) -> None:
    async with Node() as node:
        pid = await node.start(Plain)
        where = await node.call(pid, "where")
        assert where == (node, node.processes[pid])
        assert current_node() is node
        assert current_process() is None
    with pytest.raises(LookupError):
        current_node()


@program
async def test_tasks_of_a_callback_inherit_where_it_is() -> None:
    async def spawn(server: Log) -> Any:
        async def look() -> Any:
            return current_process()

        return await asyncio.create_task(look())

    async with Node() as node:
        pid = await node.start(Log)
        assert await node.call(pid, ("run", spawn)) is node.processes[pid]


@program
async def test_absent_servers_noproc_for_calls_and_silence_for_casts() -> None:
    async with Node() as node:
        with pytest.raises(NoProcess, match="'nobody'"):
            await node.call("nobody", 1)
        with pytest.raises(NoProcess, match=r"<0\.77>"):
            await node.call(Pid(77), 1)
        with pytest.raises(NoProcess):
            await node.stop("nobody")
        node.cast("nobody", 1)
        node.send(Pid(77), 1)
        node.exit("nobody", "kill")
        assert node.whereis("nobody") is None


@program
async def test_a_server_that_calls_itself_gets_calling_self_and_a_task_of_it_may() -> None:
    async def at_once(server: Log) -> Any:
        with pytest.raises(CallingSelf):
            await server.call(server.pid, "state")
        with pytest.raises(CallingSelf):
            await server.node.stop(server.pid)
        return "refused"

    async with Node() as node:
        pid = await node.start(Log)
        assert await node.call(pid, ("run", at_once)) == "refused"
        answers: list[Any] = []

        async def in_a_task(server: Log) -> Any:
            async def ask() -> None:
                answers.append(await server.call(server.pid, "hello"))

            tasks.append(asyncio.create_task(ask()))

        tasks: list[asyncio.Task[None]] = []
        await node.call(pid, ("run", in_a_task))
        await tasks[0]
        assert answers == ["hello"]


@program
async def test_a_call_times_out_and_the_late_answer_is_dropped() -> None:
    async with Node() as node:
        pid, event = await node.start(Log), asyncio.Event()
        with pytest.raises(CallTimeout, match=r"within 0\.01 s") as late:
            await node.call(pid, ("wait", event), timeout=0.01)
        assert isinstance(late.value, TimeoutError)
        event.set()
        assert await node.call(pid, "state") == ("waited",)


@program
async def test_a_deferred_reply_comes_from_anywhere_and_only_once() -> None:
    async with Node() as node:
        pid, other = await node.start(Log), await node.start(Log)
        keep: list[Any] = []
        call = asyncio.create_task(node.call(pid, ("later", keep)))
        await turns()
        node.cast(other, ("reply", keep[0], "first"))
        node.cast(other, ("reply", keep[0], "second"))
        assert await call == "first"
        await node.call(other, "state")
        assert node.processes[pid].deferred == set()


@program
async def test_a_deferred_call_that_times_out_is_owed_no_more() -> None:
    async with Node() as node:
        pid = await node.start(Log)
        keep: list[Any] = []
        with pytest.raises(CallTimeout):
            await node.call(pid, ("later", keep), timeout=0.01)
        assert node.processes[pid].deferred == set()
        node.reply(keep[0], "too late")


@program
async def test_a_crash_reaches_log_terminate_callers_and_links(caplog: pytest.LogCaptureFixture) -> None:
    async with Node() as node:
        node.ended = []  # type: ignore[attr-defined]
        pid = await node.start(Log, name="crash")
        linked, trapping = await node.start(Log, name="linked"), await node.start(Trap, name="trapping")
        node.link(linked, pid)
        node.link(trapping, pid)
        keep: list[Any] = []
        event = asyncio.Event()
        calls = [
            asyncio.create_task(node.call("crash", request))
            for request in (("later", keep), ("wait", event), ("raise", ValueError("boom")), "queued")
        ]
        monitor, gone = node.monitor(pid), node.monitor(linked)
        await turns()
        event.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results[1] == "waited"
        for n in (0, 2, 3):
            assert isinstance(results[n], ServerDied)
            assert str(results[n].reason) == "boom"
        assert await monitor is results[0].reason  # type: ignore[union-attr]
        assert str(await gone) == "boom"
        assert node.whereis("crash") is None
        (exited,) = await node.call(trapping, "state")
        assert (exited.pid, str(exited.reason)) == (pid, "boom")
        assert [name for name, _ in node.ended] == ["crash", "linked"]  # type: ignore[attr-defined]
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert errors[0].name == "relup.runtime"
    assert errors[0].exc_info


@pytest.mark.parametrize(
    ("cls", "request_", "message"),
    [(Plain, "junk", "handle_call returned 42"), (Async, "junk", None)],
)
@program
async def test_junk_from_handle_call_is_bad_return_value(cls: type, request_: Any, message: str | None) -> None:
    async with Node() as node:
        pid = await node.start(cls)
        if message is None:
            assert await node.call(pid, request_) == [None]
            return
        with pytest.raises(ServerDied) as died:
            await node.call(pid, request_)
        assert isinstance(died.value.reason, BadReturnValue)
        assert message in str(died.value)


@program
async def test_a_reply_from_handle_cast_is_bad_return_value() -> None:
    async with Node() as node:
        pid = await node.start(Plain)
        monitor = node.monitor(pid)
        node.cast(pid, "reply")
        assert "handle_cast returned Reply" in str(await monitor)


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", 1), "other"])
@program
async def test_stop_ends_a_server_with_its_reason_and_answers_first(
    reason: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with Node() as node:
        node.ended = []  # type: ignore[attr-defined]
        pid = await node.start(Log, name="log")
        monitor = node.monitor(pid)
        assert await node.call(pid, ("stop", reason)) == "stopping"
        assert await monitor == reason
        assert node.ended == [("log", reason)]  # type: ignore[attr-defined]
    assert bool(caplog.records) == (reason == "other")


class Failing(GenServer):
    def init(self, args: Any) -> Any:
        if isinstance(args, Exception):
            raise args
        return args


class FailingLater(GenServer):
    async def init(self, args: Any) -> Any:
        await asyncio.sleep(0)
        if isinstance(args, Exception):
            raise args
        return args


@pytest.mark.parametrize("cls", [Failing, FailingLater])
@pytest.mark.parametrize(
    ("args", "error"),
    [
        (ValueError("no"), ValueError),
        (Stop(ValueError("no")), ValueError),
        (Stop("no"), ServerDied),
        (Ignore, Ignored),
        (Ignore(), Ignored),
        (Reply(1, 2), BadReturnValue),
    ],
)
@program
async def test_a_server_that_does_not_start_leaves_nothing(cls: type, args: Any, error: type[Exception]) -> None:
    async with Node() as node:
        with pytest.raises(error):
            await node.start_link(cls, args, name="failing")
        assert not node.processes
        assert not node.names
        assert await node.start_link(cls, 1, name="failing")


@program
async def test_a_name_is_taken_once() -> None:
    async with Node() as node:
        pid = await node.start(Log, name="one")
        with pytest.raises(AlreadyStarted) as taken:
            await node.start(Log, name="one")
        assert taken.value.pid == pid
        await node.stop("one")
        assert await node.start(Log, name="one") != pid


@program
async def test_a_start_that_is_cancelled_leaves_no_process() -> None:
    class Slow(GenServer):
        async def init(self, args: Any) -> Any:
            await asyncio.Event().wait()

    async with Node() as node:
        start = asyncio.create_task(node.start(Slow, name="slow"))
        await turns()
        assert node.processes[node.names["slow"]].busy
        start.cancel()
        await asyncio.wait([start])
        await turns()
        assert not node.processes


@program
async def test_unexpected_messages_are_logged_as_warnings(caplog: pytest.LogCaptureFixture) -> None:
    async with Node() as node:
        pid = await node.start(Plain, 1)
        node.send(pid, "what?")
        assert await node.call(pid, 2) == (2, 1)
    assert [(r.name, r.levelname) for r in caplog.records] == [("relup.runtime", "WARNING")]


@program
async def test_send_after_sends_later_unless_cancelled() -> None:
    async def plan(server: Log) -> Any:
        server.send_after(0.01, "late")
        timer = server.send_after(30, "never")
        left = timer.cancel()
        assert left is not None
        assert 29 < left <= 30
        assert timer.cancel() is None
        return timer.active

    class Waits(Log):
        def handle_info(self, message: Any, state: Any) -> Any:
            arrived.set()
            return (*state, message)

    async with Node() as node:
        arrived = asyncio.Event()
        pid = await node.start(Waits)
        assert await node.call(pid, ("run", plan)) is False
        await arrived.wait()
        assert await node.call(pid, "state") == ("late",)
        node.send_after(30, pid, "left over")
    assert not node.timers


@program
async def test_other_threads_may_call() -> None:
    async with Node() as node:
        pid = await node.start(Log)
        assert await asyncio.to_thread(node.call_threadsafe, pid, "hello") == "hello"
        await asyncio.to_thread(node.cast_threadsafe, pid, "there")
        assert await node.call(pid, "state") == ("hello", "there")


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("how", ["exit", "cancel"])
@program
async def test_a_kill_ends_a_server_without_terminate(how: str, touched: bool) -> None:
    async with Node() as node:
        node.ended = []  # type: ignore[attr-defined]
        pid = await node.start(Log, name="log")
        if touched:
            await node.call(pid, "hello")
        monitor = node.monitor(pid)
        if how == "exit":
            node.exit(pid, "kill")
        else:
            node.processes[pid].task.cancel()  # type: ignore[union-attr]
        assert await monitor == "killed"
        assert not node.processes
        assert node.ended == []  # type: ignore[attr-defined]


@program
async def test_a_kill_ends_a_busy_server_even_one_that_swallows_the_cancellation() -> None:
    class Deaf(Log):
        async def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return Reply("survived", state)

    async with Node() as node:
        for cls in (Log, Deaf):
            entered, forever = asyncio.Event(), asyncio.Event()
            pid = await node.start(cls)
            call = asyncio.create_task(node.call(pid, ("wait", forever)))
            await turns()
            monitor = node.monitor(pid)
            node.exit(pid, "kill")
            assert await monitor == "killed"
            result = (await asyncio.gather(call, return_exceptions=True))[0]
            assert result == "survived" if cls is Deaf else isinstance(result, ServerDied)


@program
async def test_a_server_that_ignores_being_killed_is_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    class Immortal(GenServer):
        async def handle_cast(self, message: Any, state: Any) -> Any:
            while not message.is_set():
                with suppress(asyncio.CancelledError):
                    await message.wait()

    async with Node() as node:
        event, pid = asyncio.Event(), await node.start(Immortal, name="immortal")
        node.cast(pid, event)
        await turns()
        process = node.processes[pid]
        task = process.task
        assert task is not None
        await shut_down(process, "brutal_kill", grace=0.001)
        assert not node.processes
        assert not task.done()
        event.set()
        await asyncio.wait([task])
    assert "ignores that it is killed, at tests.runtime.test_servers" in caplog.text


@program
async def test_exit_signals_follow_otps_rules() -> None:
    async with Node() as node:
        pid, trap = await node.start(Log), await node.start(Trap)
        node.exit(pid, "normal")
        node.exit(trap, "boom")
        assert await node.call(pid, "hello") == "hello"
        (exited,) = await node.call(trap, "state")
        assert exited.reason == "boom"
        monitor = node.monitor(pid)
        node.exit(pid, "boom")
        assert await monitor == "boom"


@program
async def test_the_end_of_a_parent_is_the_end_of_its_children_unless_normal() -> None:
    async def child(server: Log) -> Any:
        return await server.node.start_link(Log)

    async with Node() as node:
        for reason, survives in (("normal", True), ("boom", False)):
            parent = await node.start(Log)
            started = await node.call(parent, ("run", child))
            assert node.processes[started].parent is node.processes[parent]
            await node.stop(parent, reason)
            await turns()
            assert (started in node.processes) == survives


@program
async def test_monitors_tell_processes_and_tasks() -> None:
    async def watch(server: Log) -> Any:
        return server.node.monitor("watched"), server.node.monitor("nobody")

    async with Node() as node:
        await node.start(Log, name="watched")
        watcher = await node.start(Log)
        monitor, none = await node.call(watcher, ("run", watch))
        assert await none == "noproc"
        cancelled = node.monitor("watched")
        cancelled.cancel()
        await node.stop("watched")
        assert await monitor == "normal"
        state = await node.call(watcher, "state")
        assert [(m.pid, m.reason) for m in state if isinstance(m, ProcessDown)] == [
            ("nobody", "noproc"),
            (monitor.pid, "normal"),
        ]


@program
async def test_stop_waits_and_says_when_the_end_was_another() -> None:
    class BadEnd(Log):
        def terminate(self, reason: Any, state: Any) -> None:
            raise ValueError("cannot end")

    async with Node() as node:
        pid = await node.start(BadEnd)
        with pytest.raises(ServerDied, match="cannot end"):
            await node.stop(pid)
        event = asyncio.Event()
        slow = await node.start(Log)
        call = asyncio.create_task(node.call(slow, ("wait", event)))
        await turns()
        with pytest.raises(CallTimeout, match="did not stop"):
            await node.stop(slow, timeout=0.01)
        event.set()
        assert await call == "waited"


@program
async def test_a_reply_may_come_before_noreply() -> None:
    class Early(GenServer):
        def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
            self.reply(caller, "early")
            return NoReply(state)

    async with Node() as node:
        pid = await node.start(Early)
        assert await node.call(pid, 1) == "early"
        assert not node.processes[pid].deferred


@program
async def test_a_busy_process_tells_where_it_stands() -> None:
    async with Node() as node:
        pid, event = await node.start(Log), asyncio.Event()
        assert node.processes[pid].current_function() == "waiting for a message"
        call = asyncio.create_task(node.call(pid, ("wait", event)))
        await turns()
        place = node.processes[pid].current_function()
        assert place.startswith("tests.runtime.program:Log.handle_call (program.py:")
        event.set()
        await call


def test_pids_are_ordered_and_printed_as_otp_does() -> None:
    assert sorted([Pid(12), Pid(3)]) == [Pid(3), Pid(12)]
    assert (str(Pid(12)), repr(Pid(3))) == ("<0.12>", "<0.3>")
    assert len({Pid(1), Pid(1), Pid(2)}) == 2
