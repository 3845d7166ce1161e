"""Code that never comes back is interrupted, named with where it stood, and everything is as it was."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Limits, Options, Outcome
from relup.planner import plan
from relup.targets.python.service import Service, serve
from relup.targets.python.threads import unended
from tests.node.test_windows import appup
from tests.support import PATIENCE, Commands, supervised, write_release

COUNT = 3
WORKER = """
    from relup.runtime import GenServer, Reply

    class Worker(GenServer):
        def init(self, number):
            return {"number": number, "items": [number], "kind": "old"}

        def handle_call(self, request, caller, state):
            return Reply(state["kind"], state)
"""
NEW = """
import asyncio, re, threading, time
from relup.runtime import GenServer, Reply

def spin():
    n = 0
    while True:
        n += 1

def swallow():
    while True:
        try:
            spin()
        except BaseException:
            time.sleep(0)

def hold_on():
    try:
        spin()
    finally:
        spin()

def lie():
    try:
        spin()
    except BaseException:
        return

async def wait():
    await asyncio.Event().wait()

async def deaf(seconds=3600):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            pass

async def deaf_to_all():
    await asyncio.ensure_future(deaf(2))

async def spin_later():
    await asyncio.sleep(0)
    spin()

class Worker(GenServer):
    def init(self, number):
        return {"number": number, "items": [number], "kind": "new"}

    def handle_call(self, request, caller, state):
        return Reply(state["kind"] + "!", state)

    %(kind)s code_change(self, old_vsn, state, extra):
        state["kind"] = "new"
        state["items"].append("changed in place")
        if state["number"] == 1:
            %(hang)s
        return state
"""
UPDATE = "\n      - update: {module: shop.worker, change: advanced}"
APPUP = appup(UPDATE, UPDATE)
HANGS = {
    "a loop": ("def", "spin()", "worker:spin (worker.py:"),
    "a sleep": ("def", "time.sleep(3600)", "Worker.code_change (worker.py:"),
    "a lock": ("def", "lock = threading.Lock(); lock.acquire(); lock.acquire()", "Worker.code_change (worker.py:"),
    "a regular expression": ("def", "re.match('(a+)+$', 'a' * 60 + 'b')", "Worker.code_change (worker.py:"),
    "one that swallows everything": ("def", "swallow()", "worker:swallow (worker.py:"),
    "a finally that hangs too": ("def", "hold_on()", "worker:hold_on (worker.py:"),
    "one that says it is done": ("def", "lie()", "worker:lie (worker.py:"),
    "a wait": ("async def", "await wait()", "worker:wait (worker.py:"),
    "a wait that is not to be cancelled": ("async def", "await deaf()", "worker:deaf (worker.py:"),
    "a wait for a task that is not to be cancelled": ("async def", "await deaf_to_all()", "deaf_to_all (worker.py:"),
    "a loop after a wait": ("async def", "await spin_later()", "worker:spin (worker.py:"),
}
SHORT = Limits(code_change=0.3)


@asynccontextmanager
async def running(tmp_path: Path, new: str, appup: str = APPUP) -> AsyncIterator[tuple[Service, Path]]:
    old = write_release(tmp_path / "1", "1", {"app": supervised(COUNT), "worker": WORKER})
    goal = write_release(tmp_path / "2", "2", {"app": supervised(COUNT), "worker": new}, appup)
    async with serve(old, base=tmp_path / "home") as service:
        yield service, goal


async def apply(service: Service, goal: Path, limits: Limits) -> Outcome:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    options = Options(limits=limits)
    return await service.handler.install(relup, owner="a test", emit=lambda event: None, options=options)


def view(service: Service) -> str:
    node = service.node
    processes = {p.pid: (p.name, p.state, id(p.state), p.holds, p.reference.cls) for p in node.processes.values()}
    return repr((processes, sorted(node.code.old), service.handler.running, service.handler.records))


async def kinds(service: Service) -> list[str]:
    return [await service.node.call(f"w{i}", "kind") for i in range(COUNT)]


async def hang(tmp_path: Path, name: str) -> Outcome:
    kind, statement, where = HANGS[name]
    async with running(tmp_path, NEW % {"kind": kind, "hang": statement}) as (service, goal):
        before = view(service)
        outcome = await asyncio.wait_for(apply(service, goal, SHORT), 10)
        said = outcome.diagnostics[0]
        assert outcome.status == "rolled_back"
        assert said.code == "code_change_timeout"
        assert "0.3 s" in said.message
        assert "w1" in said.message
        assert where in said.message, said.message
        assert view(service) == before
        assert await kinds(service) == ["old"] * COUNT
        return outcome


@pytest.mark.parametrize("name", HANGS)
def test_a_code_change_that_does_not_come_back_is_interrupted_and_named(tmp_path: Path, name: str) -> None:
    asyncio.run(hang(tmp_path, name))


@pytest.mark.parametrize("name", ["a loop", "one that says it is done", "a loop after a wait"])
def test_it_is_interrupted_too_where_the_loop_is_not_in_the_main_thread(tmp_path: Path, name: str) -> None:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(asyncio.run(hang(tmp_path, name))))
    thread.start()
    thread.join()
    assert len(outcomes) == 1


# ── what cannot be interrupted ─────────────────────────────────────────────────────────────────────────

BUSY = """
import ctypes, os, threading, time
from relup.runtime import GenServer, Reply

class Worker(GenServer):
    def init(self, number):
        return {"number": number, "items": [number], "kind": "new"}

    def handle_call(self, request, caller, state):
        return Reply(state["kind"] + "!", state)

    def code_change(self, old_vsn, state, extra):
        if state["number"] == 1:
            libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
            libc.pthread_mutex_lock(mutex)

            def let_go():
                while not os.path.exists("%s"):
                    time.sleep(0.01)
                libc.pthread_mutex_unlock(mutex)

            threading.Thread(target=let_go, daemon=True).start()
            libc.pthread_mutex_lock(mutex)
        return {**state, "kind": "new"}
"""
WHERE = "Worker.code_change (worker.py:23)"


def test_a_busy_call_of_c_is_declared_failed_and_the_node_answers_meanwhile(commands: Commands, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    old = write_release(tmp_path / "1", "1", {"app": supervised(COUNT), "worker": WORKER})
    goal = write_release(tmp_path / "2", "2", {"app": supervised(COUNT), "worker": BUSY % ends}, APPUP)
    with commands.node(old):
        said = commands.run("apply", "shop", goal, "--yes", "--code-change-timeout", "0.2", exit_code=6).stderr
        assert "code_change of 'shop.worker' in w1" in said
        assert WHERE in said
        shown = commands.run("status", "shop").stdout
        assert "held up    code_change of 'shop.worker' in w1" in shown
        assert WHERE in shown
        assert "[held_up]" in commands.run("rpc", "shop", "1", exit_code=4).stderr
        ends.touch()
        end = time.monotonic() + PATIENCE
        while "rolled_back" not in commands.run("history", "shop").stdout:
            assert time.monotonic() < end
        calls = "[await node.call(f'w{i}', 'kind') for i in range(3)]"
        assert commands.run("rpc", "shop", calls).stdout.strip() == "['old', 'old', 'old']"


# ── what runs before the window ────────────────────────────────────────────────────────────────────────

BODIES = {
    "a loop": ("while True: pass", "was interrupted"),
    "a sleep": ("import time; time.sleep(5)", "goes on in a thread of its own"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_module_body_that_does_not_end_refuses_the_upgrade_and_the_next_one_is_not_held_by_it(
    tmp_path: Path, name: str
) -> None:
    body, became = BODIES[name]

    async def scenario() -> None:
        async with running(tmp_path, f"{body}\n{NEW % {'kind': 'def', 'hang': 'pass'}}") as (service, goal):
            before = view(service)
            with pytest.raises(Refused) as refusal:
                await apply(service, goal, Limits(imports=2))
            said = refusal.value.diagnostics[0]
            assert said.code == "import_timeout"
            assert "shop.worker:<module> (worker.py:1)" in said.message
            assert became in said.message
            assert (view(service), await kinds(service)) == (before, ["old"] * COUNT)
            (goal / "shop" / "worker.py").write_text(NEW % {"kind": "def", "hang": "pass"})
            if became != "was interrupted":
                with pytest.raises(Refused, match=r"has not ended: it is at shop.worker:<module>"):
                    await apply(service, goal, Limits())
            end = time.monotonic() + PATIENCE
            while unended():
                assert time.monotonic() < end
                await asyncio.sleep(0.01)
            assert (await apply(service, goal, Limits())).status == "done"
            assert await kinds(service) == ["new!"] * COUNT

    asyncio.run(scenario())
