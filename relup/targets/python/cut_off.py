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
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any, NoReturn

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
        "socket.gethostbyaddr",
        "socket.getnameinfo",
        "socket.sethostname",
        "syslog.openlog",
        "syslog.syslog",
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
        "sys.remote_exec",
        "resource.setrlimit",
        "fcntl.flock",
        "fcntl.lockf",
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
        "urllib.Request",
    }
)
_HEARD = _EFFECTS | {"open", "sqlite3.connect", "resource.prlimit"}
"""Events that are looked at; there are others, such as those of `id`, that come very often."""
_UNHEARD = {
    "_posixshmem": ("shm_open", "shm_unlink"),
    "_posixsubprocess": ("fork_exec",),
    "signal": ("pidfd_send_signal",),
    "os": ("mkfifo", "mknod", "nice", "setpriority", "sched_setaffinity", "sched_setparam", "sched_setscheduler"),
    "_dbm": ("open",),
    "_gdbm": ("open",),
    "readline": ("write_history_file", "append_history_file"),
}
"""Functions with an effect outside of which no hook is told."""
_SOURCES = frozenset(os.makedev(1, minor) for minor in (3, 5, 7, 8, 9))
"""Devices that can be read without taking anything from anybody: null, zero, full, random, urandom."""


class Effects:
    """What was tried that cannot be done in a copy, in words.

    It is noted for whoever listened when it was begun, also in tasks. A thread does not know by whom it was begun, so
    what is tried there is noted for whoever listens now.
    """

    def __init__(self) -> None:
        """Nobody listens yet."""
        self._own: ContextVar[list[str]] = ContextVar("relup_effects")
        self._now: list[str] = []

    def listen(self) -> list[str]:
        """Return where it is noted from here on."""
        self._now = []
        self._own.set(self._now)
        return self._now

    def note(self, what: str) -> None:
        """Note what cannot be done here."""
        self._own.get(self._now).append(what)


effects = Effects()
"""Those of this process, which has some only where it is a copy."""


class Effect(OSError):
    """Refused in the child: it would have changed something outside."""


@dataclass(frozen=True, slots=True)
class Ties:
    """What a child has to do with its parent."""

    parent: int
    """Its pid."""
    place: mmap.mmap
    """The memory that both share."""
    says: int
    """The pipe that it speaks into, and the one for stacks."""
    stacks: int
    memory: int
    """Bytes that it may take beyond what the parent has."""


def cut_off(ties: Ties) -> None:
    """Share nothing with the parent but these *ties*, and end when it does."""
    gc.disable()
    os.setsid()
    asyncio._set_running_loop(None)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != ties.parent:
        os._exit(1)
    logging.disable(logging.CRITICAL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    _exchange_files(ties.says, ties.stacks)
    _share_no_memory(ties.place)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(OSError, ValueError):
        size = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
        resource.setrlimit(resource.RLIMIT_AS, (size + ties.memory, most))
    faulthandler.enable(ties.stacks, all_threads=False)
    faulthandler.register(STACK, ties.stacks, all_threads=False)


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


def refuse_effects(unseen: Iterable[dict[str, Any]]) -> None:
    """Refuse what would change something outside, from here on, also in modules that `sys.modules` has not."""

    def refuse(what: str) -> NoReturn:
        effects.note(f"it would have done something outside: {what}")
        raise Effect(f"{what} is not done in a rehearsal")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _HEARD and _has_effect(event, arguments):
            refuse(_in_words(event, arguments))

    _exchange_unheard([*(getattr(m, "__dict__", None) for m in list(sys.modules.values())), *unseen], refuse)
    sys.addaudithook(hook)


def _exchange_unheard(namespaces: Iterable[Any], refuse: Callable[[str], NoReturn]) -> None:
    """Give all modules that have one of these functions, by whatever name, one that refuses."""
    instead: dict[Any, Any] = {}
    homes = []  # some are imported here
    for module, names in _UNHEARD.items():
        for name in names:
            with suppress(ImportError, AttributeError):
                home = import_module(module)
                instead[getattr(home, name)] = lambda *_, f=f"{module}.{name}", **__: refuse(f)
                homes.append(vars(home))
    for namespace in (n for n in (*namespaces, *homes) if type(n) is dict):  # anything may be in the place of a module
        found = [(n, v) for n, v in namespace.items() if type(v) is BuiltinFunctionType and v in instead]
        namespace.update((n, instead[v]) for n, v in found)


def _in_words(event: str, arguments: tuple[Any, ...]) -> str:
    """Return what is tried as it would be written: a folder or a mode that was not given is left out."""
    first, second = ([repr(a)[:80] for a in part] for part in (arguments[:1], arguments[1:2]))
    return f"{event}({', '.join([*first, *(word for word in second if word not in ('-1', 'None'))])})"


def _has_effect(event: str, arguments: tuple[Any, ...]) -> bool:
    match event:
        case "open":
            return _takes_or_gives(*arguments)
        case "sqlite3.connect":
            return arguments[:1] != (":memory:",)
        case "resource.prlimit":
            return arguments[2] is not None
        case _:
            return True


def _takes_or_gives(path: Any, _: Any, flags: Any) -> bool:
    """Say whether opening something writes, or takes what others would have read: from a pipe, a socket or a device."""
    if not isinstance(flags, int):
        return False
    if flags & _WRITING:
        return bool(path != os.devnull)
    if isinstance(path, int) or flags & os.O_PATH:  # opened before; not for reading
        return False
    try:
        found = os.stat(path)  # noqa: PTH116  # it may be bytes
    except (OSError, TypeError, ValueError):
        return False
    is_source = stat.S_ISCHR(found.st_mode) and found.st_rdev in _SOURCES
    return not (is_source or stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
