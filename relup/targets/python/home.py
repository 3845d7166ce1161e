"""A node's home: a folder that only its user can enter, with what must survive the node.

    <base>/<name>/
        control.sock     where the running node listens
        node.lock        held by the running node; carries its pid
        releases.json    which release is permanent, which runs, which were installed before
        history.jsonl    what was done, by whom, and how it ended; one JSON document a line
        releases/        what was unpacked for this node; a folder that no record names is removed after a confirm
        releases.lock    held, shared, by whoever reads or unpacks there

Release records are replaced, never edited: written beside, fsync, rename, fsync of the folder (OTP truncates
and rewrites `RELEASES` in place). A reader sees the old record or the new one, whenever the node dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.document.private import private, private_folder
from relup.model.release import Release
from relup.targets.durable import replace_file
from relup.targets.trust import check_file, trusted

UNPACKED = ".unpacked"
"""Beside the homes: where wheels are unpacked that no node runs; no node can have this name."""
_OWN_FOLDER = "install each release into a folder of its own; put back what was there, or start the node anew"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


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

    def __str__(self) -> str:
        return f"{self.name} {self.vsn}"


@dataclass(frozen=True, slots=True)
class Records:
    """What a node knows of its releases. `permanent` is what a restart boots; `current` is what runs."""

    permanent: Installed
    current: Installed
    installed: tuple[Installed, ...]
    """Every release that has run here, in the order in which they came; the newest last."""

    def running(self, release: Installed) -> Records:
        """Return the records once *release* runs: going back to an earlier one forgets what came after it."""
        known = self.installed[: self.installed.index(release)] if release in self.installed else self.installed
        return replace(self, current=release, installed=(*known, release))

    def statuses(self) -> list[tuple[Installed, str]]:
        """Return the releases that are kept, the newest first, with OTP's words (`which_releases`)."""
        every = dict.fromkeys((*reversed(self.installed), self.permanent))
        return [(i, "permanent" if i == self.permanent else "current" if i == self.current else "old") for i in every]

    @property
    def provisional(self) -> bool:
        """Whether the running release would be lost by a restart."""
        return self.current != self.permanent


def base_folder(environ: Mapping[str, str]) -> Path:
    """Return where this user's nodes have their homes: `RELUP_HOME`, or the XDG state folder."""
    if home := environ.get("RELUP_HOME"):
        return Path(home).expanduser()
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "relup"


class Home:
    """The folder of one node."""

    def __init__(self, base: Path, name: str) -> None:
        """Name the home of node *name*; nothing is created. Raises `InvalidInput` for a name that is no name."""
        if not _NAME.fullmatch(name):
            message = f"{name!r} is no node name: letters, digits, '_', '.' and '-', at most 64"
            raise InvalidInput([Diagnostic("bad_node_name", message)])
        self.name = name
        self.path = base / name

    @property
    def socket(self) -> Path:
        """Where the node listens."""
        return self.path / "control.sock"

    @property
    def releases(self) -> Path:
        """Where wheels are unpacked for this node."""
        return self.path / "releases"

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep what lies in `releases` from being removed; nothing to keep when the node never ran."""
        try:
            file = open(self.path / "releases.lock", "ab", opener=private)  # noqa: SIM115  closed below
        except OSError:
            yield
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def sweep(self, records: Records) -> list[str]:
        """Remove the unpacked releases that *records* do not mention, unless somebody reads there; return which."""
        kept = {Path(i.root) for i in (records.permanent, records.current, *records.installed)}
        with open(self.path / "releases.lock", "ab", opener=private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return []
            root = self.releases.resolve()
            gone = [p for p in sorted(root.glob("*")) if p not in kept and p.is_dir() and not p.is_symlink()]
            for path in gone:
                # renamed first, so that nobody takes a folder that is half removed for a release
                rmtree(path.rename(path.with_name(f".removed-{path.name}")))
            return [path.name for path in gone]

    def create(self) -> None:
        """Create the folder, mode 0700. Raises `Refused` when somebody else owns it or can put another in its place."""
        try:
            private_folder(self.path)
            if self.path.stat().st_uid != os.geteuid():
                raise Refused([_foreign(self.path)])
            self.path.chmod(0o700)
            if found := check_file(self.path, trusted(os.environ)):
                raise Refused(found)
        except OSError as error:
            raise Refused([Diagnostic("no_home", f"{self.path}: {error.strerror}")]) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for a running node. Raises `Refused` naming the node that already runs."""
        with open(self.path / "node.lock", "a+", encoding="ascii", opener=private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                message = f"node {self.name!r} already runs (pid {file.read().strip() or 'unknown'})"
                raise Refused([Diagnostic("already_started", message)]) from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def records(self) -> Records | None:
        """Return what was recorded, or None for a node that never ran. Raises `Refused` for a damaged record."""
        path = self.path / "releases.json"
        try:
            data = json.loads(path.read_bytes())
            return Records(
                Installed(**data["permanent"]),
                Installed(**data["current"]),
                tuple(Installed(**i) for i in data["installed"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refused([Diagnostic("bad_record", f"{path}: not a record of releases: {error}")]) from error

    def write(self, records: Records) -> None:
        """Replace the record. Raises `OSError` with the old record still in place."""
        replace_file(self.path / "releases.json", json.dumps(asdict(records), indent=1).encode(), opener=private)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one line to the history and wait until it is on disk. A line that a crash cut short is left as it is."""
        with open(self.path / "history.jsonl", "a+b", opener=private) as file:
            cut = file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
            file.write((b"\n" if cut else b"") + json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def history(self) -> list[dict[str, Any]]:
        """Return the lines of the history, oldest first, without one that a crash cut short."""
        try:
            lines = (self.path / "history.jsonl").read_bytes().split(b"\n")
        except OSError:
            return []
        entries = []
        for line in lines:
            with suppress(ValueError):
                entries.append(json.loads(line))
        return entries


def changed_in_place(root: str, runs: str, there: str) -> Diagnostic:
    """Return what is said when the folder of a release that a node keeps has other contents than it had."""
    message = f"{root} was changed in place: the node keeps {runs} in it, and now it holds {there}"
    return Diagnostic("release_changed_in_place", message, hint=_OWN_FOLDER)


def _foreign(path: Path) -> Diagnostic:
    return Diagnostic("foreign_node", f"{path} belongs to another user (uid {path.stat().st_uid})")
