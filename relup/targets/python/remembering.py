"""What the mutable parts of states hold, written down before the window, so that a rollback can put it back.

A process that has handled a message since is written down again in the window; one whose `code_change` was seen, in a
rehearsal, to leave alone what it is given need not be written down at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import perf_counter
from typing import Any

from relup.runtime import Process
from relup.targets.python.snapshot import Memory, Snapshot, holds

COURTESY = 0.005
"""Seconds of work outside the window after which the event loop gets its turn."""


class Remembering:
    """The snapshots of one upgrade."""

    def __init__(self, memory: Memory) -> None:
        """Take them with *memory*."""
        self.spared: frozenset[str] = frozenset()
        """The modules whose `code_change` changes nothing in place."""
        self._memory = memory
        self._taken: dict[Process, tuple[object, Any, Snapshot]] = {}

    async def take(self, processes: Iterable[Process]) -> None:
        """Write down what these hold, while everybody goes on."""
        turn = perf_counter()
        for process in processes:
            if (rest := process.rest) is not None and not self.spared.issuperset(process.modules):
                state = process.state
                self._taken[process] = rest, state, self._memory.remember(state)
            if perf_counter() - turn > COURTESY:
                await asyncio.sleep(0)
                turn = perf_counter()

    def of(self, process: Process, module: str) -> Snapshot:
        """Return what a process that stands still holds, which *module* is about to change."""
        if module in self.spared:
            return ()
        state, known = process.state, self._taken.get(process)
        if known is None or known[1] is not state or known[0] is not process.rest or not holds(known[2]):
            return self._memory.remember(state)
        return known[2]
