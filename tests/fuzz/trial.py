"""One input given to one reader, and what may come of it: a value, or findings that can be printed; in bounds.

A reader may say no as often as it likes, by an error of relup's with at least one finding. Any other exception would
be a traceback for somebody; so would a text that cannot be printed. The time is the processor's, since other
processes may want it too; the memory is the whole process's, and an input that wants more meets `MemoryError`.
"""

from __future__ import annotations

import resource
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from relup.diagnostics import RelupError

SECONDS = 5.0
"""Processor time that one input may take; most take a millisecond, and instrumented code is ten times slower."""
MEMORY = 768 * 2**20
"""Bytes by which a process may grow while it reads."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A door through which inputs come."""

    name: str
    read: Callable[[bytes], object]
    seeds: Sequence[bytes]
    """Good inputs, or nearly good ones, that others are made from."""
    words: Sequence[bytes]
    """What inputs are made of."""
    parsed: Sequence[Any] = ()
    """What good inputs say, where JSON can say it as well."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An input that did what no input may do."""

    reader: str
    data: bytes
    what: str

    def __str__(self) -> str:
        return f"{self.reader}: {len(self.data):,} bytes {self.data[:200]!r}\n{self.what}"


class TooSlow(BaseException):
    """The time of an input is over; no reader catches this."""


def tried(reader: Reader, data: bytes) -> Fault | None:
    """Give *data* to a reader; return what went wrong, None when nothing did."""
    try:
        with _in_time():
            reader.read(data)
    except RelupError as error:
        return _unprintable(reader, data, error)
    except TooSlow as error:
        return Fault(reader.name, data, f"more than {SECONDS:g} s: {_trace(error)}")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Fault(reader.name, data, _trace(error))
    return None


def _unprintable(reader: Reader, data: bytes, error: RelupError) -> Fault | None:
    try:
        # a terminal prints what the name of a file has that is no text as it is
        str(error).encode("utf-8", "surrogateescape")
    except Exception as wrong:
        return Fault(reader.name, data, f"cannot be printed: {_trace(wrong)}")
    bare = [d for d in error.diagnostics if not d.code or not d.message]
    return Fault(reader.name, data, "an error that says nothing") if bare or not error.diagnostics else None


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)[-12:])


@contextmanager
def _in_time() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _over(_: int, frame: FrameType | None) -> None:
    raise TooSlow


@contextmanager
def bounded(memory: int = MEMORY) -> Iterator[None]:
    """Bound this process for the length of the block: memory, time of each input; warnings are faults."""
    before, handler = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGPROF, _over)
    resource.setrlimit(resource.RLIMIT_AS, (_taken() + memory, before[1]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGPROF, handler)


def _taken() -> int:
    """Return the bytes of addresses that this process has by now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@dataclass(slots=True)
class Tally:
    """How many inputs a reader was given, and what came of it."""

    reader: str
    how: str
    count: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    faults: list[Fault] | None = None

    def __str__(self) -> str:
        found = len(self.faults or ())
        rate = self.count / self.seconds if self.seconds else 0
        return (
            f"{self.reader:16} {self.how:11} {self.count:>9,} inputs {self.seconds:>7.1f} s {rate:>8,.0f}/s"
            f"  slowest {self.slowest * 1000:>6.0f} ms  {found} fault(s)"
        )


def tried_all(reader: Reader, how: str, inputs: Iterator[bytes], *, most_faults: int = 10) -> Tally:
    """Give every input to a reader, and stop when enough faults of different kinds were found."""
    tally, kinds = Tally(reader.name, how, faults=[]), set[str]()
    began = time.process_time()
    for data in inputs:
        started = time.process_time()
        fault = tried(reader, data)
        tally.slowest = max(tally.slowest, time.process_time() - started)
        tally.count += 1
        if fault and (kind := fault.what[-200:]) not in kinds:
            kinds.add(kind)
            assert tally.faults is not None
            tally.faults.append(fault)
            if len(kinds) == most_faults:
                break
    tally.seconds = time.process_time() - began
    return tally
