"""The names that a module's text has for parts of values: attributes, fields, and keys that are written out.

What is not among them, as the key of a mapping, is data.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from relup.syntax.parsed import tree_of

LONGEST = 80


def spoken(text: bytes) -> frozenset[str]:
    """Return the names in *text*; none when it does not parse."""
    tree = tree_of(text)
    found = (name for node in ast.walk(tree) for name in _names(node)) if tree else ()
    return frozenset(n for n in found if len(n) <= LONGEST)


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(attr=name):
            yield name
        case ast.keyword(arg=str(name)):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.ClassDef(body=body):
            yield from (t.id for s in body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name))
        case ast.Dict(keys=keys):
            yield from (k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str))
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            yield name
        case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[ast.Constant(value=str(name)), *_]):
            yield name
        case ast.Compare(left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()]):
            yield name
        case _:
            pass
