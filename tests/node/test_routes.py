"""Several hops as one upgrade: all of them, or the release that ran before the first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from relup.diagnostics import Busy, Refused
from relup.document import read_release
from relup.executor import Event, Options, Outcome
from relup.model.instructions import LowLevel, RestartEmulator, Resume, Suspend
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.route import Route
from relup.planner import plan
from relup.targets.python.home import Home
from relup.targets.python.service import Service, serve
from tests.support import supervised, unread, write_release

WORKER = """
    from relup.runtime import Down, GenServer, Reply

    class Worker(GenServer):
        def init(self, args):
            return [args]

        def handle_call(self, request, caller, state):
            return Reply(list(state), state)

        def code_change(self, old_vsn, state, extra):
            if isinstance(old_vsn, Down):
                return [*state, "down from {vsn}"]
            {fault}
            return [*state, "up to {vsn}"]
"""
UP = """
up:
  - from: "{before}"
    instructions: [update: {{module: shop.worker, change: advanced}}]
"""
DOWN = """
down:
  - to: "{before}"
    instructions: inverse
"""


def release(root: Path, vsn: int, *, fault: str = "pass", down: bool = True, more: str = "") -> Path:
    appup = f'application: shop\nvsn: "{vsn}"\n' + UP + (DOWN if down else "")
    modules = {"app": supervised(2), "worker": WORKER.format(vsn=vsn, fault=fault) + more}
    return write_release(root / str(vsn), str(vsn), modules, appup.format(before=vsn - 1))


def route(folders: Sequence[Path], read: Callable[[Path], Release] = read_release) -> Route:
    releases = [read(folder) for folder in folders]
    return Route(tuple(plan(a, b) for a, b in pairwise(releases)))


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    async with serve(release(tmp_path, 1), base=tmp_path / "home") as service:
        yield service


async def travel(service: Service, along: Route, within: float | None = None, **options: bool) -> Outcome:
    return await service.handler.install(
        along, owner="a test", emit=lambda event: None, options=Options(**options), confirm_within=within
    )


async def states(service: Service) -> list[list[object]]:
    return [await service.node.call(name, "list") for name in ("w0", "w1")]


def both(*changes: str) -> list[list[object]]:
    return [[0, *changes], [1, *changes]]


def test_every_hop_changes_the_states_in_turn(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            pids = [service.node.whereis(name) for name in ("w0", "w1")]
            along = route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3, 4))])
            outcome = await travel(service, along)
            assert (outcome.status, outcome.base, outcome.goal) == ("done", "1", "4")
            assert len(outcome.windows) == 3
            assert await states(service) == both("up to 2", "up to 3", "up to 4")
            assert [service.node.whereis(name) for name in ("w0", "w1")] == pids
            assert service.handler.running.vsn == "4"

    asyncio.run(scenario())


def test_the_releases_between_are_on_the_way_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            await travel(service, route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3))]))
            assert [i.vsn for i in service.handler.records.way_back] == ["1", "2"]
            assert service.handler.records.permanent.vsn == "1"

    asyncio.run(scenario())


def test_a_later_hop_that_fails_takes_the_node_back_to_where_it_began(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            along = route(
                [
                    tmp_path / "1",
                    release(tmp_path, 2),
                    release(tmp_path, 3),
                    release(tmp_path, 4, fault="raise OSError"),
                ]
            )
            before = service.handler.records
            outcome = await travel(service, along)
            assert outcome.status == "rolled_back"
            codes = [d.code for d in outcome.diagnostics]
            assert "code_change_failed" in codes
            assert "migrated_down" in codes
            assert await states(service) == both("up to 2", "up to 3", "down from 3", "down from 2")
            assert service.handler.running.vsn == "1"
            assert service.handler.records == before
            assert service.handler.owner is None

    asyncio.run(scenario())


def test_code_that_cannot_be_loaded_in_a_later_hop_is_a_failure_of_the_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            goal = release(tmp_path, 3, more="\n    raise RuntimeError('not here')\n")
            outcome = await travel(service, route([tmp_path / "1", release(tmp_path, 2), goal]))
            assert outcome.status == "rolled_back"
            assert "bad_code" in [d.code for d in outcome.diagnostics]
            assert await states(service) == both("up to 2", "down from 2")

    asyncio.run(scenario())


def broken_syntax(goal: Path) -> None:
    (goal / "shop" / "worker.py").write_text("class Worker(\n")


EARLY = {
    "the file of a later hop changed": ("stale_plan", False),
    "the file of a later hop is no Python": ("bad_code", True),
}


@pytest.mark.parametrize(("code", "planned_so"), EARLY.values(), ids=EARLY.keys())
def test_what_can_be_known_of_later_hops_is_refused_before_the_first(
    tmp_path: Path, code: str, planned_so: bool
) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            folders = [tmp_path / "1", release(tmp_path, 2), release(tmp_path, 3)]
            if planned_so:
                broken_syntax(folders[-1])
            along = route(folders, unread)  # a controller of another Python may take for good what the node does not
            if not planned_so:
                broken_syntax(folders[-1])
            with pytest.raises(Refused) as refusal:
                await travel(service, along)
            assert code in [d.code for d in refusal.value.diagnostics]
            assert await states(service) == both()
            assert service.handler.owner is None

    asyncio.run(scenario())


def test_a_hop_without_a_way_back_is_refused_unless_it_is_the_last(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            no_way_down = release(tmp_path, 2, down=False)
            last = release(tmp_path, 3, fault="raise OSError")
            along = route([tmp_path / "1", no_way_down, last])
            with pytest.raises(Refused, match="no appup leads back") as refusal:
                await travel(service, along)
            assert [d.code for d in refusal.value.diagnostics] == ["no_way_back"]
            outcome = await travel(service, along, allow_irreversible=True)
            assert outcome.status == "operator_needed"
            assert "not_taken_back" in [d.code for d in outcome.diagnostics]
            assert service.handler.running.vsn == "2"
            assert await states(service) == both("up to 2")

    asyncio.run(scenario())


def test_a_dry_run_of_a_route_touches_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            along = route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3))])
            outcome = await travel(service, along, dry_run=True)
            assert outcome.status == "ready"
            assert await states(service) == both()
            assert service.handler.running.vsn == "1"

    asyncio.run(scenario())


def test_an_unconfirmed_route_goes_back_by_itself_hop_by_hop(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            along = route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3))])
            await travel(service, along, within=0.1)
            assert service.handler.deadline is not None
            await service.handler.deadline.task
            assert service.handler.running.vsn == "1"
            assert await states(service) == both("up to 2", "up to 3", "down from 3", "down from 2")

    asyncio.run(scenario())


def test_a_route_that_is_cancelled_between_its_hops_goes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            along = route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3))])

            def emit(event: Event) -> None:
                if event.phase == "hop" and event.message.startswith("2 "):
                    upgrade.cancel()

            upgrade = asyncio.create_task(service.handler.install(along, owner="a test", emit=emit, options=Options()))
            with pytest.raises(asyncio.CancelledError):
                await upgrade
            assert service.handler.running.vsn == "1"
            assert await states(service) == both("up to 2", "down from 2")
            assert service.handler.owner is None

    asyncio.run(scenario())


def test_the_history_has_one_line_for_the_whole_route(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            await travel(service, route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3))]))
            (line,) = [e for e in Home(tmp_path / "home", "shop").history() if e["what"] == "upgrade"]
            assert (line["from"], line["via"], line["to"], line["outcome"]) == ("1", ["2"], "3", "done")

    asyncio.run(scenario())


def test_a_route_that_could_not_go_back_is_refused_before_its_first_hop(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            along = route([tmp_path / "1", release(tmp_path, 2), release(tmp_path, 3)])
            (tmp_path / "1" / "shop" / "worker.py").unlink()
            with pytest.raises(Refused) as refusal:
                await travel(service, along)
            assert "stale_plan" in [d.code for d in refusal.value.diagnostics]
            assert await states(service) == both()

    asyncio.run(scenario())


def test_an_upgrade_that_could_not_go_back_by_itself_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            along = route([tmp_path / "1", release(tmp_path, 2)])
            (tmp_path / "1" / "shop" / "worker.py").unlink()
            with pytest.raises(Refused):
                await travel(service, along, within=60)

    asyncio.run(scenario())


def without(script: Sequence[LowLevel], *kinds: type) -> tuple[LowLevel, ...]:
    return tuple(i for i in script if not isinstance(i, kinds))


Edit: TypeAlias = Callable[[Relup, Relup], tuple[Relup, Relup]]
EDITS: dict[str, tuple[Edit, str]] = {
    "no suspend": (
        lambda one, two: (one, replace(two, script=without(two.script, Suspend, Resume))),
        "code_change_not_suspended",
    ),
    "a suspend without its resume": (
        lambda one, two: (one, replace(two, script=without(two.script, Resume))),
        "suspended_not_resumed",
    ),
    "a restart of the emulator": (
        lambda one, two: (one, replace(two, script=(*two.script, RestartEmulator()))),
        "not_on_this_node",
    ),
    "a way back that does nothing": (lambda one, two: (replace(one, way_back=()), two), "changed_not_loaded"),
    "another base": (lambda one, two: (one, replace(two, base=replace(two.base, vsn="77"))), "broken_route"),
}


@pytest.mark.parametrize(("edit", "code"), EDITS.values(), ids=EDITS.keys())
def test_an_edited_plan_is_refused_before_its_first_hop(tmp_path: Path, edit: Edit, code: str) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            along = route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3))])
            with pytest.raises(Refused) as refusal:
                await travel(service, Route(edit(*along.hops)))
            assert code in [d.code for d in refusal.value.diagnostics]
            assert await states(service) == both()

    asyncio.run(scenario())


def test_where_the_way_back_stops_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            middle = release(tmp_path, 2)
            text = (middle / "shop" / "worker.py").read_text()
            (middle / "shop" / "worker.py").write_text(text.replace('return [*state, "down from 2"]', "raise OSError"))
            along = route([tmp_path / "1", middle, release(tmp_path, 3, fault="raise OSError")])
            outcome = await travel(service, along)
            assert outcome.status == "operator_needed"
            (stays,) = [d for d in outcome.diagnostics if d.code == "not_taken_back"]
            assert "the node runs shop 2" in stays.message
            assert service.handler.running.vsn == "2"
            assert [w.going_back for w in outcome.windows] == [False, False, True]

    asyncio.run(scenario())


def test_a_node_that_stops_in_the_middle_tells_how_its_route_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            along = route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3))])
            stopping: list[asyncio.Task[None]] = []

            def emit(event: Event) -> None:
                if event.phase == "hop" and event.message.startswith("2 "):
                    stopping.append(asyncio.create_task(service.handler.finish()))

            outcome = await service.handler.install(along, owner="a test", emit=emit, options=Options())
            await asyncio.gather(*stopping)
            assert outcome.status == "rolled_back"
            assert {"interrupted", "migrated_down"} <= {d.code for d in outcome.diagnostics}
            assert service.handler.running.vsn == "1"

    asyncio.run(scenario())


def test_an_upgrade_over_a_mixed_route_waits_for_the_confirmation_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service:
            up = route([tmp_path / "1", *(release(tmp_path, n) for n in (2, 3))])
            await travel(service, up, within=60)
            down_and_up = Route((*[hop for hop in [up.hops[1].back()] if hop], up.hops[1]))
            with pytest.raises(Refused, match="not confirmed"):
                await travel(service, down_and_up)

    asyncio.run(scenario())


def test_who_asks_what_runs_during_an_upgrade_is_told_that_the_node_is_busy(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as service, service.handler.hold("another"):
            with pytest.raises(Busy, match="another"):
                service.handler.refuse_busy()

    asyncio.run(scenario())
