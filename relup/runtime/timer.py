"""Messages that are sent later."""

from __future__ import annotations

from asyncio import TimerHandle
from typing import TYPE_CHECKING, Any, Self

from relup.runtime.pid import Pid

if TYPE_CHECKING:
    from relup.runtime.node import Node


class Timer:
    """What `send_after` returns: a message under way."""

    __slots__ = ("_handle", "_message", "_node", "_server")

    def __init__(self, node: Node, seconds: float, server: Pid | str, message: Any) -> None:
        self._node = node
        self._server = server
        self._message = message
        self._handle: TimerHandle | None = node.loop.call_later(seconds, self._fire)
        node.timers.add(self)

    @property
    def active(self) -> bool:
        """Whether the message is still to be sent."""
        return self._handle is not None

    @property
    def pending(self) -> tuple[float, Pid | str, Any]:
        """When it sends, on the loop's clock, and what to whom; infinity when it does not any more."""
        return self._handle.when() if self._handle else float("inf"), self._server, self._message

    def cancel(self) -> float | None:
        """Do not send; return the seconds that were left, None when it was sent or cancelled before."""
        if self._handle is None:
            return None
        left = self._handle.when() - self._node.loop.time()
        self._handle.cancel()
        self._drop()
        return max(left, 0.0)

    def _fire(self) -> None:
        message = self._message
        self._drop()
        self._node.send(self._server, message)

    def _drop(self) -> None:
        self._handle = self._message = None
        self._node.timers.discard(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
