"""Whether two texts of a module do the same: comments, layout and docstrings aside.

A release often differs from the one before it in its comments only, and a module that does what it did before
need not be loaded. Digests of texts cannot tell; syntax trees can, where the words alone do not say it already.
A docstring is a value like any other where somebody reads it: where a text names `__doc__` or `getdoc`, or writes the
rules of a parser in docstrings (`p_…`, `t_…`), they count. That another module reads them cannot be seen here.
"""

from __future__ import annotations

import ast
from typing import Any

from relup.syntax.parsed import tree_of
from relup.syntax.scan import words

Documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def same_meaning(one: bytes, two: bytes) -> bool:
    """Say whether two texts do the same; those that do not parse do so when they are equal."""
    if one == two:
        return True
    if words(one) != words(two):
        return False
    trees = tree_of(one), tree_of(two)
    try:
        return trees[0] is not None and trees[1] is not None and alike(bare(trees[0]), bare(trees[1]))
    except RecursionError:
        return False


def bare(tree: ast.Module) -> ast.Module:
    """Return *tree*, which loses its docstrings unless somebody reads them."""
    documented = [n for n in ast.walk(tree) if isinstance(n, Documented) and _has_docstring(n.body)]
    if documented and not any(map(_reads_docstrings, ast.walk(tree))):
        for node in documented:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _has_docstring(body: list[ast.stmt]) -> bool:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *_]:
            return True
        case _:
            return False


def _reads_docstrings(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="__doc__" | "getdoc") | ast.Attribute(attr="__doc__" | "getdoc"):
            return True
        case ast.FunctionDef(name=name, body=body):
            return name.startswith(("p_", "t_")) and _has_docstring(body)
        case _:
            return False


def alike(one: Any, two: Any) -> bool:
    """Say whether two nodes, or lists of them, do the same wherever they stand."""
    if type(one) is not type(two):
        return False
    if isinstance(one, ast.Constant):
        return _same_constant(one.value, two.value) and one.kind == two.kind
    if isinstance(one, ast.AST):
        return all(alike(getattr(one, name, None), getattr(two, name, None)) for name in one._fields)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(alike, one, two))
    return bool(one == two)


def _same_constant(one: object, two: object) -> bool:
    """Say whether two constants are the same value: 1, 1.0 and True are equal and three values, as are 0.0 and -0.0."""
    return type(one) is type(two) and repr(one) == repr(two)
