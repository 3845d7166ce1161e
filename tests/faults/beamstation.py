"""Where runs on BEAM nodes are made: one node that is used again and again, and commands that are forked from here."""

from __future__ import annotations

import asyncio
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic
from relup.document import read_release
from relup.document.route import write_route
from relup.executor import EffectFailed
from relup.executor.limits import UNSAID
from relup.planner import find_route
from relup.targets.beam import client
from relup.targets.beam.asking import evaluate
from relup.targets.beam.target import BeamNode as Target
from relup.testing import EFFECTS
from tests.beam.asking import GONE, Asker, asker
from tests.beam.losing import CUT, bridges
from tests.beam.nodes import copy_release
from tests.faults import beamshop
from tests.faults.kernel import end_with_parent
from tests.faults.station import ROUTES, Command, Stranded, be_command
from tests.support import PATIENCE

Armed = Sequence[tuple[int, str, str]]


@dataclass(slots=True)
class BeamStation:
    """A folder with the three releases of the shop in Erlang, plans, and a node."""

    folder: Path
    releases: dict[str, Path]
    name: str = ""
    cookie: str = ""
    process: subprocess.Popen[bytes] | None = None
    asks: Asker | None = None
    stack: ExitStack = field(default_factory=ExitStack)

    def plan(self, base: str, goal: str) -> Path:
        """Return a saved plan."""
        return self.folder / f"{base}-{goal}.plan"

    @property
    def log(self) -> Path:
        """What the node says."""
        return self.folder / "node.log"

    def start(self, again: bool = False) -> None:
        """Start a node of release 1, or *again* the one that ended. Raises `Stranded`."""
        if not again:
            short = f"shop_{secrets.token_hex(4)}"
            self.name, self.cookie = f"{short}@{socket.gethostname().partition('.')[0]}", secrets.token_hex(8)
            copy_release(self.releases["1"], self.folder / short, "shop")
        root = self.folder / self.name.partition("@")[0]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [root / "bin" / "shop", "-sname", self.name, "-setcookie", self.cookie, "-mode", "embedded"],
                env={**os.environ, "ERL_CRASH_DUMP_SECONDS": "0", "HOME": str(root)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509  # there are no threads here
            )
        end = time.monotonic() + PATIENCE
        while b"shop runs" not in self.log.read_bytes():
            if time.monotonic() > end or not self.alive():
                raise Stranded(f"the node does not start: {self.log.read_text()[-1000:]}")
            time.sleep(0.01)
        self.asks = self.stack.enter_context(asker(self.name, self.cookie))

    def alive(self, within: float = 0.0) -> bool:
        """Say whether the node still runs, after waiting for its end for a while."""
        if self.process is None:
            return False
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
            self.process = None
        return self.process is not None

    def end(self) -> None:
        """End the node, whatever state it is in."""
        self.stack.close()
        self.asks = None
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def forget(self) -> None:
        """Leave nothing of the node."""
        self.end()
        if self.name:
            shutil.rmtree(self.folder / self.name.partition("@")[0], ignore_errors=True)
        shutil.rmtree(self.folder / "home", ignore_errors=True)

    def ask(self, expressions: str) -> Any:
        """Return the value of Erlang expressions on the node."""
        assert self.asks is not None
        return self.asks.ask(expressions)

    def quiet(self) -> bool:
        """Wait until nothing of relup is in the node any more; say whether that came to be."""
        return self.ask(GONE) == []

    @contextmanager
    def command(self, *arguments: object, armed: Armed = ()) -> Iterator[tuple[Command, int]]:
        """Make a command that waits until it is told to begin; yield where it says what it reaches, too."""
        output = self.folder / "command.log"
        read, write = os.pipe()
        said, says = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(write)
            os.close(said)
            environ = {"RELUP_HOME": str(self.folder / "home"), "RELUP_COOKIE": self.cookie}

            def before() -> None:
                client.BeamNode = pointed(self, armed, says)  # type: ignore[misc]  # in this process alone

            be_command([str(a) for a in arguments], output, read, environ, before)
        os.close(read)
        os.close(says)
        command = Command(pid, write, output)
        try:
            yield command, said
        finally:
            command.kill()
            os.close(said)


def beam_station(folder: Path, shared: Path | None = None) -> BeamStation:
    """Make a station in an empty folder; the releases are built, unless they lie in *shared* already."""
    where = shared or folder / "built"
    releases = where / "releases"
    if not releases.is_dir():
        beamshop.build(where)
    made = BeamStation(folder, {vsn: releases / vsn for vsn in ("1", "2", "3")})
    folder.mkdir(parents=True, exist_ok=True)
    read = {vsn: read_release(root) for vsn, root in made.releases.items()}
    for base, goal in ROUTES:
        made.plan(base, goal).write_text(write_route(find_route(read[base], read[goal], list(read.values()))))
    return made


def heard(fd: int) -> list[tuple[int, str, str]]:
    """Return what a command said that it reached: number, moment, effect."""
    found = b""
    while select.select([fd], [], [], 0)[0] and (data := os.read(fd, 1 << 16)):
        found += data
    return [(int(n), moment, effect) for n, moment, effect in (line.split() for line in found.decode().splitlines())]


# ── in the command ─────────────────────────────────────────────────────────────────────────────────────


def pointed(station: BeamStation, armed: Armed, says: int) -> type[Target]:
    """Return a target whose transactions say where they are, and let strike there what is to strike."""
    due = {(number, moment): fault for number, moment, fault in armed}
    count = iter(range(1 << 20))

    class Pointed:
        def __init__(self, transaction: Any, bridge: Any) -> None:
            self._transaction = transaction
            self._bridge = bridge

        def __getattr__(self, name: str) -> Any:
            effect = getattr(self._transaction, name)
            if name not in (*EFFECTS, "prepare", "resume", "rollback"):
                return effect

            async def work(*arguments: Any, **named: Any) -> Any:
                number = next(count)
                await self._strike(number, "before", name)
                result = await effect(*arguments, **named)
                await self._strike(number, "after", name)
                return result

            return work

        async def _strike(self, number: int, moment: str, name: str) -> None:
            os.write(says, f"{number} {moment} {name}\n".encode())
            if fault := due.pop((number, moment), None):
                os.write(says, f"{number} struck {name}\n".encode())
                await EFFECT[fault](station, self._bridge)

    class PointedTarget(Target):
        @asynccontextmanager
        async def begin(self, relup: Any, limits: Any = UNSAID) -> AsyncIterator[Any]:
            async with super().begin(relup, limits) as transaction:
                yield Pointed(transaction, self.bridge)

    return PointedTarget


async def _fail(station: BeamStation, bridge: Any) -> None:
    raise EffectFailed(Diagnostic("injected", "a fault"))


async def _bug(station: BeamStation, bridge: Any) -> None:
    raise RuntimeError("a bug of the target")


async def _memory(station: BeamStation, bridge: Any) -> None:
    raise MemoryError


async def _kill_self(station: BeamStation, bridge: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _interrupt(station: BeamStation, bridge: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0)


async def _interrupt_twice(station: BeamStation, bridge: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    asyncio.get_running_loop().call_later(0.02, os.kill, os.getpid(), signal.SIGINT)
    await asyncio.sleep(0)


async def _kill_bridge(station: BeamStation, bridge: Any) -> None:
    for pid in bridges():
        os.kill(pid, signal.SIGKILL)


async def _stop(station: BeamStation, bridge: Any) -> None:
    """Stand still with the bridge for longer than the lease, then go on."""
    stopped = bridges()
    again = f"sleep 5; kill -CONT {os.getpid()} {' '.join(map(str, stopped))}"
    await asyncio.create_subprocess_exec("sh", "-c", again)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)


async def _kill_node(station: BeamStation, bridge: Any) -> None:
    assert station.process is not None
    os.killpg(station.process.pid, signal.SIGKILL)


async def _second(station: BeamStation, bridge: Any) -> None:
    command = [sys.executable, "-m", "relup", "apply", station.name, str(station.plan("1", "3")), "--no-rehearse"]
    done = await asyncio.create_subprocess_exec(*command, stdout=-3, stderr=-3)
    code = await done.wait()
    (station.folder / "second").write_text(str(code))


def _evaluating(text: str) -> Callable[[BeamStation, Any], Any]:
    async def act(station: BeamStation, bridge: Any) -> None:
        await evaluate(bridge, text)

    return act


EFFECT: dict[str, Callable[[BeamStation, Any], Any]] = {
    "fails": _fail,
    "a bug": _bug,
    "out of memory": _memory,
    "controller killed": _kill_self,
    "Ctrl-C once": _interrupt,
    "Ctrl-C twice": _interrupt_twice,
    "bridge killed": _kill_bridge,
    "controller stands still": _stop,
    "connection cut": _evaluating(CUT),
    "node killed": _kill_node,
    "second upgrade": _second,
    "a process dies": _evaluating("exit(whereis(shop_s2), kill)."),
    "a process is born": _evaluating("spawn(fun() -> shop_stock:begin_one(9) end)."),
    "spawn storm": _evaluating("[spawn(fun() -> shop_stock:begin_one(9) end) || _ <- lists:seq(1, 50)]."),
    "flood of messages": _evaluating(
        "[gen_server:cast(P, {m, flood, N}) || N <- lists:seq(1, 20000), P <- [shop_s1, shop_s3]], ok."
    ),
    "never answers": _evaluating("spawn(fun() -> gen_server:call(shop_s3, wait, infinity) end)."),
}
"""What may strike beside an effect, on the controller's side or on the way."""
NODE = (
    "raises",
    "exits",
    "throws",
    "returns_junk",
    "returns_error",
    "hangs",
    "endless_loop",
    "out_of_memory",
    "killed",
    "spawn_storm",
    "node_killed",
    "node_halts",
    "connection_cut",
    "controller_killed",
)
"""What code of a release may do, or what may happen while it is at work."""
