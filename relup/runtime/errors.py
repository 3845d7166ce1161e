"""What the runtime raises on purpose.

Each exception carries OTP's tag, so that a program can tell cases apart without reading sentences:

    ProcessError
    ├── NoProcess          noproc            nobody has that name or pid
    ├── CallTimeout        timeout           no answer in time (a TimeoutError as well)
    ├── CallingSelf        calling_self      a server waits for its own answer
    ├── ServerDied         died              the server died before it answered; `.reason` says why
    ├── AlreadyStarted     already_started   the name is taken; `.pid` says by whom
    ├── BadReturnValue     bad_return_value  a callback returned what it must not
    ├── Ignored            ignore            `init` returned Ignore
    ├── NodeStopped        nodedown          the node is stopping or stopped
    ├── ChildError         (tag)             a supervisor refused, or could not start a child
    ├── InvalidSpec        start_spec        child specs or flags are wrong; all that is wrong, at once
    └── ApplicationError   (tag)             the application controller refused
"""

from __future__ import annotations

from collections.abc import Iterable


class ProcessError(Exception):
    """Base of everything the runtime raises on purpose."""

    tag: str = "error"


class NoProcess(ProcessError):
    """No process has this name or pid; *there* are names that somebody has, where they are to be told."""

    tag = "noproc"

    def __init__(self, server: object, there: Iterable[str] = ()) -> None:
        self.server = server
        said = f"no process {server!r}" if isinstance(server, int) else f"no process is named {server!r}"
        names = ", ".join(there)
        super().__init__(f"{said}: there are {names}" if names else said)


class CallTimeout(ProcessError, TimeoutError):
    """A server did not answer in time; it may still handle the request, and its answer is then dropped."""

    tag = "timeout"

    def __init__(self, server: object, seconds: float, what: str = "did not answer") -> None:
        self.server = server
        self.seconds = seconds
        super().__init__(f"{server} {what} within {seconds:g} s")


class CallingSelf(ProcessError):
    """A server called itself: it would wait for its own answer for ever."""

    tag = "calling_self"

    def __init__(self, server: object) -> None:
        self.server = server
        super().__init__(f"{server} called itself in its own callback and could never answer")


class ServerDied(ProcessError):
    """A process died before it answered, or at once when it was asked to; `reason` is its exit reason."""

    tag = "died"

    def __init__(self, reason: object, server: object = None) -> None:
        self.reason = reason
        self.server = server
        super().__init__(f"{'the process' if server is None else server} died: {reason!r}")


class AlreadyStarted(ProcessError):
    """The name is registered already; `pid` is its owner."""

    tag = "already_started"

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        super().__init__(f"the name {name!r} is taken by {pid}")


class BadReturnValue(ProcessError):
    """A callback returned something that means nothing to its behaviour."""

    tag = "bad_return_value"

    def __init__(self, callback: str, value: object, expected: str) -> None:
        self.value = value
        super().__init__(f"bad_return_value: {callback} returned {value!r:.200}; it must return {expected}")


class Ignored(ProcessError):
    """`init` returned Ignore: the process was not started, and that is no failure."""

    tag = "ignore"


class NodeStopped(ProcessError):
    """The node is stopping or stopped and starts nothing."""

    tag = "nodedown"


class ChildError(ProcessError):
    """A supervisor refused; `tag` is OTP's: not_found, running, restarting, already_started, already_present …"""

    def __init__(self, tag: str, child: object, message: str) -> None:
        self.tag = tag
        self.child = child
        super().__init__(f"{message} [{tag}]")


class FailedToStartChild(ChildError):
    """A child's `init` failed; `reason` is why. The children started before it were stopped again."""

    def __init__(self, child: object, reason: object) -> None:
        self.reason = reason
        super().__init__("failed_to_start_child", child, f"child {child!r} did not start: {reason!r}")


class InvalidSpec(ProcessError):
    """Supervisor flags or child specs are wrong; `problems` has every one of them."""

    tag = "start_spec"

    def __init__(self, owner: str, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{owner}: " + "; ".join(self.problems))


class ApplicationError(ProcessError):
    """The application controller refused; `tag` is OTP's: not_loaded, not_started, already_started, running …"""

    def __init__(self, tag: str, application: str, message: str) -> None:
        self.tag = tag
        self.application = application
        super().__init__(f"{message} [{tag}]")


def is_shutdown(reason: object) -> bool:
    """Say whether *reason* is an orderly end: normal, shutdown, or ("shutdown", anything)."""
    match reason:
        case "normal" | "shutdown" | ("shutdown", _):
            return True
        case _:
            return False
