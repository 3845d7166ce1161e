"""Which names a module's text evaluates while it is imported, and keeps the results of.

A name used in a function is looked up when the function runs, after the swap as well as before. A base class, a
decorator, a default argument, a class body, an expression at module level are evaluated once: what they yield is
old for ever. Functions and classes of the module that are called at import time are followed into their bodies;
methods of their instances are not.
Annotations count in class bodies (dataclasses, and libraries like them, read them at once) and on decorated functions;
elsewhere they are rewritten by the swap (see `annotations`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from relup.syntax.imports import bindings, blocks, is_type_checking
from relup.syntax.parsed import parsed

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_NAMELESS = (ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
"""Most of what an expression consists of, and no name is in it: a table of data has thousands."""
PLAIN_DECORATORS = frozenset({"staticmethod", "classmethod", "property", "override", "overload", "final"})


class Use(NamedTuple):
    """A dotted name read at import time; `path` is what an import in a class body binds it to, else empty."""

    names: tuple[str, ...]
    line: int
    path: str = ""

    def __str__(self) -> str:
        return self.path or ".".join(self.names)


@dataclass(slots=True)
class _Reader:
    """The walk over one module."""

    lazy_annotations: bool
    callables: dict[str, Function | ast.ClassDef] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)

    def statements(self, body: list[ast.stmt], *, in_class: bool) -> Iterator[Use]:
        for statement in body:
            yield from self.statement(statement, in_class=in_class)

    def statement(self, node: ast.stmt, *, in_class: bool) -> Iterator[Use]:
        match node:
            case ast.Import() | ast.ImportFrom():
                if in_class:
                    for bound in bindings(node):
                        attribute = bound.attribute or ""
                        yield Use((), node.lineno, f"{bound.path} {attribute}".strip())
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self.function(node)
            case ast.ClassDef():
                yield from self.values([*node.decorator_list, *node.bases, *(k.value for k in node.keywords)])
                yield from self.called(node.decorator_list)
                yield from self.statements(node.body, in_class=True)
            case ast.If(test=test) if is_type_checking(test) or _is_main(test):
                yield from self.statements(node.orelse, in_class=in_class)
            case ast.Match(subject=subject, cases=cases):
                yield from self.values([subject])
                for case in cases:
                    yield from self.values([n for n in ast.walk(case.pattern) if isinstance(n, ast.expr)])
                    yield from self.values([case.guard] if case.guard else [])
                    yield from self.statements(case.body, in_class=in_class)
            case ast.AnnAssign():
                eager = in_class and not self.lazy_annotations
                yield from self.values([*([node.annotation] if eager else []), *([node.value] if node.value else [])])
            case _:
                yield from self.values([e for e in ast.iter_child_nodes(node) if isinstance(e, ast.expr)])
                for item in getattr(node, "items", ()):
                    yield from self.values([item.context_expr])
                for block in blocks(node):
                    yield from self.statements(block, in_class=in_class)

    def function(self, node: Function) -> Iterator[Use]:
        arguments = node.args
        defaults = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
        yield from self.values([*node.decorator_list, *defaults])
        yield from self.called(node.decorator_list)
        if not self.lazy_annotations and not all(_plain(d) for d in node.decorator_list):
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            found = [a.annotation for a in every if a is not None] + [node.returns]
            yield from self.values([a for a in found if a is not None])

    def values(self, expressions: list[ast.expr]) -> Iterator[Use]:
        """Return the names that expressions read now; lambdas read theirs later."""
        for expression in expressions:
            yield from self.expression(expression)

    def expression(self, node: ast.AST) -> Iterator[Use]:
        found = dotted(node)
        if found:
            yield Use(found, getattr(node, "lineno", 0))
            return
        if isinstance(node, ast.Lambda):
            yield from self.values([*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)])
            return
        if isinstance(node, ast.Call):
            yield from self.called([node.func])
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, _NAMELESS):
                yield from self.expression(child)

    def called(self, functions: list[ast.expr]) -> Iterator[Use]:
        """Return what functions of this module read when they are called now, on the line of the call."""
        for function in functions:
            name = dotted(function.func if isinstance(function, ast.Call) else function)[:1]
            target = self.callables.get(name[0]) if name else None
            if target is not None and name[0] not in self.followed:
                self.followed.add(name[0])
                for use in self.inside(target):
                    yield use._replace(line=function.lineno)

    def inside(self, target: Function | ast.ClassDef) -> Iterator[Use]:
        match target:
            case ast.ClassDef():
                for part in target.body:
                    if isinstance(part, ast.FunctionDef) and part.name in ("__init__", "__new__", "__post_init__"):
                        yield from self.inside(part)
            case _:
                for statement in target.body:
                    yield from self.everything(statement)

    def everything(self, node: ast.AST) -> Iterator[Use]:
        match node:
            case ast.Import() | ast.ImportFrom():
                for bound in bindings(node):
                    yield Use((), node.lineno, f"{bound.path} {bound.attribute or ''}".strip())
            case ast.expr():
                yield from self.expression(node)
            case _:
                for child in ast.iter_child_nodes(node):
                    yield from self.everything(child)


def uses(text: bytes | str) -> tuple[Use, ...]:
    """Return what a module's text reads at import time, in the order of the text; empty when it does not parse."""
    with parsed(text) as tree:
        return uses_of(tree)


def uses_of(tree: ast.Module | None) -> tuple[Use, ...]:
    """Return what a module's syntax tree reads at import time, in its order; nothing when there is none."""
    if tree is None:
        return ()
    future = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" and _lazy(n) for n in tree.body)
    reader = _Reader(future, dict(_callables(tree.body)))
    return tuple(dict.fromkeys(reader.statements(tree.body, in_class=False)))


def _lazy(node: ast.ImportFrom) -> bool:
    return any(alias.name == "annotations" for alias in node.names)


def _callables(body: list[ast.stmt]) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name, statement
            case _:
                for block in blocks(statement):
                    yield from _callables(block)


def dotted(node: ast.AST) -> tuple[str, ...]:
    """Return the parts of a dotted name, nothing for any other expression."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            return (name,)
        case ast.Attribute(value=value, attr=name):
            head = dotted(value)
            return (*head, name) if head else ()
        case _:
            return ()


def _plain(decorator: ast.expr) -> bool:
    name = dotted(decorator)
    return bool(name) and (name[-1] in PLAIN_DECORATORS or name[-1] in ("setter", "getter", "deleter"))


def _is_main(test: ast.expr) -> bool:
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), comparators=[ast.Constant(value="__main__")]):
            return True
        case _:
            return False
