"""Comments of an appup that begin with TODO: what a draft left for a person to decide.

Comments are no part of the data, so no schema sees them, and a plan made of a draft would pass for one that somebody
has thought about. Each is an error where it stands, for whoever would use the appup, until it is answered and removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from relup.diagnostics import Diagnostic, Location
from relup.document.comments import Comment
from relup.document.text import decode, read_bytes
from relup.model.draft import TODO


def unanswered(path: Path) -> Iterator[Diagnostic]:
    """Find the marked comments of a YAML file that was read without an error; only few have to be scanned for it."""
    data = read_bytes(path)
    if TODO.encode() in data:
        from relup.document.yaml_comments import comments_if_yaml  # noqa: PLC0415  who reads OTP's files needs no YAML

        yield from marked(comments_if_yaml(decode(data, str(path))), str(path))


def marked(comments: Iterable[Comment], file: str) -> Iterator[Diagnostic]:
    """Find those of *comments* that begin with the mark."""
    for comment in comments:
        said = comment.text.lstrip("#% \t")
        if said.startswith(TODO) and not said[len(TODO) :][:1].isalnum():
            what = said.removeprefix(TODO).strip(" :-")
            message = f"this has not been answered: {what}" if what else "this has not been answered"
            hint = "do what it asks for, and remove the comment"
            yield Diagnostic("todo", message, Location(file, comment.line, comment.column), hint=hint)
