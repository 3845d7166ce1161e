"""Work on a copy of this process: forked, cut off from the world, and watched.

The child has everything that the process has, and may do nothing to anybody else. Its descriptors are exchanged for
ones that take nothing (so a connection, a file or an epoll that both would share is not touched, and no new file gets
the number of an old one); memory that both share is made read-only; what would change something outside is refused by
an audit hook, whoever asks for it; it never runs the parent's event loop, and ends by `os._exit`, so that nothing
buffered is written twice and no `atexit` runs. It may not use much more memory than the parent has, and is the first to
go where the machine has none left. Threads are not copied: a lock that one of them held is held for ever, so whoever
waits for it hangs, which the parent sees by work that does not get on.

The parent waits for the child itself, not for what it says: a child may close its pipes and live on, or leave somebody
behind who keeps them open, and may say more than anybody wants to hear.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

from relup.targets.python.cut_off import STACK, Ties, cut_off, refuse_effects

Say: TypeAlias = Callable[[Any], None]
"""Tells the parent something, as JSON."""
Item = TypeVar("Item")
Work: TypeAlias = "Callable[[Say, Place], Coroutine[Any, Any, None]]"

BROKEN, NO_MEMORY = 99, 98
"""Exit codes of a child that could not do what relup itself does there; it is at its own work then."""
LOOK = 0.05
"""Seconds between two looks at whether the child gets on."""
LEAST_MEMORY, TIMES = 1 << 30, 4
"""Bytes that the child may take at least; so many times what the parent has, where the machine has twice that left."""
BATCH = 1000
"""Items that are worked on before the child says that it gets on."""
AT_OWN_WORK = 60.0
"""Seconds that the child may be at work of relup's own."""
LAST_WORDS = 0.3
"""Seconds for a child that hangs to say where."""
MOST_SAID = 8 << 20
"""Bytes that a child may say."""
ENDED_BY_OTHERS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that say nothing about the work: somebody sent them, or there was no memory left."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the work in a child."""

    said: tuple[Any, ...]
    stall: float
    """Milliseconds that this process stood still for the fork."""
    seconds: float
    hung: bool
    """Whether it did not get on, or said too much, and was ended from here."""
    status: int | None
    """Its exit code, negative for the signal that ended it; None when somebody else has taken it."""
    at: int
    """The number that it was at."""
    memory: int
    """Bytes that it might take beside what this process has."""
    stack: str
    """Where it stood when it died of a signal or hung, as faulthandler writes it; the innermost call first."""


class Place:
    """What number the child is at, and for how long it may be; written often, so it is a piece of shared memory."""

    OWN_WORK, CALL = 0, (1 << 64) - 1
    """At work of relup's own; in a call."""

    def __init__(self) -> None:
        self.shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._numbers = memoryview(self.shared).cast("Q")
        self._seconds = memoryview(self.shared).cast("d")

    def be(self, number: int = OWN_WORK, seconds: float = AT_OWN_WORK) -> None:
        """Be at this number from here on, for at most so many seconds."""
        self._seconds[2] = seconds or LOOK
        numbers = self._numbers
        numbers[0] = number
        numbers[1] += 1

    def next(self, number: int) -> None:
        """Be at another number, for as long as at the one before."""
        self._numbers[0] = number

    def batches(self, items: Iterable[Item]) -> Iterator[Sequence[Item]]:
        """Yield items, many at a time, and be at work of relup's own with each of these."""
        left = iter(items)
        while batch := tuple(islice(left, BATCH)):
            self.be()
            yield batch

    def seen(self) -> tuple[tuple[int, int], float]:
        """Return where the child is, which is told from any other place by that, and how long it may be there."""
        return (self._numbers[0], self._numbers[1]), self._seconds[2] or AT_OWN_WORK


@dataclass(slots=True)
class _Child:
    """A child as its parent sees it."""

    pid: int
    said: int
    """The pipe that it speaks into, and the one for stacks."""
    stacks: int
    died: asyncio.Event = field(default_factory=asyncio.Event)
    heard: bytearray = field(default_factory=bytearray)

    def hear(self) -> None:
        """Take what it has said by now."""
        with suppress(BlockingIOError):
            while len(self.heard) <= MOST_SAID and (data := os.read(self.said, 1 << 16)):
                self.heard.extend(data)
            asyncio.get_running_loop().remove_reader(self.said)

    def kill(self) -> None:
        """End it, and whomever it may have left behind."""
        for end in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                end(self.pid, signal.SIGKILL)

    def status(self) -> int | None:
        """Return how it ended."""
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return None

    def lines(self) -> tuple[Any, ...]:
        """Return what it has said."""
        found = []
        for line in bytes(self.heard).splitlines(keepends=True):
            with suppress(ValueError):
                found.append(json.loads(line if line.endswith(b"\n") else b""))
        return tuple(f for f in found if isinstance(f, dict))

    def stack(self) -> str:
        """Return where it stood, as far as it said so."""
        with suppress(BlockingIOError):
            return os.read(self.stacks, 1 << 16).decode("utf-8", "replace")
        return ""


def room() -> str:
    """Return why there is no room for a copy of this process; nothing where there is."""
    with suppress(OSError, ValueError, StopIteration):
        if (has := _resident()) > (left := _left()):
            return f"the node has {has >> 20} MB, and the machine {left >> 20} MB left"
    return ""


def _allowance() -> int:
    """Return how many bytes the child may take: what it writes down, and states there and back, are as much each."""
    with suppress(OSError, ValueError, StopIteration):
        return max(LEAST_MEMORY, min(TIMES * _resident(), _left() // 2))
    return LEAST_MEMORY


def _resident() -> int:
    """Return how many bytes this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def _left() -> int:
    """Return how many bytes the machine has left."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


async def in_child(work: Work, unseen: Iterable[dict[str, Any]] = ()) -> Ended:
    """Do *work* in a child of this process, in a loop of its own; end it when it does not get on.

    *unseen* are the namespaces of modules that `sys.modules` has not. Raises OSError when there can be no child.
    """
    place, memory = Place(), _allowance()
    with ExitStack() as ours, ExitStack() as theirs:
        said, says = _pipe(ours, theirs)
        stack, stacks = _pipe(ours, theirs)
        ties = Ties(os.getpid(), place.shared, says, stacks, memory)
        before = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is known, and what follows
            pid = os.fork()
        if not pid:
            ours.close()
            _be_the_child(work, unseen, place, ties)
        began = time.perf_counter()
        theirs.close()
        child = _Child(pid, said, stack)
        hung = False
        try:
            ours.enter_context(_noticing(child))
            if hung := await _hangs(place, child):
                await _last_words(child)
        finally:
            child.kill()
            try:
                await child.died.wait()
            finally:
                child.hear()
                status = child.status()
        took = time.perf_counter() - began
        stall, at = (began - before) * 1000, place.seen()[0][0]
        return Ended(child.lines(), stall, took, hung, status, at, memory, child.stack())


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    """Make a pipe: its end to read from is the parent's."""
    read, write = os.pipe()
    ours.callback(os.close, read)
    theirs.callback(os.close, write)
    os.set_blocking(read, False)
    return read, write


@contextmanager
def _noticing(child: _Child) -> Iterator[None]:
    """Hear what a child says, and notice its death, whoever else waits for the children of this process."""
    loop = asyncio.get_running_loop()
    loop.add_reader(child.said, child.hear)
    try:
        process = os.pidfd_open(child.pid)
    except OSError:  # it is gone, or there is no descriptor left to notice that
        child.kill()
        child.died.set()
        process = -1
    try:
        if process >= 0:
            loop.add_reader(process, child.died.set)
        yield
    finally:
        loop.remove_reader(child.said)
        if process >= 0:
            loop.remove_reader(process)
            os.close(process)


async def _hangs(place: Place, child: _Child) -> bool:
    """Wait until the child has died; say whether it did not get on, or says too much, instead."""
    last, since = (-1, -1), time.monotonic()
    while not child.died.is_set():
        at, patience = place.seen()
        if at != last:
            last, since = at, time.monotonic()
        elif time.monotonic() - since > patience:
            return True
        if len(child.heard) > MOST_SAID:
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(child.died.wait(), LOOK)
    return False


async def _last_words(child: _Child) -> None:
    """Let a child say where it is."""
    with suppress(ProcessLookupError):
        os.kill(child.pid, STACK)
    with suppress(TimeoutError):
        await asyncio.wait_for(child.died.wait(), LAST_WORDS)


# ── in the child ───────────────────────────────────────────────────────────────────────────────────────


def _be_the_child(work: Work, unseen: Iterable[dict[str, Any]], place: Place, ties: Ties) -> NoReturn:
    code = BROKEN
    try:
        cut_off(ties)
        loop = asyncio.new_event_loop()
        refuse_effects(unseen)
        try:
            loop.run_until_complete(work(partial(_say, ties.says), place))
            code = 0
        except MemoryError:
            code = NO_MEMORY
        except BaseException:
            _say(ties.says, {"broken": traceback.format_exc()})
        finally:
            place.be()
    except BaseException:
        with suppress(BaseException):
            os.write(ties.stacks, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _say(says: int, what: Any) -> None:
    line = json.dumps(what).encode() + b"\n"
    while line:
        line = line[os.write(says, line) :]
