"""The tree of a module's text, made once for all who read it, with the collector at rest.

A tree is some ten thousand objects. The collector looks through them a dozen times while they are made, and never finds
anything: they have no cycles, and go when the last reader lets go of them. With a large heap that costs more than
the parsing. The rest is as short as one module: who else wants the collector meanwhile waits for milliseconds.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def parsed(text: bytes | str) -> Iterator[ast.Module | None]:
    """Yield the tree of *text*, None when it does not parse; whoever keeps it beyond the block pays for that."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield tree_of(text)
    finally:
        if collects:
            gc.enable()


def tree_of(text: bytes | str) -> ast.Module | None:
    """Return the tree of *text*, None when it does not parse, whatever the parser makes of it."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
