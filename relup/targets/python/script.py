"""What a transaction has ready that is rehearsed in a copy of the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from relup.executor import Limits, Side
from relup.model.instructions import Suspension
from relup.model.relup import Relup
from relup.model.windows import Cut, Window
from relup.runtime import Node, Process
from relup.targets.python.snapshot import Memory
from relup.targets.python.stage import Stage
from relup.targets.python.timing import DEFAULT_TIMEOUT, said

LONGEST = 30.0
"""Seconds for one `code_change` or call, also where an appup lets it take as long as it likes."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What a transaction does that is done in a copy as well."""

    census: Callable[[Sequence[Suspension]], Mapping[Process, object]]
    load: Callable[[Window], Awaitable[None]]
    unload: Callable[[Window], Awaitable[None]]
    make: Callable[[Cut, Side], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Script:
    """What a transaction has ready."""

    node: Node
    relup: Relup
    stage: Stage
    memory: Memory
    limits: Limits
    steps: Steps

    def limit(self, window: Window, module: str) -> float:
        """Return how many seconds a `code_change` of *module* may take."""
        return limit_of(window, module) if self.limits.code_change is None else min(self.limits.code_change, LONGEST)

    def call_limit(self, *, inside: bool) -> float:
        """Return how many seconds a call may take."""
        otherwise = DEFAULT_TIMEOUT if inside else LONGEST
        return min(LONGEST, otherwise if self.limits.code_change is None else self.limits.code_change)


def limit_of(window: Window, module: str) -> float:
    """Return how many seconds the appup gives a `code_change` of *module*."""
    seconds = next((said(s) for s in window.suspensions if s.module == module), DEFAULT_TIMEOUT)
    return LONGEST if seconds is None else min(seconds, LONGEST)
