"""What stands after the colon in the body of a class, and whether it makes a field."""

from __future__ import annotations

import ast

_ASIDE = ("ClassVar", "InitVar", "KW_ONLY")
"""Class variables, what is for `__post_init__`, and the mark that what follows is given by name."""


def annotation(node: ast.expr) -> str:
    """Return an annotation as text, also where it is written as one."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)


def makes_field(node: ast.expr) -> bool:
    """Say whether instances have what is annotated so."""
    return annotation(node).partition("[")[0].rpartition(".")[2] not in _ASIDE
