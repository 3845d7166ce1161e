"""Calls of a script are rehearsed as far as they can be: what is left out is said, and blamed for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from relup.executor.rehearsal import Verdict
from tests.node.test_rehearsal import OK, UPDATE, apply, release, running, states
from tests.node.test_windows import appup

MAIL = """
    import socket
    from relup.runtime import Application, ChildSpec, GenServer, Reply, Supervisor, SupervisorSpec

    class Box(GenServer):
        def init(self, args):
            return []

        def handle_call(self, request, caller, state):
            return Reply(state, state)

    class Top(Supervisor):
        def init(self, args):
            return SupervisorSpec([ChildSpec(id="box", start=Box, name="box")])

    class Mail(Application):
        async def start(self, args):
            top = await self.node.start_link(Top, name="mail")
            BODY
            return top

    async def opened():
        from relup.runtime import current_node
        return await current_node().call("box", "all") == []
"""
OPENED = "      - verify: {module: mail.app, function: opened}\n"


@dataclass(frozen=True, slots=True)
class Added:
    """How an added application starts, and what the rehearsal makes of that."""

    body: str
    verdict: Verdict = "ok"
    says: tuple[str, ...] = ()
    after: str = ""


LEFT_OUT = "[call_not_rehearsed] not rehearsed, for "
STOP = f"{LEFT_OUT}it comes after what is not rehearsed: apply application:start('mail', "
CASES: Mapping[str, Added] = {
    "starts": Added("await self.node.call('box', 'all')"),
    "raises": Added("raise ValueError('no table')", "failed", ("[call_failed] apply application:start('mail'",)),
    "connects": Added(
        "socket.create_connection(('127.0.0.1', 9))", says=(f"{LEFT_OUT}it would have done something outside: ", STOP)
    ),
    "asks who does not run": Added("await self.node.call('w0', 'state')", says=(f"{LEFT_OUT}it asks 'w0'", STOP)),
    "is asked afterwards": Added("pass", after=OPENED),
    "is asked afterwards, and was left out": Added(
        "await self.node.call('w0', 'state')",
        "not_rehearsable",
        ("[not_rehearsable] verify mail.app:opened() failed: ", f"{LEFT_OUT}it asks 'w0'"),
        after=OPENED,
    ),
}


def added(folder: Path, case: Added) -> Path:
    goal = release(folder, "2", OK)
    (goal / "mail").mkdir()
    (goal / "mail" / "__init__.py").write_text("")
    (goal / "mail" / "app.py").write_text(dedent(MAIL).replace("BODY", case.body))
    (goal / "shop.appup.yaml").write_text(appup(f"\n      {UPDATE}\n{case.after}".rstrip("\n"), f"\n      {UPDATE}"))
    text = (goal / "release.yaml").read_text()
    (goal / "release.yaml").write_text(text + '  - {name: mail, vsn: "1", start: "mail.app:Mail"}\n')
    return goal


def test_an_application_that_is_added_is_started_in_the_copy_as_far_as_that_can_be(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            before = await states(service)
            for number, (name, case) in enumerate(CASES.items()):
                outcome = await apply(service, added(tmp_path / f"goal {number}", case))
                (found,) = outcome.rehearsals
                assert found.verdict == case.verdict, (name, found)
                said = [f"[{d.code}] {d.message}" for d in found.said(strict=False)]
                assert list(unlike(said, case.says)) == [], name
                assert (await states(service), service.node.whereis("mail")) == (before, None), name
            assert (await apply(service, tmp_path / "goal 0", dry_run=False)).status == "done"
            assert await service.node.call("box", "all") == []

    asyncio.run(scenario())


def unlike(said: list[str], expected: tuple[str, ...]) -> Iterator[str]:
    """Yield lines that do not begin as they should, or that nobody expects."""
    if len(said) != len(expected):
        yield f"{len(expected)} lines, not {said}"
    yield from (
        f"{line} is not {start}" for line, start in zip(said, expected, strict=False) if not line.startswith(start)
    )


TREE = """
    from relup.runtime import Application, ChildSpec, GenServer, Supervisor, SupervisorSpec
    from shop.worker import Worker

    class Clerk(GenServer):
        def init(self, number):
            CLERK

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            children = [ChildSpec(f"w{i}", Worker, i, name=f"w{i}") for i in range(3)]
            return SupervisorSpec([*children, ChildSpec("clerk", Clerk, 1)])
"""
ASKS = """

class Asks(GenServer):
    async def init(self, args):
        return await self.call("w0", "state")
"""
TAKE_IN = "\n      - update: {module: shop.app, change: supervisor}"
ADD = f"""
      {UPDATE}{TAKE_IN}
      - apply: {{module: supervisor, function: restart_child, args: [top, clerk]}}"""
START = f"""
      {UPDATE}
      - apply: {{module: supervisor, function: start_child, args: [top, {{id: a, start: "shop.worker:Asks"}}]}}"""
END_ONE = f"""
      - apply: {{module: supervisor, function: terminate_child, args: [top, w1]}}
      {UPDATE}
      - apply: {{module: supervisor, function: restart_child, args: [top, w1]}}"""
STOP_AND_START = """
      - load_module: shop.lib
      - stop: shop.worker
      - load_module: shop.worker
      - start: shop.worker"""
RESTART = "\n      - restart_application: shop"


@dataclass(frozen=True, slots=True)
class Children:
    """What an upgrade does with children, and what the rehearsal makes of that."""

    up: str
    says: tuple[str, ...] = ()
    init: str = "pass"
    clerk: str = "return number"


RAISES = "raise ValueError('no table')"
STARTED_NOT = "failed: FailedToStartChild: child"
CHILDREN: Mapping[str, Children] = {
    "one is added": Children(ADD),
    "one is added that does not start": Children(
        ADD, (f"[call_failed] apply supervisor:restart_child('top', 'clerk') {STARTED_NOT} 'clerk'",), clerk=RAISES
    ),
    "one is started that asks who does not run": Children(
        START, (f"{LEFT_OUT}it asks 'w0' for an answer: apply supervisor:start_child(",)
    ),
    "one is ended, and started anew": Children(END_ONE),
    "all are stopped and started": Children(STOP_AND_START),
    "all are stopped and started, which fails": Children(
        STOP_AND_START, (f"[call_failed] start shop.worker {STARTED_NOT} 'w0'",), init=RAISES
    ),
    "their application starts again": Children(RESTART),
    "their application starts again, which fails": Children(
        RESTART, (f"[call_failed] apply application:start('shop', 'permanent') {STARTED_NOT} 'w0'",), init=RAISES
    ),
}


def changed(folder: Path, case: Children) -> Path:
    goal = release(folder, "2", OK)
    shop = goal / "shop"
    if case.up == ADD:
        (shop / "app.py").write_text(dedent(TREE).replace("CLERK", case.clerk))
    first = "def init(self, number):\n        "
    text = (shop / "worker.py").read_text()
    (shop / "worker.py").write_text(text.replace(first, f"{first}{case.init}\n        ") + ASKS)
    down = f"\n      {UPDATE}{TAKE_IN if case.up == ADD else ''}"
    (goal / "shop.appup.yaml").write_text(appup(case.up, down))
    return goal


def test_children_are_ended_and_started_in_the_copy_and_nobody_is_in_the_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            before, alive = await states(service), set(service.node.processes)
            for number, (name, case) in enumerate(CHILDREN.items()):
                outcome = await apply(service, changed(tmp_path / f"goal {number}", case))
                (found,) = outcome.rehearsals
                said = [f"[{d.code}] {d.message}" for d in found.said(strict=False)]
                assert list(unlike(said, case.says)) == [], name
                assert found.verdict == ("failed" if "call_failed" in "".join(case.says) else "ok"), name
                assert (await states(service), set(service.node.processes)) == (before, alive), name

    asyncio.run(scenario())
