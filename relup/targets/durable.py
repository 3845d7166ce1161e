"""Small files that must survive whatever happens while they are written.

A file is on disk when `fsync` has said so, and not before; one that failed is never asked again, for the kernel may
have dropped what it could not write and say yes the next time. So what could not be written is taken away, the caller
is told, and whoever tries once more writes once more.

How a file is written is a value, so that tests can let any of its steps fail, or be the last one of a crash.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

BESIDE, BEFORE = ".new", ".before"
"""What the files end with that are there only while another one is replaced; one that stays was left by a crash."""
Opener: TypeAlias = Callable[[str, int], int]


@dataclass(frozen=True, slots=True)
class Disk:
    """How bytes and names come to a disk. Each may raise `OSError`."""

    write: Callable[[int, bytes], int] = os.write
    """Write to a descriptor; return how many bytes were taken."""
    fsync: Callable[[int], None] = os.fsync
    replace: Callable[[Path, Path], object] = lambda beside, path: beside.replace(path)


REAL = Disk()


def replace_file(path: Path, content: bytes, *, opener: Opener | None = None, disk: Disk = REAL) -> None:
    """Put *content* in the place of a file: a reader sees the old one or the new one, whenever this ends.

    Without an *opener* it is as open to others as the file that it replaces; a new one may be read by who may read
    its folder. Raises `OSError` with the old file still in place.
    """
    beside, before = path.with_suffix(BESIDE), path.with_suffix(BEFORE)
    with _named(path):
        try:
            with _opened(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, opener or _like(path)) as file:
                _write(file, content, disk)
                disk.fsync(file)
            existed = _keep(path, before)
            disk.replace(beside, path)
        except OSError:
            _forget(beside, before)
            raise
        try:
            _sync_folder(path.parent, disk)
        except OSError:
            # nothing is written for that: the old file is still there under another name
            before.replace(path) if existed else path.unlink(missing_ok=True)
            raise
        _forget(before)


def append(path: Path, content: bytes, *, opener: Opener | None = None, disk: Disk = REAL) -> None:
    """Add *content* to a file, on a line of its own, and wait until it is on disk.

    What a crash cut short stays as it is. Raises `OSError` with the file as it was.
    """
    created = not path.exists()
    with _named(path), _opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, opener) as file:
        length = os.fstat(file).st_size
        cut = length > 0 and os.pread(file, 1, length - 1) != b"\n"
        try:
            _write(file, (b"\n" if cut else b"") + content, disk)
            disk.fsync(file)
            if created:
                _sync_folder(path.parent, disk)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, length)
            raise


def left_over(folder: Path) -> list[Path]:
    """Return the files in *folder* that a crash left half written or half replaced."""
    return sorted(p for p in folder.iterdir() if p.suffix in (BESIDE, BEFORE) and p.is_file())


def _write(file: int, content: bytes, disk: Disk) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[disk.write(file, bytes(rest)) :]


def _sync_folder(path: Path, disk: Disk) -> None:
    with _opened(path, os.O_RDONLY | os.O_DIRECTORY) as folder:
        disk.fsync(folder)


def _keep(path: Path, before: Path) -> bool:
    """Give the file at *path* a second name; say whether there is one."""
    before.unlink(missing_ok=True)
    try:
        before.hardlink_to(path)
    except FileNotFoundError:
        return False
    except OSError:  # not every file system knows two names of one file
        shutil.copyfile(path, before)
    return True


def _forget(*paths: Path) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let an error say which file it was about."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def _opened(path: Path, flags: int, opener: Opener | None = None) -> Iterator[int]:
    file = opener(str(path), flags) if opener else os.open(path, flags, 0o666)
    try:
        yield file
    finally:
        os.close(file)


def _like(path: Path) -> Opener:
    mode = path.stat().st_mode & 0o777 if path.exists() else path.parent.stat().st_mode & 0o644

    def opener(name: str, flags: int) -> int:
        found = os.open(name, flags, mode)
        os.fchmod(found, mode)
        return found

    return opener
