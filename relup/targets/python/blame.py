"""Where in the program's own code something failed."""

from __future__ import annotations

import traceback
from pathlib import Path

_OTHERS = (str(Path(__file__).parents[2]), "<frozen ")


def place_of(error: BaseException) -> str:
    """Return ` (file:line)` of the innermost line that is in neither relup nor the interpreter: they only notice."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OTHERS)]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
