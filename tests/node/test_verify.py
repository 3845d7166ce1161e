"""`verify`: who is asked when, what a no does, and who wins when an upgrade is confirmed at its last moment."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from relup.diagnostics import Busy, Refused
from relup.document import read_release
from relup.executor import Options, Outcome
from relup.model.instructions import Call, Verify
from relup.model.relup import Relup
from relup.model.route import Route
from relup.planner import find_route
from relup.targets.python.service import Service, serve
from tests.node.racing import race
from tests.node.test_routes import release as routed
from tests.node.test_routes import route, travel
from tests.node.test_windows import BOTH_SERVERS, appup, release, running, states
from tests.support import Commands

PROBE = "\n      - verify: {module: shop.ops, function: %s}"
SLOW = "\n      - verify: {module: shop.ops, function: %s, timeout: 100}"
OPS = """
    import asyncio
    from relup.runtime import current_node, sys

    calls = []
    said = []

    async def meet():
        await current_node().call("cart", "add")

    def part():
        pass

    async def held():
        said.append([await sys.get_state("cart"), current_node().processes and "held"])

    def refuses():
        said.append("asked")
        return False

    def raises():
        said.append("asked")
        raise LookupError("no till")

    async def asserts():
        said.append("asked")
        assert not "till"

    async def calls_cart():
        await current_node().call("cart", "list")

    def spins():
        said.append("asked")
        while True:
            pass

    def spins_later():
        said.append("asked")
        while len(said) > 1:
            pass

    def twice():
        said.append("asked")
        return len(said) < 2

    def thrice():
        said.append("asked")
        return len(said) < 3

    async def none():
        said.append("asked")
"""


def goal(folder: Path, up: str, down: str | None = BOTH_SERVERS % "") -> Path:
    made = release(folder, "2", appup(up, down))
    (folder / "shop" / "ops.py").write_text(dedent(OPS))
    return made


ASKED = BOTH_SERVERS % "" + "\n      - load_module: shop.ops"
BACK = ASKED


def said(service: Service) -> list[Any]:
    """Return what the version that runs now was asked."""
    found: list[Any] = getattr(sys.modules["shop.ops"], "said", [])
    return found


async def applied(service: Service, to: Path, *, within: float | None = None, **options: bool) -> Outcome:
    route = find_route(read_release(Path(service.handler.running.root)), read_release(to))
    return await service.handler.install(
        route, owner="a test", emit=lambda event: None, options=Options(**options), confirm_within=within
    )


CASES = {
    "returns False": ("refuses", "verify shop.ops:refuses() returned False, while its processes stood still"),
    "raises": ("raises", "verify shop.ops:raises() failed: LookupError: no till"),
    "fails an assertion": ("asserts", "verify shop.ops:asserts() failed: AssertionError"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_probe_that_says_no_in_the_window_rolls_it_back_and_is_named_with_its_place(
    case: str, tmp_path: Path
) -> None:
    function, words = CASES[case]

    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + PROBE % function, BACK)
        async with running(tmp_path) as service:
            outcome = await applied(service, to)
            assert (outcome.status, outcome.exit_code) == ("rolled_back", 5)
            (found,) = [d for d in outcome.diagnostics if d.code == "verify_failed"]
            assert words in found.message
            assert found.location is not None
            assert (found.location.file, found.location.line) == (str(to / "shop.appup.yaml"), 11)
            assert await states(service) == [["1"], ["1"]]
            assert service.handler.running.vsn == "1"

    asyncio.run(scenario())


def test_a_probe_that_calls_who_stands_still_is_over_with_its_limit(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + SLOW % "calls_cart", BACK)
        async with running(tmp_path) as service:
            outcome = await applied(service, to)
            (found,) = [d for d in outcome.diagnostics if d.code == "verify_failed"]
            assert "did not answer within 0.1 s" in found.message
            assert "sys.get_state" in str(found.hint)
            assert outcome.windows[0].milliseconds < 2_000
            assert await states(service) == [["1"], ["1"]]

    asyncio.run(scenario())


def test_a_probe_that_spins_is_interrupted_in_the_window_and_when_everybody_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        for number, function in enumerate(("spins", "spins_later")):
            to = goal(tmp_path / f"to {number}", ASKED + SLOW % function, BACK)
            async with serve(release(tmp_path / f"{number}", "1"), base=tmp_path / f"home {number}") as service:
                outcome = await applied(service, to)
                assert (outcome.status, service.handler.running.vsn) == ("rolled_back", "1")
                (found,) = [d for d in outcome.diagnostics if d.code == "verify_failed"]
                assert f"verify shop.ops:{function}() did not return within 0.1 s and was interrupted" in found.message

    asyncio.run(scenario())


def test_a_probe_sees_the_new_states_in_the_window_and_is_asked_again_after_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + PROBE % "held", BACK)
        async with running(tmp_path) as service:
            outcome = await applied(service, to)
            assert outcome.status == "done", outcome.diagnostics
            assert [state for state, _ in said(service)] == [["1", "up"], ["1", "up"]]

    asyncio.run(scenario())


def test_what_returns_none_says_yes(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + PROBE % "none", BACK)
        async with running(tmp_path) as service:
            assert (await applied(service, to)).status == "done"
            assert said(service) == ["asked", "asked"]

    asyncio.run(scenario())


def test_a_probe_that_says_no_when_everybody_runs_leads_back_by_the_downgrade(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + PROBE % "twice", BACK)
        async with running(tmp_path) as service:
            outcome = await applied(service, to)
            assert (outcome.status, outcome.exit_code) == ("rolled_back", 5)
            messages = [d.message for d in outcome.diagnostics if d.code == "verify_failed"]
            assert messages == ["verify shop.ops:twice() returned False, when its processes ran again"]
            assert [d.code for d in outcome.diagnostics if d.code == "migrated_down"] == ["migrated_down"]
            assert await states(service) == [["1", "up", "down"], ["1", "up", "down"]]
            assert (service.handler.running.vsn, service.handler.records.provisional) == ("1", False)

    asyncio.run(scenario())


def test_where_nothing_leads_back_a_no_when_everybody_runs_needs_an_operator(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + PROBE % "twice", None)
        async with running(tmp_path) as service:
            outcome = await applied(service, to)
            assert (outcome.status, outcome.exit_code) == ("operator_needed", 6)
            assert {"verify_failed", "not_taken_back"} <= {d.code for d in outcome.diagnostics}
            assert service.handler.running.vsn == "2"

    asyncio.run(scenario())


NOTED: list[str] = []
"""Who was asked: filled and emptied by one test, whose plan names this module."""


def noted(who: str, *noes: int) -> bool:
    """Note who was asked; the answer is no where so many were asked before."""
    NOTED.append(who)
    return len(NOTED) - 1 not in noes


def asking(hop: Relup, who: str, *noes: int) -> Relup:
    return replace(hop, script=(*hop.script, Verify(Call(__name__, "noted", (who, *noes)))))


def test_of_a_route_each_hop_is_asked_in_its_window_and_the_last_one_again(tmp_path: Path) -> None:
    """A no at the end leads back over all hops; the ways back are asked in their windows alone."""

    async def scenario() -> None:
        folders = [routed(tmp_path, n) for n in (1, 2, 3)]
        first, second = route(folders).hops
        first = replace(first, way_back=(*(first.way_back or ()), Verify(Call(__name__, "noted", ("back to 1",)))))
        async with serve(folders[0], base=tmp_path / "home") as service:
            outcome = await travel(service, Route((asking(first, "2"), asking(second, "3", 2))))
            assert (outcome.exit_code, service.handler.running.vsn) == (5, "1")
            assert NOTED == ["2", "3", "3", "back to 1"]
            NOTED.clear()
            assert (await travel(service, Route((asking(first, "2"), asking(second, "3"))))).status == "done"
            assert NOTED == ["2", "3", "3"]
            NOTED.clear()

    asyncio.run(scenario())


# ── while it is provisional ────────────────────────────────────────────────────────────────────────────


def history(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.handler._home.history()
    return found


async def gone_back(service: Service) -> float:
    """Wait until the node has gone back by itself; return when it would have at the latest."""
    deadline = service.handler.deadline
    assert deadline is not None
    await asyncio.wait_for(asyncio.wait([deadline.task]), timeout=20)
    return deadline.at


def test_a_probe_that_says_no_in_the_time_for_a_confirmation_leads_back_before_that_is_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + PROBE % "thrice", BACK)
        async with running(tmp_path) as service:
            assert (await applied(service, to, within=6)).status == "done"
            await service.node.call("cart", "add")
            deadline = await gone_back(service)
            assert asyncio.get_running_loop().time() < deadline - 2
            assert await states(service) == [["1", "up", "added by 2", "down"], ["1", "up", "down"]]
            assert (service.handler.running.vsn, service.handler.records.provisional) == ("1", False)
            told = [e for e in history(service) if e["what"] in ("verify_failed", "downgrade")]
            assert [(e["what"], e["who"]) for e in told] == [
                ("verify_failed", "the node"),
                ("downgrade", "a failing verify"),
            ]
            assert told[0]["because"] == [f"verify_failed ({to / 'shop.appup.yaml'}:11:9)"]
            with pytest.raises(Refused, match=r"went back from shop 2 to shop 1 by itself.*thrice"):
                await service.handler.confirm("somebody late")

    asyncio.run(scenario())


def test_who_is_provisional_and_downgraded_keeps_what_was_written_since(tmp_path: Path) -> None:
    """Its deadline is over with that, and whoever confirms afterwards confirms the old release."""

    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + PROBE % "none", BACK)
        async with running(tmp_path) as service:
            base = Path(service.handler.running.root)
            assert (await applied(service, to, within=60)).status == "done"
            await service.node.call("cart", "add")
            assert (await applied(service, base)).status == "done"
            assert service.handler.deadline is None
            assert await states(service) == [["1", "up", "added by 2", "down"], ["1", "up", "down"]]
            assert (await service.handler.confirm("a test"))["was_provisional"] is False

    asyncio.run(scenario())


def test_a_downgrade_that_fails_leaves_the_deadline(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED, BACK + PROBE % "refuses")
        async with running(tmp_path) as service:
            base = Path(service.handler.running.root)
            (base / "shop" / "ops.py").write_text(dedent(OPS))
            assert (await applied(service, to, within=60)).status == "done"
            deadline = service.handler.deadline
            assert (await applied(service, base)).status == "rolled_back"
            assert (service.handler.deadline, service.handler.running.vsn) == (deadline, "2")
            assert deadline is not None

    asyncio.run(scenario())


def test_to_confirm_twice_is_to_confirm_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED + PROBE % "none", BACK)
        async with running(tmp_path) as service:
            assert (await applied(service, to, within=60)).status == "done"
            confirmed = [(await service.handler.confirm("a test"))["was_provisional"] for _ in range(2)]
            assert confirmed == [True, False]
            assert service.handler.deadline is None
            assert [e["what"] for e in history(service)].count("confirm") == 1

    asyncio.run(scenario())


def test_whoever_confirms_as_it_goes_back_is_told_that_it_is_busy_and_then_that_it_is_too_late(tmp_path: Path) -> None:
    async def scenario() -> None:
        to = goal(tmp_path / "2", ASKED, BACK)
        async with running(tmp_path) as service:
            assert (await applied(service, to, within=0.05)).status == "done"
            refused: list[str] = []
            while service.handler.deadline:
                if service.handler.owner:
                    with pytest.raises(Busy, match="the confirm deadline"):
                        await service.handler.confirm("somebody late")
                    refused.append("busy")
                await asyncio.sleep(0)
            with pytest.raises(Refused, match=r"went back .* by itself"):
                await service.handler.confirm("somebody late")
            assert refused
            assert (await applied(service, to)).status == "done"
            assert (await service.handler.confirm("somebody in time"))["was_provisional"] is True

    asyncio.run(scenario())


def test_of_confirm_and_the_deadline_one_wins_and_the_record_says_which(commands: Commands, tmp_path: Path) -> None:
    assert len(race(commands, tmp_path, tries=12)) == 12
