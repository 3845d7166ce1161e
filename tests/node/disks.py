"""Disks that remember every step, so that each can be the last one, and disks on which a step fails."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relup.targets.durable import Disk

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was about to be taken: what the files were, what was to be written where, and what was going on."""

    files: Files
    name: str
    """The file that is written, or what else is done."""
    written: bytes
    going_on: str

    def states(self, apart: int) -> Iterator[Files]:
        """Yield what a crash in this step leaves: parts of what is written, so many bytes apart, or zeros instead."""
        yield self.files
        if not self.written:
            return
        before, length = self.files.get(self.name, b""), len(self.written)
        for count in sorted({*range(1, length, apart), length - 1}):
            yield {**self.files, self.name: before + self.written[:count]}
        yield {**self.files, self.name: before + bytes(length)}


@dataclass(slots=True)
class Recording:
    """A disk that notes what a home looks like before each step."""

    home: Path
    steps: list[Step] = field(default_factory=list)
    going_on: str = "start"

    def disk(self) -> Disk:
        return Disk(self._write, self._fsync, self._replace)

    def _note(self, name: str, written: bytes = b"") -> None:
        files = {p.name: p.read_bytes() for p in sorted(self.home.iterdir()) if p.is_file()}
        self.steps.append(Step(files, name, written, self.going_on))

    def _write(self, file: int, content: bytes) -> int:
        self._note(Path(f"/proc/self/fd/{file}").readlink().name, content)
        return os.write(file, content)

    def _fsync(self, file: int) -> None:
        self._note("fsync")
        os.fsync(file)

    def _replace(self, beside: Path, path: Path) -> None:
        self._note("replace")
        beside.replace(path)


@dataclass(slots=True)
class Failing:
    """A disk on which a step fails, once or from then on; `taken` counts the steps."""

    at: int
    error: int
    stays: bool = False
    taken: int = 0
    failed: list[str] = field(default_factory=list)

    def disk(self) -> Disk:
        return Disk(self._write, self._fsync, self._replace)

    def _take(self, what: str) -> None:
        self.taken += 1
        if self.taken == self.at or (self.stays and self.taken > self.at):
            self.failed.append(what)
            raise OSError(self.error, os.strerror(self.error))

    def _write(self, file: int, content: bytes) -> int:
        try:
            self._take("write")
        except OSError:
            os.write(file, content[: len(content) // 2])  # as a disk that is full takes what it can
            raise
        return os.write(file, content[:100])  # and any disk may take less than it was given

    def _fsync(self, file: int) -> None:
        self._take("fsync")
        os.fsync(file)

    def _replace(self, beside: Path, path: Path) -> None:
        self._take("replace")
        beside.replace(path)


NO_HURRY = Disk(fsync=lambda file: None)
"""A disk for tests that write often, and never lose power."""


def lay_out(files: Files, home: Path) -> None:
    """Let a home hold these files."""
    home.mkdir(parents=True, mode=0o700)
    for name, content in files.items():
        (home / name).write_bytes(content)
