"""What a `code_change` mentions: names, attributes, keys and keywords, its own and those of functions that it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from relup.syntax.parsed import tree_of
from relup.syntax.states import Function, functions_of


def mentioned(text: bytes, name: str) -> frozenset[str]:
    """Return what the `code_change` of class *name* mentions, with what it calls in its module; empty without one."""
    tree = tree_of(text)
    function = dict(functions_of(tree)).get(name, {}).get("code_change") if tree else None
    if tree is None or function is None:
        return frozenset()
    bodies = {f.name: f for f in ast.walk(tree) if isinstance(f, Function) and f is not function}
    found, pending = set[str](), [function]
    while pending:
        fresh = {n for node in ast.walk(pending.pop()) for n in _names(node)} - found
        found |= fresh
        pending += [bodies[n] for n in sorted(fresh & bodies.keys())]
    return frozenset(found)


def is_unanswered(text: bytes, name: str) -> int | None:
    """Return the line on which the `code_change` of class *name* has the name TODO, which a draft leaves there."""
    tree = tree_of(text) if b"TODO" in text else None
    function = dict(functions_of(tree)).get(name, {}).get("code_change") if tree else None
    nodes = ast.walk(function) if function else ()
    return next((n.lineno for n in nodes if isinstance(n, ast.Name) and n.id == "TODO"), None)


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)) | ast.Constant(value=str(name)):
            yield name
        case _:
            pass
