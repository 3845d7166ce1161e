"""Upgrade a running, stateful program without stopping it, and put it back as it was when that fails.

Programs are written with `relup.runtime`; the names here are for those who plan and apply upgrades. They are loaded
when they are used, so that `import relup` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relup.diagnostics import Busy, Diagnostic, InvalidInput, OperatorNeeded, Refused, RelupError, RolledBack
    from relup.document import read_release, read_relup
    from relup.planner import plan
    from relup.targets.python.service import serve

__all__ = [
    "Busy",
    "Diagnostic",
    "InvalidInput",
    "OperatorNeeded",
    "Refused",
    "RelupError",
    "RolledBack",
    "plan",
    "read_release",
    "read_relup",
    "serve",
]


def __getattr__(name: str) -> Any:
    rooms = {
        "plan": "relup.planner",
        "read_release": "relup.document",
        "read_relup": "relup.document",
        "serve": "relup.targets.python.service",
    }
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(rooms.get(name, "relup.diagnostics")), name)
