"""What the tests of live nodes share: release folders written on the spot, and relup commands in real processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from textwrap import dedent
from threading import Thread
from typing import NoReturn

import pytest

from relup.document import read_release
from relup.model.code import NoCode
from relup.model.release import Release
from tests.warm import UNBUFFERED, run_warm

PATIENCE = 20.0
"""Seconds after which a test gives up waiting for an event."""


def require_erl() -> None:
    """Skip the test where there is no Erlang to ask; a CI without one fails."""
    if shutil.which("erl") is None:
        lacking("no `erl` to ask: apt install erlang-base erlang-sasl, or brew install erlang")


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something; where everything has to be tried, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"a CI that leaves out what it cannot try proves nothing: {what}")
    pytest.skip(what)


def write_release(
    folder: Path, vsn: str, modules: Mapping[str, str], appup: str | None = None, *, name: str = "shop", extra: str = ""
) -> Path:
    """Write a release of one application whose modules are `<name>.<module>`; return its folder."""
    package = folder / name
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    for module, text in modules.items():
        (package / f"{module}.py").write_text(dedent(text))
    start = f"    start: {name}.app:App\n" if "app" in modules else ""
    (folder / "release.yaml").write_text(
        f'name: {name}\nvsn: "{vsn}"\napplications:\n  - name: {name}\n    vsn: "{vsn}"\n{start}{extra}'
    )
    if appup is not None:
        (folder / f"{name}.appup.yaml").write_text(dedent(appup))
    return folder


def unread(folder: Path) -> Release:
    """Return a release as a plan knows it, without its code: what its texts say is not asked, and the node has to."""
    return replace(read_release(folder), code=NoCode())


@dataclass(frozen=True, slots=True)
class Commands:
    """relup commands, run in processes of their own with a home of their own."""

    home: Path
    rehearses: bool = False
    """Whether upgrades are tried on a copy first, as by default: most tests are of what comes after that."""

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "RELUP_HOME": str(self.home), **UNBUFFERED}

    def argv(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "relup", *self._typed(arguments)]

    def _typed(self, arguments: Sequence[object]) -> list[str]:
        plain = arguments[:1] in {("apply",), ("downgrade",)} and not self.rehearses
        return [*map(str, arguments), *(["--no-rehearse"] if plain else [])]

    def run(self, *arguments: object, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; it must end with *exit_code* and without a traceback."""
        done = run_warm(self._typed(arguments), self.environ)
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        assert done.returncode == exit_code, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
        return done

    @contextmanager
    def node(self, release: Path, *arguments: object) -> Iterator[NodeProcess]:
        """Run a node for the length of the block."""
        process = subprocess.Popen(
            self.argv("start", release, *arguments),
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        node = NodeProcess(process)
        try:
            node.wait_for(r"^node \S+ runs ")
            yield node
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)
            node.close()


class NodeProcess:
    """A node in a process of its own, and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._queue: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches."""
        while True:
            try:
                line = self._queue.get(timeout=PATIENCE)
            except Empty:
                raise AssertionError(f"no line matched {pattern!r}: {self.lines[-20:]}") from None
            assert line is not None, f"the node ended before {pattern!r}: {self.lines[-20:]}"
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found

    def everything(self) -> list[str]:
        """Return all that it has printed, once it has ended."""
        while (line := self._queue.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
        return self.lines

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(timeout=PATIENCE)

    def close(self) -> None:
        self._reader.join(timeout=PATIENCE)
        if self.process.stdout:
            self.process.stdout.close()


SUPERVISED = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    from {name}.worker import Worker

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            return SupervisorSpec([ChildSpec(f"w{{i}}", Worker, i, name=f"w{{i}}") for i in range({count})])
"""


def supervised(count: int, name: str = "shop") -> str:
    """Return an application with *count* servers `<name>.worker:Worker`, named w0, w1, …, each given its number."""
    return SUPERVISED.format(count=count, name=name)
