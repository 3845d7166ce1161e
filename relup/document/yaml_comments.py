"""The comments of a YAML document: what starts with a number sign between two tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from relup.document.comments import Comment, lines_of

try:
    from yaml import CLoader as Loader
except ImportError:  # PyYAML was built without libyaml: the same tokens, slower
    from yaml import SafeLoader as Loader  # type: ignore[assignment]  # it has the same methods

_COMMENT = re.compile(r"#[^\r\n]*")
_BREAK = r"\r\n|\r|\n"


def yaml_comments(text: str, loader: Any = Loader) -> Iterator[Comment]:
    """Yield the comments of *text*, which is YAML, in order."""
    lines = lines_of(text, _BREAK)
    for start, end in _gaps(text, loader):
        for found in _COMMENT.finditer(text, start, end):
            line, column = lines.spot(found.start())
            before = text[found.start() - column + 1 : found.start()]
            yield Comment(line, column, found.group().removeprefix("#").removeprefix(" ").rstrip(), not before.strip())


def comments_if_yaml(text: str) -> list[Comment]:
    """Return the comments of *text*; none when it is JSON that is no YAML, which has no comments."""
    try:
        return list(yaml_comments(text))
    except yaml.YAMLError:
        return []


def _gaps(text: str, loader: Any) -> Iterator[tuple[int, int]]:
    """Yield from where to where no token stands; a block of text begins in the line below its sign."""
    start = 0
    for token in yaml.scan(text, Loader=loader):
        end = token.start_mark.index
        if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
            end = text.find("\n", end)
        yield start, end
        start = max(start, token.end_mark.index)
    yield start, len(text)
