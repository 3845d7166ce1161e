"""What a server's text puts into its state: the entries it begins with, and values that are code.

A state is what `init` returns, and what the handlers return or change in place. Followed are literals, what they are
made of, and local names; what a call returns is its own business, but that a class is called can be seen. So little is
found, and what is found is there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from relup.syntax.imports import blocks
from relup.syntax.parsed import tree_of
from relup.syntax.uses import dotted

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Kind: TypeAlias = Literal["lambda", "generator", "function", "name", "call"]
HANDLERS = ("handle_call", "handle_cast", "handle_info")
_PUTS = frozenset({"append", "appendleft", "add", "insert", "setdefault", "put", "put_nowait"})
_CONTAINERS = frozenset({"dict", "list", "tuple", "set", "deque", "defaultdict", "partial"})
_DEPTH = 6


class Held(NamedTuple):
    """A value in a state: a lambda, a generator, a function made on the spot; or a name, or what calling it gives."""

    kind: Kind
    names: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class ServerState:
    """What one class puts into its state."""

    keys: frozenset[str] | None
    """The entries of the mapping that `init` returns; None when it returns anything else."""
    held: tuple[Held, ...]


def states(text: bytes) -> Mapping[str, ServerState]:
    """Return what each class of a module, by its qualified name, puts into its state; empty when it does not parse."""
    tree = tree_of(text)
    return {name: _state(functions) for name, functions in functions_of(tree)} if tree else {}


def functions_of(tree: ast.Module) -> Iterator[tuple[str, dict[str, Function]]]:
    """Yield every class by its qualified name, with the functions of its body."""
    pending: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    while pending:
        within, body = pending.pop(0)
        for node in body:
            match node:
                case ast.ClassDef(name=name):
                    yield f"{within}{name}", {f.name: f for f in node.body if isinstance(f, Function)}
                    pending.append((f"{within}{name}.", node.body))
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    pass
                case _:
                    pending += [(within, block) for block in blocks(node)]


def _state(functions: Mapping[str, Function]) -> ServerState:
    init = functions.get("init")
    found = [h for name in ("init", *HANDLERS) if name in functions for h in _Reader.of(functions[name]).held()]
    return ServerState(_keys(init) if init else None, tuple(dict.fromkeys(found)))


def _keys(init: Function) -> frozenset[str] | None:
    results = [n.value for n in _own(init) if isinstance(n, ast.Return)]
    keys: set[str] = set()
    for result in results:
        match result:
            case ast.Dict(keys=names) if all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in names):
                keys |= {k.value for k in names if isinstance(k, ast.Constant) and isinstance(k.value, str)}
            case _:
                return None
    return frozenset(keys) if results else None


def _own(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of functions and classes in it."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop(0)
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            pending += ast.iter_child_nodes(node)


def _keeps(name: str) -> bool:
    """Say whether what is called keeps its arguments: a class, by its capital letter, or a container."""
    return name[:1].isupper() or name in _CONTAINERS


@dataclass(slots=True)
class _Reader:
    """The walk over one callback."""

    name: str
    state: str | None
    nodes: list[ast.AST]
    local: dict[str, list[ast.expr]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    """Functions defined in the callback."""
    names: set[str] = field(default_factory=set)
    """Names of the state, or of parts of it."""

    @classmethod
    def of(cls, function: Function) -> _Reader:
        parameters = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
        state = parameters[-1] if function.name != "init" and len(parameters) > 1 else None
        reader = cls(function.name, state, list(_own(function)), names={state} if state else set())
        for node in reader.nodes:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    reader.made.add(name)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    reader.local.setdefault(name, []).append(value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    reader.local.setdefault(name, []).append(value)
                case _:
                    pass
        return reader

    def held(self) -> Iterator[Held]:
        """Yield what the state comes to hold."""
        for node in self.nodes:
            if isinstance(node, ast.Return) and node.value is not None:
                for result in self.results(node.value):
                    yield from self.parts(result, 0)
        for node in self.nodes:
            yield from self.put(node)

    def results(self, value: ast.expr) -> Iterator[ast.expr]:
        """Yield the states in what a callback returns: `Reply` and `NoReply` carry them, `Stop` and `Ignore` end it."""
        match value:
            case ast.Call(func=function, args=args, keywords=keywords) if last := dotted(function)[-1:]:
                place = {"Reply": 1, "NoReply": 0}.get(last[0])
                if place is not None:
                    yield from args[place : place + 1]
                    yield from (k.value for k in keywords if k.arg == "state")
                elif last[0] != "Stop" and self.name != "handle_call":
                    yield value
            case _ if self.name != "handle_call":
                yield value
            case _:
                pass

    def put(self, node: ast.AST) -> Iterator[Held]:
        """Yield what a statement puts into the state in place."""
        match node:
            case ast.Assign(targets=targets, value=value):
                if any(self.of_state(t) for t in targets if not isinstance(t, ast.Name)):
                    yield from self.parts(value, 0)
            case ast.Call(func=ast.Attribute(value=owner, attr=name), args=args) if name in _PUTS:
                if self.of_state(owner):
                    for argument in args:
                        yield from self.parts(argument, 0)
            case _:
                pass

    def of_state(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.names

    def parts(self, node: ast.expr, depth: int) -> Iterator[Held]:
        """Yield the code that a value holds."""
        if depth > _DEPTH:
            return
        inner: list[ast.expr] = []
        match node:
            case ast.Lambda():
                yield Held("lambda", (), node.lineno)
            case ast.GeneratorExp():
                yield Held("generator", (), node.lineno)
            case ast.Name(id=name) if name in self.made:
                yield Held("function", (name,), node.lineno)
            case ast.Name(id=name) if name in self.local:
                self.names.add(name)
                inner = self.local[name]
            case ast.Name() | ast.Attribute():
                if (names := dotted(node)) and names[0] != self.state:
                    yield Held("name", names, node.lineno)
            case ast.Call(func=function, args=args, keywords=keywords):
                if names := dotted(function):
                    yield Held("call", names, node.lineno)
                    given = [*args, *(k.value for k in keywords)] if _keeps(names[-1]) else []
                    inner = [a for a in given if not isinstance(a, ast.GeneratorExp)]  # which is used up at once
            case ast.Dict(values=values):
                inner = values
            case ast.List(elts=inner) | ast.Tuple(elts=inner) | ast.Set(elts=inner):
                pass
            case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.DictComp(value=element):
                inner = [element]
            case ast.IfExp(body=one, orelse=two):
                inner = [one, two]
            case ast.BoolOp(values=values):
                inner = values
            case ast.Starred(value=value) | ast.Await(value=value) | ast.NamedExpr(value=value):
                inner = [value]
            case _:
                pass
        for part in inner:
            yield from self.parts(part, depth + 1)
