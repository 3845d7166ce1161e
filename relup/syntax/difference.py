"""How two texts of one module differ: which of its classes, and which of their methods, do something else.

This is what decides whether the state of a server is still what its code expects. Comments and docstrings are no
difference (see `meaning`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from relup.syntax.imports import blocks
from relup.syntax.meaning import alike, bare
from relup.syntax.parsed import tree_of

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs in the classes of a module."""

    classes: frozenset[str] = frozenset()
    """Those that both texts have and that differ, by qualified name."""
    methods: frozenset[tuple[str, str]] = frozenset()
    """Methods of those, as class and name, that only one has or that differ."""


def difference(before: bytes, after: bytes) -> Difference:
    """Return how the classes of two texts differ; nothing is known of texts that do not parse."""
    trees = tree_of(before), tree_of(after)
    if trees[0] is None or trees[1] is None:
        return Difference()
    ones, twos = (dict(classes(bare(tree).body)) for tree in trees if tree)
    changed = [n for n in ones if n in twos and not alike(ones[n], twos[n])]
    return Difference(frozenset(changed), frozenset((n, m) for n in changed for m in _methods(ones[n], twos[n])))


def classes(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield the classes of a body by their qualified names, but those that functions make."""
    for node in body:
        match node:
            case ast.ClassDef(name=name):
                yield f"{within}{name}", node
                yield from classes(node.body, f"{within}{name}.")
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                pass
            case _:
                for block in blocks(node):
                    yield from classes(block, within)


def _methods(one: ast.ClassDef, two: ast.ClassDef) -> Iterator[str]:
    old, new = _functions(one), _functions(two)
    yield from (n for n in dict.fromkeys((*old, *new)) if not alike(old.get(n), new.get(n)))


def _functions(cls: ast.ClassDef) -> Mapping[str, Definition]:
    return {n.name: n for n in cls.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
