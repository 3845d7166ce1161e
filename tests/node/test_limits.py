"""An upgrade holds nobody up for longer than it may, and tries again when somebody was busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relup.document import read_release
from relup.executor import Event, Limits, Options, Outcome
from relup.planner import plan
from relup.targets.python.service import Service, serve
from tests.node.test_windows import appup
from tests.support import PATIENCE, Commands, supervised, write_release

COUNT = 3
WORKER = """
    import asyncio, time
    from relup.runtime import GenServer, Reply

    class Worker(GenServer):
        def init(self, number):
            return ["{vsn}"]

        async def handle_call(self, request, caller, state):
            if request != "kind":
                await self.wait(request)
            return Reply(state, state)

        async def wait(self, event):
            await event.wait() if hasattr(event, "wait") else await asyncio.Event().wait()

        {kind} code_change(self, old_vsn, state, extra):
            {slow}
            return [*state, "up"]
"""
OPS = """
    import asyncio, time

    def spin():
        while True:
            pass

    async def wait():
        await asyncio.Event().wait()

    def back():
        pass
"""
UPDATE = "- update: {module: shop.worker, change: advanced}"
APPUP = appup(f"\n      {UPDATE}\n      %s", f"\n      {UPDATE}")


def release(folder: Path, vsn: str, call: str = "", slow: str = "pass", kind: str = "def") -> Path:
    worker = WORKER.format(vsn=vsn, slow=slow, kind=kind)
    modules = {"app": supervised(COUNT), "worker": worker, "ops": OPS}
    return write_release(folder, vsn, modules, APPUP % call if vsn == "2" else None)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    async with serve(release(tmp_path / "1", "1"), base=tmp_path / "home") as service:
        yield service


async def apply(
    service: Service, goal: Path, limits: Limits, emit: Callable[[Event], None] = lambda event: None
) -> Outcome:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    options = Options(limits=limits, allow_irreversible=True)
    return await service.handler.install(relup, owner="a test", emit=emit, options=options)


async def states(service: Service) -> list[list[str]]:
    return [await service.node.call(f"w{i}", "kind") for i in range(COUNT)]


def test_who_does_not_suspend_lets_all_go_on_between_the_tries_and_is_named_with_its_function(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            stuck = asyncio.create_task(service.node.call("w1", "for ever", None))
            await asyncio.sleep(0)
            answers: list[asyncio.Task[list[str]]] = []

            def emit(event: Event) -> None:
                if "tried again" in event.message:
                    answers.append(asyncio.create_task(service.node.call("w0", "kind")))

            goal = release(tmp_path / "2", "2")
            outcome = await apply(service, goal, Limits(suspend=0.05, retries=2), emit)
            assert (outcome.status, outcome.exit_code) == ("rolled_back", 5)
            (said,) = [d for d in outcome.diagnostics if d.severity == "error"]
            assert said.code == "suspend_timeout"
            assert "w1" in said.message
            assert "did not suspend within 0.05 s" in said.message
            assert "shop.worker:Worker.wait (worker.py:" in said.message
            assert "tried 3 times" in said.message
            assert [a.result() for a in answers] == [["1"], ["1"]]
            assert len(outcome.windows) == 3
            assert await service.node.call("w2", "kind") == ["1"]
            stuck.cancel()

    asyncio.run(scenario())


def test_who_was_busy_at_first_is_upgraded_at_the_next_try(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            free = asyncio.Event()
            busy = asyncio.create_task(service.node.call("w1", free, None))
            await asyncio.sleep(0)

            def emit(event: Event) -> None:
                if "tried again" in event.message:
                    free.set()

            outcome = await apply(service, release(tmp_path / "2", "2"), Limits(suspend=0.05, retries=2), emit)
            assert outcome.status == "done", outcome
            assert (await busy, await states(service)) == (["1"], [["1", "up"]] * COUNT)

    asyncio.run(scenario())


@pytest.mark.parametrize(("kind", "slow"), [("def", "time.sleep(0.2)"), ("async def", "await asyncio.sleep(0.2)")])
def test_a_window_over_its_limit_is_rolled_back(tmp_path: Path, kind: str, slow: str) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            goal = release(tmp_path / "2", "2", slow=slow, kind=kind)
            outcome = await apply(service, goal, Limits(window=0.3))
            assert outcome.status == "rolled_back"
            assert {"window_timeout", "code_change_timeout"} & {d.code for d in outcome.diagnostics}
            assert outcome.windows[0].milliseconds < 2_000
            assert await states(service) == [["1"]] * COUNT
            assert (await apply(service, goal, Limits(window=60))).status == "done"

    asyncio.run(scenario())


@pytest.mark.parametrize("function", ["spin", "wait"])
@pytest.mark.parametrize("where", ["window: inside, ", ""])
def test_a_call_that_does_not_come_back_is_ended_in_a_window_and_outside_of_one(
    tmp_path: Path, function: str, where: str
) -> None:
    call = f"- apply: {{module: shop.ops, function: {function}, {where}undo: {{module: shop.ops, function: back}}}}"

    async def scenario() -> None:
        async with running(tmp_path) as service:
            outcome = await apply(service, release(tmp_path / "2", "2", call), Limits(code_change=0.2))
            assert outcome.status == "rolled_back", outcome
            assert outcome.diagnostics[0].code == "call_failed"
            assert "0.2 s" in outcome.diagnostics[0].message
            assert f"shop.ops:{function} (ops.py:" in outcome.diagnostics[0].message
            gone_on = [["1"]] if where else [["1", "up", "up"]]
            assert await states(service) == gone_on * COUNT

    asyncio.run(scenario())


def test_the_command_line_takes_the_limits(commands: Commands, tmp_path: Path) -> None:
    goal = release(tmp_path / "2", "2", slow="time.sleep(0.02)")
    with commands.node(release(tmp_path / "1", "1")):
        limits = ("--suspend-timeout", "1", "--retries", "1", "--import-timeout", "60")
        said = commands.run("apply", "shop", goal, "--yes", *limits, "--window", "0.01", exit_code=5)
        assert "[window_timeout]" in said.stdout + said.stderr
        commands.run("apply", "shop", goal, "--yes", *limits, "--window", str(PATIENCE))
        commands.run("downgrade", "shop", "--yes", *limits, "--code-change-timeout", "5")
        commands.run("apply", "shop", goal, "--yes", "--window", "0", exit_code=2)


def refuses_to_hang(home: Path, old: Path, goal: Path, hangs: Path) -> None:
    """Try an upgrade in which something *hangs* for as long as that file is there: it goes back, and everybody runs."""

    async def scenario() -> None:
        async with serve(old, base=home) as service:
            outcome = await apply(service, goal, Limits(code_change=0.3))
            await asyncio.to_thread(hangs.unlink)
            assert outcome.status == "rolled_back", outcome
            assert service.handler.running.vsn == "1"
            for i in range(COUNT):
                assert await service.node.call(f"w{i}", "kind")

    asyncio.run(scenario())


@pytest.mark.parametrize(("kind", "body"), [("def", "pass"), ("async def", "await asyncio.sleep(0.01)")])
def test_a_child_whose_end_was_given_up_runs_again(tmp_path: Path, kind: str, body: str) -> None:
    """The supervisor that was asked to end it does so, whoever has stopped waiting."""
    ends = "- apply: {module: supervisor, function: terminate_child, args: [top, w0]}"
    old, goal, hangs = release(tmp_path / "1", "1"), release(tmp_path / "2", "2", ends), tmp_path / "hangs"
    hangs.touch()
    loop = f"import os\n        while os.path.exists({str(hangs)!r}):\n            {body}\n"
    for root in (old, goal):
        worker = root / "shop" / "worker.py"
        worker.write_text(f"{worker.read_text()}\n    {kind} terminate(self, reason, state):\n        {loop}")

    refuses_to_hang(tmp_path / "home", old, goal, hangs)


INITS = {
    "a loop": ("def", "while os.path.exists({!r}): pass"),
    "a wait": ("async def", "while os.path.exists({!r}): await asyncio.sleep(0.01)"),
    "a deaf wait": ("async def", "await deaf({!r})"),
    "cancelled": ("def", "raise asyncio.CancelledError"),
}
DEAF = """
async def deaf(file):
    while os.path.exists(file):
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass
"""


@pytest.mark.parametrize("name", INITS)
def test_a_child_that_does_not_come_up_takes_nobody_along(tmp_path: Path, name: str) -> None:
    """Its supervisor goes on, and what was ended for it runs again."""
    kind, body = INITS[name]
    hangs = tmp_path / "hangs"
    hangs.touch()
    call = "- apply: {module: supervisor, function: %s_child, args: [top, w0]}"
    old, goal = release(tmp_path / "1", "1"), release(tmp_path / "2", "2", call % "restart")
    file, worker = goal / "shop.appup.yaml", goal / "shop" / "worker.py"
    file.write_text(file.read_text().replace(UPDATE, f"{call % 'terminate'}\n      {UPDATE}", 1))
    init = f"{kind} init(self, number):\n        {body.format(str(hangs))}"
    worker.write_text(f"import os\n{worker.read_text().replace('def init(self, number):', init, 1)}\n{DEAF}")

    refuses_to_hang(tmp_path / "home", old, goal, hangs)
