"""What is common to everything that runs as a process.

An instance of a behaviour is only a handle for its callbacks: the loop makes a new one whenever the class is a new
one, and drops it while the process rests. So nothing may be kept on it, or the next version would lose it without a
word: setting an attribute raises.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from relup.runtime.messages import Caller
from relup.runtime.pid import Pid

if TYPE_CHECKING:
    from relup.runtime.node import Node
    from relup.runtime.process import Process
    from relup.runtime.timer import Timer


class Behaviour:
    """Base of GenServer and Supervisor; programs subclass those."""

    __slots__ = ("_process",)

    _process: Process
    trap_exit: ClassVar[bool] = False
    """Whether exits of linked processes arrive as `Exited` in `handle_info` (OTP's `process_flag(trap_exit, true)`)."""
    supervises: ClassVar[bool] = False
    """Whether it is a supervisor; not for programs to set."""

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a server's state is what its callbacks return; nothing is kept on self")

    @property
    def pid(self) -> Pid:
        """The process that this code serves."""
        return self._process.pid

    @property
    def node(self) -> Node:
        """The node that the process lives in."""
        return self._process.node

    @property
    def name(self) -> str | None:
        """The registered name, None without one."""
        return self._process.name

    def call(self, server: Pid | str, request: Any, timeout: float | None = 5.0) -> Coroutine[Any, Any, Any]:
        """Ask *server* and wait for its answer; see `Node.call`."""
        return self._process.node.call(server, request, timeout)

    def cast(self, server: Pid | str, message: Any) -> None:
        """Send a message for `handle_cast`; dropped when there is no such process."""
        self._process.node.cast(server, message)

    def send(self, server: Pid | str, message: Any) -> None:
        """Send a message for `handle_info`; dropped when there is no such process."""
        self._process.node.send(server, message)

    def send_after(self, seconds: float, message: Any) -> Timer:
        """Send *message* to this process itself in *seconds*, for `handle_info`."""
        return self._process.node.send_after(seconds, self._process.pid, message)

    def reply(self, caller: Caller, value: Any) -> None:
        """Answer a caller that `handle_call` left waiting with NoReply; nothing happens when it waits no more."""
        self._process.node.reply(caller, value)

    def handle_call(self, request: Any, caller: Caller, state: Any) -> Any:
        """Handle a call."""
        raise NotImplementedError(f"{type(self).__qualname__} has no handle_call for {request!r:.200}")

    def handle_cast(self, message: Any, state: Any) -> Any:
        """Handle a cast."""
        raise NotImplementedError(f"{type(self).__qualname__} has no handle_cast for {message!r:.200}")

    def handle_info(self, message: Any, state: Any) -> Any:
        """Handle any other message."""
        raise NotImplementedError

    def terminate(self, reason: Any, state: Any) -> Any:
        """Clean up before the process ends."""

    def _start(self, args: Any) -> Any:
        """Return the first state, or a coroutine that returns it."""
        raise NotImplementedError

    def _change(self, old_vsn: Any, state: Any, extra: Any) -> Any:
        """Return the state for this version of the code, or a coroutine that returns it."""
        raise NotImplementedError


_own = Behaviour.__dict__["_process"].__set__


def bind(cls: type, process: Process) -> Any:
    """Return a handle of class *cls* for the callbacks of *process*; `__init__` does not run."""
    instance: Any = object.__new__(cls)
    _own(instance, process)
    return instance
