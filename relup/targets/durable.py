"""Small files that must survive whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, content: bytes, *, opener: Callable[[str, int], int] | None = None) -> None:
    """Put *content* in the place of a file: a reader sees the old one or the new one, whenever this ends.

    Raises `OSError` with the old file still in place.
    """
    beside = path.with_suffix(".new")
    with open(beside, "wb", opener=opener) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
