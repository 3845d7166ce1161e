"""Messages arrive in order and once, whatever is held and released between them."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relup.runtime import GenServer, Node, NoReply, Reply
from relup.runtime.suspension import resume, suspend
from tests.runtime.program import PATIENCE, program

SERVERS = 5


class Peer(GenServer):
    """Notes each numbered message; on the way it calls, defers, pauses or passes on, as the message says."""

    def init(self, args: Any) -> Any:
        return ((), ())

    async def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        seen, owed = state
        match request:
            case "state":
                return Reply(seen, state)
            case ("defer", number):
                self.cast(self.pid, ("answer", number))
                return NoReply((seen, (*owed, caller)))
            case ("step", number):
                await asyncio.sleep(0)
                return Reply(number, state)
        raise AssertionError(request)

    async def handle_cast(self, message: Any, state: Any) -> Any:
        seen, owed = state
        match message:
            case ("note", number):
                return ((*seen, number), owed)
            case ("pause", number):
                await asyncio.sleep(0)
                return ((*seen, number), owed)
            case ("ask", number, other, how):
                if other != self.pid and other < self.pid:  # upwards only: a ring of calls would wait for itself
                    assert await self.call(other, (how, number)) == number
                return ((*seen, number), owed)
            case ("answer", number):
                self.reply(owed[0], number)
                return (seen, owed[1:])
        raise AssertionError(message)


index = st.integers(0, SERVERS - 1)
steps = st.one_of(
    st.tuples(st.just("note"), index),
    st.tuples(st.just("pause"), index),
    st.tuples(st.just("ask"), index, index, st.sampled_from(["step", "defer"])),
    st.tuples(st.just("turn")),
    st.tuples(st.just("suspend"), st.sets(index, min_size=1)),
    st.tuples(st.just("resume")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=60))
def test_every_message_is_handled_once_and_in_order(script: list[Any]) -> None:
    run(script)


@program
async def run(script: list[Any]) -> None:
    async with Node() as node:
        pids = [await node.start(Peer) for _ in range(SERVERS)]
        sent: list[list[int]] = [[] for _ in pids]
        members: list[Any] = []
        for number, step in enumerate(script):
            match step:
                case ("turn",):
                    await asyncio.sleep(0)
                case ("suspend", who) if not members:
                    members = [node.processes[pids[n]] for n in sorted(who)]
                    assert await suspend(node, members, dict.fromkeys(members, PATIENCE)) == []
                    assert all(p.suspended for p in members)
                    states = [p.state for p in members]
                case ("resume",) if members:
                    assert [p.state for p in members] == states
                    resume(node, members)
                    members = []
                case ("ask", n, other, how):
                    node.cast(pids[n], ("ask", number, pids[other], how))
                    sent[n].append(number)
                case ("note" | "pause" as kind, n):
                    node.cast(pids[n], (kind, number))
                    sent[n].append(number)
        resume(node, members)
        assert [list(await node.call(pid, "state")) for pid in pids] == sent
        assert node.held == 0
        assert [p.holds for p in node.processes.values()] == [0] * SERVERS
