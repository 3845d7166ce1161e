"""A wheel as an archive, unpacked so that nothing it says can do harm.

An archive names the places that its members go to and the sizes that they have, and may lie in both: a path that leads
out of the folder, a link through which a later member is written, a few kilobytes that become a disk full. So paths
are judged before anything is written, links and devices are refused, and sizes are counted as bytes are written,
whatever was declared. Everything found in the directory of the archive is told at once; what is found while
unpacking ends the unpacking of that member.
"""

from __future__ import annotations

import hashlib
import lzma
import stat
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.private import private, private_folder
from relup.document.text import LIMIT, reason

CHUNK = 1 << 20
_BROKEN = (BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)
"""What the reading of a broken archive raises; what writing raises is another matter."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a wheel may unpack to."""

    members: int = 100_000
    file: int = 2 * 2**30
    """Bytes of one file."""
    total: int = 4 * 2**30
    """Bytes of all files of one wheel."""
    ratio: int = 200
    """How many bytes may come of each byte of the archive, beyond the first `slack` bytes."""
    slack: int = 64 * 2**20

    def most(self, size: int) -> int:
        """Return how many bytes an archive of *size* bytes may unpack to."""
        return min(self.total, self.slack + self.ratio * size)


def check_members(archive: ZipFile, path: Path, limits: Limits) -> Iterator[Diagnostic]:
    """Yield what forbids to unpack the archive at all."""
    members = archive.infolist()
    if len(members) > limits.members:
        yield fault(path, "too_large", f"the archive has {len(members):,} members, {limits.members:,} are allowed")
        return
    if not all(m.filename for m in members):
        yield fault(path, "bad_member", "a member of the archive has no name")
        return
    files = {m.filename for m in members if not m.is_dir()}
    if len(files) < sum(not m.is_dir() for m in members):
        names = [m.filename for m in members if not m.is_dir()]
        twice = sorted({n for n in files if names.count(n) > 1}) if len(members) < 1000 else []
        yield fault(path, "duplicate_member", f"members of the archive have the same name: {', '.join(twice[:5])}")
    for member in members:
        if why := _bad_member(member, files):
            yield fault(path, "bad_member", f"the member {_shown(member.filename)} {why}")
        elif member.file_size > limits.file:
            yield fault(path, "too_large", _too_large(member.filename, limits.file))
    if (total := sum(m.file_size for m in members)) > (most := limits.most(path.stat().st_size)):
        yield fault(path, "too_large", f"the archive would unpack to {total:,} bytes, {most:,} are allowed")


def _bad_member(member: ZipInfo, files: set[str]) -> str | None:
    name, steps = member.filename, member.filename.rstrip("/").split("/")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if member.flag_bits & 0x1:
        return "is encrypted"
    if "\\" in member.orig_filename or "\0" in member.orig_filename:
        return "has a name with a backslash or a NUL in it"
    if name.startswith("/") or ":" in steps[0] or any(s in ("", ".", "..") for s in steps):
        return "would leave the folder"
    if any(len(s.encode("utf-8", "surrogateescape")) > 255 for s in steps):
        return "has a name that is too long"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if any("/".join(steps[:n]) in files for n in range(1, len(steps))):
        return "lies below a member that is a file"
    return None


@dataclass(frozen=True, slots=True)
class Member:
    """A member that was read to its end."""

    name: str
    digest: str
    """In the letters of RECORD."""
    size: int


def unpack(
    archive: ZipFile, path: Path, target: Callable[[str], Path | None], algorithm: Callable[[str], str], limits: Limits
) -> Iterator[Member | Diagnostic]:
    """Write each member to its *target* (None: nowhere), and yield it, or what is wrong with it.

    The members must have passed `check_members`. Raises `OSError` for what cannot be written.
    """
    left = limits.most(path.stat().st_size)
    for info in archive.infolist():
        if info.is_dir():
            continue
        try:
            member = _write(archive, info, target(info.filename), algorithm(info.filename), min(left, limits.file))
        except _TooLarge as error:
            yield fault(path, "too_large", str(error))
            return
        except _BROKEN as error:
            yield fault(path, "bad_archive", f"the member {_shown(info.filename)} cannot be read: {error}")
            continue
        left -= member.size
        yield member


def read_member(archive: ZipFile, path: Path, name: str) -> bytes:
    """Return a member that is a document; raise `InvalidInput` when it cannot be read or is larger than those are."""
    try:
        with archive.open(name) as source:
            data = source.read(LIMIT + 1)
    except _BROKEN as error:
        found = fault(path, "bad_archive", f"the member {_shown(name)} cannot be read: {error}")
        raise InvalidInput([found]) from None
    if len(data) > LIMIT:
        raise InvalidInput([fault(path, "too_large", _too_large(name, LIMIT))])
    return data


class _TooLarge(Exception):
    """More came out of a member than may."""


def _write(archive: ZipFile, info: ZipInfo, target: Path | None, algorithm: str, most: int) -> Member:
    total, written = hashlib.new(algorithm), 0
    with archive.open(info) as source, _opened(target) as file:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > most:
                raise _TooLarge(_too_large(info.filename, most))
            total.update(chunk)
            if file:
                file.write(chunk)
    if written != info.file_size:
        raise BadZipFile(f"{info.file_size:,} bytes were announced, {written:,} came")
    return Member(info.filename, urlsafe_b64encode(total.digest()).decode().rstrip("="), written)


@contextmanager
def _opened(target: Path | None) -> Iterator[IO[bytes] | None]:
    if target is None:
        yield None
        return
    private_folder(target.parent)
    with open(target, "xb", opener=private) as file:
        yield file


def fault(path: Path, code: str, message: str, hint: str | None = None) -> Diagnostic:
    """Return what is wrong with the archive at *path*."""
    return Diagnostic(code, message, Location(str(path), 1, 1), hint=hint)


def unreadable(path: Path, error: Exception) -> Diagnostic:
    """Return why the archive at *path* cannot be opened."""
    if isinstance(error, OSError):
        return fault(path, "unreadable", f"cannot be read: {reason(error)}")
    return fault(path, "bad_archive", f"this is not a wheel: {error}", hint="build or download it again")


def _shown(name: str) -> str:
    return repr(name[:120])


def _too_large(name: str, most: int) -> str:
    return f"the member {_shown(name)} unpacks to more than {most:,} bytes"
