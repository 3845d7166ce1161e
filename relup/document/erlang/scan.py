"""Comments and brackets, found in one pass that skips what only looks like them.

Neither reaches the parser: comments stand between tokens, and what is nested too deep must not get as far.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from relup.document.comments import Comment, Lines

_MARKS = re.compile(
    r"""(?P<skipped>"[^"\\]*+(?:\\[\s\S][^"\\]*+)*+(?:"|\\?\Z)|'[^'\\]*+(?:\\[\s\S][^'\\]*+)*+(?:'|\\?\Z)"""
    r"""|\$(?:[^\\]|\\[\s\S]))|(?P<comment>%[^\n]*)|(?P<open><<|[({\[])|(?P<close>>>|[)}\]])"""
)


def comments(text: str, lines: Lines) -> Iterator[Comment]:
    """Yield the comments in order."""
    for found in _marks(text, "comment"):
        line, column = lines.spot(found.start())
        before = text[found.start() - column + 1 : found.start()]
        said = found.group().lstrip("%").rstrip()
        yield Comment(line, column, said.removeprefix(" "), not before.strip())


def too_deep(text: str, most: int) -> int | None:
    """Return where the first bracket stands that has *most* open ones around it."""
    depth = 0
    for found in _marks(text, "open", "close"):
        depth += 1 if found.lastgroup == "open" else -1 if depth else 0
        if depth > most:
            return found.start()
    return None


def _marks(text: str, *kinds: str) -> Iterator[re.Match[str]]:
    return (found for found in _MARKS.finditer(text) if found.lastgroup in kinds)
