"""Whether compiled code assigns to anything but names: the cheap question before `targets`.

Making the tree of a text takes as long as compiling it, and most of the answers are that there is nothing. The
compiler has said so already: every assignment to an attribute or an entry is one of four instructions, whatever else
a version of Python puts into its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dis import opmap
from types import CodeType

from relup.syntax.targets import CALLS

_STORES = tuple(opmap[name] for name in ("STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR"))


def stores(code: CodeType) -> bool:
    """Say whether the code of a module, or of anything in it, assigns to an attribute or an entry, or may do so."""
    return any(_stores(part) for part in _parts(code))


def _stores(code: CodeType) -> bool:
    instructions = code.co_code[::2]
    return any(store in instructions for store in _STORES) or not CALLS.isdisjoint(code.co_names)


def _parts(code: CodeType) -> Iterator[CodeType]:
    pending = [code]
    while pending:
        part = pending.pop()
        yield part
        pending += [c for c in part.co_consts if isinstance(c, CodeType)]
