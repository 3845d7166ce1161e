"""What a node finds in its home when it starts: what the one before it left, whenever and however that ended.

Whatever was being written when a node died, one release is permanent: the record of releases is replaced whole. Should
it be gone or damaged all the same (a disk has its own ways), the history tells which release was booted or confirmed
last. What is found is said in one line, because whoever starts a node after a crash wants to know what was lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from relup.targets.history import LEFT_OUT, last_number, unfinished
from relup.targets.python.home import Home
from relup.targets.records import Installed, Records


@dataclass(frozen=True, slots=True)
class Found:
    """What was left: the records, what the history says, and what a user should know."""

    records: Records | None
    written: Records | None
    """The records as they are on disk; None where they cannot be read."""
    begun: Mapping[str, Any]
    """The upgrade that was begun last, as the history has it."""
    said: tuple[str, ...]

    def in_words(self) -> str | None:
        """Return what was found, in one line."""
        return f"found: {'; '.join(self.said)}" if self.said else None


def look_back(home: Home, killed: str | None) -> Found:
    """Look at what is in *home*, which this process holds, and tidy it. Raises `OSError` when it cannot be tidied.

    *killed* is the pid of the node before, if it was ended without being stopped.
    """
    entries = home.history()
    said = [f"the node was killed (pid {killed})"] if killed else []
    written: Records | None = None
    records: Records | None = None
    try:
        written = records = home.read_records()
        damage = "is gone" if records is None and entries else None
    except ValueError:
        damage = "is damaged"
    if damage:
        records = _replayed(entries)
        told = f"the history tells that {records.permanent} is permanent" if records else "nothing tells what ran"
        said.append(f"the record of releases {damage}, {told}")
    if records:
        records = replace(records, number=max(records.number, last_number(entries)))
        said += _lost(entries, records, written)
    said += _left_out(entries)
    if gone := home.tidy():
        said.append(f"removed what was left half done: {', '.join(gone)}")
    begun: Mapping[str, Any] = next((e for e in reversed(entries) if e["what"] == "begin"), {})
    return Found(records, written, begun, tuple(said))


def _lost(entries: Sequence[Mapping[str, Any]], records: Records, written: Records | None) -> Iterator[str]:
    """Say which upgrades did not come to stay: one that was not confirmed, and one in whose midst the node died."""
    if records.provisional:
        yield f"{records.current} ran and was not confirmed"
    decided = (written.number, written.current.vsn) if written else None
    for begun in unfinished(entries):
        if decided != (begun.get("number"), begun.get("to")):
            number = f"number {begun['number']}, " if "number" in begun else ""
            yield f"an upgrade {begun['release']} → {begun.get('to')} ({number}by {begun['who']}) was lost in its midst"


def _left_out(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say how much of the history cannot be read, but for what an earlier start has said already."""
    starts = [n for n, entry in enumerate(entries) if entry["what"] == "start"]
    new = [e for e in entries[starts[-1] if starts else 0 :] if e["what"] == LEFT_OUT]
    cut = [e for e in new if e["why"] == "cut"]
    if cut:
        yield f"the last record of the history was cut off ({cut[0]['bytes']} bytes)"
    if damaged := len(new) - len(cut):
        yield f"{damaged} part(s) of the history cannot be read"


def _replayed(entries: Sequence[Mapping[str, Any]]) -> Records | None:
    """Return the records that the history leads to; None when it says nothing of where releases are."""
    records: Records | None = None
    for entry in entries:
        if (release := _release(entry)) is None:
            continue
        records = records.running(release) if records else Records.first(release)
        if entry["what"] in ("start", "confirm"):
            records = replace(records, permanent=release)
    return records


def _release(entry: Mapping[str, Any]) -> Installed | None:
    match entry:
        case {"what": "start" | "confirm" | "upgrade" | "downgrade", "release": str(release), "root": str(root)}:
            name, _, vsn = release.rpartition(" ")
            return Installed(name, vsn, root)
        case _:
            return None
