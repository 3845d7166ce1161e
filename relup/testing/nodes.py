"""Nodes for tests without `async`: each method waits until the node has done it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from relup.diagnostics import RelupError
from relup.executor import UNSAID, Limits, Outcome
from relup.model.release import Release
from relup.runtime import Node as RuntimeNode
from relup.runtime import Pid, ProcessError
from relup.testing.failures import End, UpgradeFailed
from relup.testing.live import AsyncNode, Running, running
from relup.testing.threads import InThread
from relup.testing.watching import Watch

P = ParamSpec("P")
R = TypeVar("R")


class Node:
    """A live node in a thread of this process; a context manager that stops it. See `AsyncNode` for what each does."""

    def __init__(self, context: AbstractAsyncContextManager[AsyncNode]) -> None:
        """Start what *context* runs."""
        __tracebackhide__ = True
        self._thread = InThread(context, "relup test node")
        self._live = self._thread.value

    @property
    def node(self) -> RuntimeNode:
        """The node itself; it belongs to its own thread: see `run`."""
        return self._live.node

    @property
    def release(self) -> Release:
        """The release that runs."""
        return self._live.release

    @property
    def vsn(self) -> str:
        """The version of the release that runs."""
        return self._live.vsn

    def call(self, server: str | Pid, request: Any, timeout: float | None = 5.0) -> Any:
        """Ask a server and return its answer."""
        __tracebackhide__ = True
        return self._ask(self._live.call(server, request, timeout))

    def cast(self, server: str | Pid, message: Any) -> None:
        """Send a message for `handle_cast`."""
        __tracebackhide__ = True
        self._ask(self._live.cast(server, message))

    def send(self, server: str | Pid, message: Any) -> None:
        """Send a message for `handle_info`."""
        __tracebackhide__ = True
        self._ask(self._live.send(server, message))

    def state(self, server: str | Pid, timeout: float | None = 5.0) -> Any:
        """Return a copy of the state that a server has after the messages sent to it so far."""
        __tracebackhide__ = True
        return self._ask(self._live.state(server, timeout))

    def states(self) -> dict[str, Any]:
        """Return a copy of the state of every process but supervisors, by name."""
        __tracebackhide__ = True
        return self._ask(self._live.states())

    def settle(self, timeout: float = 5.0) -> None:
        """Wait until nobody handles a message and no mail lies there."""
        __tracebackhide__ = True
        self._ask(self._live.settle(timeout))

    def upgrade(
        self,
        release: str | Path,
        *,
        expect: End = "done",
        strict: bool = False,
        rehearse: bool = False,
        limits: Limits = UNSAID,
    ) -> Outcome:
        """Upgrade to *release*; raise `UpgradeFailed` unless it ends as expected."""
        __tracebackhide__ = True
        return self._ask(self._live.upgrade(release, expect=expect, strict=strict, rehearse=rehearse, limits=limits))

    def downgrade(self, vsn: str | None = None, *, expect: End = "done") -> Outcome:
        """Go back to the release that ran before, or to *vsn*; raise `UpgradeFailed` unless it ends as expected."""
        __tracebackhide__ = True
        return self._ask(self._live.downgrade(vsn, expect=expect))

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Do anything else in the thread of the node: `node.run(which_children("sup", node=node.node))`."""
        __tracebackhide__ = True
        return told(self._thread.run, work)

    def _ask(self, work: Coroutine[Any, Any, R]) -> R:
        """Do what a method is for; what the runtime says of a server is told like what relup says."""
        __tracebackhide__ = True
        try:
            return self.run(work)
        except ProcessError as error:
            said = error.with_traceback(None)
        raise said

    def stop(self) -> None:
        """Stop it; nothing of it remains. Nothing happens the second time."""
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def told(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what *work* returns; what relup says on purpose is told without the way on which it came."""
    __tracebackhide__ = True
    try:
        return work(*args, **kwargs)
    except (UpgradeFailed, RelupError) as error:
        said = error.with_traceback(None)
    said.__cause__, said.__context__, said.__suppress_context__ = None, None, True
    raise said


def start(
    release: str | Path, *, name: str | None = None, home: str | Path | None = None, places: Sequence[Path] = ()
) -> Node:
    """Run *release* as a node in a thread of its own, until it is stopped; raise what `running` raises."""
    __tracebackhide__ = True
    return told(Node, running(release, name=name, home=home, places=places))


class Nodes:
    """What the fixture `relup_node` is: starts nodes, and stops those that are left at the end of the test."""

    def __init__(self, places: Sequence[Path], watch: Watch | None = None) -> None:
        """Look for releases in *places*."""
        self._places = places
        self._watch = watch
        self._started = ExitStack()

    def start(self, release: str | Path, *, name: str | None = None, home: str | Path | None = None) -> Node:
        """Start a node in a thread of its own; see `running` for the arguments and what is raised."""
        __tracebackhide__ = True
        return self._started.enter_context(told(Node, self.running(release, name=name, home=home)))

    def running(self, release: str | Path, *, name: str | None = None, home: str | Path | None = None) -> Running:
        """Run a node in the event loop of an asynchronous test: `async with relup_node.running("1") as node`."""
        return running(release, name=name, home=home, places=self._places, watch=self._watch)

    def close(self) -> None:
        """Stop every node, the last first."""
        self._started.close()
