"""What a module's text assigns in other modules while it is imported.

`json.dumps = faster`, `del shop.cart.Cart.total`, `shop.prices.TABLE["tea"] = 3`, `setattr(json, "dumps", faster)`:
each changes something that everybody sees at once. Comparing all namespaces before and after the bodies would blame
them for what other threads did meanwhile, so the text says where to look, and the values then say what happened.

So the table may name more than is executed (both branches of an `if`, every function of the module whose name is
called), never a place that the text does not name. Names are followed through imports, `a = b`, and loops over
literals. Not followed: parameters, results of calls, keys that are computed, functions of other modules, and methods
that change their object (`append`, `update`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from relup.syntax.imports import bindings
from relup.syntax.parsed import parsed

CALLS = frozenset({"setattr", "delattr"})
WHOLE = ("__init__", "__new__", "__post_init__")
_LATER = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda})
_BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")
Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal, which stands for itself as a key."""

    value: object


@dataclass(frozen=True, slots=True)
class Dotted:
    """A module, by its absolute name, and attributes that lead on from there."""

    module: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.module, *self.names))


@dataclass(frozen=True, slots=True)
class Target:
    """An attribute of what *owner* is, or with *item* an entry of it."""

    owner: Dotted
    key: object
    item: bool

    def __str__(self) -> str:
        return f"{self.owner}[{self.key!r}]" if self.item else f"{self.owner}.{self.key}"


@dataclass(slots=True)
class _Reader:
    """The walk over one module."""

    package: str
    defined: dict[str, list[Definition]] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)
    imported: dict[str, list[Dotted]] = field(default_factory=dict)
    assigned: dict[str, list[ast.expr]] = field(default_factory=dict)
    meant: dict[str, tuple[Dotted | Constant, ...]] = field(default_factory=dict)

    def executed(self, tree: ast.AST) -> Iterator[ast.AST]:
        """Return the nodes that run when *tree* does; functions are followed from where they are called."""
        pending = [tree]
        while pending:
            node = pending.pop()
            yield node
            inside = [*_children(node), *(n for name in _called(node) for n in self.follow(name))]
            pending += reversed(inside)

    def follow(self, name: str) -> Iterator[ast.AST]:
        """Return what runs in the functions, and in the making of instances of the classes, of this name."""
        if name not in self.followed:
            self.followed.add(name)
            for definition in self.defined.get(name, ()):
                if isinstance(definition, ast.ClassDef):
                    for method in WHOLE:
                        yield from self.follow(method)
                else:
                    yield from definition.body

    def bind(self, node: ast.AST) -> None:
        """Remember what a statement lets names mean; one name may mean several things."""
        match node:
            case ast.Import() | ast.ImportFrom():
                for found in bindings(node):
                    attribute = () if found.attribute is None else (found.attribute,)
                    self.imported.setdefault(found.key, []).append(Dotted(found.module(self.package), attribute))
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.name(target, [value])
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.name(target, [value])
            case ast.NamedExpr(target=target, value=value):
                self.name(target, [value])
            case ast.For(target=target, iter=ast.Tuple(elts=values) | ast.List(elts=values) | ast.Set(elts=values)):
                self.name(target, values)
            case _:
                pass

    def name(self, target: ast.expr, values: list[ast.expr]) -> None:
        if isinstance(target, ast.Name):
            self.assigned.setdefault(target.id, []).extend(values)

    def targets(self, node: ast.AST) -> Iterator[Target]:
        match node:
            case ast.Attribute(value=owner, attr=name, ctx=ast.Store() | ast.Del()):
                yield from (Target(o, name, item=False) for o in self.owners(owner))
            case ast.Subscript(value=owner, slice=key, ctx=ast.Store() | ast.Del()):
                yield from (Target(o, k, item=True) for o in self.owners(owner) for k in self.keys(key))
            case ast.Call(func=ast.Name(id=name), args=[owner, key, *_]) if name in CALLS:
                names = [k for k in self.keys(key) if isinstance(k, str)]
                yield from (Target(o, k, item=False) for o in self.owners(owner) for k in names)
            case _:
                pass

    def owners(self, node: ast.expr) -> list[Dotted]:
        return [m for m in self.meanings(node) if isinstance(m, Dotted)]

    def keys(self, node: ast.expr) -> list[object]:
        return [m.value for m in self.meanings(node) if isinstance(m, Constant)]

    def meanings(self, node: ast.expr) -> Iterator[Dotted | Constant]:
        """Return what an expression may stand for, as far as the text says."""
        match node:
            case ast.Constant(value=value):
                yield Constant(value)
            case ast.Name(id=name):
                yield from self.named(name)
            case ast.Attribute(value=owner, attr=name):
                for found in self.meanings(owner):
                    if isinstance(found, Dotted):
                        yield Dotted(found.module, (*found.names, name))
            case _:
                pass

    def named(self, name: str) -> tuple[Dotted | Constant, ...]:
        """Return what a name may mean, found out once; a name that is assigned from itself adds nothing."""
        if name not in self.meant:
            self.meant[name] = ()
            assigned = (meaning for value in self.assigned.get(name, ()) for meaning in self.meanings(value))
            self.meant[name] = tuple(dict.fromkeys((*self.imported.get(name, ()), *assigned)))
        return self.meant[name]


def targets(text: bytes, package: str) -> tuple[Target, ...]:
    """Return what the text of a module of *package* assigns at import time; empty when it does not parse."""
    with parsed(text) as tree:
        return targets_of(tree, package)


def targets_of(tree: ast.Module | None, package: str) -> tuple[Target, ...]:
    """Return what `targets` does, from a tree."""
    if tree is None:
        return ()
    reader = _Reader(package)
    for definition in _definitions(tree):
        reader.defined.setdefault(definition.name, []).append(definition)
    nodes = list(reader.executed(tree))
    for node in nodes:
        reader.bind(node)
    return tuple(dict.fromkeys(found for node in nodes for found in reader.targets(node)))


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Return the parts of a node that run when it does: not the bodies of functions and lambdas."""
    kind = type(node)
    later = "body" if kind in _LATER else "ctx"
    for name in kind._fields:
        if name != later:
            value = getattr(node, name, None)
            if type(value) is list:
                yield from [v for v in value if isinstance(v, ast.AST)]
            elif isinstance(value, ast.AST):
                yield value


def _definitions(tree: ast.Module) -> Iterator[Definition]:
    """Return every function and class of a module, wherever it is nested; only statements hold any."""
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, Definition):
            yield node
        for name in _BLOCKS:
            pending += getattr(node, name, ())


def _called(node: ast.AST) -> Iterator[str]:
    """Return the last parts of the names that a node calls, decorators included."""
    match node:
        case ast.Call(func=function):
            functions = [function]
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            functions = node.decorator_list
        case _:
            functions = []
    for function in functions:
        match function:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case _:
                pass
