"""What the mutable parts of states hold, written down before the window, so that a rollback can put it back.

A process that has handled a message since is written down again in the window; where that takes its time, one whose
state a `code_change` was seen to leave alone, in a rehearsal on that very state, is not written down at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from sys import getrefcount
from types import SimpleNamespace
from typing import Any, NamedTuple

from relup.diagnostics import Diagnostic
from relup.model.shortened import shortened
from relup.runtime import Process
from relup.targets.python.courtesy import Courtesy
from relup.targets.python.snapshot import Memory, Snapshot, holds


class _Taken(NamedTuple):
    """What was written down of one process before the window."""

    rest: object
    state: Any
    snapshot: Snapshot
    own: bool
    """Whether nobody else had a reference to any of it: then it is as it was, as long as the process rests."""


def _held_once() -> int:
    """Return how many references there are to a state where it is written down, when nobody else has one."""
    process = SimpleNamespace(state={})
    state = process.state
    entry = (state,)
    return getrefcount(entry[0])


class Remembering:
    """The snapshots of one upgrade."""

    def __init__(self, memory: Memory) -> None:
        """Take them with *memory*."""
        self._memory = memory
        self._unspoilt: frozenset[str] = frozenset()
        self._rehearsed: dict[Process, tuple[object, Any]] = {}
        self._taken: dict[Process, _Taken] = {}
        self._held_once = _held_once()
        self._unsure: list[Process] = []
        self._passed: list[Process] = []
        """Who was changed in the open window and not written down."""

    def about_to_rehearse(self, processes: Iterable[Process]) -> None:
        """Know what states are about to be copied."""
        self._rehearsed = {p: (p.rest, p.state) for p in processes if p.rest is not None}

    def rehearsed(self, unspoilt: Collection[str]) -> None:
        """Know the modules that changed none of those states in place."""
        self._unspoilt = frozenset(unspoilt)

    def _spared(self, process: Process, modules: Collection[str]) -> bool:
        """Say whether the state of a process was seen to be left alone by these modules."""
        rest, state = self._rehearsed.get(process, (None, None))
        return (
            rest is not None and rest is process.rest and state is process.state and self._unspoilt.issuperset(modules)
        )

    async def take(self, processes: Iterable[Process]) -> None:
        """Write down what these hold, while everybody goes on."""
        courtesy = Courtesy()
        for process in processes:
            if (rest := process.rest) is not None and not self._spared(process, process.modules):
                state = process.state
                snapshot = self._memory.remember(state)
                flat = len(snapshot) == 1 and snapshot[0][0] is state
                rehearsed = self._rehearsed.get(process, (None, None))[1] is state
                own = not snapshot or (flat and getrefcount(state) == self._held_once + rehearsed)
                self._taken[process] = _Taken(rest, state, snapshot, own)
            await courtesy.turn()

    def failed(self, process: Process, module: str) -> None:
        """Know that a `code_change` failed; where it went well in the rehearsal, it did something else there."""
        if self._spared(process, (module,)):
            self._unsure.append(process)

    def unsure(self) -> list[Diagnostic]:
        """Say, once, whose state may not be what it was though all is put back that was written down."""
        unsure, passed = self._unsure, [p for p in self._passed if p not in self._unsure]
        self._unsure, self._passed = [], []
        message = (
            "the code_change of {} changed nothing in place in the rehearsal, and failed now: its state was not "
            "written down, so what it may have changed in it stays"
        )
        found = [Diagnostic("not_written_down", message.format(p.label), severity="warning") for p in unsure]
        if found and passed:
            others = (
                f"{shortened([p.label for p in passed])} had been through it before, and were not written down either"
            )
            found.append(Diagnostic("not_written_down", others, severity="warning"))
        return found

    def settle(self) -> None:
        """Forget who was changed in a window that is closed."""
        self._passed.clear()

    def of(self, process: Process, module: str) -> Snapshot:
        """Return what a process that stands still holds, which *module* is about to change."""
        if self._spared(process, (module,)):
            self._passed.append(process)
            return ()
        state, known = process.state, self._taken.get(process)
        if known is None or known.state is not state or known.rest is not process.rest:
            return self._memory.remember(state)
        return known.snapshot if known.own or holds(known.snapshot) else self._memory.remember(state)
