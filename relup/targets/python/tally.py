"""What a rehearsal counts over the processes of one module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any

from relup.executor.rehearsal import ModuleRehearsal, Sample, Way
from relup.runtime import Process
from relup.targets.python.components import type_name
from relup.targets.python.containers import unseen
from relup.targets.python.reach import Reader

SAMPLES, SIZED = 3, 50
_MOST = 1_000_000
"""Objects of all states together that are looked at for their sizes."""


@dataclass(slots=True)
class Tally:
    """What was counted so far."""

    changed: list[Process] = field(default_factory=list)
    """Those that went well."""
    took: list[float] = field(default_factory=list)
    """How many seconds each of these took."""
    failed: int = 0
    mutates: bool = False
    refused: bool = False
    """Whether one of them tried what cannot be done here."""
    containers: int = 0
    """Mutable parts of the states that they were given."""
    samples: list[Sample] = field(default_factory=list)

    def sample(self, process: Process, lines: Iterator[str]) -> None:
        """Keep what became of the state of one."""
        size = sum(_sizes([process.state]))
        milliseconds = self.took[self.changed.index(process)] * 1000
        self.samples.append(Sample(process.label, milliseconds, size, tuple(lines)))

    def sum(self, module: str, way: Way) -> ModuleRehearsal:
        """Return all of it."""
        states = [process.state for process in self.changed]
        types = Counter[str]()
        for kind, count in Counter(map(type, states)).items():
            types[type_name(kind)] += count
        sizes = [*_sizes(states[:SIZED])]
        longest = max(self.took, default=0.0)
        return ModuleRehearsal(
            module,
            way,
            len(states) + self.failed,
            self.failed,
            sum(self.took) * 1000,
            longest * 1000,
            self.changed[self.took.index(longest)].label if self.took else "",
            self.mutates,
            round(sum(sizes) / len(sizes) * len(states)) if sizes else 0,
            tuple(name for name, _ in types.most_common(5)),
            tuple(self.samples),
            self.containers,
        )


def _sizes(states: Sequence[Any]) -> Iterator[int]:
    """Yield how many bytes each state takes, as far as they are looked at."""
    read, looked = Reader(), 0
    for state in states:
        pending, seen, size = [state], set[int](), 0
        while pending and looked < _MOST:
            for kind, same in unseen(pending, seen).items():
                looked += len(same)
                with suppress(Exception):  # a `__sizeof__` of the program's own
                    size += sum(map(getsizeof, same))
                pending += read.of_all(kind, same)
        yield size  # at least: of a state of so many objects not all are looked at
