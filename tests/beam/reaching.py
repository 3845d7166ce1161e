"""How tests reach a node as relup does."""

from __future__ import annotations

import os

from relup.targets.beam.locate import locate
from relup.targets.beam.running import running_nodes
from relup.targets.beam.where import Where
from tests.beam.nodes import BeamNode


def reach(node: BeamNode) -> Where:
    """Return the way to a node, as a person with its cookie has it."""
    return locate(node.name, {**os.environ, "RELUP_COOKIE": node.cookie}, list(running_nodes()))
