"""Files and folders for one user's eyes, whatever that user's umask is.

The umask is the process's, and a node is in somebody's program: it is not ours to change, and not to be relied on.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

UNFINISHED = ".unfinished-"
"""How the folder is called in which wheels are being unpacked; one that stays was left by a crash."""


def private(path: str, flags: int) -> int:
    """Open a file, and make it one that nobody else may read when it is new; `open` takes this as its opener."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def private_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, which nobody else may enter. Raises `OSError`."""
    if path.is_dir():
        return
    private_folder(path.parent)
    path.mkdir(exist_ok=True, mode=0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file of text that nobody else may read."""
    with open(path, "w", encoding="utf-8", opener=private) as file:
        file.write(text)


def copy_private(source: Path, target: Path) -> None:
    """Copy a file, or a folder with all that is in it, for nobody else to read. Raises `OSError`."""
    if not source.is_dir():
        with source.open("rb") as read, open(target, "wb", opener=private) as written:
            shutil.copyfileobj(read, written)
        return
    private_folder(target)
    for inside in sorted(source.iterdir()):
        copy_private(inside, target / inside.name)
