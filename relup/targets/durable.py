"""Small files that must survive whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, content: bytes, *, opener: Callable[[str, int], int] | None = None) -> None:
    """Put *content* in the place of a file: a reader sees the old one or the new one, whenever this ends.

    Without an *opener* it is as open to others as the file that it replaces; a new one may be read by who may read
    its folder. Raises `OSError` with the old file still in place.
    """
    beside = path.with_suffix(".new")
    with open(beside, "wb", opener=opener or _like(path)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _like(path: Path) -> Callable[[str, int], int]:
    mode = path.stat().st_mode & 0o777 if path.exists() else path.parent.stat().st_mode & 0o644

    def opener(name: str, flags: int) -> int:
        found = os.open(name, flags, mode)
        os.fchmod(found, mode)
        return found

    return opener
