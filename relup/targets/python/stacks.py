"""Where a thread stands that does not come back, in words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from types import FrameType

_RELUP = str(Path(__file__).parents[2])
_PYTHON = str(Path(os.__file__).parent)
_MOST = 6
"""How many frames are named; the innermost come first."""


def is_foreign(frame: FrameType) -> bool:
    """Say whether a frame is of code that is neither relup's nor of Python's own library."""
    file = frame.f_code.co_filename
    return not _is_relup(frame) and (not file.startswith(_PYTHON) or "site-packages" in file)


def _is_relup(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith((_RELUP, "<frozen "))


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
    """Name foreign frames, and what they call of Python's library; all of them where none is foreign."""
    foreign = [n for n, (frame, _) in enumerate(frames) if is_foreign(frame)]
    chosen = frames[: foreign[-1] + 1] if foreign else frames
    words = [_words(frame, line) for frame, line in chosen if not (foreign and _is_relup(frame))]
    return [*words[:_MOST], *(["…"] if len(words) > _MOST else [])]


def _words(frame: FrameType, line: int) -> str:
    name = frame.f_globals.get("__name__", "?")
    return f"{name}:{frame.f_code.co_qualname} ({PurePath(frame.f_code.co_filename).name}:{line})"
