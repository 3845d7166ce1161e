"""What states were before a rehearsal changed the first of them, and whether they are that again in the end.

What is done for each of a great many processes is done for many at a time, for it is most of what a rehearsal does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from time import perf_counter
from typing import Any, NamedTuple

from relup.diagnostics import Diagnostic
from relup.executor.rehearsal import round_trip_differs
from relup.runtime import Process
from relup.targets.python.differing import Beyond, Now, Then, differences
from relup.targets.python.forked import Place
from relup.targets.python.snapshot import Memory, Snapshot

CLOSELY, SECONDS = 1000, 3.0
"""Processes of a module that are looked at closely, and how long that may take: a great many differ in the same way."""
LARGE = 100_000
"""Containers in the states of the processes that are written down together, from which on these are large."""


class _Batch(NamedTuple):
    """Processes that were written down together."""

    module: str
    """The one that changed them first."""
    processes: Sequence[Process]
    states: Sequence[Any]
    snapshot: Snapshot


@dataclass(slots=True)
class Origins:
    """The states that processes had in the beginning."""

    memory: Memory
    place: Place
    batches: list[_Batch] = field(default_factory=list)
    large: dict[Process, bool] = field(default_factory=dict)
    """Who was written down, and whether with large states."""

    def write_down(self, processes: Collection[Process], module: str) -> list[Snapshot]:
        """Return what the states of these hold, which *module* is about to change; the first time is what they were."""
        snapshots = list[Snapshot]()
        for batch in self.place.batches(processes):
            snapshots.append(snapshot := self.memory.remember_all([p.state for p in batch]))
            if new := [p for p in batch if p not in self.large]:
                self.batches.append(_Batch(module, new, [p.state for p in new], snapshot))
                self.large.update(dict.fromkeys(new, len(snapshot) > LARGE))
        return snapshots

    def looked_at(self, processes: Collection[Process]) -> list[Process]:
        """Return those of *processes* that are looked at again: new ones, and some of many, but no large ones."""
        large = self.large
        return [p for n, p in enumerate(processes) if p not in large or (n < CLOSELY and not large[p])]

    def processes(self) -> Iterator[Process]:
        """Yield those that were written down, and live."""
        return (p for batch in self.batches for p in batch.processes if p.alive)

    def compare(self) -> tuple[dict[str, int], list[Diagnostic]]:
        """Return, by module, how many states are what they were, and say how others differ."""
        same, differing, unlike = Counter[str](), defaultdict[str, list[str]](list), Counter[str]()
        now, spent = Now(self.memory), defaultdict[str, float](float)
        for module, processes, states, snapshot in self.batches:
            self.place.be()
            then, alive = Then(snapshot), [p.alive for p in processes]
            living, olds = [*compress(processes, alive)], [*compress(states, alive)]
            unlike_then = then.unlike(olds, [p.state for p in living])
            # children that a supervisor got are taken from it by who takes an upgrade back
            others = [number for number in unlike_then if not living[number].supervisor]
            same[module] += len(living) - len(others)
            for number in others:
                if len(differing[module]) == CLOSELY or spent[module] > SECONDS:
                    unlike[module] += 1
                    continue
                self.place.be()
                process, began = living[number], perf_counter()
                first = next(differences(olds[number], then, process.state, now, exact=True), None)
                spent[module] += perf_counter() - began
                if first is None:
                    same[module] += 1
                elif isinstance(first, Beyond):
                    unlike[module] += 1
                else:
                    differing[module].append(f"in {process.label}: {first}")
        return dict(same), [said for module in same for said in _said(module, differing[module], unlike[module])]


def _said(module: str, differing: list[str], unlike: int) -> Iterator[Diagnostic]:
    """Say whose states are other ones, and that of some it is not known."""
    more = f"{unlike} were not compared as closely" if unlike else ""
    if differing:
        yield round_trip_differs(module, differing, more and f"; {more}")
    elif more:
        message = f"not all states of {module} are known to be the same after the way there and back: {more}"
        yield Diagnostic("round_trip_not_compared", message, severity="note")
