"""A Python node in which faults can strike at each step of an upgrade, under steady traffic.

Everything is what it is in a node that `relup start` runs, but for a transaction that says where it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic, RelupError
from relup.executor import EffectFailed
from relup.executor.limits import UNSAID, Limits
from relup.model.relup import Relup
from relup.runtime import Node, Process, supervisor
from relup.targets.python.client import connect
from relup.targets.python.handler import ReleaseHandler
from relup.targets.python.service import Service, serve
from relup.testing import EFFECTS
from tests.faults import shop
from tests.faults.kernel import end_with_parent
from tests.faults.points import EVERYWHERE, faults

RECEIVERS = ("s1", "s2", "s3", "till")
SENDERS = ("a", "b")
PAUSE = 0.002
"""Seconds between two rounds of messages."""
FLOOD = 20_000
STORM = 50


@dataclass(slots=True)
class Traffic:
    """Numbered messages from several senders to every receiver, and one who calls the till and waits."""

    node: Node
    sent: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    on: bool = False

    def start(self) -> None:
        """Begin anew, with empty logs."""
        for name in RECEIVERS:
            state = self.node.process(name).state
            state["log"].clear()
            state["wrong"].clear()
        self.sent = dict.fromkeys((*SENDERS, "caller"), 0)
        self.wrong.clear()
        self.on = True
        senders = [self._send(sender) for sender in SENDERS]
        self.tasks = [asyncio.ensure_future(work) for work in (*senders, self._call())]

    async def stop(self) -> None:
        """Send no more, and wait until everything was handled."""
        self.on = False
        await asyncio.gather(*self.tasks)

    async def _send(self, sender: str) -> None:
        while self.on:
            self.sent[sender] += 1
            for name in RECEIVERS:
                self.node.cast(name, (sender, self.sent[sender]))
            await asyncio.sleep(PAUSE)

    async def _call(self) -> None:
        while self.on:
            self.sent["caller"] += 1
            message = ("caller", self.sent["caller"])
            try:
                answer = await self.node.call("till", message)
            except Exception as error:
                self.wrong.append(f"a call of the till: {error!r}")
            else:
                if answer[0] != message:
                    self.wrong.append(f"{message} was answered {answer}")
            await asyncio.sleep(PAUSE)


@dataclass(slots=True)
class Live:
    """What the node of a test has beside what every node has."""

    service: Service
    traffic: Traffic
    said: list[tuple[str, int]] = field(default_factory=list)
    """What others were told who asked meanwhile: the exit code of each."""
    wall: float = 0.0

    async def view(self) -> dict[str, Any]:
        """Return everything that has to be of one version, and what the traffic came to."""
        node, handler = self.service.node, self.service.handler
        return {
            "code": {m: node.code.digest(m) for m in shop.MODULES},
            "applications": [a.name for a in node.applications.which_applications()],
            "processes": {p.name or str(p.pid): self._process(p) for p in node.processes.values()},
            "names": {
                name: str(node.whereis(name))
                for name in ("top", "fax", "audit", "mail", "box", *RECEIVERS)
                if node.whereis(name)
            },
            "children": [(c.id, str(c.child)) for c in await supervisor.which_children("top")],
            "births": bool(node.births.closed),
            "release": handler.running.vsn,
            "records": [handler.records.permanent.vsn, handler.records.current.vsn],
            "owner": handler.owner,
            "notes": dict(faults().notes),
            "seen": list(faults().seen),
            "struck": list(faults().struck),
            "said": list(self.said),
        }

    def _process(self, process: Process) -> dict[str, Any]:
        state, module = process.state, process.reference.module
        return {
            "pid": str(process.pid),
            "module": module,
            "current": process.reference.cls is getattr(import_module(module), process.reference.qualname, None),
            "holds": bool(process.holds),
            "state": {k: v for k, v in state.items() if k not in ("log", "wrong")} if isinstance(state, dict) else None,
        }

    async def logs(self) -> dict[str, Any]:
        """Stop the traffic; return what every receiver handled, in order, and what was sent to it."""
        await self.traffic.stop()
        for name in RECEIVERS:
            with suppress(Exception):
                await self.service.node.call(name, ("flush", 0))
        found = {name: self.service.node.process(name).state for name in RECEIVERS if self.service.node.whereis(name)}
        return {
            "sent": self.traffic.sent,
            "wrong": [*self.traffic.wrong, *(w for s in found.values() for w in s["wrong"])],
            "logs": {name: list(state["log"]) for name, state in found.items()},
        }

    async def idle(self, seconds: float) -> bool:
        """Wait until everything has struck, and no upgrade is running."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while faults().strikes:  # noqa: ASYNC110  # who strikes may be in another thread
                    await asyncio.sleep(PAUSE)
                await self.service.handler._idle.wait()
                return True
        return False

    async def until_deadline(self, delay: float) -> None:
        """Wait until so many seconds from the deadline for a confirmation."""
        deadline = self.service.handler.deadline
        if deadline is not None:
            await asyncio.sleep(max(0.0, deadline.at + delay - asyncio.get_running_loop().time()))

    def pretend(self) -> None:
        """Have outside what the calls of two upgrades did, in a node that was started at the last release."""
        faults().notes.update(ledger=True, mark=True)

    def mend(self) -> None:
        """Take away what struck and lasts."""
        faults().mend()

    def reached(self) -> tuple[list[str], list[tuple[int, str]]]:
        """Return the points that were reached, and in which order they were entered and left."""
        return list(faults().seen), list(faults().moments)

    def where(self) -> str:
        """Return where the upgrade stands."""
        return repr([t for t in asyncio.all_tasks() if t.get_name() == "relup upgrade"])[:400]

    def begin(self, strikes: list[tuple[int, str, str]], controller: int = 0) -> None:
        """Begin a run."""
        faults().arm(strikes, controller)
        self.said.clear()
        self.traffic.start()


class Pointed:
    """A transaction that says where it is, and lets strike there what is to strike."""

    def __init__(self, transaction: Any, live: Callable[[], Live]) -> None:
        self._transaction = transaction
        self._live = live

    def __getattr__(self, name: str) -> Any:
        effect = getattr(self._transaction, name)
        if name not in (*EFFECTS, "prepare", "resume", "rollback"):
            return effect

        async def pointed(*arguments: Any, **named: Any) -> Any:
            number = faults().reach(f"effect {name}")
            await self._strike(number, "before")
            result = await effect(*arguments, **named)
            await self._strike(number, "after")
            return result

        return pointed

    async def _strike(self, number: int, moment: str) -> None:
        action = faults().due(number, moment)
        if action in EVERYWHERE:
            EVERYWHERE[action](None)
        elif action:
            await EFFECT[action](self._live())


def _fail(live: Live) -> None:
    raise EffectFailed(Diagnostic("injected", "a fault"))


async def _failing(live: Live) -> None:
    _fail(live)


async def _broken(live: Live) -> None:
    raise RuntimeError("a bug of the target")


async def _memory(live: Live) -> None:
    raise MemoryError


async def _stopping(live: Live) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(3):
        await asyncio.sleep(0)


async def _dying(live: Live) -> None:
    node = live.service.node
    if pid := node.whereis("s2"):
        node.exit(pid, "kill")
    await asyncio.sleep(0)


async def _born(live: Live, count: int = 1) -> None:
    node = live.service.node
    for _ in range(count):
        cls = import_module("shop.stock").Stock
        task = asyncio.ensure_future(node.start(cls, 9))
        live.traffic.tasks.append(task)
    await asyncio.sleep(0)


async def _storm(live: Live) -> None:
    await _born(live, STORM)


async def _flood(live: Live) -> None:
    for _ in range(FLOOD):
        live.traffic.sent["a"] += 1
        for name in RECEIVERS:
            live.service.node.cast(name, ("a", live.traffic.sent["a"]))


async def _stuck(live: Live) -> None:
    """Let a server be busy for longer than it is waited for."""
    live.traffic.tasks.append(asyncio.ensure_future(_patient(live.service.node)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _patient(node: Node) -> None:
    await node.call("s3", "wait", timeout=None)


def _asking(op: str) -> Callable[[Live], Any]:
    async def act(live: Live) -> None:
        live.said.append((op, await asyncio.to_thread(ask, live.service.node.name, op)))

    return act


def ask(name: str, op: str) -> int:
    """Ask the node of that name something, as another controller would; return the exit code."""
    base = Path(os.environ["RELUP_HOME"])
    fields = {"plan": _last_plan(base), "options": OPTIONS} if op == "apply" else {}
    try:
        with connect(base, name) as client:
            client.ask(op, **fields)
    except RelupError as error:
        return error.exit_code
    return 0


OPTIONS = {"dry_run": False, "allow_irreversible": False, "strict": False, "confirm": None}


def _last_plan(base: Path) -> Any:
    import json

    return json.loads((base.parent / "plan.wire").read_text())


async def _backwards(live: Live) -> None:
    live.wall -= 1e9


async def _forwards(live: Live) -> None:
    live.wall += 1e9


EFFECT: dict[str, Callable[[Live], Any]] = {
    "fails": _failing,
    "a bug": _broken,
    "out of memory": _memory,
    "node is stopped": _stopping,
    "a process dies": _dying,
    "a process is born": _born,
    "spawn storm": _storm,
    "flood of messages": _flood,
    "never answers": _stuck,
    "second upgrade": _asking("apply"),
    "confirm meanwhile": _asking("confirm"),
    "status meanwhile": _asking("status"),
    "clock jumps back": _backwards,
    "clock jumps ahead": _forwards,
}
"""What may strike beside an effect of the transaction, where others can run."""


def pointed(handler: ReleaseHandler, live: Callable[[], Live]) -> None:
    """Let the transactions of *handler* say where they are."""
    begin = handler.begin

    @asynccontextmanager
    async def begins(relup: Relup, limits: Limits = UNSAID) -> AsyncIterator[Any]:
        async with begin(relup, limits) as transaction:
            yield Pointed(transaction, live)

    handler.begin = begins  # type: ignore[method-assign, assignment]  # this one node's


async def run(release: Path, base: Path) -> None:
    """Run a node until it is stopped."""
    async with serve(release, base=base) as service:
        live = Live(service, Traffic(service.node))
        clocks = service.handler._clocks
        service.handler._clocks = replace(clocks, wall=lambda: clocks.wall() + live.wall)
        pointed(service.handler, lambda: live)
        service.node.faults = live  # type: ignore[attr-defined]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: service.stopping.done() or service.stopping.set_result("signal"))
        await asyncio.wait([service.stopping, service.node.stopped], return_when=asyncio.FIRST_COMPLETED)


def start(release: Path, base: Path, log: Path) -> int:
    """Run a node in a process of its own; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        end_with_parent()
        os.setpgid(0, 0)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.environ["RELUP_HOME"] = str(base)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        logging.basicConfig(level=logging.INFO, force=True)
        asyncio.run(run(release, base))
    except BaseException:
        logging.exception("the node ended")
        os._exit(1)
    os._exit(0)
