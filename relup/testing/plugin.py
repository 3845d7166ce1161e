"""The plugin that pytest finds when relup is installed: a fixture, a marker, and `--relup-at-every-boundary`.

pytest loads this in every run of everybody who has relup installed. So it imports pytest, which is there already, and
nothing of relup before a test asks for a node or the option is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from relup.testing.nodes import Nodes

FIXTURE = "relup_node"
WATCH = pytest.StashKey[Any]()
"""What watches the run of a test, where it is run with upgrades."""
_MARKER = (
    "relup(upgrade, server): with --relup-at-every-boundary, upgrade to this release (relative to the test's folder) "
    "wherever this server is about to handle a message"
)


@pytest.fixture
def relup_node(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """Start nodes from releases: `node = relup_node.start("releases/1")`; each is stopped when the test ends.

    Paths are relative to the working directory, or to the folder of the test.
    """
    from relup.testing.nodes import Nodes

    nodes = Nodes(places(request.node), request.node.stash.get(WATCH, None))
    try:
        yield nodes
    finally:
        nodes.close()


def places(item: Any) -> list[Path]:
    """Return where releases of a test are looked for."""
    return [Path.cwd(), item.path.parent, item.config.rootpath]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("relup", "tests of hot upgrades")
    group.addoption(
        "--relup-at-every-boundary",
        action="store_true",
        help=f"run each test that uses {FIXTURE} again, with an upgrade at another message boundary each time",
    )
    group.addoption(
        "--relup-upgrade", metavar="RELEASE", help="the release to upgrade to (default: that of the test's marker)"
    )
    group.addoption(
        "--relup-server",
        metavar="NAME",
        help="the server, by its registered name or as module:Class (default: that of the test's marker)",
    )
    group.addoption(
        "--relup-boundaries",
        choices=("alike", "all", "shapes"),
        default="alike",
        help="one of those that are shown to behave alike (default); all; or one of each shape of message and state, "
        "which is quick and may miss some",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and refuse options that mean nothing."""
    config.addinivalue_line("markers", _MARKER)
    if not config.getoption("relup_at_every_boundary"):
        given = [o for o in ("--relup-upgrade", "--relup-server") if config.getoption(o[2:].replace("-", "_"))]
        if given:
            raise pytest.UsageError(f"{' and '.join(given)} mean nothing without --relup-at-every-boundary")
        return
    from relup.testing.boundaries import AtEveryBoundary

    config.pluginmanager.register(AtEveryBoundary(config), "relup-at-every-boundary")
