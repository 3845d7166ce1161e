"""What to say about a body that raised.

The exception itself is not kept: its traceback holds frames, they hold the new namespaces, and an abandoned upgrade
must leave nothing behind. So its text is taken, without the frames of importlib and of this package.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from relup.runtime.code.errors import StagingError

_OWN = str(Path(__file__).parent)


def explain(name: str, path: Any, error: BaseException, files: Mapping[str, str]) -> StagingError:
    """Return the StagingError for *error*, raised while *name* was executed.

    *files* maps file names of the new release to modules. The innermost of their lines is the place, for a body
    that calls into a library is what can be mended, not the library.
    """
    module, line, file = name, 0, str(path or "")
    for frame in _frames(error):
        if frame.filename in files:
            module, line, file = files[frame.filename], frame.lineno or 0, frame.filename
    if isinstance(error, SyntaxError) and (wrong := error.filename or "") in files:
        module, line, file = files[wrong], error.lineno or 0, wrong
    text = "".join(_text(error))
    return StagingError(module, line, describe(error), path=file, traceback=text)


def describe(error: BaseException) -> str:
    """Return an exception in one line."""
    try:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:
        said = "(its text cannot be shown)"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(("<frozen importlib", _OWN)) and "importlib" not in Path(frame.filename).parts:
            yield frame


def _text(error: BaseException) -> Iterator[str]:
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_list(list(_frames(error)))
    yield from traceback.format_exception_only(error)
