"""Which code server this context belongs to.

Class lookups in user code (`counterpart`) have no handle of the node; the node sets this variable in the context of
each of its processes, next to its own.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relup.runtime.code.server import CodeServer

current_code: ContextVar[CodeServer] = ContextVar("relup_current_code")


def counterpart(cls: type, name: str | None = None) -> type:
    """Return the class of the same name in the other version of its module, while an upgrade is in progress.

    For `code_change(Down(...), ...)`, which must build instances of the old class, and for the way up alike. Where
    the class is called otherwise there, *name* says how: `Item`, or `shop.model:Item`; where it has no other in its
    place *cls* is any of the release's. A class of a module that does not change is its own counterpart. Raises
    LookupError without an upgrade, without a node, or when the other version has no such class.
    """
    try:
        code = current_code.get()
    except LookupError:
        raise LookupError("counterpart() was called outside a node's process") from None
    return code.counterpart(cls, name)
