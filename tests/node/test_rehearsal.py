"""An upgrade is tried on a copy of all states first: what it finds is true, and the copy touches nobody."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, Literal

import pytest

from relup.document import read_release
from relup.executor import Event as ExecutorEvent
from relup.executor import Limits, Options, Outcome
from relup.executor.rehearsal import Rehearsal, Verdict
from relup.planner import plan
from relup.targets.python.service import Service, serve
from tests.node.test_windows import appup
from tests.support import PATIENCE, Commands, supervised, write_release

COUNT = 3
WORKER = """
    import asyncio, ctypes, mmap, os, signal, socket, subprocess, threading, time
    from relup.runtime import GenServer, Reply, sys
    from shop import lib

    class Worker(GenServer):
        def init(self, number):
            return {"number": number, "rows": [number], "extra": None}

        async def handle_call(self, request, caller, state):
            if hasattr(request, "wait"):
                await request.wait()
            if request == "state":
                return Reply(state, state)
            return Reply("held", {**state, "extra": request})

        def handle_cast(self, message, state):
            return {**state, "rows": [*state["rows"], message]}

        def code_change(self, old_vsn, state, extra):
"""
LIB = """
    import os
    import attrs
    from relup.runtime import current_node, sys

    VSN = {vsn!r}
    CACHE = []

    class Item:
        def __init__(self, number):
            self.number = number

        def __eq__(self, other):
            return type(other).__name__ == "Item" and other.number == self.number

    @attrs.define
    class Ware:
        number: int

    def cached():
        CACHE.append(VSN)

    def broken():
        raise ValueError("no such table")

    def forgets():
        try:
            os.remove("/tmp/never")
        except OSError:
            pass

    def sold_out():
        return False

    def asks():
        return current_node().call("w0", "state")

    async def up():
        return (await sys.get_state("w0"))["up"]
"""
OK = """
    if hasattr(old_vsn, "vsn"):
        return {k: v for k, v in state.items() if k != "up"}
    return {**state, "up": True}
"""
UPDATE = "- update: {module: shop.worker, change: advanced}\n      - load_module: shop.lib"


@pytest.fixture
def commands(commands: Commands) -> Commands:
    return replace(commands, rehearses=True)


def release(folder: Path, vsn: str, body: str = "return state", call: str = "") -> Path:
    """Write release *vsn*, whose `code_change` has this body."""
    worker = dedent(WORKER) + indent(dedent(body).strip("\n"), " " * 8) + "\n"
    if "await " in body:
        worker = worker.replace("def code_change", "async def code_change")
    modules = {"app": supervised(COUNT), "worker": worker, "lib": LIB.format(vsn=vsn)}
    up, down = f"\n      {UPDATE}{call}", f"\n      {UPDATE}"
    return write_release(folder, vsn, modules, appup(up, down) if vsn == "2" else None)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    async with serve(release(tmp_path / "1", "1"), base=tmp_path / "home") as service:
        yield service


async def apply(service: Service, goal: Path, limits: Limits | None = None, *, dry_run: bool = True) -> Outcome:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    options = Options(dry_run=dry_run, rehearse=True, allow_irreversible=True, limits=limits or Limits())
    return await service.handler.install(relup, owner="a test", emit=lambda event: None, options=options)


async def states(service: Service) -> list[Any]:
    return [repr(await service.node.call(f"w{n}", "state")) for n in range(COUNT)]


@dataclass(frozen=True, slots=True)
class Case:
    """A `code_change` (and a call), and what a rehearsal of it finds."""

    body: str
    verdict: Verdict
    code: str = ""
    says: str = ""
    call: str = ""
    limits: Limits = Limits()


HURRIED = Limits(code_change=0.3)
CASES: Mapping[str, Case] = {
    "goes well": Case(OK, "ok"),
    "is awaited": Case("await asyncio.sleep(0.01)\nreturn state", "ok"),
    "raises": Case("raise ValueError('no')", "failed", "code_change_failed", r"w0.*ValueError: no \(.*worker.py:\d+\)"),
    "raises for one": Case(
        "return {**state, 'n': 1 / (state['number'] - 1)}", "failed", "code_change_failed", "w1.*ZeroDivision"
    ),
    "returns nothing": Case("state.get('a')", "failed", "bad_return_value", "returned None for w0"),
    "ends itself": Case("os._exit(3)", "failed", "code_change_failed", "w0.* ends the node: with exit code 3"),
    "wants to end": Case("raise SystemExit(3)", "failed", "code_change_failed", "w0.*SystemExit"),
    "crashes": Case("ctypes.string_at(0)", "failed", "code_change_failed", "w0.* ends the node: by SIGSEGV"),
    "loops": Case(
        "while True: pass", "not_rehearsable", "not_rehearsable", "w0.* does not come back.*worker.py", limits=HURRIED
    ),
    "waits for ever": Case(
        "await asyncio.Event().wait()", "not_rehearsable", "not_rehearsable", "waits for somebody", limits=HURRIED
    ),
    "waits for a thread": Case(
        "lib.LOCK.acquire()\nreturn state", "not_rehearsable", "not_rehearsable", "does not come back", limits=HURRIED
    ),
    "asks another": Case(
        "await self.call('w1', 'state')\nreturn state", "not_rehearsable", "not_rehearsable", "asks 'w1' for an answer"
    ),
    "eats memory": Case(
        "a = bytearray(3 << 30)\nreturn state", "not_rehearsable", "not_rehearsable", "takes more memory"
    ),
    "writes a file": Case(
        "open(PLACE, 'w').write('x')\nreturn state", "not_rehearsable", "not_rehearsable", "outside: open"
    ),
    "removes a file": Case(
        "os.remove(PLACE)\nreturn state", "not_rehearsable", "not_rehearsable", r"os.remove\('[^']*'\)"
    ),
    "runs a program": Case(
        "subprocess.run(['true'])\nreturn state", "not_rehearsable", "not_rehearsable", "subprocess.Popen"
    ),
    "kills its parent": Case(
        "os.kill(os.getppid(), signal.SIGKILL)\nreturn state", "not_rehearsable", "not_rehearsable", "os.kill"
    ),
    "connects": Case(
        "socket.create_connection(('127.0.0.1', 9))\nreturn state", "not_rehearsable", "not_rehearsable", "socket"
    ),
    "tries, and goes on": Case(
        "try: open(PLACE, 'w')\nexcept OSError: pass\nreturn state", "ok", "effect_refused", "outside: open"
    ),
    "has nobody heard, closes all, and goes on": Case(
        "os.closerange(3, 500)\nwhile True: pass", "not_rehearsable", "not_rehearsable", "does not come", limits=HURRIED
    ),
    "leaves somebody behind": Case(
        "if ctypes.CDLL(None).fork():\n    os._exit(7)\nelse:\n    while True: pass",
        "failed",
        "code_change_failed",
        "with exit code 7",
    ),
    "is killed": Case(
        "ctypes.CDLL(None).kill(os.getpid(), 9)", "not_rehearsable", "not_rehearsable", "ended by SIGKILL"
    ),
    "says too much": Case(
        "for fd in range(3, 60):\n    try:\n        while True: os.write(fd, b'x' * 65536)\n    except OSError: pass",
        "not_rehearsable",
        "not_rehearsable",
        "says too much|does not come back",
        limits=HURRIED,
    ),
    "raises a book": Case("raise ValueError('x' * (64 << 20))", "failed", "code_change_failed", "ValueError: xxx"),
    "makes a fifo": Case("os.mkfifo(PLACE + '2')\nreturn state", "not_rehearsable", "not_rehearsable", "os.mkfifo"),
    "cannot be shown": Case("return {**state, 'rows': 10 ** 5000}", "ok", "round_trip_differs", "rows"),
    "has a great deal": Case(
        "return {**state, 'rows': [[n] for n in range(20_000)]}", "ok", "round_trip_differs", "rows", limits=HURRIED
    ),
    "casts": Case("self.cast('w1', 'told')\nreturn state", "ok"),
    "changes it in place": Case(
        "state['rows'].append(0)\nreturn state", "ok", "round_trip_differs", r"\+ state\['rows'"
    ),
    "goes back otherwise": Case(
        "return {**state, 'number': str(state['number'])}",
        "ok",
        "round_trip_differs",
        r"w0 .*state\['number'\]: 0 → '0', and 2 more",
    ),
    "a call that goes well": Case(OK, "ok", call="\n      - apply: {module: shop.lib, function: cached}"),
    "a call that tries, and goes on": Case(
        OK,
        "ok",
        "effect_refused",
        "apply shop.lib:forgets.* went well, although it would have done something outside: os.remove",
        call="\n      - apply: {module: shop.lib, function: forgets}",
    ),
    "a call that raises": Case(
        OK,
        "failed",
        "call_failed",
        r"no such table \(.*lib.py:\d+\)",
        call="\n      - apply: {module: shop.lib, function: broken}",
    ),
    "a call that asks": Case(
        OK,
        "not_rehearsable",
        "not_rehearsable",
        "asks 'w0' for an answer",
        call="\n      - apply: {module: shop.lib, function: asks}",
    ),
    "a probe that reads a state": Case(OK, "ok", call="\n      - verify: {module: shop.lib, function: up}"),
    "a probe that says no": Case(
        OK,
        "failed",
        "verify_failed",
        "sold_out.* returned False",
        call="\n      - verify: {module: shop.lib, function: sold_out}",
    ),
}


def test_a_rehearsal_finds_what_would_happen_and_touches_nobody(tmp_path: Path) -> None:
    """All on one node, which stays what it was."""
    kept = tmp_path / "kept"
    kept.write_text("kept")

    async def scenario() -> None:
        async with running(tmp_path) as service:
            before, descriptors = await states(service), open_files()
            for number, (name, case) in enumerate(CASES.items()):
                outcome = await apply(service, goal_of(case, tmp_path / f"goal {number}", kept), case.limits)
                assert list(wrong(case, outcome)) == [], name
                assert await states(service) == before, name
                assert open_files() == descriptors, name
                assert kept.read_text() == "kept", name

    asyncio.run(scenario())


def open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208  # the names alone


def goal_of(case: Case, folder: Path, kept: Path) -> Path:
    goal = release(folder, "2", case.body.replace("PLACE", repr(str(kept))), case.call)
    if "LOCK" in case.body:
        (goal / "shop" / "lib.py").write_text(dedent(LIB.format(vsn="2")) + LOCKED)
    return goal


def wrong(case: Case, outcome: Outcome) -> Iterator[str]:
    """Find what a rehearsal says otherwise than it is."""
    (found,) = outcome.rehearsals
    if (found.verdict, outcome.status) != (case.verdict, "refused" if case.verdict == "failed" else "ready"):
        yield f"{outcome.status}: {found}"
    said = [f"[{d.code}] {d.message}" for d in found.said(strict=False)]
    if case.code and not any(re.search(rf"^\[{case.code}\] .*{case.says}", line) for line in said):
        yield f"{case.code} was not said: {said}"
    if not case.code and said:
        yield f"said: {said}"


LOCKED = """
import threading
LOCK, TAKEN = threading.Lock(), threading.Event()
def hold():
    with LOCK:
        TAKEN.set()
        threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
TAKEN.wait()
"""


def rehearsed(tmp_path: Path, body: str, look: Callable[[Rehearsal], None]) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            outcome = await apply(service, release(tmp_path / "2", "2", body))
            look(outcome.rehearsals[0])

    asyncio.run(scenario())


def test_it_tells_of_each_module_and_of_three_processes_what_became_of_the_states(tmp_path: Path) -> None:
    def look(found: Rehearsal) -> None:
        there, back = found.modules
        assert (there.module, there.way, there.processes, there.failed) == ("shop.worker", "there", COUNT, 0)
        assert (back.way, back.same) == ("back", COUNT)
        assert there.types == ("dict",)
        assert there.size > COUNT * 200
        assert 0 < there.longest <= there.milliseconds <= found.window <= found.milliseconds
        assert there.slowest.startswith("w")
        assert [s.lines for s in there.samples] == [("+ state['up']: True",)] * COUNT
        assert not there.mutates
        assert found.stall > 0

    rehearsed(tmp_path, OK, look)


def test_who_does_not_come_back_is_shown_where_it_stands_in_its_own_code(tmp_path: Path) -> None:
    """Called by relup, or in a task, by the loop; what the program calls of Python's library stands above it."""

    async def scenario() -> None:
        async with running(tmp_path) as service:
            for number, body in enumerate(STUCK):
                goal = release(tmp_path / f"goal {number}", "2", body)
                (found,) = (await apply(service, goal, HURRIED)).rehearsals
                frames = re.findall(r'File ".*/(\w+\.py)", line \d+ in (\w+)', found.failures[0].traceback)
                assert frames[-2:] == [("worker.py", "stuck"), ("worker.py", "code_change")]
                assert frames[:-2] == [("threading.py", "wait")] * 2 * ("threading" in body), frames

    asyncio.run(scenario())


STUCK = (
    "def stuck():\n    while True: pass\nstuck()",
    "def stuck():\n    threading.Event().wait()\nstuck()",
    "async def stuck():\n    while True: pass\nawait asyncio.sleep(0)\nawait stuck()",
)


def test_what_a_code_change_sends_is_handled_by_nobody_in_the_copy(tmp_path: Path) -> None:
    """Servers that never had a message begin their lives with the first."""

    def look(found: Rehearsal) -> None:
        assert [(m.way, m.processes, m.same) for m in found.modules] == [("there", COUNT, None), ("back", COUNT, COUNT)]
        assert found.notes == ()

    rehearsed(tmp_path, "self.cast('w1', 'told')\nawait asyncio.sleep(0.01)\nreturn state", look)


def test_a_state_changed_in_place_is_seen_and_put_back_when_the_upgrade_fails(tmp_path: Path) -> None:
    """What tells the copy from the node makes this one fail in the window alone."""
    body = f"""
        state["rows"].append(0)
        if os.getpid() == {os.getpid()} and state["number"] == 2:
            raise ValueError("in the window alone")
        return state
    """

    async def scenario() -> None:
        async with running(tmp_path) as service:
            before = await states(service)
            outcome = await apply(service, release(tmp_path / "2", "2", body), dry_run=False)
            assert [m.mutates for m in outcome.rehearsals[0].modules] == [True, True]
            assert outcome.status == "rolled_back"
            assert await states(service) == before

    asyncio.run(scenario())


def test_connections_and_files_that_both_would_share_get_nothing_from_the_copy(tmp_path: Path) -> None:
    body = """
        try:
            os.write(state["extra"], b"from the copy")
        finally:
            return state
    """

    async def scenario() -> None:
        here, there = socket.socketpair()
        log = (tmp_path / "log").open("w")
        log.write("buffered ")
        with here, there, log:
            here.setblocking(False)
            async with running(tmp_path) as service:
                goal = release(tmp_path / "2", "2", body)
                for number in (there.fileno(), log.fileno()):
                    await service.node.call("w0", number)
                    assert (await apply(service, goal)).status == "ready"
                with pytest.raises(BlockingIOError):
                    here.recv(1)
                there.sendall(b"from the node")
                assert here.recv(100) == b"from the node"
        assert (tmp_path / "log").read_text() == "buffered "

    asyncio.run(scenario())


class Event(asyncio.Event):
    """Says when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.asked.set()
        return await super().wait()


def test_memory_that_the_node_shares_is_not_written_to(tmp_path: Path) -> None:
    body = """
        if state["extra"] is not None:
            state["extra"][0] = 77
        return state
    """

    async def scenario() -> None:
        shared = mmap.mmap(-1, mmap.PAGESIZE)
        async with running(tmp_path) as service:
            await service.node.call("w0", shared)
            (found,) = (await apply(service, release(tmp_path / "2", "2", body))).rehearsals
            assert found.verdict == "not_rehearsable"
            assert "memory that the node shares" in found.failures[0].diagnostic.message
            assert shared[0] == 0

    asyncio.run(scenario())


def test_a_state_that_was_busy_or_has_changed_since_the_rehearsal_is_put_back(tmp_path: Path) -> None:
    body = f"""
        if state["extra"]:
            state["rows"].append(99)
        if os.getpid() == {os.getpid()} and state["number"] == 2:
            raise ValueError("in the window alone")
        return state
    """

    async def scenario() -> None:
        async with running(tmp_path) as service:
            goal = release(tmp_path / "2", "2", body)
            waits = Event()
            waiting = asyncio.create_task(service.node.call("w1", waits))
            await waits.asked.wait()
            before: list[str] = []

            def emit(event: ExecutorEvent) -> None:
                if event.phase == "rehearse":
                    waits.set()
                    before.append("rehearsed")

            relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
            outcome = await service.handler.install(relup, owner="a test", emit=emit, options=Options(rehearse=True))
            await waiting
            assert (before, outcome.status) == (["rehearsed"], "rolled_back")
            assert not any(m.mutates for m in outcome.rehearsals[0].modules)
            assert [(await service.node.call(f"w{n}", "state"))["rows"] for n in range(COUNT)] == [[0], [1], [2]]

    asyncio.run(scenario())


def test_states_are_what_they_were_before_the_first_of_several_changes_that_reach_into_them(tmp_path: Path) -> None:
    """Two servers of two modules share an object; the first counts it up and down again."""
    shared = "class Shared:\n    def __init__(self):\n        self.number = 0\n\nONE = Shared()\n"
    server = """
        from relup.runtime import Down, GenServer
        from shop.shared import ONE

        class {name}(GenServer):
            def init(self, args):
                return {{"one": ONE}}

            def code_change(self, old_vsn, state, extra):
                state["one"].number += {step} * (-1 if isinstance(old_vsn, Down) else 1)
                return state
    """
    children = 'ChildSpec("first", First, name="first"), ChildSpec("second", Second, name="second")'
    app = (
        dedent(supervised(0))
        .replace("for i in range(0)", "for i in ()")
        .replace("[ChildSpec(f", f"[{children}] + [ChildSpec(f")
    )
    app = app.replace(
        "shop.worker import Worker", "shop.one import First as Worker, First\nfrom shop.two import Second"
    )
    updates = "".join(f"\n      - update: {{module: shop.{m}, change: advanced}}" for m in ("one", "two"))

    def made(vsn: str) -> Path:
        one, two = (
            dedent(server).format(name=n, step=s) + f"    VSN = {vsn}\n" for n, s in (("First", 1), ("Second", 0))
        )
        modules = {"app": app, "shared": shared, "one": one, "two": two}
        return write_release(tmp_path / vsn, vsn, modules, appup(updates, updates) if vsn == "2" else None)

    async def scenario() -> None:
        async with serve(made("1"), base=tmp_path / "home") as service:
            (found,) = (await apply(service, made("2"))).rehearsals
            assert [d.message for d in found.notes] == []
            assert {m.module: m.same for m in found.modules if m.way == "back"} == {"shop.one": 1, "shop.two": 1}

    asyncio.run(scenario())


def test_a_state_that_answers_for_everything_is_no_awaitable(tmp_path: Path) -> None:
    body = """
        class Anything:
            def __getattr__(self, name):
                return self
        return Anything()
    """

    def look(found: Rehearsal) -> None:
        assert (found.verdict, found.failures) == ("ok", ())

    rehearsed(tmp_path, body, look)


def test_who_is_busy_is_named_and_the_others_are_tried(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            waits = Event()
            waiting = asyncio.create_task(service.node.call("w1", waits))
            await waits.asked.wait()
            outcome = await apply(service, release(tmp_path / "2", "2", OK))
            waits.set()
            await waiting
            (found,) = outcome.rehearsals
            assert found.verdict == "ok"
            assert found.modules[0].processes == COUNT - 1
            assert any(d.code == "busy_not_rehearsed" and "w1" in d.message for d in found.notes)

    asyncio.run(scenario())


def children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_new_states_that_hold_old_objects_are_named_with_their_path(tmp_path: Path) -> None:
    anew = "return {**state, 'extra': state['extra'] and [lib.Item(state['extra'][0].number)]}"
    generated = anew.replace("Item", "Ware")  # methods that attrs has made are in no module's namespace

    async def scenario() -> None:
        async with running(tmp_path) as service:
            await service.node.call("w0", [sys.modules["shop.lib"].Item(1)])
            for number, (body, said) in enumerate({OK: 1, anew: 0, generated: 0}.items()):
                (found,) = (await apply(service, release(tmp_path / f"goal {number}", "2", body))).rehearsals
                notes = [d for d in found.notes if d.code == "old_objects_held"]
                assert len(notes) == said
                assert all("an instance of shop.lib:Item, in state['extra'][0]" in d.message for d in notes)

    asyncio.run(scenario())


def test_a_rehearsal_that_is_interrupted_leaves_no_copy(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            goal = release(tmp_path / "2", "2", "while True: pass")
            before = await states(service)
            upgrade = asyncio.create_task(apply(service, goal))
            known = children()
            async with asyncio.timeout(PATIENCE):
                while children() == known:  # noqa: ASYNC110  # a fork tells nobody
                    await asyncio.sleep(0)
            upgrade.cancel()
            with pytest.raises(asyncio.CancelledError):
                await upgrade
            assert children() == known
            assert await states(service) == before
            assert (await apply(service, release(tmp_path / "3", "2", OK))).status == "ready"

    asyncio.run(scenario())


def test_the_commands_rehearse_say_so_and_can_be_told_not_to(commands: Commands, tmp_path: Path) -> None:
    old = release(tmp_path / "1", "1")
    good, bad = release(tmp_path / "2", "2", OK), release(tmp_path / "bad", "2", "raise ValueError('no')")
    unclear = release(tmp_path / "unclear", "2", "open('/tmp/never', 'w')\nreturn state")
    neither = release(tmp_path / "neither", "2", "open('/dev/full', 'w').write('x' * 10 ** 6)\nreturn state")
    with commands.node(old, "--name", "shop"):
        told = commands.run("rehearse", "shop", good).stdout
        assert re.search(r"rehearsal of 3 state\(s\) went well: \d+ ms in a copy of the node, which stood still", told)
        assert "shop.worker there: 3 of 3 well" in told
        assert "+ state['up']: True" in told
        assert "3 of 3 as before" in told
        data = json.loads(commands.run("rehearse", "shop", bad, "--json", exit_code=4).stdout)
        assert (data["status"], data["rehearsals"][0]["verdict"]) == ("refused", "failed")
        assert data["diagnostics"][0]["location"]["line"] == 6
        assert data["rehearsals"][0]["modules"][0]["types"] == []
        assert "rehearsal" not in commands.run("apply", "shop", bad, "--yes", "--no-rehearse", exit_code=5).stdout
        told = commands.run("rehearse", "shop", unclear).stdout
        assert re.search(
            r"rehearsal of 3 state\(s\) could not be done: \d+ ms in a copy of the node, .* ms$", told, re.M
        )
        assert told.endswith("\nready, but for the rehearsal, which could not be done; nothing was touched\n")
        rolled_back = commands.run("apply", "shop", neither, "--yes", exit_code=5).stdout
        assert rolled_back.index("[code_change_failed]") < rolled_back.index("[not_rehearsable]")
        strict = ["--yes", "--strict"]
        refused = commands.run("apply", "shop", unclear, *strict, exit_code=4).stdout
        assert "[not_rehearsable]" in refused
        assert refused.rstrip().endswith("\nrefused: nothing was touched")
        assert "went well" in commands.run("apply", "shop", good, "--yes").stdout
