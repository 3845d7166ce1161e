"""Variables of modules that functions fill while the program runs: they begin anew when their module is loaded.

Candidates are names that stand for an empty container, or for a plain value, where a module is imported. They are state
when a function changes them, there or in another module: by an item, by a method that adds or takes, or as `global`.
What is filled at import, a registry by its decorators, begins full again, and is not meant.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from relup.syntax.imports import every_statement
from relup.syntax.parsed import tree_of
from relup.syntax.uses import dotted, uses_of

Names: TypeAlias = tuple[str, ...]
_EMPTY = frozenset({"dict", "list", "set", "deque", "defaultdict", "OrderedDict", "Counter"})
_EMPTY |= {"WeakValueDictionary", "WeakKeyDictionary", "WeakSet", "count"}
_CHANGING = frozenset({"append", "appendleft", "add", "update", "setdefault", "pop", "popleft", "popitem"})
_CHANGING |= {"insert", "extend", "extendleft", "subtract", "remove", "discard", "clear", "__setitem__", "__next__"}


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LIKELY = re.compile(
    rb"^\w+[ \t]*(?::[^=\n]+)?=[ \t]*(?:\{[ \t]*\}|\[[ \t]*\]|(?:\w+\.)*(?:%s)\b)|^[ \t]+global\b"
    % "|".join(sorted(_EMPTY)).encode(),
    re.MULTILINE,
)
"""Texts without this are not parsed: they have no state."""


class Variable(NamedTuple):
    """A variable that holds state, and the line on which it begins."""

    name: str
    line: int


def containers(text: bytes) -> tuple[Variable, ...]:
    """Return the variables that begin empty or plain when a module is imported, and that it does not use meanwhile.

    They come in the order of its text; none when it does not parse.
    """
    tree = tree_of(text) if _LIKELY.search(text) else None
    begun = {v.name: v for v in _begun(tree.body)} if tree else {}
    at_import = {u.names[0] for u in uses_of(tree) if u.names} if tree and begun else set()
    return tuple(v for name, v in begun.items() if name not in at_import)


def changes(text: bytes) -> frozenset[Names]:
    """Return the dotted names of what a module's functions change and have not made; none when it does not parse."""
    tree = tree_of(text)
    functions = [s for s in every_statement(tree.body) if isinstance(s, _FUNCTIONS)] if tree else []
    return frozenset(names for f in functions for names in _changed(f))


def _begun(body: list[ast.stmt]) -> Iterator[Variable]:
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_state(value):
                yield Variable(name, node.lineno)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _is_state(value):
                yield Variable(name, node.lineno)
            case _:
                pass


def _is_state(value: ast.expr) -> bool:
    match value:
        case ast.Dict(keys=[]) | ast.List(elts=[]) | ast.Constant():
            return True
        case ast.Call(func=function):
            return dotted(function)[-1:] != () and dotted(function)[-1] in _EMPTY
        case _:
            return False


def _changed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Names]:
    """Yield the names that a function changes, or binds anew as `global`."""
    nodes = list(ast.walk(function))
    shared = {name for n in nodes if isinstance(n, ast.Global) for name in n.names}
    own = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} - shared
    own |= {a.arg for a in nodes if isinstance(a, ast.arg)}
    yield from ((n.id,) for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n.id in shared)
    for node in nodes:
        match node:
            case ast.Subscript(value=owner, ctx=ast.Store() | ast.Del()):
                changed = owner
            case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _CHANGING:
                changed = owner
            case ast.Call(func=ast.Name(id="next"), args=[owner, *_]):
                changed = owner
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                changed = node
            case _:
                continue
        while isinstance(changed, ast.Subscript):  # CACHE[key].append(value)
            changed = changed.value
        names = dotted(changed)
        if names and names[0] not in own:
            yield names
