"""What passes over a bridge to a real node, and that nothing is left of it, whoever ends first."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent

import pytest

from relup.diagnostics import Diagnostic
from relup.targets.beam.bridge import Bridge, Down, Message
from relup.targets.beam.child import running
from relup.targets.beam.connect import connect
from relup.targets.beam.epmd import names
from relup.targets.beam.errors import BridgeError, Gone, Lost, Raised, Unanswered
from relup.targets.beam.etf import BadTerm, export
from relup.targets.beam.terms import Atom, Opaque
from relup.targets.beam.where import Where
from tests.support import PATIENCE, NodeProcess
from tests.targets.beam.nodes import COOKIE, World, children, code_of, commands, own_host


def over(where: Where, work: Callable[[Bridge], Awaitable[None]]) -> None:
    """Do *work* over a bridge; afterwards no process is left of it."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE), connect(where) as bridge:
            await work(bridge)

    before = children()
    asyncio.run(main())
    assert children() <= before


def short_node(nodes: World) -> Where:
    return nodes.where(f"short@{own_host()}")


@pytest.mark.usefixtures("short")
def test_a_call_returns_the_value_or_raises_what_the_function_did(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        assert await bridge.call("erlang", "node") == f"short@{own_host()}"
        assert await bridge.call("lists", "reverse", [[1, b"two", Atom("three")]]) == [Atom("three"), b"two", 1]
        assert await bridge.call("erlang", "apply", [export("erlang", "+", 2), [1, 2]]) == 3
        for module, function, args, kind, reason in [
            ("erlang", "error", [Atom("broken")], "error", "broken"),
            ("erlang", "exit", [(Atom("shutdown"), 1)], "exit", ("shutdown", 1)),
            ("erlang", "throw", [b"ball"], "throw", b"ball"),
            ("nobody", "knows", [], "error", "undef"),
            ("erlang", "error", [[b"x" * 100_000]], "error", ("too_large", 100_012)),
        ]:
            with pytest.raises(Raised) as caught:
                await bridge.call(module, function, args)
            assert (caught.value.kind, caught.value.reason) == (kind, reason)
            assert code_of(caught.value) == "call_failed"
            assert len(str(caught.value)) < 600
        with pytest.raises(Raised) as caught:
            await bridge.call("lists", "nth", [Atom("one"), []])
        assert "lists:nth(one,[])" in caught.value.stack

    over(short_node(nodes), work)


@pytest.mark.usefixtures("short")
def test_questions_wait_side_by_side_and_each_gets_its_own_answer(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        slow = asyncio.ensure_future(bridge.call("timer", "sleep", [Atom("infinity")], timeout=PATIENCE))
        calls = [bridge.call("erlang", "+", [i, 1]) for i in range(50)]
        requests = [bridge.request("echo", i) for i in range(50)]
        assert await asyncio.gather(*calls, *requests) == [
            *range(1, 51),
            *((Atom("echo"), i) for i in range(50)),
        ]
        assert not slow.done()
        slow.cancel()
        large = b"x" * 20_000_000
        assert await bridge.request("echo", large, timeout=PATIENCE) == (Atom("echo"), large)

    over(short_node(nodes), work)


@pytest.mark.usefixtures("short")
def test_what_is_sent_to_a_process_arrives_in_the_order_in_which_it_was_sent(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        for number in range(500):
            await bridge.send("echo", (Atom("number"), number))
        assert await bridge.request("echo", (Atom("numbers"), 500)) == list(range(500))

    over(short_node(nodes), work)


@pytest.mark.usefixtures("short")
def test_a_process_that_is_not_there_or_dies_of_the_question_is_an_answer(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        for name, reason in (("nobody", "noproc"), ("mortal", "weary")):
            with pytest.raises(Gone) as caught:
                await bridge.request(name, 1)
            assert (caught.value.reason, code_of(caught.value)) == (reason, "process_gone")

    over(short_node(nodes), work)


@pytest.mark.usefixtures("short")
def test_silence_ends_with_the_time_and_an_answer_after_it_disturbs_nobody(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        with pytest.raises(Unanswered) as caught:
            await bridge.request("echo", Atom("silent"), timeout=0.05)
        assert code_of(caught.value) == "no_answer"
        assert isinstance(await bridge.events.get(), Message)  # the question had arrived
        with pytest.raises(Unanswered):
            await bridge.call("timer", "sleep", [50], timeout=0.01)
        assert await bridge.call("timer", "sleep", [60]) == "ok"

    over(short_node(nodes), work)


@pytest.mark.usefixtures("short")
def test_what_a_process_says_by_itself_is_an_event(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        news = (Atom("news"), [1, 2], {Atom("from"): b"me"})
        assert await bridge.request("echo", (Atom("tell"), news)) == "told"
        assert await bridge.events.get() == Message(news)
        assert isinstance(bridge.pid, Opaque)
        await bridge.call("erlang", "send", [bridge.pid, 1])
        assert await bridge.events.get() == Message(1)

    over(short_node(nodes), work)


@pytest.mark.usefixtures("short")
def test_the_bridge_beats_by_itself_until_it_is_told_to_stop(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        await bridge.heartbeat("echo", 5)
        assert await bridge.request("echo", (Atom("beats"), 20)) == "ok"
        await bridge.heartbeat("echo", 0)
        with pytest.raises(Unanswered):  # those under way at the most
            await bridge.request("echo", (Atom("beats"), 20), timeout=0.2)
        await bridge.heartbeat("echo", 5)
        assert await bridge.request("echo", 1) == (Atom("echo"), 1)  # the process has its twenty

    over(short_node(nodes), work)


@pytest.mark.usefixtures("short")
def test_what_is_no_term_is_told_before_it_is_sent_and_the_bridge_goes_on(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        for bad, words in (
            ("text", "atom, a binary or a list"),
            ({1}, "set"),
            (float("nan"), "nan"),
            (1 << 2**23, "bits"),
        ):
            with pytest.raises(BadTerm, match=words):
                await bridge.request("echo", bad)
        assert await bridge.request("echo", 1) == (Atom("echo"), 1)

    over(short_node(nodes), work)


@pytest.mark.usefixtures("short")
def test_a_node_sees_one_hidden_node_that_listens_to_nobody_and_then_none(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        (guest,) = await bridge.call("erlang", "nodes", [Atom("hidden")])
        assert await bridge.call("erlang", "nodes") == []
        assert guest.endswith(f"@{own_host()}")
        assert guest.partition("@")[0] not in await names("127.0.0.1", nodes.epmd_port)

    over(short_node(nodes), work)

    async def after(bridge: Bridge) -> None:
        assert len(await bridge.call("erlang", "nodes", [Atom("hidden")])) == 1

    over(short_node(nodes), after)


@pytest.mark.usefixtures("long")
def test_a_node_with_a_long_name_is_reached_from_a_host_without_a_domain(nodes: World) -> None:
    async def work(bridge: Bridge) -> None:
        assert await bridge.request("echo", 1) == (Atom("echo"), 1)

    over(nodes.where("long@127.0.0.1"), work)


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")


def test_the_cookie_is_in_no_command_no_environment_no_file_and_no_log(nodes: World) -> None:
    cookie = "another_cookie_that_nobody_may_see"
    with nodes.node("-sname", "secretive", cookie="dummy") as node:

        async def change(bridge: Bridge) -> None:  # so that the command of the node does not show it either
            await bridge.call("erlang", "set_cookie", [Atom(cookie)])

        async def work(bridge: Bridge) -> None:
            (own,) = children() - before
            assert not [line for line in commands().values() if cookie in line]
            assert cookie not in environment(own)
            assert await bridge.call("io", "format", [[*b"done~n"]]) == "ok"

        before = {node.pid, *children()}
        over(nodes.where(f"secretive@{own_host()}", "dummy"), change)
        where = nodes.where(f"secretive@{own_host()}", cookie, RELEASE_COOKIE=cookie)
        over(where, work)
        assert cookie not in f"{where}{where!r}"
        node.kill()
        node.close()
        assert not [line for line in node.lines if cookie in line]
    assert list(nodes.home.iterdir()) == []


def test_the_end_of_a_node_ends_all_that_waits_and_is_an_event(nodes: World) -> None:
    with nodes.node("-sname", "doomed") as node:

        async def work(bridge: Bridge) -> None:
            asked = [
                asyncio.ensure_future(bridge.call("timer", "sleep", [Atom("infinity")], timeout=PATIENCE)),
                asyncio.ensure_future(bridge.request("echo", Atom("silent"), timeout=PATIENCE)),
            ]
            assert isinstance(await bridge.events.get(), Message)  # both have arrived
            node.kill()
            await lost(bridge, asked, "node_down")

        over(nodes.where(f"doomed@{own_host()}"), work)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_bridge_ends_all_that_waits_and_is_an_event(nodes: World, number: signal.Signals) -> None:
    async def work(bridge: Bridge) -> None:
        asked = [asyncio.ensure_future(bridge.request("echo", Atom("silent"), timeout=PATIENCE))]
        assert isinstance(await bridge.events.get(), Message)
        (own,) = children() - before
        os.kill(own, number)
        await lost(bridge, asked, "bridge_ended")

    before = children()
    over(short_node(nodes), work)


async def lost(bridge: Bridge, asked: list[asyncio.Future[object]], code: str) -> None:
    event = await bridge.events.get()
    assert isinstance(event, Down)
    assert event.diagnostic.code == code
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [code_of(end) for end in ends if isinstance(end, Lost)] == [code] * len(asked)
    with pytest.raises(Lost):
        await bridge.call("erlang", "node")
    with pytest.raises(Lost):
        await bridge.send("echo", 1)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("frame", [b"\0\0\0\x01x", b"\0\0\0\x03\x83j\0", b"\0\0\0\x02\x83j"])
def test_a_bridge_that_is_told_nonsense_ends_and_says_why(nodes: World, frame: bytes) -> None:
    async def main() -> str:
        async with running(short_node(nodes), 5.0) as child:
            assert (await child.hear())[0] == "ready"
            assert child.process.stdin is not None
            child.process.stdin.write(frame)
            with pytest.raises(EOFError):
                await child.hear()
            return await child.last_words()

    assert re.match(r"exit code 1: .*bad(arg|match)", asyncio.run(main()))


CONTROLLER = """
    import asyncio, os, sys
    from pathlib import Path
    from relup.targets.beam.connect import connect
    from relup.targets.beam.erts import find_erts
    from relup.targets.beam.where import Where

    async def main(node, cookie, port):
        async with connect(Where(node, cookie, find_erts(None, os.environ, int(port)), int(port))) as bridge:
            await bridge.heartbeat("echo", 5)
            mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            print("pids", *mine, flush=True)
            await asyncio.Event().wait()

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.usefixtures("short")
def test_a_bridge_ends_with_a_controller_that_was_killed(nodes: World) -> None:
    argv = [sys.executable, "-c", dedent(CONTROLLER), f"short@{own_host()}", COOKIE, str(nodes.epmd_port)]
    controller = NodeProcess(subprocess.Popen(argv, env=nodes.environ, stdout=subprocess.PIPE, text=True))
    bridge = os.pidfd_open(int(controller.wait_for(r"^pids (\d+)$")[1]))
    try:
        controller.kill()
        ready, _, _ = select.select([bridge], [], [], PATIENCE)
        assert ready == [bridge]
    finally:
        os.close(bridge)
        controller.close()


@pytest.mark.usefixtures("short")
def test_a_block_that_fails_or_is_cancelled_leaves_no_process(nodes: World) -> None:
    async def fails(bridge: Bridge) -> None:
        raise BridgeError(Diagnostic("a_test", "as it should"))

    async def is_cancelled(bridge: Bridge) -> None:
        raise asyncio.CancelledError

    for work, error in ((fails, BridgeError), (is_cancelled, asyncio.CancelledError)):
        before = children()
        with pytest.raises(error):
            over(short_node(nodes), work)
        assert children() == before
