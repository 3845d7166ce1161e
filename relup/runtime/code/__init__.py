"""Current and old code of Python modules: load new versions beside the running ones, and swap them at once."""

from relup.runtime.code.closure import Unclosed
from relup.runtime.code.current import counterpart, current_code
from relup.runtime.code.errors import AlreadyLoaded, CodeError, NotPurged, StagingError, SwapError
from relup.runtime.code.keeping import Carry
from relup.runtime.code.reference import ClassReference
from relup.runtime.code.running import Lingerer
from relup.runtime.code.server import CodeServer
from relup.runtime.code.source import Source, Version
from relup.runtime.code.staged import Staged

__all__ = [
    "AlreadyLoaded",
    "Carry",
    "ClassReference",
    "CodeError",
    "CodeServer",
    "Lingerer",
    "NotPurged",
    "Source",
    "Staged",
    "StagingError",
    "SwapError",
    "Unclosed",
    "Version",
    "counterpart",
    "current_code",
]
