"""Commands as forks of a process that has loaded relup already.

Most of a short command's time goes into starting Python and loading relup, and the tests run many hundreds of commands.
Here one process loads everything and then, for each command, forks: a process with its own id, environment, folder,
umask and output, which parses its arguments and ends as any other. It does not show what only a new interpreter can:
that a command loads what it needs. `tests/cli/test_starts.py` shows that, for each command.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile

SECONDS = 60.0
"""How long a command may take."""
ANEW = ("start", "demo")
"""Commands that look at what their interpreter has loaded, or start others."""
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_")
"""How the names of variables begin that are heard when an interpreter starts, and not later."""
_MOST = 1 << 18
"""Bytes of a request: it is arguments and an environment."""


class Warm:
    """The process that is forked, as long as this one lives."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environ = {**os.environ, **UNBUFFERED}
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "tests.warm", str(theirs.fileno())),
                cwd=Path(__file__).parents[1],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def close(self) -> None:
        """End it: it does so when nobody can ask it any more."""
        self._requests.close()
        self._process.wait()

    def run(self, argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `relup` with arguments to its end."""
        umask = os.umask(0)
        os.umask(umask)
        request = json.dumps([list(argv), dict(environ), str(Path.cwd()), umask]).encode()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            with theirs:
                socket.send_fds(self._requests, [request], [out.fileno(), err.fileno(), theirs.fileno()])
            code = _ended(ours, argv)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(["relup", *argv], code, out.read(), err.read())


def _ended(replies: socket.socket, argv: Sequence[str]) -> int:
    """Return the exit code; who takes too long is killed."""
    replies.settimeout(SECONDS)
    told = replies.recv(32)
    assert told, "the process that is forked ended; its last words are on stderr"
    pid = int(told)
    try:
        return int(replies.recv(32))
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        raise subprocess.TimeoutExpired(list(argv), SECONDS) from None


def run_warm(argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `relup` with arguments to its end; anew, where a fork would not be the same."""
    if argv[0] in ANEW or _at_start(environ) != _at_start(warm().environ):
        new = (sys.executable, "-m", "relup", *argv)
        return subprocess.run(new, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)
    return warm().run(argv, environ)


def _at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_AT_START)}


@cache
def warm() -> Warm:
    """Return the process of this one; the first call starts it."""
    made = Warm()
    atexit.register(made.close)
    return made


# ── the other process ────────────────────────────────────────────────────────────────────────────────────────


def serve(requests: socket.socket) -> None:
    """Fork for each request; return in the process that is to run a command, and end this one after the last."""
    _load()
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _MOST, 3)
        if not request:
            os._exit(0)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            requests.close()
            _wait(request, descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _load() -> None:
    """Load what any command loads, and leave it out of the heap that is looked through."""
    for package in ("cli", "document", "planner", "executor", "report", "targets"):
        folder = import_module(f"relup.{package}")
        for module in pkgutil.walk_packages(folder.__path__, f"{folder.__name__}."):
            import_module(module.name)
    for library in ("networkx", "jsonschema", "yaml", "lark", "rich.console"):
        import_module(library)
    gc.collect()
    gc.freeze()


def _wait(request: bytes, descriptors: Sequence[int]) -> None:
    """Fork, return in the new process, and in this one tell how it ended."""
    out, err, replies = descriptors
    pid = os.fork()
    if pid == 0:
        _become(json.loads(request), out, err)
        for descriptor in descriptors:
            os.close(descriptor)
        return
    with socket.socket(fileno=replies) as told:
        told.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        told.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(request: tuple[list[str], dict[str, str], str, int], out: int, err: int) -> None:
    argv, environ, folder, umask = request
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    os.umask(umask)
    sys.argv = ["relup", *argv]


if __name__ == "__main__":
    from relup.cli import main

    with socket.socket(fileno=int(sys.argv[1])) as channel:
        serve(channel)
    main()
