"""Where in the program's own code something failed."""

from __future__ import annotations

import traceback
from pathlib import Path

FRAMES = 10
"""Frames that are shown of each end of a long traceback, such as that of a recursion."""
_OTHERS = (str(Path(__file__).parents[2]), "<frozen ")


def place_of(error: BaseException) -> str:
    """Return ` (file:line)` of the innermost line that is in neither relup nor the interpreter: they only notice."""
    frames = _of_the_program(error)
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def program_frames(error: BaseException | None) -> list[str]:
    """Return the lines of a traceback, its causes included, without frames that are not the program's own."""
    if error is None:
        return []
    above = program_frames(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
    frames = traceback.format_list(_of_the_program(error))
    if left := frames[FRAMES:-FRAMES]:
        frames = [*frames[:FRAMES], f"  … {len(left)} more …\n", *frames[-FRAMES:]]
    return [*above, *frames, *traceback.format_exception_only(error)]


def _of_the_program(error: BaseException) -> list[traceback.FrameSummary]:
    return [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OTHERS)]
