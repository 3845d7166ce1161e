"""One epmd and one node of each kind for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import NodeProcess, require_erl
from tests.targets.beam.nodes import World, world


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require_erl()
    with world(tmp_path_factory.mktemp("home")) as own:
        yield own


@pytest.fixture(scope="session")
def short(nodes: World) -> Iterator[NodeProcess]:
    """A node `short` with short names."""
    with nodes.node("-sname", "short") as node:
        yield node


@pytest.fixture(scope="session")
def long(nodes: World) -> Iterator[NodeProcess]:
    """A node `long@127.0.0.1` with long names."""
    with nodes.node("-name", "long@127.0.0.1") as node:
        yield node
