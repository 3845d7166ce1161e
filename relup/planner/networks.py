"""networkx, loaded when the first graph is made.

To load it takes longer than to load all of the planner, and to plan most upgrades takes no graph: their modules do not
depend on each other, and they have a direct way.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx
else:

    class _Networkx:
        """Has the names of networkx."""

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module("networkx"), name)

    nx = _Networkx()

__all__ = ["nx"]
