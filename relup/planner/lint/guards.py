"""What stands around the import statements of a text: whether one may fail, or runs in some places only.

`try: import new` with `except ImportError: import old` needs neither of the two. What a branch for a version of Python
or for a platform imports is needed there, and nobody knows here whether that is where the program runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from relup.syntax.imports import blocks, is_type_checking
from relup.syntax.parsed import parsed

Guard: TypeAlias = Literal["tried", "somewhere"]
_CAUGHT = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_PLACES = frozenset({"version_info", "hexversion", "implementation", "platform", "os.name"})
"""What a program asks to know where it runs: `sys.version_info`, `sys.platform`, `platform.system()`, `os.name`."""


def guards(text: bytes) -> Mapping[int, Guard]:
    """Return what stands around imports, by their lines, where something does; nothing when the text does not parse."""
    with parsed(text) as tree:
        return dict(_guarded(tree.body, None)) if tree else {}


def _guarded(body: list[ast.stmt], around: Guard | None) -> Iterator[tuple[int, Guard]]:
    for statement in body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                if around:
                    yield statement.lineno, around
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _guarded(statement.body, None)  # which runs later, outside of what stands around it
            case ast.Try() | ast.TryStar():
                yield from _in_try(statement, around)
            case ast.With(items=items, body=inside) if _suppresses(items):
                yield from _guarded(inside, "tried")
            case ast.If(test=test, body=then, orelse=otherwise):
                here = around or ("somewhere" if _asks_where(test) else None)
                yield from _guarded(then, "tried" if is_type_checking(test) else here)
                yield from _guarded(otherwise, here)
            case _:
                for block in blocks(statement):
                    yield from _guarded(block, around)


def _in_try(node: ast.Try | ast.TryStar, around: Guard | None) -> Iterator[tuple[int, Guard]]:
    """Yield what is tried: the body, when its ImportError is caught, and what stands in for it where it is."""
    catching = [h for h in node.handlers if h.type is None or _CAUGHT & _named(h.type)]
    yield from _guarded(node.body, "tried" if catching else around)
    for handler in node.handlers:
        yield from _guarded(handler.body, "tried" if handler in catching else around)
    yield from _guarded([*node.orelse, *node.finalbody], around)


def _suppresses(items: list[ast.withitem]) -> bool:
    named = [_named(i.context_expr) for i in items]
    return any("suppress" in names and _CAUGHT & names for names in named)


def _asks_where(test: ast.expr) -> bool:
    return not _PLACES.isdisjoint(_named(test))


def _named(node: ast.expr) -> set[str]:
    """Return the names in an expression, and the last parts of dotted ones; `os.name` as it is."""
    parts = list(ast.walk(node))
    names = {n.id for n in parts if isinstance(n, ast.Name)} | {n.attr for n in parts if isinstance(n, ast.Attribute)}
    return names | {"os.name"} if {"os", "name"} <= names else names
