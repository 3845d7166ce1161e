"""What can be seen of a text without parsing it: its words, and its import statements.

Parsing a module takes a hundred times longer than looking through it, and most modules of a large release need no
more: those that mention no changed module cannot import one, and two texts with other words do not do the same.
Strings and comments are left out, so what is seen is code; that is all that is promised of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from relup.syntax.imports import Import, bindings

_STRING = (
    rb'[a-zA-Z]{0,2}(?:"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    rb"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    rb'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    rb"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')"
)
_SILENT = re.compile(_STRING + rb"|\#[^\n]*|\\\r?\n", re.DOTALL)
_WORD = re.compile(rb"[^\W\d]\w*|\d[\w.]*")
_IMPORT = re.compile(
    rb"^([ \t]*)(?:(?:from[ \t]+[\w. \t]+[ \t]import[ \t]*|import[ \t]+)(?:\([^)]*\)|[^\n;(]+)"
    rb"|if[ \t]+(?:\w+\.)?TYPE_CHECKING[ \t]*:)",
    re.MULTILINE,
)
_HEAD = re.compile(rb"^[ \t]*(?:(?:from|import)\b[^\n(]*(?:\([^)]*\))?|class\b[^\n(]*(?:\([^)]*\))?)", re.MULTILINE)


def code_of(text: bytes) -> bytes:
    """Return *text* with nothing in place of its strings and comments."""
    return _SILENT.sub(b" ", text)


def words(text: bytes) -> list[bytes]:
    """Return the names and numbers of the code, in its order."""
    return _WORD.findall(code_of(text))


def heads(text: bytes) -> set[str]:
    """Return the words of import statements and of the heads of classes: what leads to other modules."""
    return {w.decode("utf-8", "replace") for head in _HEAD.findall(text) for w in _WORD.findall(head)}


def every_import(text: bytes) -> Iterator[Import]:
    """Yield what the import statements bind, also those in functions, but not those for type checkers only."""
    typing_only: int | None = None
    for found in _IMPORT.finditer(code_of(text)):
        indent = len(found.group(1).expandtabs())
        if typing_only is not None and indent > typing_only:
            continue
        statement = found.group().strip()
        typing_only = indent if statement.endswith(b":") else None
        if typing_only is None:
            yield from _bindings(statement)


def _bindings(statement: bytes) -> Iterator[Import]:
    try:
        tree = ast.parse(statement)
    except (SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from bindings(node)
