"""What a module's import statements bind, read from its text.

Which names of a module are imports cannot be seen in its namespace: that a value is identical to one of another
module proves nothing (small integers, `typing.Any`, re-exported functions), and rebinding by identity alone has
been measured to write dozens of names that no import makes. The table says what an import statement binds; the
value in the namespace then confirms that it still does.

Only statements that run at import count: those in functions bind nothing that lasts, except under `global`. Those in
class bodies bind an attribute, which is early binding and not this module's business (see `closure`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from relup.syntax.parsed import parsed


@dataclass(frozen=True, slots=True)
class Import:
    """One name bound by one import statement.

    `attribute` is None for `import a.b` and `import a.b as c`. `path` is the module as written, with its leading dots.
    `key` is "*" for a star import. `loads` is the last module that the statement itself names.
    """

    key: str
    path: str
    attribute: str | None
    line: int
    loads: str
    typing_only: bool = False

    def module(self, package: str) -> str:
        """Return the absolute name of the module imported from, for a module of *package*."""
        name = self.path.lstrip(".")
        level = len(self.path) - len(name)
        if not level:
            return name
        base = package.rsplit(".", level - 1)[0] if level > 1 else package
        return f"{base}.{name}" if name else base


def table(text: bytes | str) -> tuple[Import, ...]:
    """Return the imports of a module's text; empty when it does not parse."""
    with parsed(text) as tree:
        return imports_of(tree)


def imports_of(tree: ast.Module | None) -> tuple[Import, ...]:
    """Return the imports of a module's syntax tree; none when there is none."""
    return tuple(_statements(tree.body, typing_only=False)) if tree else ()


def _statements(body: list[ast.stmt], *, typing_only: bool) -> Iterator[Import]:
    for statement in body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                yield from bindings(statement, typing_only=typing_only)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _globals(statement)
            case ast.ClassDef():
                pass
            case ast.If(test=test, body=then, orelse=otherwise):
                yield from _statements(then, typing_only=typing_only or is_type_checking(test))
                yield from _statements(otherwise, typing_only=typing_only)
            case _:
                for block in blocks(statement):
                    yield from _statements(block, typing_only=typing_only)


def blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Return the blocks of a compound statement, in the order of the text."""
    for field in ("body", "handlers", "cases", "orelse", "finalbody"):
        for part in getattr(statement, field, None) or ():
            match part:
                case ast.ExceptHandler(body=body) | ast.match_case(body=body):
                    yield body
                case ast.stmt():
                    yield [part]
                case _:
                    pass


def bindings(statement: ast.Import | ast.ImportFrom, *, typing_only: bool = False) -> Iterator[Import]:
    """Return the names that one import statement binds."""
    match statement:
        case ast.Import(names=names):
            for alias in names:
                if alias.asname:
                    yield Import(alias.asname, alias.name, None, statement.lineno, alias.name, typing_only)
                else:
                    top = alias.name.partition(".")[0]
                    yield Import(top, top, None, statement.lineno, alias.name, typing_only)
        case ast.ImportFrom(module=module, names=names, level=level):
            path = "." * level + (module or "")
            for alias in names:
                yield Import(alias.asname or alias.name, path, alias.name, statement.lineno, path, typing_only)


def is_type_checking(test: ast.expr) -> bool:
    """Say whether *test* is `TYPE_CHECKING`, which is never true in a running program."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
        case _:
            return False


def _globals(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Import]:
    """Return the imports in *function* that bind names declared `global`."""
    inside = list(every_statement(function.body))
    declared = {n for node in inside if isinstance(node, ast.Global) for n in node.names}
    if declared:
        for node in inside:
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from (b for b in bindings(node) if b.key in declared)


def every_statement(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Return statements and those in them, functions and classes included; expressions are not looked at."""
    for statement in body:
        yield statement
        for block in blocks(statement):
            yield from every_statement(block)
