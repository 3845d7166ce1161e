"""What states were before a rehearsal changed the first of them, and whether they are that again in the end.

What is done for each of a great many processes is done for many at a time, for it is most of what a rehearsal does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from relup.diagnostics import Diagnostic
from relup.executor.rehearsal import round_trip_differs
from relup.runtime import Process
from relup.targets.python.differing import Beyond, Now, Then, clearly_same, differences
from relup.targets.python.forked import Place
from relup.targets.python.snapshot import Memory, Snapshot

CLOSELY = 1000
"""Processes of a module that are looked at closely: a great many do, and differ, in the same way."""


@dataclass(slots=True)
class Origins:
    """The states that processes had in the beginning."""

    memory: Memory
    place: Place
    states: dict[Process, tuple[Any, Snapshot, str]] = field(default_factory=dict)
    """The state of each process before the first change, what it held, and the module that changed it first."""

    def write_down(self, processes: Collection[Process], module: str | None = None) -> list[Snapshot]:
        """Return what the states of these hold, which *module* is about to change; the first time is what they were."""
        snapshots = list[Snapshot]()
        remember, first = self.memory.remember, self.states.setdefault
        for batch in self.place.batches(processes):
            states = [p.state for p in batch]
            taken = [*map(remember, states)]
            snapshots += taken
            for process, state, snapshot in zip(batch, states, taken, strict=True):
                first(process, (state, snapshot, module or process.reference.module))
        return snapshots

    def looked_at(self, processes: Collection[Process]) -> list[Process]:
        """Return those of *processes* that are looked at again: new ones, and some of many, but no large ones."""
        states = self.states
        return [
            p
            for number, p in enumerate(processes)
            if p not in states or (number < CLOSELY and len(states[p][1]) < CLOSELY)
        ]

    def compare(self) -> tuple[dict[str, int], list[Diagnostic]]:
        """Return, by module, how many states are what they were, and say how others differ."""
        same, others = Counter[str](), defaultdict[str, list[Process]](list)
        for batch in self.place.batches(self.states.items()):
            for process, (state, snapshot, module) in batch:
                if clearly_same(state, snapshot, process.state):
                    same[module] += 1
                else:
                    others[module].append(process)
        found = list[Diagnostic]()
        for module, processes in others.items():
            differing, unlike = list[str](), 0
            for process in processes:
                self.place.be()
                match self._difference(process, closely=len(differing) < CLOSELY):
                    case None:
                        same[module] += 1
                    case Beyond():
                        unlike += 1
                    case first:
                        differing.append(f"in {process.label}: {first}")
            found += _said(module, differing, unlike)
        return dict.fromkeys(others, 0) | same, found

    def _difference(self, process: Process, *, closely: bool) -> str | None:
        """Return where a state is another one by now; `Beyond` where that is not known."""
        state, snapshot, _ = self.states[process]
        then = Then(state, snapshot)
        if then.clearly_alike(state, process.state):
            return None
        if not closely:
            return Beyond()
        return next(differences(then, Now(process.state, self.memory), exact=True), None)


def _said(module: str, differing: list[str], unlike: int) -> Iterator[Diagnostic]:
    """Say whose states are other ones, and that of some it is not known."""
    more = f"{unlike} were not compared as closely" if unlike else ""
    if differing:
        yield round_trip_differs(module, differing, more and f"; {more}")
    elif more:
        message = f"not all states of {module} are known to be the same after the way there and back: {more}"
        yield Diagnostic("round_trip_not_compared", message, severity="note")
