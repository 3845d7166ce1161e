"""Where a thread stands that does not come back, in words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from types import FrameType

_RELUP = str(Path(__file__).parents[2])
_PYTHON = str(Path(os.__file__).parent)
_FRAME = '  File "'
_MOST = 6
"""How many frames are named; the innermost come first."""


def is_foreign(frame: FrameType) -> bool:
    """Say whether a frame is of code that is neither relup's nor of Python's own library."""
    return _is_foreign(frame.f_code.co_filename)


def _is_foreign(file: str) -> bool:
    return not _is_relup(file) and (not file.startswith(_PYTHON) or "site-packages" in file)


def _is_relup(file: str) -> bool:
    return file.startswith((_RELUP, "<frozen "))


def callers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and whoever called it, innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def above(frame: FrameType | None, until: FrameType | None = None) -> list[str]:
    """Return where *frame* stands now, innermost first: its foreign callers up to *until*, or all there are."""
    frames = []
    for caller in callers(frame):
        if caller is until:
            break
        frames.append((caller, caller.f_lineno))
    return _named(frames)


def in_a_line(stack: Sequence[str]) -> str:
    """Return a stack in one line."""
    return ", called by ".join(stack) or "no Python code"


def _named(frames: list[tuple[FrameType, int]]) -> list[str]:
    """Name foreign frames, and what they call of Python's library."""
    chosen = _chosen([frame.f_code.co_filename for frame, _ in frames])
    words = [_words(*frames[n]) for n in chosen]
    return [*words[:_MOST], *(["…"] if len(words) > _MOST else [])]


def of_the_program(stack: str, under: str) -> str:
    """Return a stack as faulthandler wrote it, with the same choice of what runs *under* a file of relup's."""
    lines = stack.splitlines()
    frames = [n for n, line in enumerate(lines) if line.startswith(_FRAME)]
    files = [lines[n].removeprefix(_FRAME).partition('"')[0] for n in frames]
    until = files.index(under) if under in files else len(files)
    chosen = [frames[n] for n in _chosen(files[:until])]
    return "\n".join(line for n, line in enumerate(lines) if n in chosen or n not in frames)


def _chosen(files: Sequence[str]) -> Sequence[int]:
    """Return which frames are foreign, or are what those call of Python's library; all where none is foreign."""
    foreign = [n for n, file in enumerate(files) if _is_foreign(file)]
    return [n for n in range(foreign[-1] + 1) if not _is_relup(files[n])] if foreign else range(len(files))


def _words(frame: FrameType, line: int) -> str:
    name = frame.f_globals.get("__name__", "?")
    return f"{name}:{frame.f_code.co_qualname} ({PurePath(frame.f_code.co_filename).name}:{line})"
