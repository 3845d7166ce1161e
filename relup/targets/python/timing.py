"""How long each step of a window may take, of what the operator says, what the appup says, and what OTP does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from relup.executor import Limits
from relup.model.instructions import Suspension

DEFAULT_TIMEOUT = 5.0
"""Seconds for a process to suspend, to change its state, or for a call that others stand still for (OTP's)."""
OUTSIDE = 60.0
"""Seconds that a call which nobody stands still for may keep the event loop from turning."""


class Timing:
    """The limits of the window that is open."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        """Keep to *limits*, on *clock*, in seconds."""
        self._limits = limits
        self._clock = clock
        self._said: dict[str, float | None] = {}
        self._until: float | None = None

    def open(self, suspensions: Sequence[Suspension]) -> None:
        """Begin a window."""
        self._said = {s.module: said(s) for s in suspensions}
        self._until = None if self._limits.window is None else self._clock() + self._limits.window

    def suspend(self, otherwise: float | None) -> float | None:
        """Return how long a process may take to suspend for which the appup says *otherwise*."""
        return self._left(otherwise if self._limits.suspend is None else self._limits.suspend)

    def code_change(self, module: str) -> float | None:
        """Return how long the `code_change` of a process of *module* may take."""
        said = self._limits.code_change
        return self._left(self._said.get(module, DEFAULT_TIMEOUT) if said is None else said)

    def call(self) -> float | None:
        """Return how long a call may take that others stand still for."""
        said = self._limits.code_change
        return self._left(DEFAULT_TIMEOUT if said is None else said)

    def call_outside(self) -> float | None:
        """Return how long a call may take that nobody stands still for: as long as it likes, as in OTP, or as said."""
        return self._limits.code_change

    def held_outside(self) -> float:
        """Return how long such a call may keep the event loop from turning."""
        return OUTSIDE if self._limits.code_change is None else self._limits.code_change

    def _left(self, seconds: float | None) -> float | None:
        if self._until is None:
            return seconds
        left = max(0.0, self._until - self._clock())
        return left if seconds is None else min(seconds, left)


def said(suspended: Suspension) -> float | None:
    """Return what the appup says, in seconds."""
    match suspended.timeout:
        case "infinity":
            return None
        case "default":
            return DEFAULT_TIMEOUT
        case milliseconds:
            return milliseconds / 1000
