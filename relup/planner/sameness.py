"""Whether a module does the same in two releases, though its file differs."""

from __future__ import annotations

from relup.model.code import Code
from relup.syntax.meaning import same_meaning


def only_comments(older: Code, newer: Code, module: str) -> bool:
    """Say whether the texts of a module differ in nothing but comments, layout and docstrings.

    False for a module that one of the two lacks, or whose text is not known. An empty text is a text.
    """
    before, after = older.text(module), newer.text(module)
    return before is not None and after is not None and same_meaning(before, after)
