"""Live BEAM nodes of the example releases: each with a name, a cookie and a copy of its release of its own."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.beam.asking import RESTS, Asker, asker
from tests.beam.builds import anemone_releases, depot_releases, zoo_releases
from tests.support import PATIENCE, NodeProcess


@dataclass(frozen=True, slots=True)
class Identity:
    """What a node keeps when it is started again."""

    name: str
    """As `name@host`."""
    cookie: str
    root: Path
    """Its release. The application's files may be written; another's only replaced by a new file."""

    @property
    def kind(self) -> str:
        """The flag of the emulator that gives such a name."""
        return "name" if "." in self.name.partition("@")[2] else "sname"


@dataclass(frozen=True, slots=True)
class BeamNode:
    """A node that runs, and who is asked about it."""

    identity: Identity
    process: NodeProcess
    asker: Asker

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def cookie(self) -> str:
        return self.identity.cookie

    @property
    def root(self) -> Path:
        return self.identity.root

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, expressions: str) -> Any:
        """Return the value of Erlang expressions on the node, as `Asker.ask` does."""
        return self.asker.ask(expressions)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read on in what the node prints until a line matches; in a coroutine, by `asyncio.to_thread`."""
        return self.process.wait_for(pattern)


class Starts:
    """A node for the length of a `with` block, or of an `async with` block whose loop goes on meanwhile."""

    def __init__(self, manager: AbstractContextManager[BeamNode]) -> None:
        self._manager = manager

    def __enter__(self) -> BeamNode:
        return self._manager.__enter__()

    def __exit__(self, *raised: Any) -> None:
        self._manager.__exit__(*raised)

    async def __aenter__(self) -> BeamNode:
        return await asyncio.to_thread(self._manager.__enter__)

    async def __aexit__(self, *raised: Any) -> None:
        await asyncio.to_thread(self._manager.__exit__, *raised)


@dataclass(frozen=True, slots=True)
class Beam:
    """The example releases, and nodes of them that live in the folder of one test."""

    shared: Path
    """Where the workers of a run keep what they build."""
    folder: Path

    @property
    def anemone(self) -> Mapping[str, Path]:
        return anemone_releases(self.shared)

    @property
    def depot(self) -> Mapping[str, Path]:
        return depot_releases(self.shared)

    @property
    def zoo(self) -> Mapping[str, Path]:
        return zoo_releases(self.shared)

    def zoo_node(self, vsn: str = "1", *, interactive: bool = False) -> Starts:
        """Start the release with processes of every kind; an *interactive* node loads modules when they are called."""
        return Starts(_zoo(self._new("zoo", self.zoo[vsn], None), "interactive" if interactive else "embedded"))

    def anemone_node(
        self,
        vsn: str = "1",
        *,
        interval: int = 20,
        host: str | None = None,
        arguments: Sequence[str] = (),
        again: BeamNode | None = None,
    ) -> Starts:
        """Start the mix release: a number every *interval* milliseconds.

        With a *host* the node's name is a long one. *arguments* are for the emulator. A node that ended is started
        *again* with its name, its cookie and its release.
        """
        who = again.identity if again else self._new("anemone", self.anemone[vsn], host)
        return Starts(_anemone(who, ["-anemone", "interval", str(interval), *arguments]))

    def depot_node(
        self,
        workers: int = 10,
        vsn: str = "1",
        *,
        interval: int = 20,
        host: str | None = None,
        arguments: Sequence[str] = (),
        again: BeamNode | None = None,
    ) -> Starts:
        """Start the release of plain OTP with so many workers, selling something every *interval* milliseconds.

        With an interval of an hour states stand still after the first sale. The rest is as for `anemone_node`.
        """
        who = again.identity if again else self._new("depot", self.depot[vsn], host)
        environment = ["-depot", "workers", str(workers), "-depot", "interval", str(interval)]
        return Starts(_depot(who, [*environment, *arguments], workers))

    def _new(self, application: str, release: Path, host: str | None) -> Identity:
        name = f"{application}_{secrets.token_hex(4)}"
        root = copy_release(release, self.folder / name, application)
        return Identity(f"{name}@{host or socket.gethostname().partition('.')[0]}", secrets.token_hex(8), root)


def copy_release(release: Path, to: Path, application: str) -> Path:
    """Copy what an upgrade or a test may write; what is Erlang's own and Elixir's is the same files."""
    written = {"bin", "releases", *(f.name for f in (release / "lib").glob(f"{application}-*"))}

    def copy(source: str, target: str) -> None:
        if written.isdisjoint(Path(source).relative_to(release).parts[:2]):
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    return Path(shutil.copytree(release, to, copy_function=copy))


def _mix(who: Identity) -> dict[str, str]:
    return {"RELEASE_NODE": who.name, "RELEASE_COOKIE": who.cookie, "RELEASE_DISTRIBUTION": who.kind}


@contextmanager
def _zoo(who: Identity, mode: str) -> Iterator[BeamNode]:
    with _running(who, ["bin/zoo", "start"], {**_mix(who), "RELEASE_MODE": mode}, r"^zoo \d") as node:
        yield node


@contextmanager
def _anemone(who: Identity, arguments: Sequence[str]) -> Iterator[BeamNode]:
    said = {**_mix(who), "ELIXIR_ERL_OPTIONS": " ".join(arguments)}
    with _running(who, ["bin/anemone", "start"], said, r"^count\[") as node:
        yield node


@contextmanager
def _depot(who: Identity, arguments: Sequence[str], workers: int) -> Iterator[BeamNode]:
    command = ["bin/depot", f"-{who.kind}", who.name, "-setcookie", who.cookie, *arguments]
    with _running(who, command, {}, rf"^depot \S+: {workers} workers$") as node:
        yield node


@contextmanager
def _running(who: Identity, command: Sequence[str], said: Mapping[str, str], line: str) -> Iterator[BeamNode]:
    """Run a command in the release until the block ends, then kill it and whatever it started."""
    process = subprocess.Popen(
        [who.root / command[0], *command[1:]],
        # a home of its own: no cookie of the user's is read, none is written
        env={**os.environ, "ERL_CRASH_DUMP_SECONDS": "0", "HOME": str(who.root), **RESTS, **said},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    printed = NodeProcess(process)
    try:
        with asker(who.name, who.cookie) as asks:
            printed.wait_for(line)
            yield BeamNode(who, printed, asks)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE)
        printed.close()


@contextmanager
def private_epmd() -> Iterator[int]:
    """Run a port mapper for this process alone; yield its port. Without one, Erlang leaves one behind for ever."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    # with -d it stays in the foreground, with another it says when it listens
    command = ["epmd", "-d", "-d", "-port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    printed = NodeProcess(process)
    try:
        printed.wait_for(r"entering the main select\(\) loop")
        yield port
    finally:
        printed.kill()
        printed.close()
