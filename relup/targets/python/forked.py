"""Work on a copy of this process: forked, cut off from the world, and watched.

The child has everything that the process has, and may do nothing to anybody else. Its descriptors are exchanged for
ones that take nothing (so a connection, a file or an epoll that both would share is not touched, and no new file gets
the number of an old one); what would change something outside is refused by an audit hook, whoever asks for it; it
never runs the parent's event loop, and ends by `os._exit`, so that nothing buffered is written twice and no `atexit`
runs. It may not use much more memory than the parent has. Threads are not copied: a lock that one of them held is held
for ever, so whoever waits for it hangs, which the parent sees by work that does not get on.

What refuses: opening a file to write, sockets that connect or send, other processes, signals, and whatever removes,
renames or makes files. C code that does so without Python knowing is not seen.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import json
import logging
import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Say: TypeAlias = Callable[[Any], None]
"""Tells the parent something, as JSON."""

MORE_MEMORY = 1 << 30
"""Bytes that the child may take beyond what there was when it was forked."""
LOOK = 0.05
"""Seconds between two looks at whether the child gets on."""
LAST_WORDS = 0.3
"""Seconds for a child that hangs to say where."""
_STACK = signal.SIGUSR1
_DEATH_SIGNAL = 1
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_EFFECTS = frozenset(
    {
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "socket.sendmsg",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.spawn",
        "os.posix_spawn",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.killpg",
        "signal.pthread_kill",
        "os.remove",
        "os.rename",
        "os.mkdir",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.utime",
        "os.setxattr",
        "shutil.rmtree",
        "shutil.move",
        "sqlite3.connect",
        "urllib.Request",
    }
)


class Effect(OSError):
    """Refused in the child: it would have changed something outside."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the work in a child."""

    said: tuple[Any, ...]
    stall: float
    """Milliseconds that this process stood still for the fork."""
    seconds: float
    status: int | None
    """Its exit code, negative for the signal that ended it; None when it hung and was ended from here."""
    at: int
    """The number that it was at."""
    stack: str
    """Where it stood when it died of a signal or hung, as faulthandler writes it; the innermost call first."""


class Place:
    """What number the child is at, seen by both; written often, so it is a piece of shared memory."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._pack = struct.Struct("<QQ").pack_into
        self._steps = 0

    def be(self, number: int) -> None:
        """Be at this number from here on."""
        self._steps += 1
        self._pack(self._shared, 0, number, self._steps)

    def seen(self) -> tuple[int, int]:
        """Return the number, and how many there were before."""
        number, steps = struct.unpack_from("<QQ", self._shared)
        return number, steps


effects: list[str] = []
"""What was tried in this process that cannot be done in a copy, in words."""


async def in_child(work: Callable[[Say, Place], Coroutine[Any, Any, None]], patience: float) -> Ended:
    """Do *work* in a child of this process, in a loop of its own; end it when it is at one number for *patience* s."""
    loop, place = asyncio.get_running_loop(), Place()
    said_here, says = os.pipe()
    stack_here, stacks = os.pipe()
    files = Files((said_here, says, stack_here, stacks))
    before = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is known, and what follows of it
        pid = os.fork()
    if not pid:
        _be_the_child(work, place, says, stacks)
    began = time.perf_counter()
    os.close(says)
    os.close(stacks)
    ended = asyncio.Event()
    heard = bytearray()

    def hear() -> None:
        data = os.read(said_here, 1 << 16)
        heard.extend(data)
        if not data:
            loop.remove_reader(said_here)
            ended.set()

    loop.add_reader(said_here, hear)
    try:
        hung = await _hangs(place, ended, patience)
        if hung:
            os.kill(pid, _STACK)
            await asyncio.sleep(LAST_WORDS)
    finally:
        loop.remove_reader(said_here)
        with suppress(ProcessLookupError):
            if not ended.is_set():
                os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])  # noqa: ASYNC222  # it has ended, or is killed
        stack = files.rest_of(stack_here)
        files.close()
    said = tuple(json.loads(line) for line in bytes(heard).splitlines(keepends=True) if line.endswith(b"\n"))
    took = time.perf_counter() - began
    return Ended(said, (began - before) * 1000, took, None if hung else status, place.seen()[0], stack)


async def _hangs(place: Place, ended: asyncio.Event, patience: float) -> bool:
    """Wait until the child has ended; say whether it stayed at one number for too long instead."""
    last, since = -1, time.monotonic()
    while not ended.is_set():
        _, steps = place.seen()
        if steps != last:
            last, since = steps, time.monotonic()
        elif time.monotonic() - since > patience:
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), LOOK)
    return False


class Files:
    """Descriptors that are closed once."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = numbers

    def rest_of(self, fd: int) -> str:
        """Return what is left in a pipe that nobody writes into any more."""
        found = b""
        while data := os.read(fd, 1 << 16):
            found += data
        return found.decode("utf-8", "replace")

    def close(self) -> None:
        """Close those that are the parent's."""
        os.close(self._numbers[0])
        os.close(self._numbers[2])


# ── in the child ───────────────────────────────────────────────────────────────────────────────────────


def _be_the_child(
    work: Callable[[Say, Place], Coroutine[Any, Any, None]], place: Place, says: int, stacks: int
) -> None:
    code = 1
    try:
        _cut_off(says, stacks)

        def say(what: Any) -> None:
            line = json.dumps(what).encode() + b"\n"
            while line:
                line = line[os.write(says, line) :]

        loop = asyncio.new_event_loop()
        _refuse_effects()
        try:
            loop.run_until_complete(work(say, place))
            code = 0
        except BaseException:
            say({"broken": traceback.format_exc()})
    except BaseException:
        with suppress(BaseException):
            os.write(stacks, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _cut_off(*kept: int) -> None:
    """Share nothing with the parent but *kept* descriptors, and end when it does."""
    gc.disable()
    asyncio._set_running_loop(None)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    logging.disable(logging.CRITICAL)
    nothing = os.open("/", os.O_PATH) if hasattr(os, "O_PATH") else os.open(os.devnull, os.O_RDONLY)
    everything = os.open(os.devnull, os.O_WRONLY)
    for fd in _descriptors():
        if fd not in (*kept, nothing, everything):
            with suppress(OSError):
                os.dup2(everything if fd in (1, 2) else nothing, fd, inheritable=False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(OSError, ValueError):
        size = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
        resource.setrlimit(resource.RLIMIT_AS, (size + MORE_MEMORY, most))
    faulthandler.enable(kept[-1], all_threads=False)
    faulthandler.register(_STACK, kept[-1], all_threads=False)


def _descriptors() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return [int(name) for name in os.listdir(folder)]  # noqa: PTH208  # a list: it is read while they change
    return [*range(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])]


def _refuse_effects() -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EFFECTS or (event == "open" and _writes(arguments)):
            what = f"{event}({', '.join(repr(a)[:80] for a in arguments[:2])})"
            effects.append(f"it would have done something outside: {what}")
            raise Effect(f"{what} is not done in a rehearsal")

    sys.addaudithook(hook)


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    return isinstance(flags, int) and bool(flags & _WRITING) and path != os.devnull
