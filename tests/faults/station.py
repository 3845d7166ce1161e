"""Where runs on Python nodes are made: one node that is used again and again, and the commands that it is given.

Nodes and commands are processes of their own, forked from this one, which has read relup already: a run takes a
fraction of a second, and each of them can be killed.
"""

from __future__ import annotations

import ast
import faulthandler
import json
import logging
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import relup.cli.app  # noqa: F401  # read once, and not by each command
from relup.cli import main
from relup.diagnostics import RelupError
from relup.document import read_release
from relup.document.route import route_to_data, write_route
from relup.planner import find_route
from relup.targets.python.client import Client, connect
from tests.faults import pynode, shop
from tests.faults.kernel import end_with_parent
from tests.support import PATIENCE

NAME = "shop"
STUCK = 15
"""Seconds after which a command says where it is."""
ROUTES = (("1", "3"), ("3", "1"), ("2", "1"))
Work: TypeAlias = Callable[[], None]


class Stranded(Exception):
    """A node does not answer, or does not come to an end."""


@dataclass(slots=True)
class Command:
    """A relup command in a process of its own."""

    pid: int
    go: int
    output: Path
    exit_code: int | None = None
    """What it ended with; negative for the signal that ended it."""

    def begin(self) -> None:
        """Let it begin."""
        os.write(self.go, b"go")
        os.close(self.go)

    def ended(self, within: float) -> bool:
        """Say whether it has ended, after waiting for that."""
        if self.exit_code is None and _ends(self.pid, within):
            self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.exit_code is not None

    def kill(self) -> None:
        """End it, if it has not ended."""
        if not self.ended(0):
            os.kill(self.pid, signal.SIGKILL)
            self.ended(PATIENCE)


@dataclass(slots=True)
class Station:
    """A folder with the three releases of the shop, plans, and a node."""

    folder: Path
    releases: dict[str, Path]
    code: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """By release, the digest of every module; None for one that is not of it."""
    pid: int = 0
    eye: Client | None = None
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def base(self) -> Path:
        """Where the node has its home."""
        return self.folder / "home"

    @property
    def log(self) -> Path:
        """What the node says."""
        return self.folder / "node.log"

    def plan(self, base: str, goal: str) -> Path:
        """Return a saved plan."""
        return self.folder / f"{base}-{goal}.plan"

    # ── the node ───────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the node, and wait until it answers. Raises `Stranded`."""
        self.pid = pynode.start(self.releases["1"], self.base, self.log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.alive(0.005):
            with suppress(RelupError):
                self.eye = self.stack.enter_context(connect(self.base, NAME))
                self.eye._connection.settimeout(PATIENCE)
                self.ask("node.faults.wall")
                return
        raise Stranded(f"the node does not start: {self.log.read_text()[-2000:]}")

    def alive(self, within: float = 0.0) -> bool:
        """Say whether the node still runs, after waiting for its end for a while."""
        if self.pid and _ends(self.pid, within):
            os.waitpid(self.pid, 0)
            self.pid = 0
        return bool(self.pid)

    def end(self) -> None:
        """End the node, whatever state it is in."""
        self.stack.close()
        self.eye = None
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def forget(self) -> None:
        """Leave nothing of the node."""
        self.end()
        shutil.rmtree(self.base, ignore_errors=True)

    def ask(self, source: str) -> Any:
        """Evaluate an expression in the node. Raises `RelupError` when it is gone or silent."""
        assert self.eye is not None
        return ast.literal_eval(self.eye.ask("evaluate", source=source)["value"] or "None")

    def history(self) -> list[dict[str, Any]]:
        """Return what the node has on record."""
        assert self.eye is not None
        found: list[dict[str, Any]] = self.eye.ask("history")
        return found

    # ── commands ───────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def command(self, *arguments: object, base: Path | None = None) -> Iterator[Command]:
        """Make a command that waits until it is told to begin; what is left of it at the end is killed."""
        output = self.folder / "command.log"
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(write)
            home = {"RELUP_HOME": str(base or self.base)}
            be_command([str(a) for a in arguments], output, read, home, lambda: None)
        os.close(read)
        command = Command(pid, write, output)
        try:
            yield command
        finally:
            command.kill()


def station(folder: Path) -> Station:
    """Make a station in an empty folder."""
    releases = shop.write(folder / "releases")
    made = Station(folder, releases)
    for vsn, root in releases.items():
        files = {m: root / f"{m.replace('.', '/')}.py" for m in shop.MODULES}
        made.code[vsn] = {m: _digest(f) if f.is_file() else None for m, f in files.items()}
    read = {vsn: read_release(root) for vsn, root in releases.items()}
    for base, goal in ROUTES:
        route = find_route(read[base], read[goal], list(read.values()))
        made.plan(base, goal).write_text(write_route(route))
        (folder / f"{base}-{goal}.json").write_text(json.dumps(route_to_data(route)))
    shutil.copy(folder / "1-3.json", folder / "plan.wire")
    return made


def be_command(arguments: Sequence[str], output: Path, go: int, environ: Mapping[str, str], before: Work) -> None:
    """Be a command, in a forked process; *before* it is told to begin, something is done in it."""
    code = 1
    try:
        end_with_parent()
        os.setpgid(0, 0)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        faulthandler.dump_traceback_later(STUCK)
        os.environ |= environ
        before()
        os.read(go, 2)
        # a fault would strike in the copy as well
        sys.argv = ["relup", *arguments, *(["--no-rehearse"] if arguments[0] == "apply" else [])]
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        logging.exception("the command")
    finally:
        os._exit(code)


def _ends(pid: int, within: float) -> bool:
    """Wait until a child ends, for a while; it is not reaped."""
    watched = os.pidfd_open(pid)
    try:
        return bool(select.select([watched], [], [], max(within, 0))[0])
    finally:
        os.close(watched)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
