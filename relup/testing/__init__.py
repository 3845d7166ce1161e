"""What users import in their own tests, and what authors of targets run.

A test starts a node from a release, drives it, upgrades it and looks at its states: in pytest by the fixture
`relup_node`, elsewhere by `start` or, in an asyncio program, `running`. `assert_round_trip` takes drawn states through
a `code_change` and back. `check_target` is the contract of targets. The names are loaded when they are used: pytest
looks at this package in every run of every project that has relup installed, and most of them use nothing of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relup.testing.contract import EFFECTS, Fault, Fresh, Moment, OwnerLost, Subject, check_target, reusing
    from relup.testing.failures import UpgradeFailed
    from relup.testing.live import AsyncNode, running
    from relup.testing.nodes import Node, Nodes, start
    from relup.testing.round_trip import RoundTripFailed, assert_round_trip

__all__ = [
    "EFFECTS",
    "AsyncNode",
    "Fault",
    "Fresh",
    "Moment",
    "Node",
    "Nodes",
    "OwnerLost",
    "RoundTripFailed",
    "Subject",
    "UpgradeFailed",
    "assert_round_trip",
    "check_target",
    "reusing",
    "running",
    "start",
]


def __getattr__(name: str) -> Any:
    rooms = {
        "AsyncNode": "live",
        "Node": "nodes",
        "Nodes": "nodes",
        "RoundTripFailed": "round_trip",
        "UpgradeFailed": "failures",
        "assert_round_trip": "round_trip",
        "running": "live",
        "start": "nodes",
    }
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"relup.testing.{rooms.get(name, 'contract')}"), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
    raise ImportError(f"{name} needs hypothesis: pip install 'relup[testing]'", name="hypothesis")
