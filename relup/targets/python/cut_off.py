"""What keeps a forked child from doing anything to anybody else.

Descriptors are exchanged for one that neither reads nor writes; memory that is shared with others is made read-only, so
that who writes into it dies of it; and Python asks a hook before it does what would be seen outside. C code that does
so without Python knowing is not seen.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import logging
import mmap
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

MORE_MEMORY = 1 << 30
"""Bytes that the child may take beyond what there was when it was forked."""
STACK = signal.SIGUSR1
"""Tells a child to say where it stands."""
_DEATH_SIGNAL = 1
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_EFFECTS = frozenset(
    {
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "socket.sendmsg",
        "socket.getaddrinfo",
        "socket.gethostbyname",
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
        "os.removexattr",
        "shutil.rmtree",
        "shutil.move",
        "sqlite3.connect",
        "urllib.Request",
    }
)
_UNHEARD = {"_posixshmem": ("shm_open", "shm_unlink"), "_posixsubprocess": ("fork_exec",), "os": ("mkfifo", "mknod")}
"""Functions with an effect outside of which no hook is told."""

effects: ContextVar[list[str]] = ContextVar("relup_effects")
"""What was tried that cannot be done in a copy, in words: by whoever has the list, and by the tasks that it began."""


class Effect(OSError):
    """Refused in the child: it would have changed something outside."""


def refused(what: str) -> None:
    """Note what cannot be done here."""
    effects.get([]).append(what)


def cut_off(place: mmap.mmap, says: int, stacks: int, parent: int) -> None:
    """Share nothing with the parent but *place* and two descriptors, and end when it does."""
    gc.disable()
    os.setsid()
    asyncio._set_running_loop(None)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    logging.disable(logging.CRITICAL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    _exchange_files(says, stacks)
    _share_no_memory(place)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(OSError, ValueError):
        size = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
        resource.setrlimit(resource.RLIMIT_AS, (size + MORE_MEMORY, most))
    faulthandler.enable(stacks, all_threads=False)
    faulthandler.register(STACK, stacks, all_threads=False)


def _exchange_files(*kept: int) -> None:
    nothing = os.open("/", os.O_PATH)
    everything = os.open(os.devnull, os.O_WRONLY)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # a list: it is read while they change
        if (fd := int(name)) not in (*kept, nothing, everything):
            with suppress(OSError):
                os.dup2(everything if fd in (1, 2) else nothing, fd, inheritable=False)


def _share_no_memory(place: mmap.mmap) -> None:
    ours = ctypes.addressof(ctypes.c_char.from_buffer(place))
    protect = ctypes.CDLL(None).mprotect
    for begin, end in shared_memory():
        if begin != ours:
            protect(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.PROT_READ)


def shared_memory() -> Iterator[tuple[int, int]]:
    """Yield where memory begins and ends that is shared with others, and written to."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, rights, *_ = line.split()
        if rights == "rw-s":
            begin, end = (int(a, 16) for a in addresses.split("-"))
            yield begin, end


def refuse_effects() -> None:
    """Refuse what would change something outside, from here on."""

    def refuse(what: str) -> NoReturn:
        refused(f"it would have done something outside: {what}")
        raise Effect(f"{what} is not done in a rehearsal")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (event == "open" and _writes(arguments)) or (event in _EFFECTS and arguments[:1] != (":memory:",)):
            refuse(f"{event}({', '.join(repr(a)[:80] for a in arguments[:2])})")

    for module, functions in _UNHEARD.items():
        for function in functions:
            with suppress(ImportError):
                setattr(import_module(module), function, lambda *_, f=f"{module}.{function}", **__: refuse(f))
    sys.addaudithook(hook)


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    return isinstance(flags, int) and bool(flags & _WRITING) and path != os.devnull
