"""Real nodes for the tests, each with an epmd of the test's own, so that none meets another test or another program."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from relup.targets.beam.erts import find_erts
from relup.targets.beam.where import Where
from tests.support import NodeProcess

COOKIE = "a_cookie_that_nobody_may_see"

PROCESSES = """
Echo = fun E() -> receive
    {'$gen_call', {P, R}, silent} -> P ! {self(), silent}, E();
    {'$gen_call', {P, R}, {tell, T}} -> P ! T, P ! {R, told}, E();
    {'$gen_call', {P, R}, {beats, N}} -> [receive {heartbeat, P} -> ok end || _ <- lists:seq(1, N)], P ! {R, ok}, E();
    {'$gen_call', {P, R}, {numbers, N}} -> P ! {R, [receive {number, I} -> I end || _ <- lists:seq(1, N)]}, E();
    {'$gen_call', {P, R}, T} -> P ! {R, {echo, T}}, E();
    {heartbeat, _} -> E()
end end,
register(echo, spawn(Echo)),
register(mortal, spawn(fun() -> receive {'$gen_call', {_, _}, _} -> exit(weary) end end)),
io:format("up~n")
"""
"""What every node runs: a process that answers, one that dies of a question, and a line once they are there."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class World:
    """An epmd, and the environment of all that should find it; its home is empty and has to stay so."""

    epmd_port: int
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        own = {"ERL_EPMD_PORT": str(self.epmd_port), "HOME": str(self.home), "ERL_CRASH_DUMP_SECONDS": "0"}
        mine = {
            name: value for name, value in os.environ.items() if not name.startswith(("RELEASE_", "RELUP_", "ERL_"))
        }
        return {**mine, **own}

    @contextmanager
    def node(self, *name: str, cookie: str = COOKIE, args: Sequence[str] = ()) -> Iterator[NodeProcess]:
        """Run a node for the length of the block; *name* is `-sname x` or `-name x@host`."""
        flags = ("-noinput", "-start_epmd", "false", *name, "-setcookie", cookie, *args)
        process = subprocess.Popen(
            ("erl", *flags, "-eval", f"{PROCESSES}."),
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        node = NodeProcess(process)
        try:
            node.wait_for("^up$")
            yield node
        finally:
            node.kill()
            node.close()

    def where(self, node: str, cookie: str = COOKIE, erl_args: Sequence[str] = (), **environ: str) -> Where:
        erts = find_erts(None, {**self.environ, **environ}, self.epmd_port)
        return Where(node, cookie, erts, self.epmd_port, tuple(erl_args))


@contextmanager
def world(home: Path) -> Iterator[World]:
    """Run an epmd for the length of the block."""
    port = free_port()
    process = subprocess.Popen(
        ("epmd", "-d", "-port", str(port)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    epmd = NodeProcess(process)
    try:
        epmd.wait_for("epmd running|initialized|entering the main")
        yield World(port, home)
    finally:
        epmd.kill()
        epmd.close()


def own_host() -> str:
    return socket.gethostname().partition(".")[0]


def children() -> set[int]:
    """Return the child processes of this one."""
    found: set[int] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(OSError):  # a thread that has ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def commands() -> Mapping[int, str]:
    """Return the command lines of all processes."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
    return found


def code_of(error: BaseException) -> str:
    """Return the code at the end of an error's one line."""
    found = re.fullmatch(r"[^\n]+\[(\w+)\]", str(error))
    assert found, str(error)
    return found[1]
