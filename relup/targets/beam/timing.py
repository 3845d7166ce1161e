"""How long the steps of a window on a BEAM node may take: of what the operator says, what the appup says, and OTP."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from time import monotonic

from relup.executor import Limits
from relup.model.instructions import Suspension
from relup.targets.beam.requests import DEFAULT_LIMIT, EVER, limits_of


class Timing:
    """The limits of the window that is open, in milliseconds, as the agent takes them."""

    def __init__(self, said: Limits) -> None:
        """Keep to what was *said* for the whole upgrade."""
        self._said = said
        self._suspensions: Sequence[Suspension] = ()
        self._until: float | None = None
        self._change: dict[str, int] | None = None

    def open(self, suspensions: Sequence[Suspension]) -> None:
        """Begin a window."""
        self._suspensions = suspensions
        self._until = None if self._said.window is None else monotonic() + self._said.window
        self._change = None

    @property
    def modules(self) -> list[str]:
        """Whose processes are suspended."""
        return [s.module for s in self._suspensions]

    def suspend(self) -> dict[str, int]:
        """Return how long the processes of each module may take to suspend."""
        return self._left(limits_of(self._suspensions, self._said.suspend))

    def change(self) -> dict[str, int]:
        """Return how long each may take to change its state; it is asked for more than once, and stays the same."""
        if self._change is None:
            self._change = self._left(limits_of(self._suspensions, self._said.code_change))
        return self._change

    def call(self, *, inside: bool) -> int:
        """Return how long a call may take."""
        if self._said.code_change is not None:
            return ceil(self._said.code_change * 1_000)
        return DEFAULT_LIMIT if inside else EVER

    def _left(self, limits: dict[str, int]) -> dict[str, int]:
        if self._until is None:
            return limits
        left = max(1, ceil((self._until - monotonic()) * 1_000))
        return {module: min(limit, left) for module, limit in limits.items()}
