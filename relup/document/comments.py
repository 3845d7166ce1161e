"""Comments, kept while a document goes from one language to the other.

Neither language's comments are part of its data, and no reader of either keeps them. Here each belongs to a part
of the document: the one on whose line it stands, else the one that comes next. That is where a writer puts it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from relup.document.piece import Spot

Step: TypeAlias = str | int
PartPath: TypeAlias = tuple[Step, ...]


class Comment(NamedTuple):
    """A comment where it was found: its text without the sign and the blank before it."""

    line: int
    column: int
    text: str
    alone: bool
    """Nothing stands before it on its line."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the lines of a text start."""

    starts: Sequence[int]

    def spot(self, index: int) -> Spot:
        """Return the line and column of the character at *index*."""
        line = bisect_right(self.starts, index)
        return line, index - self.starts[line - 1] + 1


def lines_of(text: str, break_: str = "\n") -> Lines:
    """Return the lines of a text, whose ends match *break_*."""
    return Lines([0, *(found.end() for found in re.finditer(break_, text))])


class Comments(NamedTuple):
    """The texts of the comments of each part, by its path, and those after the last part."""

    parts: Mapping[PartPath, Sequence[str]]
    end: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Notes:
    """Comments as a writer meets them: those of a part, and those of the parts within it."""

    texts: list[str] = field(default_factory=list)
    parts: dict[Step, Notes] = field(default_factory=dict)

    def within(self, step: Step) -> Notes:
        """Return the notes of a part; where nothing is said at all, that is said of the parts too."""
        return self.parts.get(step) or (Notes() if self.texts or self.parts else self)


def notes(comments: Comments | None) -> Notes:
    """Return comments as a tree."""
    root = Notes()
    for path, texts in comments.parts.items() if comments else ():
        here = root
        for step in path:
            here = here.parts.setdefault(step, Notes())
        here.texts.extend(texts)
    return root


def attach(found: Iterable[Comment], parts: Iterable[tuple[Spot, PartPath]]) -> Comments:
    """Give each comment to the part on whose line it stands, else to the next; *parts* are all spots of each."""
    spots = sorted(parts, key=lambda part: part[0])
    starts = [spot for spot, _ in spots]
    kept: dict[PartPath, list[str]] = {}
    end: list[str] = []
    for comment in found:
        after = bisect_left(starts, (comment.line, comment.column))
        if not comment.alone and after and starts[after - 1][0] == comment.line:
            after -= 1
        texts = kept.setdefault(spots[after][1], []) if after < len(spots) else end
        texts.append(comment.text)
    return Comments(kept, end)
