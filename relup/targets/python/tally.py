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

    total: float = 0.0
    longest: float = 0.0
    last: float = 0.0
    slowest: str = ""
    failed: int = 0
    mutates: bool = False
    refused: int = 0
    """What they tried that cannot be done here."""
    samples: list[Sample] = field(default_factory=list)

    def took(self, process: Process, seconds: float) -> None:
        """Count one that went well, and how long it took."""
        self.total, self.last = self.total + seconds, seconds
        if seconds > self.longest:
            self.longest, self.slowest = seconds, process.label

    def sample(self, process: Process, new: Any, lines: Iterator[str]) -> None:
        """Keep what became of the last one."""
        self.samples.append(Sample(process.label, self.last * 1000, sum(_sizes([new])), tuple(lines)))

    def sum(self, module: str, way: Way, states: Sequence[Any]) -> ModuleRehearsal:
        """Return all of it; *states* are the new ones."""
        types = Counter[str]()
        for kind, count in Counter(map(type, states)).items():
            types[type_name(kind)] += count
        sizes = [*_sizes(states[:SIZED])]
        return ModuleRehearsal(
            module,
            way,
            len(states),
            self.failed,
            self.total * 1000,
            self.longest * 1000,
            self.slowest,
            self.mutates,
            round(sum(sizes) / len(sizes) * len(states)) if sizes else 0,
            tuple(name for name, _ in types.most_common(5)),
            tuple(self.samples),
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
        if not pending:
            yield size
