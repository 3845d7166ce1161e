"""What a `code_change` mentions: names, attributes, keys and keywords, its own and those of functions that it calls."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from relup.syntax.parsed import tree_of
from relup.syntax.states import Function, functions_of


def mentioned(text: bytes, name: str) -> frozenset[str]:
    """Return what the `code_change` of class *name* mentions, with what it calls in its module; empty without one."""
    tree = tree_of(text)
    function = dict(functions_of(tree)).get(name, {}).get("code_change") if tree else None
    if tree is None or function is None:
        return frozenset()
    given = {a.arg for a in function.args.args}  # that a state comes in says nothing of a field `state`
    bodies = {f.name: f for f in ast.walk(tree) if isinstance(f, Function) and f is not function}
    found, pending = set[str](), [function]
    while pending:
        fresh = {n for node in ast.walk(pending.pop()) for n in _names(node, given)} - found
        found |= fresh
        pending += [bodies[n] for n in sorted(fresh & bodies.keys())]
    return frozenset(found)


def is_unanswered(text: bytes, name: str) -> int | None:
    """Return the line on which the `code_change` of class *name* has the name TODO, which a draft leaves there."""
    tree = tree_of(text) if b"TODO" in text else None
    function = dict(functions_of(tree)).get(name, {}).get("code_change") if tree else None
    nodes = ast.walk(function) if function else ()
    return next((n.lineno for n in nodes if isinstance(n, ast.Name) and n.id == "TODO"), None)


def is_idle(text: bytes, name: str) -> bool:
    """Say whether the `code_change` of class *name* returns the state that it is given, and does nothing else."""
    tree = tree_of(text)
    function = dict(functions_of(tree)).get(name, {}).get("code_change") if tree else None
    return function is not None and all(map(_does_nothing, function.body))


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Return(value=ast.Name()) | ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
        case ast.If(body=body, orelse=other):
            return all(map(_does_nothing, (*body, *other)))
        case ast.Match(cases=cases):
            return all(_does_nothing(part) for case in cases for part in case.body)
        case _:
            return False


def _names(node: ast.AST, given: Collection[str]) -> Iterator[str]:
    match node:
        case ast.Name(id=name) if name in given:
            pass
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)) | ast.Constant(value=str(name)):
            yield name
        case _:
            pass
