"""A node's home: a folder that only its user can enter, with what must survive the node.

    <base>/<name>/
        control.sock     where the running node listens
        node.lock        held by the running node; carries its pid until it has ended as it should
        releases.json    which release is permanent, which runs, which were installed before
        history.jsonl    what was done, by whom, and how it ended; one record a line
        releases/        what was unpacked for this node; a folder that no record names is removed after a confirm
        releases.lock    held, shared, by whoever reads or unpacks there
        noting.lock      held by whoever notes what becomes of a node that does not do so itself (a BEAM node)

Release records are replaced, never edited: written beside, fsync, rename, fsync of the folder (OTP truncates
and rewrites `RELEASES` in place). A reader sees the old record or the new one, whenever the node dies. The history is
added to, and never edited: what a crash cut off is left out by whoever reads it.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import IO, Any

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.document.private import UNFINISHED, private, private_folder
from relup.targets.durable import REAL, Disk, left_over, replace_file
from relup.targets.history import History
from relup.targets.records import Records, records_from_bytes, records_to_bytes
from relup.targets.trust import check_file, trusted

UNPACKED = ".unpacked"
"""Beside the homes: where wheels are unpacked that no node runs; no node can have this name."""
_OWN_FOLDER = "install each release into a folder of its own; put back what was there, or start the node anew"
_REMOVED = ".removed-"
"""How a folder is called that is being removed."""
_SOON = 0.02
"""Seconds until somebody who merely looks has looked."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def base_folder(environ: Mapping[str, str]) -> Path:
    """Return where this user's nodes have their homes: `RELUP_HOME`, or the XDG state folder."""
    if home := environ.get("RELUP_HOME"):
        return Path(home).expanduser()
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "relup"


class Home:
    """The folder of one node."""

    def __init__(self, base: Path, name: str, disk: Disk = REAL) -> None:
        """Name the home of node *name*; nothing is created. Raises `InvalidInput` for a name that is no name."""
        if not _NAME.fullmatch(name):
            message = f"{name!r} is no node name: letters, digits, '_', '.' and '-', at most 64"
            raise InvalidInput([Diagnostic("bad_node_name", message)])
        self.name = name
        self.path = base / name
        self._disk = disk
        self._history = History(self.path / "history.jsonl", private, disk)

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

    @contextmanager
    def noting(self, patience: float = 0.0) -> Iterator[bool]:
        """Be the only one who notes what becomes of a node that does not do so itself; say whether that is so.

        Who does something with the node has *patience*, in seconds, with those who merely look.
        """
        try:
            file = open(self.path / "noting.lock", "ab", opener=private)  # noqa: SIM115  closed below
        except OSError:  # there is nothing yet, or nothing can be written there: who merely looks has nothing to note
            yield patience > 0
            return
        with file:
            until = time.monotonic() + patience
            while not (alone := _locked(file)) and time.monotonic() < until:
                time.sleep(_SOON)
            yield alone

    def sweep(self, records: Records) -> list[str]:
        """Remove the unpacked releases that *records* do not keep, unless somebody reads there; return which."""
        kept = {Path(i.root) for i, _ in records.statuses()}
        return self._remove(lambda p: p not in kept)

    def tidy(self) -> list[str]:
        """Remove what a crash left half written, half unpacked or half removed; return what it was.

        Of the files the node that holds this home is the only writer. Folders are left when somebody reads or unpacks.
        """
        gone = left_over(self.path)
        for path in gone:
            path.unlink()
        return [*(p.name for p in gone), *self._remove(lambda p: p.name.startswith((UNFINISHED, _REMOVED)))]

    def _remove(self, unwanted: Callable[[Path], bool]) -> list[str]:
        with open(self.path / "releases.lock", "ab", opener=private) as file:
            if not _locked(file):
                return []
            root = self.releases.resolve()
            gone = [p for p in sorted(root.glob("*")) if unwanted(p) and p.is_dir() and not p.is_symlink()]
            for path in gone:
                # renamed first, so that nobody takes a folder that is half removed for a release
                begun = path.name.startswith((UNFINISHED, _REMOVED))
                rmtree(path if begun else path.rename(path.with_name(f"{_REMOVED}{path.name}")))
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
    def locked(self) -> Iterator[str | None]:
        """Hold the home for a running node; give the pid of the one before if it was ended without being stopped.

        Raises `Refused` naming the node that already runs.
        """
        with self._lock_file() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"node {self.name!r} already runs (pid {_pid(file) or 'unknown'})"
                raise Refused([Diagnostic("already_started", message)]) from error
            killed = _pid(file)
            with suppress(OSError):  # a disk that is full keeps no node from running
                _say_pid(file, f"{os.getpid()}\n")
            try:
                yield killed
            finally:
                with suppress(OSError):
                    _say_pid(file, "")

    @contextmanager
    def _lock_file(self) -> Iterator[int]:
        try:
            file = os.open(self.path / "node.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Refused([Diagnostic("no_home", f"{error.filename}: {error.strerror}")]) from error
        try:
            yield file
        finally:
            os.close(file)

    def read_records(self) -> Records | None:
        """Return what was recorded, or None when nothing was. Raises `ValueError` for a damaged record."""
        try:
            return records_from_bytes((self.path / "releases.json").read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(str(error)) from error

    def records(self) -> Records | None:
        """Return what was recorded, or None for a node that never ran. Raises `Refused` for a damaged record."""
        try:
            return self.read_records()
        except ValueError as error:
            hint = "without this file what ran before is unknown, and nothing else is lost: move it away"
            raise Refused([Diagnostic("bad_record", f"{self.path / 'releases.json'}: {error}", hint=hint)]) from error

    def write(self, records: Records) -> None:
        """Replace the record. Raises `OSError` with the old record still in place."""
        replace_file(self.path / "releases.json", records_to_bytes(records), opener=private, disk=self._disk)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry to the history and wait until it is on disk. Raises `OSError`; then it is not there."""
        self._history.write(entry)

    def note(self, entry: Mapping[str, Any]) -> OSError | None:
        """Add an entry of what cannot be undone any more; one that cannot be written waits for the next. Return why."""
        return self._history.note(entry)

    def history(self) -> list[dict[str, Any]]:
        """Return the entries of the history, oldest first, and for what cannot be read an entry that says so."""
        return self._history.entries()


def changed_in_place(root: str, runs: str, there: str) -> Diagnostic:
    """Return what is said when the folder of a release that a node keeps has other contents than it had."""
    message = f"{root} was changed in place: the node keeps {runs} in it, and now it holds {there}"
    return Diagnostic("release_changed_in_place", message, hint=_OWN_FOLDER)


def _foreign(path: Path) -> Diagnostic:
    return Diagnostic("foreign_node", f"{path} belongs to another user (uid {path.stat().st_uid})")


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(file: int) -> str | None:
    digits = os.pread(file, 20, 0).strip()
    return digits.decode() if digits.isdigit() else None


def _say_pid(file: int, text: str) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, text.encode(), 0)
