"""What this machine notes of a BEAM node is noted by who does something with it, not by those who look meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relup.diagnostics import InvalidInput, Refused
from relup.document import read_release
from relup.document.route import route_to_data
from relup.planner import find_route
from relup.targets.beam.client import beam_client
from tests.beam.nodes import Beam
from tests.beam.reaching import reach

OPTIONS: dict[str, Any] = {"dry_run": False, "allow_irreversible": False, "strict": False, "confirm": None}
TIMES = 3


def test_who_looks_at_a_node_while_it_is_upgraded_writes_nothing_down(beam: Beam, tmp_path: Path) -> None:
    one, two = (read_release(beam.depot[vsn]) for vsn in ("1", "2"))
    ways = [find_route(one, two), find_route(two, one)]
    with beam.depot_node(interval=3_600_000) as node, ThreadPoolExecutor() as pool:

        def upgrade() -> list[str]:
            with beam_client(reach(node), tmp_path) as client:
                return [
                    client.ask("apply", plan=route_to_data(way), options=OPTIONS)["status"]
                    for _ in range(TIMES)
                    for way in ways
                ]

        def look() -> Iterator[str]:
            while not upgrading.done():
                with beam_client(reach(node), tmp_path) as client:
                    for _ in range(5):
                        yield client.ask("status")["release"]["vsn"]

        upgrading = pool.submit(upgrade)
        assert set(look()) == {"1", "2"}
        assert upgrading.result() == ["done"] * 2 * TIMES
        with beam_client(reach(node), tmp_path) as client:
            assert [told["what"] for told in client.ask("history")] == ["upgrade", "downgrade"] * TIMES


def test_only_of_a_node_that_is_there_is_it_said_that_its_cookie_is_not_known(beam: Beam, tmp_path: Path) -> None:
    with beam.depot_node(interval=3_600_000) as node:
        unknown = replace(reach(node), cookie="")
        with pytest.raises(InvalidInput, match="no_cookie"), beam_client(unknown, tmp_path):
            pass
        nobody = replace(unknown, node=f"nobody@{node.name.partition('@')[2]}")
        with pytest.raises(Refused, match="no_such_node"), beam_client(nobody, tmp_path):
            pass
