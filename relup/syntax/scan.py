"""What can be seen of a text without parsing it: its words, and its import statements.

Parsing a module takes a hundred times longer than looking through it, and most modules of a large release need no
more: those that mention no changed module cannot import one, and two texts with other words do not do the same.
Strings and comments are left out, so what is seen is code; that is all that is promised of it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
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
    rb"(?:^|[:;])[ \t]*((?:from[ \t]+[\w. \t]+[ \t]import[ \t]*|import[ \t]+)(?:\([^)]*\)|[^\n;(]+))", re.MULTILINE
)
_TYPING = re.compile(
    rb"^([ \t]*)if[ \t]+(?:\w+\.)?TYPE_CHECKING[ \t]*:[ \t]*\r?\n(?:\1[ \t]+[^\n]*\n|[ \t]*\r?\n)*", re.MULTILINE
)
_PARENTHESES = rb"\([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*\)"
_FUNCTION = re.compile(
    rb"^(([ \t]*)(?:async[ \t]+)?def[ \t]+\w+[^\n(]*" + _PARENTHESES + rb"[^\n:]*:[ \t]*\r?\n)"
    rb"(?:\2[ \t]+[^\n]*\n|[ \t]*\r?\n)*",
    re.MULTILINE,
)
"""A function whose body stands below its head; one that is written in another way is left as it is."""
_INDENTED_IMPORT = re.compile(rb"^[ \t]+(?:from|import)\b", re.MULTILINE)
_OWN = re.compile(rb"\b(?:def|class)[ \t]+(\w+)")
_CLASS = re.compile(rb"^[ \t]*class\b[^\n(]*(?:" + _PARENTHESES + rb")?", re.MULTILINE)


def code_of(text: bytes) -> bytes:
    """Return *text* with nothing in place of its strings and comments."""
    return _SILENT.sub(b" ", text)


def _spoken(found: re.Match[bytes]) -> bytes:
    """Return what stands for a string or a comment where names count: those in an f-string are evaluated."""
    silent = found.group()
    return silent if silent[:2].lower().find(b"f") >= 0 and silent[:1] != b"#" else b" "


def words(text: bytes) -> list[bytes]:
    """Return the names and numbers of the code, in its order."""
    return _WORD.findall(code_of(text))


def heads(text: bytes) -> set[str]:
    """Return the words of import statements and of the heads of classes: what leads to other modules."""
    code = code_of(text)
    found = (*_IMPORT.findall(code), *_CLASS.findall(code))
    return {w.decode("utf-8", "replace") for head in found for w in _WORD.findall(head)}


def early_words(text: bytes) -> set[str]:
    """Return every word that may be evaluated when the module is imported, and perhaps more; import statements aside.

    Bodies of functions count when something of the module itself is named outside of them: it may be called.
    """
    code = _SILENT.sub(_spoken, text) + b"\n"
    outside = _IMPORT.sub(b" ", _FUNCTION.sub(rb"\1", code))
    found = _WORD.findall(outside)
    times = Counter(found)
    if any(times[name] > 1 for name in _OWN.findall(outside)):
        found = _WORD.findall(code)
    return {w.decode("utf-8", "replace") for w in found}


def imports_inside(text: bytes) -> bool:
    """Say whether import statements may stand in functions, classes or branches."""
    return bool(_INDENTED_IMPORT.search(text))


def every_import(text: bytes) -> Iterator[Import]:
    """Yield what the import statements bind, also those in functions, but not those for type checkers only."""
    for found in _IMPORT.finditer(_TYPING.sub(b"", code_of(text))):
        yield from _bindings(found.group(1).strip())


def _bindings(statement: bytes) -> Iterator[Import]:
    try:
        tree = ast.parse(statement)
    except (SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from bindings(node)
