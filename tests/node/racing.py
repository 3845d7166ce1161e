"""Confirm against the deadline of the same upgrade, at the same moment, again and again on one node under load.

    python -m tests.node.racing [TRIES]

Whoever is told that the release is permanent has confirmed: it runs, and a restart boots it, also when the deadline is
long over. Whoever is refused has not: the old release runs, and is the permanent one. There is no third outcome, and
the record on disk says the same as the node.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from relup.diagnostics import Busy, Refused
from relup.document import read_release
from relup.document.route import route_to_data
from relup.model.route import Route
from relup.planner import find_route
from relup.targets.python.client import Client, connect
from relup.targets.python.home import Home
from tests.node.test_windows import BOTH_SERVERS, appup, release
from tests.support import Commands

WITHIN = 0.05
"""Seconds until the deadline."""
OPTIONS: dict[str, Any] = {"dry_run": False, "allow_irreversible": False, "strict": False, "confirm": None}


def race(commands: Commands, folder: Path, tries: int, seed: int = 0) -> list[str]:
    """Return which release ran after each try, once what was told, what runs and what is on disk were compared."""
    both, chance = BOTH_SERVERS % "", random.Random(seed)
    old, new = release(folder / "1", "1"), release(folder / "2", "2", appup(both, both))
    up, down = find_route(read_release(old), read_release(new)), find_route(read_release(new), read_release(old))
    with commands.node(old), _load(commands.home), connect(commands.home, "shop") as client:
        return [_try(client, Home(commands.home, "shop"), up, down, chance) for _ in range(tries)]


def _try(client: Client, home: Home, up: Route, down: Route, chance: random.Random) -> str:
    done = client.ask("apply", plan=route_to_data(up), options=OPTIONS | {"confirm": WITHIN})
    assert done["status"] == "done", done
    Event().wait(WITHIN * (0.5 + chance.random()))
    expected = _confirm(client)
    if expected == "2":
        Event().wait(WITHIN)  # by now the deadline is over
    status, records = client.ask("status"), home.records()
    assert records is not None
    found = status["release"]["vsn"], status["permanent"]["vsn"], records.current.vsn, records.permanent.vsn
    assert found == (expected,) * 4, f"told {expected}; runs, permanent, and both on disk: {found}"
    assert status["goes_back_in"] is None
    if expected == "2":
        assert client.ask("apply", plan=route_to_data(down), options=OPTIONS)["status"] == "done"
        client.ask("confirm")
    return expected


def _confirm(client: Client) -> str:
    """Confirm; who is refused as the node goes back just then asks until it has."""
    while True:
        try:
            client.ask("confirm")
        except Busy:
            continue
        except Refused as refused:
            if "too_late" not in str(refused):
                raise
            return "1"
        return "2"


@contextmanager
def _load(base: Path) -> Iterator[None]:
    """Let the node answer others all the while."""
    over = Event()

    def ask() -> None:
        with connect(base, "shop") as client:
            while not over.is_set():
                client.ask("status")

    others = [Thread(target=ask) for _ in range(2)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        over.set()
        for other in others:
            other.join()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        print(Counter(race(Commands(Path(made) / "home"), Path(made), int(sys.argv[1]) if sys.argv[1:] else 500)))
