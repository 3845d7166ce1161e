"""Confirm against the deadline of the same upgrade, at the same moment, again and again on one node.

    python -m tests.beam.racing [TRIES]

Whoever confirms and is told so has confirmed: the node runs the new release and boots it. Whoever is refused has not:
it runs the old one and boots that. There is no third outcome.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

from relup.diagnostics import RelupError
from relup.document import read_release
from relup.document.route import route_to_data
from relup.model.route import Route
from relup.planner import find_route
from relup.targets.beam.client import BeamClient, beam_client
from tests.beam.nodes import Beam, BeamNode
from tests.beam.reaching import reach

HOUR = 3_600_000
WITHIN = 0.6
"""Seconds until the deadline; a confirmation takes about as long."""
RUNS = "list_to_binary(element(2, application:get_key(depot, vsn)))"
GONE = """
    case whereis(relup_agent) of
        undefined -> true;
        P -> R = monitor(process, P), receive {'DOWN', R, _, _, _} -> true after 20000 -> false end
    end
"""
OPTIONS: dict[str, Any] = {"dry_run": False, "allow_irreversible": False, "strict": False, "confirm": None}


def race(beam: Beam, node: BeamNode, home: Path, tries: int, seed: int = 0) -> list[str]:
    """Return which release *node* ran after each try, once both sides of each are checked against each other.

    It runs release 1 of the depot, before and after.
    """
    chance = random.Random(seed)
    up, down = (find_route(*map(read_release, ways)) for ways in _ways(beam))
    with beam_client(reach(node), home) as client:
        return [_try(node, client, up, down, chance) for _ in range(tries)]


def _ways(beam: Beam) -> Iterator[tuple[Path, Path]]:
    yield beam.depot["1"], beam.depot["2"]
    yield beam.depot["2"], beam.depot["1"]


def _try(node: BeamNode, client: BeamClient, up: Route, down: Route, chance: random.Random) -> str:
    done = client.ask("apply", plan=route_to_data(up), options=OPTIONS | {"confirm": WITHIN})
    assert done["status"] == "done", done
    Event().wait(WITHIN * chance.random())
    expected = "2" if _confirmed(client) else "1"
    assert node.ask(GONE), "the agent stays"
    boots = (node.root / "releases" / "start_erl.data").read_text().split()[1]
    runs: str = node.ask(RUNS)
    assert (runs, boots) == (expected, expected), f"told {expected}, runs {runs}, boots {boots}"
    if runs == "2":
        assert client.ask("apply", plan=route_to_data(down), options=OPTIONS)["status"] == "done"
        client.ask("confirm")
    return runs


def _confirmed(client: BeamClient) -> bool:
    try:
        client.ask("confirm")
    except RelupError as refused:
        if "too_late" not in str(refused):
            raise
        return False
    return True


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        folder, tries = Path(made), int(sys.argv[1]) if sys.argv[1:] else 100
        releases = Beam(folder, folder)
        with releases.depot_node(interval=HOUR, workers=2) as alone:
            print(Counter(race(releases, alone, folder / "home", tries)))
