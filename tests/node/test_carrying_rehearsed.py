"""A rehearsal goes there and back over what is kept and over instances that are migrated, too."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from relup.document import read_release
from relup.executor import Options
from relup.executor.rehearsal import Rehearsal
from relup.planner import plan
from relup.targets.python.service import serve
from tests.node.test_windows import appup
from tests.support import supervised, write_release

OLD_MODEL = """
    from dataclasses import dataclass
    SEEN = {}

    @dataclass
    class Cart:
        owner: int
"""
NEW_MODEL = """
    from dataclasses import dataclass
    from relup.runtime import counterpart, migrate
    SEEN = {{}}

    @dataclass
    class Cart:
        owner: int
        currency: str = "EUR"

    def turn(cart):
        {turn}
        return migrate(cart, Cart)

    odd = len("no function")

    def turn_back(cart):
        {back}
        return migrate(cart, counterpart(Cart){lost})
"""
WORKER = """
    from relup.runtime import GenServer, Reply
    from shop import model

    class Worker(GenServer):
        def init(self, number):
            model.SEEN[number] = model.Cart(number)
            return {"cart": model.SEEN[number]}

        def handle_call(self, request, caller, state):
            return Reply([repr(model.SEEN), repr(state), type(state["cart"]) is model.Cart], state)

        def code_change(self, old_vsn, state, extra):
            assert model.SEEN[state["cart"].owner] is state["cart"]
            return dict(state)
"""
COUNT = 3
UPDATE = "\n      - update: {module: shop.worker, change: advanced}"
UP = "\n      - load_module: {module: shop.model, keep: [SEEN], instances: {Cart: turn}}"
DOWN = "\n      - load_module: {module: shop.model, keep: [SEEN], instances: {Cart: turn_back}}"


def rehearsed(
    tmp_path: Path, *, turn: str = "pass", back: str = "pass", lost: str = "", down: str = DOWN, update: str = UPDATE
) -> Rehearsal:
    """Rehearse the upgrade of a node, and see that nobody in it was touched."""
    modules = {"app": supervised(COUNT), "worker": WORKER}
    base = write_release(tmp_path / "1", "1", {**modules, "model": OLD_MODEL})
    model = NEW_MODEL.format(turn=turn, back=back, lost=lost)
    goal = write_release(tmp_path / "2", "2", {**modules, "model": model}, appup(UP + update, update + down))

    async def run() -> Rehearsal:
        async with serve(base, base=tmp_path / "home") as service:
            before = await service.node.call("w0", "look")
            relup = plan(read_release(base), read_release(goal))
            options = Options(dry_run=True, rehearse=True)
            outcome = await service.handler.install(relup, owner="a test", emit=lambda event: None, options=options)
            assert await service.node.call("w0", "look") == before
        (found,) = outcome.rehearsals
        return found

    gc.unfreeze()
    return asyncio.run(run())


def test_states_whose_instances_are_migrated_come_back_as_they_were(tmp_path: Path) -> None:
    found = rehearsed(tmp_path)
    assert (found.verdict, found.notes, found.failures) == ("ok", (), ())
    assert [(m.module, m.way, m.processes, m.same) for m in found.modules] == [
        ("shop.worker", "there", COUNT, None),
        ("shop.worker", "back", COUNT, COUNT),
    ]


def test_states_that_no_code_change_is_given_come_back_as_they_were_too(tmp_path: Path) -> None:
    found = rehearsed(tmp_path / "same", update=UPDATE.replace("advanced", "soft"))
    assert (found.verdict, found.notes, found.failures) == ("ok", (), ())
    found = rehearsed(tmp_path / "lost", update=UPDATE.replace("advanced", "soft"), lost=", owner=99")
    assert [note.code for note in found.notes] == ["round_trip_differs"]


def test_what_an_instance_loses_on_the_way_back_is_told_with_its_path(tmp_path: Path) -> None:
    found = rehearsed(tmp_path, lost=", owner=99")
    assert [note.code for note in found.notes] == ["round_trip_differs"]
    assert "state['cart'].owner: 0 → 99" in found.notes[0].message


@pytest.mark.parametrize("way", ["turn", "back"])
def test_a_function_that_does_not_migrate_an_instance_fails_the_rehearsal(tmp_path: Path, way: str) -> None:
    found = rehearsed(tmp_path, **{way: "raise ValueError('not this one')"})
    assert found.verdict == "failed"
    (failure,) = found.failures
    assert failure.diagnostic.code == "instances_failed"
    assert "not this one" in failure.diagnostic.message
    assert failure.diagnostic.location is not None


def test_a_function_that_does_not_come_back_is_not_rehearsable(tmp_path: Path) -> None:
    found = rehearsed(tmp_path, back="import threading; threading.Event().wait()")
    assert found.verdict == "not_rehearsable"
    (failure,) = found.failures
    assert "the exchange of shop.model" in failure.diagnostic.message


def test_a_way_back_that_cannot_be_gone_is_told_and_the_way_there_was_tried(tmp_path: Path) -> None:
    found = rehearsed(tmp_path, down=DOWN.replace("turn_back", "odd"))
    assert found.verdict == "ok"
    assert [m.way for m in found.modules] == ["there"]
    (note,) = found.notes
    assert note.code == "way_back_not_rehearsed"
    assert "odd for shop.model.Cart is no function" in note.message
