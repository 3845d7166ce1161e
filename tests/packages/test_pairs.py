"""Consecutive releases of well-known packages, exchanged under a live server that holds their objects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from relup.document import read_release
from relup.document.route import route_to_data
from relup.model.release import Release
from relup.planner import find_route
from tests.packages.pairs import PAIRS, Pair
from tests.packages.wheels import fetch, make_release

APP = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    from shop.worker import Worker

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            return SupervisorSpec([ChildSpec("worker", Worker, None, name="worker")])
"""
WORKER = """
    import json
    from relup.runtime import GenServer, Reply
    from shop import uses

    def used(thing):
        try:
            return uses.use(thing)
        except Exception as error:
            return "%s: %s" % (type(error).__name__, str(error)[:200])

    class Worker(GenServer):
        def init(self, args):
            return {{"held": {{}}}}

        def handle_call(self, request, caller, state):
            match request:
                case ("fresh",):
                    return Reply(used(uses.make()), state)
                case ("keep", name):
                    return Reply(None, {{"held": {{**state["held"], name: uses.make()}}}})
                case ("use", name):
                    return Reply(used(state["held"][name]), state)
                case ("held",):
                    return Reply(json.dumps(list(state["held"])), state)

        def code_change(self, old_vsn, state, extra):
            {change}
"""
UPDATE = "update: {module: shop.worker, change: advanced}"


@pytest.fixture(scope="session")
def wheels() -> Path:
    return fetch(f"{name}=={vsn}" for pair in PAIRS for name, vsns in pair.distributions().items() for vsn in vsns)


def releases(pair: Pair, wheels: Path, folder: Path) -> dict[str, Path]:
    """Write release 1 and 2 of a program that uses the pair, and 3, which goes back to the old one and fails."""
    modules = {"app": APP, "uses": pair.code, "worker": WORKER.format(change="return state")}
    old = {name: vsns[0] for name, vsns in pair.distributions().items()}
    new = {name: vsns[-1] for name, vsns in pair.distributions().items()}
    # the server itself does not change: no code_change is given its state, so what it holds stays as it is
    instructions = ["load_module: shop.uses"]
    parts = make_release(folder / "shop-1", wheels, "1", old, modules)
    parts = make_release(
        folder / "shop-2", wheels, "2", new, modules, parts, [*instructions, "load_module: shop.worker"]
    )
    fails = {**modules, "worker": WORKER.format(change="raise ValueError('no')")}
    make_release(folder / "shop-3", wheels, "3", old, fails, parts, [*instructions, UPDATE])
    return {vsn: folder / f"shop-{vsn}" for vsn in "123"}


def plans(read: Mapping[str, Release]) -> dict[str, Any]:
    found = {}
    for name, old, new in (("up", "1", "2"), ("down", "2", "1"), ("fails", "2", "3")):
        found[name] = route_to_data(find_route(read[old], read[new]))
    return found


def live(pair: Pair, wheels: Path, folder: Path) -> dict[str, Any]:
    folders = releases(pair, wheels, folder)
    read = {vsn: read_release(path) for vsn, path in folders.items()}
    spec = {
        "release": str(folders["1"]),
        "large": pair.large,
        "plans": plans(read),
        "distributions": [n for n, v in pair.distributions().items() if len(v) > 1],
        "modules": sorted({m for r in read.values() for a in r.applications for m in a.modules}),
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.packages.live", str(folder / "spec.json")],
        capture_output=True,
        text=True,
        timeout=240,
        env=environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


SHORT = {"up": "done", "fails": "rolled_back", "down": "done"}
LONG = {"dry run": "ready", "up": "done", "down": "done", "up again": "done", "fails": "rolled_back"}
"""The steps that a pair goes through, and how each ends: without a dry run and a second upgrade, and with them."""
USED_SHORT = {"before": 0, "new": 1, "after the failure": 1, "back": 0}
USED_LONG = {"before": 0, "still before": 0, "new": 1, "back": 0, "new again": 1, "after the failure": 1}
"""When it is used, and which of its versions runs then."""


@pytest.mark.parametrize("pair", PAIRS, ids=[p.name for p in PAIRS])
def test_a_pair_is_upgraded_and_taken_back_under_a_live_server(pair: Pair, wheels: Path, tmp_path: Path) -> None:
    seen = live(pair, wheels, tmp_path)
    steps, used = (SHORT, USED_SHORT) if pair.large else (LONG, USED_LONG)
    assert seen.keys() == steps.keys() | used.keys() | {"not as it was"}
    assert {s: seen[s]["status"] for s in steps} == steps, seen
    assert seen["not as it was"] == []
    changed = {n: v for n, v in pair.distributions().items() if len(v) > 1}
    for when, vsn in used.items():
        assert seen[when]["fresh"] == pair.right, (when, seen[when])
        assert seen[when]["versions"] == {n: v[vsn] for n, v in changed.items()}
        assert seen[when]["roots"] == [str(vsn + 1)], (when, seen[when])
    # what the server holds is right, or was found and named before the window
    first = "up" if pair.large else "dry run"
    holders = {first: ("new", "first"), "down": ("back", "second")}
    if not pair.large:
        holders["up again"] = "new again", "first"
    for step, (then, held) in holders.items():
        named = [m for m in seen[step]["held"] if "in state['held']" in m]
        assert seen[then][held] == pair.right or named, (step, held, seen[then][held], seen[step])
    assert bool(seen[first]["held"]) is pair.named, seen[first]
    assert seen[first]["held"] == seen["up"]["held"]
    assert seen["new"]["second"] == pair.right
