"""What lies in a mailbox, and what waits for an answer.

The loop tells messages apart by their class. A request is its own return address: the `caller` that `handle_call`
gets is the very object that waits, so answering costs no look-up.
"""

from __future__ import annotations

from asyncio import Future, shield
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from relup.runtime.errors import CallTimeout
from relup.runtime.pid import Pid

if TYPE_CHECKING:
    from relup.runtime.process import Process


class Caller:
    """A call in progress: given to `handle_call`, kept by it for a later `self.reply(caller, value)`.

    Its slots are emptied as they are used up, so that a call which is over keeps neither request nor answer alive.
    """

    __slots__ = ("client", "future", "process", "request", "seconds")

    def __init__(
        self, process: Process, request: Any, future: Future[Any], client: Process | None, seconds: float | None
    ) -> None:
        self.process = process
        self.request = request
        self.future: Future[Any] | None = future
        self.client = client
        self.seconds = seconds

    @property
    def pid(self) -> Pid | None:
        """The process that called; None when the call came from a task that is no process."""
        return None if self.client is None else self.client.pid

    @property
    def waits(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self.future is not None and not self.future.done()

    def answer(self, value: Any) -> None:
        """Give the caller its answer; nothing happens when it waits no more."""
        future = self.future
        if future is not None and not future.done():
            future.set_result(value)

    def fail(self, error: Exception) -> None:
        """Let the call raise *error*, unless it is over."""
        if self.waits and self.future is not None:
            self.future.set_exception(error)

    def expire(self) -> None:
        """Let the call raise CallTimeout: its time is over."""
        self.process.forget_caller(self)
        self.fail(CallTimeout(self.process.label, self.seconds or 0.0))

    def finish(self) -> None:
        """Note that nobody waits any more."""
        self.process.forget_caller(self)
        self.future = None

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<caller {self.pid or 'outside'} of {self.process.label}>"


class Cast:
    """A message that nobody waits for."""

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content


class Info:
    """A message from `send`, a timer, a monitor or a link: for `handle_info`."""

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content


class System:
    """Something to do with the process itself at a message boundary (OTP's system messages).

    Unlike other messages it is also handled while the process is suspended by `sys.suspend`. One whose sender gave up
    is not carried out: a suspend that timed out must not suspend later, when nobody is left to resume.
    """

    __slots__ = ("action", "future", "process", "seconds")

    def __init__(
        self,
        process: Process,
        action: Callable[[Process], Any],
        future: Future[Any] | None,
        seconds: float | None = None,
    ) -> None:
        self.process = process
        self.action = action
        self.future = future
        self.seconds = seconds

    @property
    def abandoned(self) -> bool:
        """Whether its sender waits no more."""
        return self.future is not None and self.future.done()

    def fail(self, error: Exception) -> None:
        """Let the sender raise *error*, if it waits."""
        if self.future is not None and not self.future.done():
            self.future.set_exception(error)

    def expire(self) -> None:
        """Let the sender raise CallTimeout."""
        self.fail(CallTimeout(self.process.label, self.seconds or 0.0))


class Wait:
    """A process, or anybody, that waits for another process to begin or to end."""

    __slots__ = ("future", "process")

    def __init__(self, process: Process, future: Future[Any]) -> None:
        self.process = process
        self.future: Future[Any] | None = future

    def succeed(self) -> None:
        """Stop waiting: it has come."""
        if self.future is not None and not self.future.done():
            self.future.set_result(True)

    def fail(self, error: Exception) -> None:
        """Stop waiting: it will never come."""
        if self.future is not None and not self.future.done():
            self.future.set_exception(error)

    def expire(self) -> None:
        """Stop waiting: the future gets False."""
        if self.future is not None and not self.future.done():
            self.future.set_result(False)


Message = Caller | Cast | Info | System


class _Birth:
    __slots__ = ()

    def __repr__(self) -> str:
        return "init"


BIRTH: Final = _Birth()
"""What a process is busy with until `init` has returned."""


@dataclass(frozen=True, slots=True)
class Exited:
    """A linked process exited; only servers with `trap_exit` get it (OTP's `{'EXIT', Pid, Reason}`)."""

    pid: Pid
    reason: Any


@dataclass(frozen=True, slots=True)
class ProcessDown:
    """A monitored process exited, or was not there (reason `noproc`) (OTP's `{'DOWN', Ref, process, Pid, Reason}`)."""

    monitor: Monitor
    pid: Pid | str
    reason: Any


class Monitor:
    """One watch over one process: await it for the exit reason; a process that made it gets ProcessDown, too."""

    __slots__ = ("_process", "future", "pid", "watcher")

    def __init__(self, pid: Pid | str, process: Process | None, watcher: Process | None, future: Future[Any]) -> None:
        self.pid = pid
        self.watcher = watcher
        self.future = future
        self._process = process

    def down(self, reason: Any) -> None:
        """Tell who watches."""
        self._process = None
        if not self.future.done():
            self.future.set_result(reason)
        if self.watcher is not None:
            self.watcher.post(Info(ProcessDown(self, self.pid, reason)))

    def cancel(self) -> None:
        """Watch no longer (OTP's `demonitor`); whoever awaits it is cancelled."""
        if self._process is not None:
            self._process.monitors = [m for m in self._process.monitors or () if m is not self]
            self._process = None
        self.watcher = None
        self.future.cancel()

    def __await__(self) -> Any:
        return shield(self.future).__await__()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
