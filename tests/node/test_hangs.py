"""Code that never comes back is interrupted, named with where it stood, and everything is as it was."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

import pytest

from relup.document import read_release
from relup.executor import Limits, Options, Outcome
from relup.planner import plan
from relup.targets.python.service import Service, serve
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
APPUP = """
    application: shop
    vsn: "2"
    up:
      - from: "1"
        instructions:
          - update: {module: shop.worker, change: advanced}
    down:
      - to: "1"
        instructions:
          - update: {module: shop.worker, change: advanced}
"""
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
import hashlib
from relup.runtime import GenServer, Reply

class Worker(GenServer):
    def init(self, number):
        return {"number": number, "items": [number], "kind": "new"}

    def handle_call(self, request, caller, state):
        return Reply(state["kind"] + "!", state)

    def code_change(self, old_vsn, state, extra):
        if state["number"] == 1:
            hashlib.pbkdf2_hmac("sha256", b"", b"", %d)
        return {**state, "kind": "new"}
"""


def rounds(seconds: float) -> int:
    """Return how many rounds of a call of C, which lets other threads run, take about so many seconds here."""
    begun = perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000)
    return int(200_000 * seconds / (perf_counter() - begun))


def test_a_busy_call_of_c_is_declared_failed_and_the_node_answers_meanwhile(commands: Commands, tmp_path: Path) -> None:
    old = write_release(tmp_path / "1", "1", {"app": supervised(COUNT), "worker": WORKER})
    goal = write_release(tmp_path / "2", "2", {"app": supervised(COUNT), "worker": BUSY % rounds(6)}, APPUP)
    with commands.node(old):
        upgrade = subprocess.Popen(
            commands.argv("apply", "shop", goal, "--yes", "--code-change-timeout", "0.2"),
            env=commands.environ,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        _, said = upgrade.communicate(timeout=PATIENCE)
        assert upgrade.returncode == 6, said
        assert "code_change of 'shop.worker' in w1" in said
        assert "Worker.code_change (worker.py:14)" in said
        shown = commands.run("status", "shop").stdout
        assert "held up    code_change of 'shop.worker' in w1" in shown
        assert "Worker.code_change (worker.py:14)" in shown
        assert "[held_up]" in commands.run("rpc", "shop", "1", exit_code=4).stderr
        end = time.monotonic() + PATIENCE
        while "held up" in commands.run("status", "shop").stdout:
            assert time.monotonic() < end
        assert "rolled_back" in commands.run("history", "shop").stdout
        calls = "[await node.call(f'w{i}', 'kind') for i in range(3)]"
        assert commands.run("rpc", "shop", calls).stdout.strip() == "['old', 'old', 'old']"
