"""Whether a `code_change` does the same on the way down as on the way up.

One that changes the state has to know which way it goes: `old_vsn` tells, and so does the `counterpart` of a class. One
that leaves the state what it is need not: it returns it, a copy of it, or what a base makes of it.
"""

from __future__ import annotations

import ast

from relup.syntax.parsed import parsed
from relup.syntax.states import Function, functions_of

_COPIES = frozenset({"dict", "list", "tuple", "set", "frozenset", "copy", "deepcopy"})


def ignores_direction(text: bytes, name: str) -> int | None:
    """Return the line of the `code_change` of class *name* that changes the state and never reads its version.

    None for one that does read it, that asks for the `counterpart` of a class, that returns the state as it is, or a
    copy of it, or what a base makes of it, or that only raises.
    """
    with parsed(text) as tree:
        function = dict(functions_of(tree)).get(name, {}).get("code_change") if tree else None
        return function.lineno if tree and function and _ignores(tree, function) else None


def _ignores(tree: ast.Module, function: Function) -> bool:
    parameters = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    if len(parameters) < 3:
        return False
    version, state = parameters[1:3]
    nodes = [n for statement in function.body for n in ast.walk(statement)]
    if any(isinstance(n, ast.Name) and n.id == version for n in nodes) or _renews(tree, nodes):
        return False
    return _changes(nodes, state)


def _renews(tree: ast.Module, nodes: list[ast.AST]) -> bool:
    """Say whether *nodes* ask for the `counterpart` of a class, in functions of the module that they call too.

    On the way up it is the new class and on the way down the old one: who asks for it need not know the direction.
    """
    bodies = {f.name: f for f in ast.walk(tree) if isinstance(f, Function)}
    pending: list[ast.AST] = nodes
    while pending:
        called = {name for n in pending if isinstance(n, ast.Call) for name in _last(n.func)}
        if "counterpart" in called:
            return True
        pending = [n for name in sorted(called & bodies.keys()) for n in ast.walk(bodies.pop(name))]
    return False


def _changes(nodes: list[ast.AST], state: str) -> bool:
    """Say whether a function returns something else than its state, a copy of it, or what a base makes of it."""
    results = [n.value for n in nodes if isinstance(n, ast.Return) and n.value is not None]
    names, kept = {state}, list[ast.expr]()
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_kept(value, names):
                names.add(name)
                kept += [node.targets[0], value]
            case _:
                pass
    if not results or not all(_is_kept(r, names) for r in results):
        return bool(results)
    known = {id(n) for part in (*kept, *results) for n in ast.walk(part)}
    named = [n for n in nodes if isinstance(n, ast.Name) and n.id in names and id(n) not in known]
    stores = [n for n in nodes if isinstance(n, ast.Subscript | ast.Attribute) and isinstance(n.ctx, ast.Store)]
    return bool(stores) or any(kept or isinstance(n.ctx, ast.Store) for n in named)


def _is_kept(node: ast.expr, names: set[str]) -> bool:
    """Say whether an expression is one of *names*, a copy of it, or what `super().code_change` returns."""
    match node:
        case ast.Name(id=name):
            return name in names
        case ast.Dict(keys=[None], values=[value]) | ast.List(elts=[ast.Starred(value=value)]):
            return _is_kept(value, names)
        case ast.Subscript(value=value, slice=ast.Slice(lower=None, upper=None)):
            return _is_kept(value, names)
        case ast.IfExp(body=one, orelse=two):
            return _is_kept(one, names) and _is_kept(two, names)
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="code_change")):
            return True
        case ast.Call(func=ast.Attribute(value=value, attr="copy"), args=[], keywords=[]):
            return _is_kept(value, names)
        case ast.Call(func=function, args=[value], keywords=[]):
            return bool(_COPIES.intersection(_last(function))) and _is_kept(value, names)
        case _:
            return False


def _last(function: ast.expr) -> tuple[str, ...]:
    """Return the last part of the name of what is called, nothing for what has no name."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return (name,)
        case _:
            return ()
