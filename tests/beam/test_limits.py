"""An upgrade of a BEAM node keeps to its limits and tries again; births and deaths leave nobody behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from relup.executor import Event, Limits, Options, Outcome, install
from relup.model.relup import Relup
from relup.targets.beam.connect import connect
from relup.targets.beam.target import BeamNode as Target
from tests.beam.beside import LET_GO, WORKERS, busy, planned
from tests.beam.nodes import Beam, BeamNode
from tests.beam.reaching import reach
from tests.beam.test_contract import HOUR


def upgraded(node: BeamNode, relup: Relup, limits: Limits, tried_again: Callable[[], object] = lambda: None) -> Outcome:
    def emit(event: Event) -> None:
        if "tried again" in event.message:
            tried_again()

    async def scenario() -> Outcome:
        async with connect(reach(node)) as bridge:
            return await install(
                relup,
                Target(bridge),
                owner="a test",
                emit=emit,
                clock=time.monotonic,
                options=Options(limits=limits),
            )

    return asyncio.run(scenario())


def test_who_does_not_suspend_lets_all_go_on_and_is_named_or_is_upgraded_at_a_later_try(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=5) as node:
        (pid,) = node.ask(busy(1))
        relup = planned(beam.depot["1"], beam.depot["2"])
        standing: list[object] = []
        others = f"[begin {{_, 0}} = sys:get_state(P, 1000), ok end || P <- {WORKERS} -- persistent_term:get(busy)]"
        outcome = upgraded(node, relup, Limits(suspend=0.1, retries=2), lambda: standing.append(node.ask(others)))
        assert (outcome.status, outcome.exit_code) == ("rolled_back", 5), outcome
        (said,) = [d for d in outcome.diagnostics if d.severity == "error"]
        assert said.code == "suspend_timeout"
        assert pid in said.message
        assert "prim_eval:receive/2" in said.message
        assert "tried 3 times" in said.message
        assert standing == [["ok"] * 4] * 2
        outcome = upgraded(node, relup, Limits(suspend=0.1, retries=5), lambda: node.ask(LET_GO))
        assert outcome.status == "done", outcome
        assert upgraded(node, planned(beam.depot["2"], beam.depot["1"]), Limits(window=60)).status == "done"
        assert node.ask(f"[element(2, sys:get_state(P)) || P <- {WORKERS}]") == [0] * 5


STORM = """
    Drop = fun(pool, P) -> supervisor:terminate_child(depot_pool, P); (_, P) -> exit(P, kill) end,
    Start = fun(pool, N) -> depot_pool:start_worker(N); (linked, N) -> gen_server:start_link(depot_worker, N, []);
        (alone, N) -> gen_server:start(depot_worker, N, []) end,
    Send = fun(P) -> depot_worker:work(P) end,
    Bear = fun B(Kind, Kept, N) ->
        receive
            {stop, From} -> From ! {kept, self(), Kind, N, Kept}, receive never -> ok end;
            {'EXIT', _, _} -> B(Kind, Kept, N)
        after 1 ->
            {ok, P} = Start(Kind, N),
            All = [{Q, S + 1} || {Q, S} <- [{P, 0} | Kept]],
            [Send(Q) || {Q, _} <- All],
            case length(All) > 30 of
                true -> {Oldest, _} = lists:last(All), Drop(Kind, Oldest), B(Kind, lists:droplast(All), N + 1);
                false -> B(Kind, All, N + 1)
            end
        end end,
    Storm = [spawn(fun() -> process_flag(trap_exit, true), Bear(K, [], 0) end) || K <- KINDS],
    persistent_term:put(storm, Storm), ok
"""
VERSIONS = """
    Is = fun(P) -> proc_lib:translate_initial_call(P) =:= {depot_worker, init, 1} end,
    Shape = fun(P) -> try sys:get_state(P) of S when is_map(S) -> 2; {_, _} -> 1; Other -> Other
        catch exit:_ -> gone end end,
    lists:usort([S || P <- processes(), Is(P), S <- [Shape(P)], S =/= gone])
"""
HELD = """
    Is = fun(P) -> proc_lib:translate_initial_call(P) =:= {depot_worker, init, 1} end,
    Held = fun(P) -> try sys:get_status(P) of {status, _, _, [_, Sys | _]} -> Sys =:= suspended
        catch exit:_ -> false end end,
    length([P || P <- processes(), Is(P), Held(P)])
"""
STOP = """
    [P ! {stop, self()} || P <- persistent_term:get(storm)],
    Kept = [receive {kept, P, Kind, N, Kept} -> {Kind, N, Kept} end || P <- persistent_term:get(storm)],
    [{Kind, N, [{depot_worker:jobs(Q), Sent} || {Q, Sent} <- All, is_process_alive(Q)]} || {Kind, N, All} <- Kept]
"""


@pytest.mark.parametrize("kinds", ["[pool]", "[pool, linked, alone]"])
def test_a_storm_of_births_and_deaths_leaves_nobody_in_the_other_version(beam: Beam, kinds: str) -> None:
    """Who is born beside all supervisors cannot be kept from it: then all is as it was, and nobody pays for it."""
    with beam.depot_node(interval=1, workers=5) as node:
        node.ask(STORM.replace("KINDS", kinds))
        runs = "1"
        for _ in range(3):
            goal = "2" if runs == "1" else "1"
            outcome = upgraded(node, planned(beam.depot[runs], beam.depot[goal]), Limits(retries=5))
            assert outcome.status in (("done",) if kinds == "[pool]" else ("done", "rolled_back")), outcome
            runs = goal if outcome.status == "done" else runs
            assert node.ask(VERSIONS) == [int(runs)], outcome
            assert node.ask(HELD) == 0
        for kind, born, kept in node.ask(STOP):
            assert born > 30, kind
            assert kept
            assert [jobs for jobs, _ in kept] == [sent for _, sent in kept]
