"""`instances`: every live instance of a class becomes one of the new class in place, or all are as they were."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Options, Outcome
from relup.planner import plan
from relup.targets.python.service import Service, serve
from tests.support import supervised, write_release

COUNT = 3
OLD_MODEL = """
    from dataclasses import dataclass, field

    @dataclass
    class Cart:
        owner: str
        items: list = field(default_factory=list)
        note: str = "old"

        def total(self):
            return len(self.items)

    @dataclass(eq=False)
    class Key:
        name: str

    class Line:
        __slots__ = ("text",)
        def __init__(self, text):
            self.text = text
"""
NEW_MODEL = """
    from dataclasses import dataclass, field
    from relup.runtime import counterpart, migrate

    @dataclass
    class Cart:
        owner: str
        items: list = field(default_factory=list)
        currency: str = "EUR"

        def total(self):
            return 100 * len(self.items)

    @dataclass(eq=False)
    class Key:
        name: str
        more: int = 7

    class Line:
        __slots__ = ("text",)

    CALLS = []

    def upgrade_cart(cart):
        cart.items.append("changed in place")
        CALLS.append(cart)
        {cart}
        return migrate(cart, Cart)

    def downgrade_cart(cart):
        cart.items.remove("changed in place")
        return migrate(cart, counterpart(Cart), note="went down")

    def turn(old):
        return migrate(old, counterpart(type(old)))

    def turn_back(new):
        return migrate(new, counterpart(type(new)))
"""
HOLDER = """
    from shop.model import Cart, Key, Line

    GLOBALS, CACHE, CLOSURES = [], {}, []

    def fill():
        GLOBALS.append(Cart("global"))
        CACHE[Key("k")] = "value"
        hidden = Cart("hidden")
        CLOSURES.append(lambda: hidden)
"""
WORKER = """
    from relup.runtime import Down, GenServer, Reply
    from shop import holder, model

    class Worker(GenServer):
        def init(self, number):
            line = model.Line(str(number))
            if number == 0:
                holder.fill()
            return {{"number": number, "cart": model.Cart(f"owner {{number}}", [number]), "line": line, "seen": None}}

        def handle_call(self, request, caller, state):
            return Reply(state["cart"].total(), state)

        def code_change(self, old_vsn, state, extra):
            assert type(state["cart"]) is model.Cart
            state["seen"] = sorted(vars(state["cart"]))
            {change}
            return state
"""
UP = """
- load_module: {module: shop.model, instances: {Cart: upgrade_cart, Key: turn, Line: "shop.model:turn"}}
- update: {module: shop.worker, change: advanced}
"""
DOWN = """
- update: {module: shop.worker, change: advanced}
- load_module: {module: shop.model, instances: {Cart: downgrade_cart, Key: turn_back, Line: turn_back}}
"""


def appup(up: str, down: str) -> str:
    lists = f'up:\n  - from: "1"\n    instructions:{indent(up, "      ")}down:\n  - to: "1"\n    instructions:'
    return f'application: shop\nvsn: "2"\n{lists}{indent(down, "      ")}'


def modules(model: str, change: str = "pass") -> Mapping[str, str]:
    return {"app": supervised(COUNT), "model": model, "holder": HOLDER, "worker": WORKER.format(change=change)}


@asynccontextmanager
async def running(
    tmp_path: Path, cart: str = "pass", change: str = "pass", up: str = UP, down: str = DOWN
) -> AsyncIterator[tuple[Service, Path]]:
    old = write_release(tmp_path / "1", "1", modules(OLD_MODEL))
    new = modules(NEW_MODEL.format(cart=cart), change)
    goal = write_release(tmp_path / "2", "2", new, appup(up, down))
    async with serve(old, base=tmp_path / "home") as service:
        yield service, goal


async def apply(service: Service, goal: Path, **options: bool) -> Outcome:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    return await service.handler.install(relup, owner="a test", emit=lambda event: None, options=Options(**options))


def carts(service: Service) -> list[Any]:
    holder = import_module("shop.holder")
    states = [p.state for p in service.node.processes.values() if isinstance(p.state, dict)]
    return [*holder.GLOBALS, holder.CLOSURES[0](), *(s["cart"] for s in states)]


def view(service: Service) -> str:
    """Return everything that a rollback restores: identities, classes, attributes in their order, what they hold."""
    holder = import_module("shop.holder")
    found = [*carts(service), *holder.CACHE, *(p.state["line"] for p in service.node.processes.values() if holds(p))]
    shown = [(id(o), type(o), {k: (id(v), repr(v)) for k, v in attributes(o).items()}) for o in found]
    states = {p.pid: (p.name, id(p.state), repr(p.state), p.holds) for p in service.node.processes.values()}
    return repr((shown, states, list(holder.CACHE.items()), service.handler.running, sorted(service.node.code.old)))


def holds(process: Any) -> bool:
    return isinstance(process.state, dict)


def attributes(instance: Any) -> dict[str, Any]:
    return vars(instance) if hasattr(instance, "__dict__") else {"text": instance.text}


def test_every_instance_becomes_one_of_the_new_class_wherever_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (service, goal):
            before, key = carts(service), next(iter(import_module("shop.holder").CACHE))
            items = [cart.items for cart in before]
            outcome = await apply(service, goal)
            assert outcome.status == "done"
            assert told(outcome) == [
                "instances: 5 of shop.model.Cart migrated by upgrade_cart",
                "instances: 1 of shop.model.Key migrated by turn",
                "instances: 3 of shop.model.Line migrated by shop.model:turn",
            ]
            after, model = carts(service), import_module("shop.model")
            assert [id(c) for c in after] == [id(c) for c in before]
            assert {type(c) for c in after} == {model.Cart}
            assert [(c.currency, hasattr(c, "note")) for c in after] == [("EUR", False)] * len(before)
            assert all(c.items is i for c, i in zip(after, items, strict=True))
            assert import_module("shop.holder").CACHE[key] == "value"
            assert (type(key), key.more) == (model.Key, 7)
            assert await service.node.call("w0", "total") == 200
            assert gc.get_freeze_count() == 0

    asyncio.run(scenario())


def told(outcome: Outcome) -> list[str]:
    return [d.message for d in outcome.diagnostics if d.code == "instances"]


def test_code_change_sees_new_instances_in_both_directions_and_old_ones_where_it_is_static(tmp_path: Path) -> None:
    """On the way down `code_change` of the code that is left runs first, unless the module is static."""
    new, old = ["currency", "items", "owner"], ["items", "note", "owner"]
    for number, (kind, seen) in enumerate({"dynamic": new, "static": old}.items()):
        down = DOWN.replace("advanced}", f"advanced, mod_type: {kind}}}")

        async def scenario(folder: Path, down: str, seen: list[str]) -> None:
            async with running(folder, down=down) as (service, goal):
                before, pid = carts(service), service.node.whereis("w1")
                assert pid is not None
                assert (await apply(service, goal)).status == "done"
                assert service.node.processes[pid].state["seen"] == new
                assert (await apply(service, folder / "1")).status == "done"
                assert service.node.processes[pid].state["seen"] == seen
                assert carts(service) == before
                assert {type(c) for c in before} == {import_module("shop.model").Cart}
                assert {c.note for c in before} == {"went down"}
                assert await service.node.call("w1", "total") == 1

        asyncio.run(scenario(tmp_path / str(number), down, seen))


FAILURES = {
    "the function raises": ("{at} and 1/0", "pass", "instances_failed"),
    "the function exits": ("{at} and exit(3)", "pass", "instances_failed"),
    "it forgets its return": ("if {at}: return", "pass", "bad_return_value"),
    "it returns the old one": ("if {at}: return cart", "pass", "bad_return_value"),
    "it returns something else": ("if {at}: return dict(vars(cart))", "pass", "bad_return_value"),
    "code_change raises later": ("pass", 'state["cart"].items.clear(); {process} and 1/0', "code_change_failed"),
}


@pytest.mark.parametrize("failing", [0, 2, 4])
@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_fails_every_instance_is_what_it_was(tmp_path: Path, failure: str, failing: int) -> None:
    cart, change, code = FAILURES[failure]
    cart = cart.format(at=f"len(CALLS) == {failing + 1}")
    change = change.format(process=f'state["number"] == {failing // 2}')

    async def scenario() -> None:
        async with running(tmp_path, cart, change) as (service, goal):
            before = view(service)
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back"
            assert outcome.diagnostics[0].code == code
            assert str(outcome.diagnostics[0].location).endswith(("appup.yaml:6:9", "appup.yaml:7:9"))
            assert view(service) == before
            assert [await service.node.call(f"w{i}", "total") for i in range(COUNT)] == [1] * COUNT
            assert gc.get_freeze_count() == 0

    asyncio.run(scenario())
