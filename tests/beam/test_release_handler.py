"""What OTP's release handler does, and what relup does in the same place on the same kind of node.

What OTP does is asserted too, so that the text stays true.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from relup.cli.demo import examples
from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Outcome, install
from relup.planner import plan
from relup.targets.beam.connect import connect
from tests.beam.asking import LOADED
from tests.beam.losing import LosingTarget
from tests.beam.nodes import Beam, BeamNode
from tests.beam.reaching import reach
from tests.beam.test_contract import HOUR, VIEW

WORKERS = "[P || {_, P, _, _} <- supervisor:which_children(depot_pool)]"
SUSPENDED = f"length([P || P <- {WORKERS}, {{status, _, _, [_, suspended | _]}} <- [sys:get_status(P)]])"


def upgraded(beam: Beam, node: BeamNode, goal: Path | str, after: str = "", happens: str = "ok") -> Outcome:
    """Upgrade a node of release 1 to another one with relup; after an effect, something *happens* on the node."""
    relup = plan(read_release(beam.depot["1"]), read_release(beam.depot[goal] if isinstance(goal, str) else goal))

    async def happening() -> None:
        node.ask(happens)

    async def scenario() -> Outcome:
        async with connect(reach(node)) as bridge:
            target = LosingTarget(bridge)
            target.effect, target.lose = after, happening
            return await install(relup, target, owner="a test", emit=lambda event: None, clock=time.perf_counter)

    return asyncio.run(scenario())


def by_otp(node: BeamNode, release: Path) -> Any:
    """Let `release_handler:upgrade_app` upgrade the depot to another release; return what it answers, or raises."""
    return node.ask(f"""
        case catch release_handler:upgrade_app(depot, "{next(release.glob("lib/depot-*"))}") of
            {{ok, []}} -> ok; Other -> element(1, Other) end
    """)


def test_o1_who_does_not_suspend_in_time_is_skipped_by_otp_and_named_by_relup(beam: Beam) -> None:
    """A worker that is busy: relup rolls back and says who it was and where it is."""
    busy = "[W | _] = " + WORKERS + ", spawn(fun() -> sys:replace_state(W, fun(S) -> timer:sleep(9000), S end) end), ok"
    with beam.depot_node(interval=HOUR, workers=3) as node:
        node.ask(busy)
        assert by_otp(node, beam.depot["2"]) == "ok"
        assert node.ask("depot_worker:module_info(attributes)") == [("vsn", [2]), ("behaviour", ["gen_server"])]
        kinds = node.ask(f"[is_map(S) || P <- {WORKERS}, S <- [sys:get_state(P)]]")
        assert sorted(kinds) == [False, True, True]
    with beam.depot_node(interval=HOUR, workers=3) as node:
        node.ask(busy)
        outcome = upgraded(beam, node, "2")
        assert outcome.status == "rolled_back"
        (said,) = outcome.diagnostics
        assert (said.code, "timer:sleep/1" in said.message) == ("suspend_timeout", True)
        assert node.ask(f"[is_tuple(sys:get_state(P, 9000)) || P <- {WORKERS}]") == [True] * 3
        assert node.ask(SUSPENDED) == 0


def test_o3_a_code_change_that_raises_leaves_otp_between_two_versions_and_relup_at_the_old_one(beam: Beam) -> None:
    """And O4, O10: relup puts code and states back in the same processes."""
    with beam.depot_node(interval=HOUR, workers=9) as node:
        assert by_otp(node, beam.depot["3"]) != "ok"
        assert node.ask("depot_worker:module_info(attributes)") != [("vsn", [1]), ("behaviour", ["gen_server"])]
        assert node.ask(SUSPENDED) > 0
    with beam.depot_node(interval=HOUR, workers=9) as node:
        before = node.ask(VIEW)
        outcome = upgraded(beam, node, "3")
        assert outcome.status == "rolled_back"
        assert [d.code for d in outcome.diagnostics if d.severity == "error"] == ["code_change_failed"]
        assert node.ask(VIEW) == before


def test_a_caller_that_waits_for_a_suspended_server_is_suspended_first(beam: Beam) -> None:
    """The till calls the stock all the time; in no order of suspending them does it fail."""
    with beam.depot_node(interval=0, workers=20) as node:
        outcome = upgraded(beam, node, "2")
        assert outcome.status == "done", outcome
        node.wait_for(r"^sold\[2\]: \d+$")
        assert node.ask(LOADED) == []


def test_who_takes_no_system_messages_is_named_before_anything_is_touched(beam: Beam) -> None:
    """A process that was started by the depot's worker module, and only waits."""
    with beam.depot_node(interval=HOUR, workers=2) as node:
        node.ask("""
            P = proc_lib:spawn(fun() -> put('$initial_call', {depot_worker, work, 1}), receive stop -> ok end end),
            register(deaf, P), is_process_alive(P)
        """)
        before = node.ask(VIEW)
        with pytest.raises(Refused, match="deaf runs code that changes and takes no system messages"):
            upgraded(beam, node, "2")
        assert node.ask(VIEW) == before


BIRTH = (
    "spawn(fun() -> {ok, P} = depot_worker:start_link(99), register(stray, P), unlink(P) end), "
    + """
    Wait = fun W() -> case whereis(stray) of undefined -> receive after 1 -> W() end; P -> P end end, Wait(), ok
"""
)


def test_o5_who_dies_in_the_window_is_gone_and_its_replacement_is_new(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=4) as node:
        node.ask(f"[W | _] = {WORKERS}, persistent_term:put(victim, W)")
        outcome = upgraded(beam, node, "2", "suspend", "exit(persistent_term:get(victim), kill)")
        assert outcome.status == "done", outcome
        (said,) = (d for d in outcome.diagnostics if d.code == "died_in_window")
        assert "(depot_worker) died in the window" in said.message
        assert node.ask(f"[is_map(sys:get_state(P)) || P <- {WORKERS}]") == [True] * 4


def test_o8_who_is_born_between_suspend_and_load_is_changed_with_the_others(beam: Beam) -> None:
    """Outside every tree, where no suspended supervisor could keep it from being born."""
    with beam.depot_node(interval=HOUR, workers=2) as node:
        outcome = upgraded(beam, node, "2", "suspend", BIRTH)
        assert outcome.status == "done", outcome
        assert node.ask("maps:get(id, sys:get_state(stray))") == 99


def test_who_is_born_under_code_that_is_taken_back_does_not_stay(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=9) as node:
        before = node.ask(VIEW)
        outcome = upgraded(beam, node, "3", "load", BIRTH)
        assert outcome.status == "rolled_back", outcome
        assert any("stray" in d.message for d in outcome.diagnostics)
        assert node.ask("whereis(stray)") == "undefined"
        assert node.ask(VIEW) == before


def test_a_code_change_that_hangs_is_named_and_only_that_process_stays_behind(beam: Beam, tmp_path: Path) -> None:
    goal = Path(shutil.copytree(beam.depot["2"], tmp_path / "hanging", symlinks=True))
    (ebin,) = goal.glob("lib/depot-2/ebin")
    source = (examples() / "beam" / "erl" / "2" / "depot_worker.erl").read_text()
    hangs = "code_change(1, {2, _}, _Extra) -> receive go_on -> {ok, none} end;\ncode_change(1,"
    (tmp_path / "depot_worker.erl").write_text(source.replace("code_change(1,", hangs, 1))
    subprocess.run(["erlc", "+deterministic", "-o", ebin, tmp_path / "depot_worker.erl"], check=True)
    appup = ebin / "depot.appup"
    limited = "{update, depot_worker, dynamic, 200, {advanced, []}, soft_purge, soft_purge, []}"
    appup.write_text(appup.read_text().replace("{update, depot_worker, {advanced, []}}", limited))
    with beam.depot_node(interval=HOUR, workers=3) as node:
        started = time.monotonic()
        outcome = upgraded(beam, node, goal)
        assert time.monotonic() - started < 3
        assert outcome.status == "operator_needed", outcome
        codes = {d.code for d in outcome.diagnostics}
        assert codes >= {"code_change_timeout", "not_restored"}
        (remains,) = (d.message for d in outcome.diagnostics if d.code == "not_restored")
        assert "depot_worker:code_change/3" in remains
        node.ask(
            f"[P ! go_on || P <- {WORKERS}, process_info(P, current_function) =:= "
            "{current_function, {depot_worker, code_change, 3}}]"
        )
        assert node.ask(f"[sys:get_state(P) || P <- {WORKERS}]") == [(1, 0), (2, 0), (3, 0)]
