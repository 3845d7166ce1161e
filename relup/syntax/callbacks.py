"""Names that processes are registered under, and which of them a class calls, read from a module's text.

Only names that are written out are found: `ChildSpec("cart", Cart, name="cart")`, `start_link(Top, args, name="top")`,
and `self.call("cart", …)`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple

from relup.syntax.parsed import tree_of
from relup.syntax.states import Function, functions_of
from relup.syntax.uses import dotted

_STARTS = {"ChildSpec": (1, 3, 0), "start_link": (0, None, None), "start": (0, None, None)}
"""Where the class, the name and the id stand among the arguments."""


class Started(NamedTuple):
    """A class whose process is started; `name` and `id` are None where there is none, or it is computed.

    `start` is the dotted name of the class, empty where it is computed.
    """

    start: tuple[str, ...]
    line: int
    name: str | None
    id: str | None
    temporary: bool = False
    """Whether a supervisor forgets it when it ends."""


class Called(NamedTuple):
    """A class whose process waits for the process of a name."""

    caller: str
    name: str
    line: int


def started(text: bytes) -> tuple[Started, ...]:
    """Return the processes that a module's text starts, or lets a supervisor start; empty when it does not parse."""
    return tuple(_started(tree, _STARTS)) if (tree := tree_of(text)) else ()


def child_specs(init: Function) -> tuple[Started, ...]:
    """Return the child specs that a supervisor's `init` returns, beside those of its base's.

    One without an id stands for all that the text does not write out: specs that are computed, made elsewhere, or
    under a condition.
    """
    makers = [n for n in ast.walk(init) if isinstance(n, ast.Call) and dotted(n.func)[-1:] == ("SupervisorSpec",)]
    unknown = Started((), init.lineno, None, None)
    if not makers and _asks_base(init):
        return ()
    given = _children_given(makers[0]) if len(makers) == 1 else None
    listed = _listed(init, given) if given is not None else None
    if listed is None:
        return (unknown,)
    found: list[Started] = []
    for node in listed:
        if isinstance(node, ast.Call) and dotted(node.func)[-1:] == ("ChildSpec",):
            found.append(next(_started(node, ("ChildSpec",))))
        elif not (isinstance(node, ast.Starred) and _asks_base(node)):
            found.append(unknown)
    return tuple(found)


def _children_given(maker: ast.Call) -> ast.expr | None:
    return next((k.value for k in maker.keywords if k.arg == "children"), maker.args[0] if maker.args else None)


def _listed(init: Function, node: ast.expr) -> list[ast.expr] | None:
    """Return the items of a list, also of one that a variable holds which is used for nothing else."""
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return items
        case ast.Name(id=name):
            uses = [n for n in ast.walk(init) if isinstance(n, ast.Name) and n.id == name]
            made = [s.value for s in init.body if isinstance(s, ast.Assign | ast.AnnAssign) and _binds(s, name)]
            if len(uses) == 2 and len(made) == 1 and isinstance(made[0], ast.List | ast.Tuple):
                return made[0].elts
            return None
        case _:
            return None


def _binds(statement: ast.Assign | ast.AnnAssign, name: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _asks_base(node: ast.AST) -> bool:
    """Say whether something calls the `init` of a base."""
    called = (n.func for n in ast.walk(node) if isinstance(n, ast.Call))
    return any(isinstance(f, ast.Attribute) and f.attr == "init" for f in called)


def called(text: bytes) -> tuple[Called, ...]:
    """Return whom the classes of a module call by name; empty when it does not parse."""
    tree = tree_of(text)
    return tuple(
        Called(name, node.args[0].value, node.lineno)
        for name, functions in (functions_of(tree) if tree else ())
        for function in functions.values()
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and dotted(node.func)[-1:] == ("call",)
        and dotted(node.func)[:1] == ("self",)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )


def code_change_of(text: bytes, name: str) -> Function | None:
    """Return the `code_change` of class *name*, None where it has none of its own."""
    tree = tree_of(text)
    return dict(functions_of(tree)).get(name, {}).get("code_change") if tree else None


def _started(tree: ast.AST, functions: Collection[str]) -> Iterator[Started]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (last := dotted(node.func)[-1:]) and last[0] in functions:
            start, place, key = _STARTS[last[0]]
            named = {k.arg: k.value for k in node.keywords}
            of = named.get("start", node.args[start] if len(node.args) > start else None)
            name = named.get("name", node.args[place] if place is not None and len(node.args) > place else None)
            child = named.get("id", node.args[key] if key is not None and len(node.args) > key else None)
            if of is not None or last[0] == "ChildSpec":  # of which all may be computed: ChildSpec(**given)
                temporary = _written(named.get("restart")) == "temporary"
                where = dotted(of) if of is not None else ()
                yield Started(where, node.lineno, _written(name), _written(child), temporary)


def _written(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
