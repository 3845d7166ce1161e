"""Why what went wrong in a copy of a node says nothing about the upgrade itself."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from relup.targets.python.cut_off import Effect

_OTHER_LOOP = re.compile("different (event )?loop|attached to a different")


class Unanswered(RuntimeError):
    """Somebody who does not run in a copy was asked for an answer."""


def excuse(error: BaseException | None) -> str:
    """Return why; nothing where there is no excuse."""
    return next(filter(None, map(_excuse, _causes(error))), "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _excuse(error: BaseException) -> str:
    match error:
        case Unanswered() | Effect():
            return str(error)
        case MemoryError():
            return "it takes more memory than a copy may have beside what the node has"
        case TimeoutError():
            return "it waits for somebody"
        case OSError(errno=errno.EBADF):
            return "it uses a file or a connection of the node"
        case RuntimeError() if _OTHER_LOOP.search(str(error)):
            return "it waits for something of the node's event loop"
        case _ if type(error).__module__ == "sqlite3" and "disk I/O" in str(error):
            return "it uses a database of the node"
        case _:
            return ""
