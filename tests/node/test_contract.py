"""The contract of targets holds for a Python node: a fault at every effect, and the owner lost there."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from relup.document import read_release
from relup.planner import plan
from relup.runtime.code.instances import LITTLE
from relup.targets.python.service import serve
from relup.testing import Subject, check_target, reusing
from tests.node.test_windows import BOTH_SERVERS, CALL, appup, release

MODEL = """
from relup.runtime import counterpart, migrate

VERSION = {vsn}
CARTS, COUNT = [], {vsn}000

class Cart:
    def __init__(self, *items):
        self.items = list(items)

def turn(old):
    old.items.append("turned")
    return migrate(old, counterpart(type(old)))

def turn_back(new):
    new.items.remove("turned")
    return migrate(new, counterpart(type(new)))
"""
GOES_OVER = """
      - load_module: {{module: shop.model, keep: [CARTS, COUNT], instances: {{Cart: {turn}}}}}"""
TWO_WINDOWS = appup(
    GOES_OVER.format(turn="turn") + BOTH_SERVERS % CALL, BOTH_SERVERS % "" + GOES_OVER.format(turn="turn_back")
)


def test_the_contract_holds_with_one_window(tmp_path: Path) -> None:
    both = BOTH_SERVERS % ""
    asks = "- verify: {module: shop.ops, function: part}"
    assert asyncio.run(contract(tmp_path, appup(BOTH_SERVERS % asks, both))) > 24


def test_the_contract_holds_with_two_windows_a_call_between_and_what_goes_over_with_the_code(tmp_path: Path) -> None:
    assert asyncio.run(contract(tmp_path, TWO_WINDOWS, forget=("up", "down", "added by 2"))) > 40


async def contract(tmp_path: Path, text: str, forget: tuple[str, ...] = ()) -> int:
    number = count()

    @asynccontextmanager
    async def fresh() -> AsyncIterator[Subject]:
        folder = tmp_path / str(next(number))
        old, goal = release(folder / "1", "1"), release(folder / "2", "2", text)
        for vsn in ("1", "2"):
            (folder / vsn / "shop" / "model.py").write_text(MODEL.format(vsn=vsn if "model" in text else "1"))
        async with serve(old, base=folder / "home") as service:
            node, model = service.node, import_module("shop.model")
            model.CARTS += [model.Cart(1), {"deep": model.Cart()}]
            model.COUNT += 1
            carts = [model.CARTS[0], model.CARTS[1]["deep"]]

            async def view() -> Any:
                """Return what a rollback restores; *forget* is what migration down leaves in the states."""
                return {
                    "states": {
                        p.name: [item for item in p.state if item not in forget] if isinstance(p.state, list) else None
                        for p in node.processes.values()
                    },
                    "pids": {p.pid: (p.name, p.holds, p.reference.cls) for p in node.processes.values()},
                    "vsns": {m: node.code.digest(m) for m in ("shop.app", "shop.cart", "shop.till", "shop.ops")},
                    "carts": [(id(c), dict(vars(c)), type(c) is import_module("shop.model").Cart) for c in carts],
                    "kept": (import_module("shop.model").CARTS is model.CARTS, repr(model.CARTS), model.COUNT),
                    "release": (service.handler.running, service.handler.records, gc.get_freeze_count() < LITTLE),
                }

            yield Subject(service.handler, plan(read_release(old), read_release(goal)), view)

    async with reusing(fresh) as again:
        return await check_target(again)
