"""What a `code_change` needs of its extra, in each direction, read from its text.

`extra["bonus"]` is needed; `extra.get("bonus")` is not. A branch on `Down` belongs to one direction. Where a function
looks whether it has an extra at all, tries, or assigns it, nobody knows what it needs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from relup.syntax.callbacks import code_change_of
from relup.syntax.imports import blocks

Way: TypeAlias = Literal["both", "up", "down"]


def needed_extra(text: bytes, name: str, direction: Literal["up", "down"]) -> tuple[str, ...]:
    """Return the keys that the `code_change` of class *name* reads of its extra in one direction, in their order."""
    function = code_change_of(text, name)
    parameters = [a.arg for a in (*function.args.posonlyargs, *function.args.args)] if function else []
    if function is None or len(parameters) < 4 or _is_unsure(function, parameters[3]):
        return ()
    read = _read(function.body, "both", parameters[3])
    return tuple(dict.fromkeys(key for way, key in read if way in ("both", direction)))


def _is_unsure(function: ast.AST, extra: str) -> bool:
    for node in ast.walk(function):
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.BoolOp(values=[test, *_]) | ast.Match(subject=test):
                if any(isinstance(n, ast.Name) and n.id == extra for n in ast.walk(test)):
                    return True
            case ast.Name(id=read, ctx=ast.Store()) if read == extra:
                return True
            case ast.Try():
                return True
            case _:
                pass
    return False


def _read(body: Sequence[ast.stmt], way: Way, extra: str) -> Iterator[tuple[Way, str]]:
    """Yield the keys, each with the direction in which it is read."""
    for node in body:
        match node:
            case ast.Match(cases=cases):
                for case in cases:
                    yield from _read(case.body, _in(way, "down" if _names_down(case.pattern) else "up"), extra)
            case ast.If(test=ast.expr() as test, body=then, orelse=otherwise) if _names_down(test):
                negated = isinstance(test, ast.UnaryOp)
                yield from _read(then, _in(way, "up" if negated else "down"), extra)
                yield from _read(otherwise, _in(way, "down" if negated else "up"), extra)
                if isinstance(then[-1], ast.Return | ast.Raise):
                    way = _in(way, "down" if negated else "up")
            case _:
                inside = [part for block in blocks(node) for part in block]
                yield from ((way, key) for key in _keys(node, inside, extra))
                yield from _read(inside, way, extra)


def _in(way: Way, inner: Way) -> Way:
    return inner if way == "both" else way


def _names_down(node: ast.AST) -> bool:
    return any(
        (isinstance(n, ast.Name) and n.id == "Down") or (isinstance(n, ast.Attribute) and n.attr == "Down")
        for n in ast.walk(node)
    )


def _keys(node: ast.stmt, inside: Sequence[ast.stmt], extra: str) -> Iterator[str]:
    """Yield what the expressions of one statement read; those of a choice between two values are left out."""
    pending: list[ast.AST] = [n for n in ast.iter_child_nodes(node) if n not in inside]
    while pending:
        part = pending.pop(0)
        match part:
            case ast.Subscript(value=ast.Name(id=read), slice=ast.Constant(value=str(key))) if read == extra:
                yield key
            case ast.IfExp():
                pass
            case _:
                pending += ast.iter_child_nodes(part)
