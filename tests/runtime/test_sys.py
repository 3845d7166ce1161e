"""System messages, by OTP's names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relup.runtime import CallTimeout, GenServer, Node, NoProcess, ProcessError, Reply, sys
from relup.runtime.suspension import resume, suspend
from tests.runtime.program import Log, program, turns


class Upgraded(GenServer):
    def init(self, args: Any) -> Any:
        return args

    def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        return Reply(state, state)

    def code_change(self, old_vsn: Any, state: Any, extra: Any) -> Any:
        if extra == "fail":
            raise ValueError("cannot change")
        return (old_vsn, state, extra)


@program
async def test_suspended_servers_handle_system_messages_only() -> None:
    async with Node() as node:
        pid = await node.start(Log, name="log")
        node.cast(pid, 1)
        await sys.suspend("log")
        node.cast(pid, 2)
        call = asyncio.create_task(node.call(pid, 3))
        await turns()
        assert await sys.get_state(pid) == (1,)
        status = await sys.get_status(pid)
        assert (status.status, status.name, status.mailbox, status.pid) == ("suspended", "log", 2, pid)
        assert status.behaviour == "tests.runtime.program:Log"
        await sys.suspend(pid)
        await sys.resume(pid)
        assert await call == 3
        assert await sys.get_state(pid) == (1, 2, 3)
        assert (await sys.get_status(pid)).status == "running"
        await sys.resume(pid)


@program
async def test_system_messages_come_in_the_order_of_the_mailbox() -> None:
    async with Node() as node:
        pid = await node.start(Log)
        for n in range(10):
            node.cast(pid, n)
        assert await sys.get_state(pid, node=node) == tuple(range(10))


@program
async def test_replace_state_replaces_it_or_leaves_it() -> None:
    async def later(state: Any) -> Any:
        await asyncio.sleep(0)
        return (*state, "later")

    def fail(state: Any) -> Any:
        raise ValueError("no")

    async with Node() as node:
        pid = await node.start(Log)
        assert await sys.replace_state(pid, lambda state: (*state, 1)) == (1,)
        assert await sys.replace_state(pid, later) == (1, "later")
        with pytest.raises(ValueError, match="no"):
            await sys.replace_state(pid, fail)
        assert await sys.get_state(pid) == (1, "later")


@program
async def test_change_code_needs_a_suspended_process_and_leaves_the_state_on_failure() -> None:
    async with Node() as node:
        pid = await node.start(Upgraded, "state")
        with pytest.raises(ProcessError, match="not suspended"):
            await sys.change_code(pid, __name__, "1", "extra")
        await sys.suspend(pid)
        with pytest.raises(ValueError, match="cannot change"):
            await sys.change_code(pid, __name__, "1", "fail")
        assert await sys.get_state(pid) == "state"
        await sys.change_code(pid, __name__, "1", "extra")
        await sys.resume(pid)
        assert await node.call(pid, 0) == ("1", "state", "extra")


@program
async def test_a_suspend_that_timed_out_is_not_carried_out_later() -> None:
    async with Node() as node:
        pid, event = await node.start(Log), asyncio.Event()
        call = asyncio.create_task(node.call(pid, ("wait", event)))
        await turns()
        with pytest.raises(CallTimeout):
            await sys.suspend(pid, timeout=0.01)
        event.set()
        assert await call == "waited"
        assert await node.call(pid, "hello") == "hello"
        with pytest.raises(NoProcess):
            await sys.get_state("nobody")


@program
async def test_a_suspended_server_can_be_stopped_and_killed() -> None:
    async with Node() as node:
        stopped, killed = await node.start(Log), await node.start(Log)
        for pid in (stopped, killed):
            await sys.suspend(pid)
        await node.stop(stopped)
        monitor = node.monitor(killed)
        node.exit(killed, "kill")
        assert await monitor == "killed"


@program
async def test_what_is_held_by_an_upgrade_answers_after_it() -> None:
    async with Node() as node:
        pid = await node.start(Log)
        members = [node.processes[pid]]
        assert await suspend(node, members) == []
        asked = asyncio.create_task(sys.get_state(pid))
        await turns()
        assert not asked.done()
        resume(node, members)
        assert await asked == ()
