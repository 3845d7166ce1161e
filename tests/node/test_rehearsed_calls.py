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
STOP = f"{LEFT_OUT}it is done with running processes: apply application:stop('mail')"
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
