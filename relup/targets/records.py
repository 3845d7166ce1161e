"""Which releases a node has run, which one a restart boots, and where a downgrade leads.

Three questions that look alike. A restart boots the *permanent* release, whichever of those that have run here is given
on the command line, so no release is ever forgotten that has run: a unit file may name the one that was left a year ago
because it was bad. A downgrade leads down the *way back*: what was upgraded from, the releases that a route only passed
through included, and nothing that was gone back from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from relup.targets.framed import framed, only_record

if TYPE_CHECKING:
    from relup.model.release import Release


@dataclass(frozen=True, slots=True)
class Installed:
    """A release that a node has run: its name, its vsn and its folder."""

    name: str
    vsn: str
    root: str

    @classmethod
    def of(cls, release: Release) -> Installed:
        """Return the record of *release*."""
        return cls(release.name, release.vsn, release.root)

    def entry(self) -> dict[str, str]:
        """Return what an entry of a history says of it: enough to boot it again."""
        return {"release": str(self), "root": self.root}

    def __str__(self) -> str:
        return f"{self.name} {self.vsn}"


@dataclass(frozen=True, slots=True)
class Records:
    """What a node knows of its releases. `permanent` is what a restart boots; `current` is what runs."""

    permanent: Installed
    current: Installed
    installed: tuple[Installed, ...]
    """Every release that has run here, in the order in which they came; none is forgotten."""
    way_back: tuple[Installed, ...] = ()
    """What a downgrade leads to, and then the next one: the nearest last."""
    number: int = 0
    """The number of the upgrade that was decided last."""
    intended: Installed | None = None
    """Where an upgrade leads whose end is not known here: whoever carried it out was lost."""

    @classmethod
    def first(cls, release: Installed) -> Records:
        """Return the records of a node that has run nothing but *release*."""
        return cls(release, release, (release,))

    def running(self, release: Installed) -> Records:
        """Return the records once *release* runs: one on the way back is gone back to, another one is gone on to."""
        known = self.installed if release in self.installed else (*self.installed, release)
        stack = (*self.way_back, self.current)
        way_back = stack[: stack.index(release)] if release in stack else stack
        return replace(self, current=release, installed=known, way_back=way_back, intended=None)

    def along(self, releases: Iterable[Installed]) -> Records:
        """Return the records once a route over *releases* has led to the last of them."""
        records = self
        for release in releases:
            records = records.running(release)
        return records

    def knowing(self, releases: Iterable[Installed]) -> Records:
        """Return the records that know of *releases* too: one of them may be what runs."""
        return replace(self, installed=tuple(dict.fromkeys((*self.installed, *releases))))

    def statuses(self) -> list[tuple[Installed, str]]:
        """Return the releases that are kept, the newest first, with OTP's words (`which_releases`)."""
        every = dict.fromkeys((self.current, *reversed(self.way_back), self.permanent))
        return [(i, "permanent" if i == self.permanent else "current" if i == self.current else "old") for i in every]

    @property
    def provisional(self) -> bool:
        """Whether the running release would be lost by a restart."""
        return self.current != self.permanent


def records_to_bytes(records: Records) -> bytes:
    """Return what the file of the records holds."""
    return framed(asdict(records))


def records_from_bytes(content: bytes) -> Records:
    """Return the records that a file holds. Raises `ValueError` for what is none, or none any more."""
    document = only_record(content)
    try:
        if document is None:
            document = json.loads(content)  # of an earlier home, which had no checksum
        return _records(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record of releases: {error}") from error


def _records(data: Mapping[str, Any]) -> Records:
    current, installed = Installed(**data["current"]), tuple(Installed(**i) for i in data["installed"])
    before = installed[: installed.index(current)] if current in installed else ()
    way_back = tuple(Installed(**i) for i in data["way_back"]) if "way_back" in data else before
    intended = data.get("intended")
    return Records(
        Installed(**data["permanent"]),
        current,
        installed,
        way_back,
        int(data.get("number", 0)),
        Installed(**intended) if intended else None,
    )
