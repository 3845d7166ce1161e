"""What a rehearsal counts over the processes of one module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any

from relup.executor.rehearsal import ModuleRehearsal, Sample, Way
from relup.runtime import Process
from relup.targets.python.differing import type_name
from relup.targets.python.reach import Reader

SAMPLES, SIZED = 3, 50
_MOST = 100_000
"""Objects of all states together that are looked at for their sizes."""


@dataclass(slots=True)
class Tally:
    """What was counted so far."""

    went_well: list[Process] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """How long each of these took."""
    failed: int = 0
    mutates: bool = False
    refused: bool = False
    """Whether one of them tried what cannot be done here."""
    containers: int = 0
    """Mutable parts of the states that they were given."""
    samples: list[Sample] = field(default_factory=list)

    def sample(self, new: Any, lines: Iterator[str]) -> None:
        """Keep what became of the last one."""
        process, seconds = self.went_well[-1], self.seconds[-1]
        self.samples.append(Sample(process.label, seconds * 1000, sum(_sizes([new])), tuple(lines)))

    def sum(self, module: str, way: Way, states: Sequence[Any]) -> ModuleRehearsal:
        """Return all of it; *states* are the new ones."""
        types = Counter[str]()
        for kind, count in Counter(map(type, states)).items():
            types[type_name(kind)] += count
        sizes = [*_sizes(states[:SIZED])]
        longest = max(self.seconds, default=0.0)
        slowest = self.went_well[self.seconds.index(longest)].label if self.seconds else ""
        return ModuleRehearsal(
            module,
            way,
            len(states),
            self.failed,
            sum(self.seconds) * 1000,
            longest * 1000,
            slowest,
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
            value = pending.pop()
            if id(value) not in seen:
                seen.add(id(value))
                looked += 1
                size += getsizeof(value)
                pending += read(value)
        yield size  # at least: of a state of so many objects not all are looked at
