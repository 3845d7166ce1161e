"""What can be seen of a text without parsing it: its words, and its import statements.

Parsing a module takes ten times longer than looking through it, and most modules of a large release need no more: those
that mention no changed module cannot import one, and two texts with other names in their code do not do the same.
Strings and comments are left out, so what is seen is code, and perhaps more of it than there is: whoever needs to know
asks the syntax tree. An f-string that has its own quotes within itself is the one thing that is not seen through.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from relup.syntax.imports import Import, bindings

_STRING = (
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"
)
"""Without its prefix, which is left as a name of its own: it takes no part in finding where strings begin."""
_SILENT = re.compile(_STRING + r"|\#[^\n]*|\\\r?\n", re.DOTALL)
_WORD = re.compile(r"[^\W\d]\w*|0[xXoObB][\da-fA-F_]+|\d[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?[jJ]?")
_IMPORT = re.compile(
    r"(?:^|[:;])[ \t]*((?:from\b[.\w \t]*?\bimport\b[ \t]*|import\b[ \t]+)(?:\([^)]*\)|[^\n;(]+))", re.MULTILINE
)
_TYPING = re.compile(
    r"^([ \t]*)if[ \t]+(?:\w+\.)?TYPE_CHECKING[ \t]*:[ \t]*\r?\n(?:\1[ \t]+[^\n]*\n|[ \t]*\r?\n)*", re.MULTILINE
)
_PARENTHESES = r"\([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*\)"
_FUNCTION = re.compile(
    rf"^(([ \t]*)(?:async[ \t]+)?def[ \t]+\w+[^\n(]*{_PARENTHESES}[^\n:]*:[ \t]*\r?\n)"
    r"(?:\2[ \t]+[^\n]*\n|[ \t]*\r?\n)*",
    re.MULTILINE,
)
"""A function whose body stands below its head; one that is written in another way is left as it is."""
_INDENTED_IMPORT = re.compile(rb"^[ \t]+(?:from|import)\b", re.MULTILINE)
_OWN = re.compile(r"\b(?:def|class)[ \t]+(\w+)")
_CLASS = re.compile(rf"^[ \t]*class\b[^\n(]*(?:{_PARENTHESES})?", re.MULTILINE)


def code_of(text: bytes) -> str:
    """Return *text* with nothing in place of its strings and comments."""
    return _SILENT.sub(" ", text.decode("utf-8", "replace"))


def words(text: bytes) -> list[str]:
    """Return the names and numbers of the code, in its order."""
    return [w if w[0] > "9" else w.replace("_", "").lower() for w in _WORD.findall(code_of(text))]


def heads(text: bytes) -> set[str]:
    """Return the words of import statements and of the heads of classes: what leads to other modules."""
    code = code_of(text)
    return {w for head in (*_IMPORT.findall(code), *_CLASS.findall(code)) for w in _WORD.findall(head)}


def early_words(text: bytes) -> set[str]:
    """Return every name that may be evaluated when the module is imported, and perhaps more; import statements aside.

    Bodies of functions count when something of the module itself is named outside of them: it may be called.
    """
    code = _SILENT.sub(_spoken, text.decode("utf-8", "replace")) + "\n"
    outside = _IMPORT.sub(" ", _FUNCTION.sub(r"\1", code))
    found = _WORD.findall(outside)
    times = Counter(found)
    return set(_WORD.findall(code) if any(times[name] > 1 for name in _OWN.findall(outside)) else found)


def _spoken(found: re.Match[str]) -> str:
    """Return what stands for a string or a comment where names count: those in an f-string are evaluated."""
    start = found.start()
    prefix = found.string[max(0, start - 2) : start]
    return found.group() if found.group()[0] in "'\"" and "f" in prefix.lower() else " "


def imports_inside(text: bytes) -> bool:
    """Say whether import statements may stand in functions, classes or branches."""
    return bool(_INDENTED_IMPORT.search(text))


def every_import(text: bytes) -> Iterator[Import]:
    """Yield what the import statements bind, also those in functions, but not those for type checkers only."""
    for found in _IMPORT.finditer(_TYPING.sub("", code_of(text))):
        yield from _bindings(found.group(1).strip())


def _bindings(statement: str) -> Iterator[Import]:
    try:
        tree = ast.parse(statement)
    except (SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from bindings(node)
