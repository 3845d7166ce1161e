"""What was done on a node, by whom, and how it ended: a file to which records are added, and nothing else.

An entry has `at` (seconds since 1970), `what`, `who` and `release`; one of an upgrade has its number, the digest of its
plan, where it led, what came of it, the length of its windows and how many processes they held. The upgrade that a node
died in is one that was begun and has no end.

**No words of the program are in it.** What an exception says may be a state or a secret (`ValueError: no such user
'…'`), and so may the arguments of a call; a history is copied into tickets. Of a failure it keeps the code and the
place in the files, which no program can fill; the sentence is in the answer to whoever asked for the upgrade, and in
the log.

What cannot be read is not passed over in silence: in its place stands an entry that says how much of the file it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic
from relup.targets.durable import REAL, Disk, Opener, append
from relup.targets.framed import Damage, Part, framed, parts

LEFT_OUT = "left_out"
"""The `what` of an entry that stands for bytes that are no record."""
_PLAIN = frozenset({"at", "what", "who", "release"})
_LATEST = 253_402_300_000.0
"""The last second that has a date."""


@dataclass(slots=True)
class History:
    """The history of one node, as long as somebody writes it."""

    path: Path
    opener: Opener | None = None
    disk: Disk = REAL
    unwritten: list[dict[str, Any]] = field(default_factory=list)
    """What could not be written when it happened: it is written with what comes next."""

    def write(self, entry: Mapping[str, Any]) -> None:
        """Add *entry* and wait until it is on disk. Raises `OSError` when it is not: then it never was written."""
        waiting = [*self.unwritten, {**entry}]
        append(self.path, b"".join(map(framed, waiting)), opener=self.opener, disk=self.disk)
        self.unwritten.clear()

    def note(self, entry: Mapping[str, Any]) -> OSError | None:
        """Add *entry*, which has happened already: when it cannot be written now it waits. Return why."""
        try:
            self.write(entry)
        except OSError as error:
            self.unwritten.append({**entry})
            return error
        return None

    def entries(self) -> list[dict[str, Any]]:
        """Return what was done, oldest first, with an entry for each part of the file that cannot be read."""
        return [*read_history(self.path), *({**entry, "unwritten": True} for entry in self.unwritten)]


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the entries of the file at *path*, oldest first; none when it is not there. Raises nothing."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        return [{"what": LEFT_OUT, "offset": 0, "bytes": _size(path), "why": os.strerror(error.errno or 0)}]
    return [_entry(part) for part in parts(content, _PLAIN)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _entry(part: Part) -> dict[str, Any]:
    match part:
        case Damage(offset, length, why):
            return {"what": LEFT_OUT, "offset": offset, "bytes": length, "why": why}
        case entry if _is_entry(entry):
            return entry
        case entry:
            return {"what": LEFT_OUT, "offset": None, "bytes": None, "why": f"not an entry: {sorted(entry)}"[:200]}


def _is_entry(entry: Mapping[str, Any]) -> bool:
    """Say whether an entry is one that relup writes; nothing vouches for the lines of earlier homes."""
    match entry:
        case {"at": int() | float() as at, "what": str(), "who": str(), "release": str()} if 0 <= at < _LATEST:
            return "outcome" not in entry or _is_outcome(entry)
        case _:
            return False


def _is_outcome(entry: Mapping[str, Any]) -> bool:
    match entry:
        case {
            "from": str(),
            "to": str(),
            "outcome": str(),
            "windows_ms": list(windows),
            "processes": int(),
            "because": list(reasons),
        }:
            numbers = all(isinstance(ms, int | float) for ms in windows)
            return numbers and all(isinstance(text, str) for text in (*reasons, *entry.get("via", ())))
        case _:
            return False


def reasons(diagnostics: Iterable[Diagnostic]) -> list[str]:
    """Return what a history keeps of what was found: codes and places, and no word of a program."""
    return list(dict.fromkeys(f"{d.code} ({d.location})" if d.location else d.code for d in diagnostics))


def last_number(entries: Sequence[Mapping[str, Any]]) -> int:
    """Return the highest number that an upgrade had; 0 when there was none."""
    return max((n for entry in entries if isinstance(n := entry.get("number"), int)), default=0)


def unfinished(entries: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the upgrade that was begun last and has no end, if there is one: the node died in it."""
    begun: Mapping[str, Any] | None = None
    for entry in entries:
        match entry["what"]:
            case "begin":
                begun = entry
            case "upgrade" | "downgrade" | "start":
                begun = None
            case _:
                pass
    if begun:
        yield begun
