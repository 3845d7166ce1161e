"""Where a thread stands that does not come back, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from types import FrameType

_RELUP = str(Path(__file__).parents[2])
_MOST = 6
"""How many frames are named; the innermost come first."""


def is_foreign(frame: FrameType) -> bool:
    """Say whether a frame is of code that is neither relup's nor the interpreter's own machinery."""
    return not frame.f_code.co_filename.startswith((_RELUP, "<frozen ")) and not _is_loop(frame)


def _is_loop(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "asyncio"


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
    foreign = [(f, line) for f, line in frames if is_foreign(f)] or frames
    words = [_words(frame, line) for frame, line in foreign]
    return [*words[:_MOST], *(["…"] if len(words) > _MOST else [])]


def _words(frame: FrameType, line: int) -> str:
    name = frame.f_globals.get("__name__", "?")
    return f"{name}:{frame.f_code.co_qualname} ({PurePath(frame.f_code.co_filename).name}:{line})"
