"""A file's bytes as text, or what is wrong with the file.

A path that a person types may be a folder, a pipe, a picture or a disk image. Its kind and size are looked at
before a byte is read, so that nothing hangs and nothing fills the memory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location

LIMIT = 16 * 2**20
"""The largest document that is read, in bytes."""


def read_text(path: Path, limit: int = LIMIT) -> str:
    """Return the text of the file at *path*; raise `InvalidInput` with one finding when it is not such a file."""
    return decode(read_bytes(path, limit), str(path))


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """Return what the file at *path* holds; raise `InvalidInput` with one finding when it cannot be had."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise _refusal(path, "is_a_directory", "this is a directory, a file was expected")
        if not stat.S_ISREG(found.st_mode):
            raise _refusal(path, "not_a_file", "this is not a regular file")
        if found.st_size > limit:
            size = f"{found.st_size / 2**20:,.0f} MB; documents are read up to {limit / 2**20:,.0f} MB"
            raise _refusal(path, "file_too_large", f"the file has {size}")
        with path.open("rb") as file:
            data = file.read(found.st_size + 1)  # memory for all that is asked for is taken first, so not the limit
            return data + file.read(limit + 1 - len(data)) if len(data) > found.st_size else data
    except FileNotFoundError:
        raise _refusal(path, "no_such_file", "there is no such file") from None
    except (OSError, ValueError) as error:
        raise _refusal(path, "unreadable", f"cannot be read: {reason(error)}") from None


def decode(data: bytes, file: str) -> str:
    """Return *data* as text; raise `InvalidInput` at the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        place = location(file, before, len(before))
        raise InvalidInput([Diagnostic("not_utf8", "this byte is not UTF-8 text", place)]) from None


def location(file: str, text: str, index: int) -> Location:
    """Return the place of the character at *index* of *text*."""
    return Location(file, text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1)


def is_folder(path: str | Path) -> bool:
    """Say whether a folder is there. `Path.is_dir` raises when it may not look, or when the name is too long."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: str | Path) -> bool:
    """Say whether a regular file is there. `Path.is_file` raises when it may not look, or when the name is too long."""
    return os.path.isfile(path)  # noqa: PTH113


def bad_root(root: Path) -> Iterator[Diagnostic]:
    """Find the root of a release that cannot be written into a plan."""
    try:
        str(root.resolve()).encode()
    except UnicodeEncodeError:
        message = "the path of this folder is not UTF-8, so no plan can name it"
        yield Diagnostic("not_utf8", message, Location(ascii(str(root)), 1, 1))


def reason(error: OSError | ValueError) -> str:
    """Return what the system says, without the path, which stands before it already."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said[:1].lower() + said[1:]


def _refusal(path: Path, code: str, message: str) -> InvalidInput:
    return InvalidInput([Diagnostic(code, message, Location(str(path), 1, 1))])
