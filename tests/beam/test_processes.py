"""Processes of every kind that Elixir and OTP have, upgraded, brought back and led back on one live node.

What a process runs, and who its children are, is told in several places, and each of them may be silent or wrong: a
spec that names another module, or the wrong type, or nothing of handlers. Nobody may be missed for that, and nobody
may be asked what would end it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Outcome, install
from relup.model.instructions import CodeChange
from relup.model.relup import Relup
from relup.planner import plan
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.connect import connect
from tests.beam.asking import LOADED
from tests.beam.losing import LosingTarget
from tests.beam.nodes import Beam, BeamNode
from tests.beam.reaching import reach

WHO = """
    Child = fun(S, Id) -> {_, P, _, _} = lists:keyfind(Id, 1, supervisor:which_children(S)), P end,
    Only = fun(S) -> [{_, P, _, _}] = supervisor:which_children(S), P end,
    Top = 'Elixir.Zoo.Supervisor',
    [{Lion, _}] = 'Elixir.Registry':lookup('Elixir.Zoo.Registry', lion),
    Who = [
        {lion, Lion}, {owl, Only('Elixir.Zoo.Shifts')}, {cat, Child(Top, wrapped)}, {mole, Only(Child(Top, hidden))},
        {bear, Only('Elixir.Zoo.Keepers')}, {stray, whereis(stray)}, {hen, whereis(hen)},
        {vet, Child(Top, 'Elixir.Zoo.Vet')}, {other_vet, Child(Top, dynamic)}, {counter, whereis('Elixir.Zoo.Counter')},
        {gate, whereis('Elixir.Zoo.Gate')}, {basket, whereis('Elixir.Zoo.Basket')},
        {ledger, whereis('Elixir.Zoo.Ledger')}, {news, whereis('Elixir.Zoo.News')},
        {gossip, whereis('Elixir.Zoo.Gossip')}, {pump, whereis('Elixir.Zoo.Pump')}
        | [{list_to_atom("fish" ++ integer_to_list(N)), P} ||
            {N, P, _, _} <- supervisor:which_children('Elixir.Zoo.Tanks')]]
"""
STATES = f"""
    {WHO},
    #{{states => maps:from_list([{{N, sys:get_state(P)}} || {{N, P}} <- Who]),
      restarts => element(6, sys:get_state('Elixir.Zoo.Keepers')),
      room => maps:get(max_children, sys:get_state('Elixir.Zoo.Shifts')),
      bear => maps:get(start, element(2, supervisor:get_childspec('Elixir.Zoo.Keepers', bear))),
      sounds => ['Elixir.Zoo.Loud':sound(X) || X <- [a, 2, []]],
      words => 'Elixir.String.Chars':impl_for({{}}),
      gate => [gen_statem:call('Elixir.Zoo.Gate', push), gen_statem:call('Elixir.Zoo.Gate', push)],
      modules => [M || M <- ['Elixir.Zoo.Added', 'Elixir.Zoo.Deleted'], code:is_loaded(M) =/= false]}}
"""
PROCESSES = f"""
    {WHO},
    {{[list_to_binary(pid_to_list(P)) || {{_, P}} <- Who],
     [list_to_binary(pid_to_list(P)) || {{_, P, _, _}} <- supervisor:which_children('Elixir.Zoo.Supervisor')],
     [element(2, process_info(P, dictionary)) || {{_, P}} <- Who],
     [N || {{N, P}} <- Who, {{status, _, _, [_, suspended | _]}} <- [sys:get_status(P)]],
     {LOADED}}}
"""
"""What no upgrade changes: who there is, also in a supervisor's words, and that nobody keeps anything of relup's."""
HEN = """
    ok = application:load({application, doors, [{vsn, "1"}, {modules, []}, {registered, []}, {applications, [kernel]},
        {mod, {'Elixir.Zoo.Doors', []}}]}),
    application:start(doors)
"""
"""An application whose top process is no supervisor, and would not survive to be asked for its children."""
ANIMALS = ["lion", "owl", "cat", "mole", "bear", "stray", "hen", "fish0", "fish1", "fish2"]
KINDS = {name: "fish" if name.startswith("fish") else name for name in ANIMALS}

Upgrade = Callable[..., Outcome]


@cache
def planned(base: Path, goal: Path) -> Relup:
    """Return the plan between two releases; to read them takes longer than to carry it out."""
    return plan(read_release(base), read_release(goal))


@contextmanager
def living(beam: Beam, *, interactive: bool = False) -> Iterator[tuple[BeamNode, Upgrade]]:
    """Start the zoo, with the hen; yield its node and what upgrades it, from one version to another."""
    plans = {way: planned(*(beam.zoo[vsn] for vsn in way)) for way in ("12", "21")}
    with beam.zoo_node(interactive=interactive) as node, asyncio.Runner() as runner:
        assert node.ask(HEN) == "ok"
        connection = connect(reach(node))
        bridge = runner.run(connection.__aenter__())
        try:
            yield node, lambda way, *event: runner.run(applied(bridge, node, plans.get(way, way), *event))
        finally:
            runner.run(connection.__aexit__(None, None, None))


async def applied(bridge: Bridge, node: BeamNode, relup: Relup, after: str = "", happens: str = "ok") -> Outcome:
    """Carry out a plan; after an effect, something *happens* on the node."""
    target = LosingTarget(bridge)

    async def happening() -> None:
        node.ask(happens)

    target.effect, target.lose = after, happening
    return await install(relup, target, owner="a test", emit=lambda event: None, clock=time.perf_counter)


def said(outcome: Outcome, code: str) -> str:
    (found,) = (d.message for d in outcome.diagnostics if d.code == code)
    return found


FIRST: dict[str, Any] = {
    **{name: (kind, 0) for name, kind in KINDS.items()},
    "vet": 0,
    "other_vet": 0,
    "counter": {"__struct__": "Elixir.Zoo.Counter", "count": 7},
    "basket": ["apple"],
    "ledger": 5,
    "news": [
        ("Elixir.Zoo.Listener", False, 0),
        *(("Elixir.Zoo.Reader", n if n < 3 else False, (n, 1)) for n in (4, 3, 2, 1)),
    ],
    "gossip": [("Elixir.Zoo.Listener", False, 0)],
    "pump": 0,
}
SECOND: dict[str, Any] = {
    **{name: {"name": kind, "count": 0} for name, kind in KINDS.items()},
    "vet": ("patients", 0),
    "other_vet": ("patients", 0),
    "counter": {"__struct__": "Elixir.Zoo.Counter", "count": 7, "step": 1},
    "basket": ("basket", ["apple"]),
    "ledger": ("balance", 5, "eur"),
    "news": [
        ("Elixir.Zoo.Listener", False, ("heard", 0)),
        *(("Elixir.Zoo.Reader", n if n < 3 else False, (n, 2)) for n in (4, 3, 2, 1)),
    ],
    "gossip": [("Elixir.Zoo.Listener", False, ("heard", 0))],
    "pump": ("litres", 0),
}


def seen(vsn: int, pushed: int) -> dict[str, Any]:
    """Return what is seen of the zoo in a version after the gate was opened so often."""
    gate = ("shut", pushed if vsn == 1 else {"opened": pushed})
    return {
        "states": {**(FIRST if vsn == 1 else SECOND), "gate": gate},
        "restarts": 10 * vsn,
        "room": 10 * vsn,
        "bear": ("Elixir.Zoo.Animal", "start_link", ["bear" if vsn == 1 else "polar_bear"]),
        "words": "nil" if vsn == 1 else "Elixir.String.Chars.Tuple",
        "sounds": ["a 1", "nothing", "nothing"] if vsn == 1 else ["a 2", "roarroar", "nothing"],
        "gate": ["opened", "shut"] if vsn == 1 else ["opened_by_2", "shut_by_2"],
        "modules": ["Elixir.Zoo.Deleted"] if vsn == 1 else ["Elixir.Zoo.Added"],
    }


FAULTS = {
    "{zoo, 'Elixir.Zoo.Pump'}": "{junk, ok}",
    "{zoo, 'Elixir.Zoo.Keepers'}": "true",
    "{zoo, {'Elixir.Zoo.Reader', 3}}": "{junk, remove_handler}",
    "{zoo, 'Elixir.Zoo.Gate'}": "{junk, {ok, #{opened => 0}}}",
    "{zoo, 'Elixir.Zoo.Basket'}": "raise",
}
"""Whose code_change does what; the first is the last of all, when everybody else has changed."""


def test_every_kind_of_process_goes_up_comes_back_and_has_what_it_had_when_one_fails(beam: Beam) -> None:
    with living(beam) as (node, upgrade):
        who = node.ask(PROCESSES)
        assert node.ask(STATES) == seen(1, pushed=0)
        outcome = upgrade("12")
        assert (outcome.status, outcome.windows[0].processes) == ("done", 21)
        assert node.ask(STATES) == seen(2, pushed=1)
        assert upgrade("21").status == "done"
        assert node.ask(STATES) == seen(1, pushed=2)
        for pushed, (key, fault) in enumerate(FAULTS.items(), start=3):
            node.ask(f"persistent_term:put({key}, {fault})")
            failed = upgrade("12")
            assert failed.status == "rolled_back", failed
            assert said(failed, "code_change_failed")
            assert node.ask(STATES) == seen(1, pushed)
            node.ask(f"persistent_term:erase({key})")
        assert node.ask(PROCESSES) == who


TASK = "{{ok, P}} = 'Elixir.Task.Supervisor':start_child('Elixir.Zoo.Tasks', 'Elixir.Zoo.Animal':{}()), register({}, P)"
ENDED = "R = monitor(process, {}), {} ! go_on, receive {{'DOWN', R, _, _, Why}} -> Why end"
DEAF = """
    P = proc_lib:spawn(fun() -> put('$initial_call', {'Elixir.Zoo.Animal', run, 0}), receive X -> X end end),
    Wait = fun W() -> process_info(P, status) =:= {status, waiting} orelse W() end,
    Wait(), persistent_term:put(deaf, P)
"""
BIRTHS = f"""
    {TASK.format("doze", "late_dozer")},
    {{ok, A}} = 'Elixir.Agent':start('Elixir.Zoo.Ledger', new, []), register(late_ledger, A)
"""


def test_who_stands_in_the_way_is_named_and_nothing_is_touched_and_others_go_on(beam: Beam, tmp_path: Path) -> None:
    """Also what comes up in the window: a server is changed with the others, a task only came from the code."""
    goal = Path(shutil.copytree(beam.zoo["2"], tmp_path / "goal", copy_function=os.link))
    (appup,) = goal.glob("lib/zoo-*/ebin/zoo.appup.yaml")
    text = appup.read_text().replace(
        "- add_module: Zoo.Added", "- load_module: Zoo.Fire\n      - add_module: Zoo.Added"
    )
    appup.unlink()
    appup.write_text(text)
    with_fire = planned(beam.zoo["1"], goal)
    with living(beam) as (node, upgrade):
        before = node.ask(PROCESSES)
        with pytest.raises(Refused, match=r"'Elixir.Zoo.Fire' has an -on_load function.*\[on_load\]"):
            upgrade(with_fire)
        node.ask(TASK.format("work", "worker"))
        with pytest.raises(Refused, match=r"worker: their stacks stand in code that is replaced.*\[lingering\]"):
            upgrade("12")
        node.ask(ENDED.format("worker", "worker"))
        node.ask(DEAF)
        with pytest.raises(Refused, match=r"<[\d.]+> \(Elixir.Zoo.Animal\) runs code that changes and takes no system"):
            upgrade("12")
        node.ask("P = persistent_term:get(deaf), " + ENDED.format("P", "P"))
        assert node.ask(PROCESSES) == before
        assert node.ask(STATES) == seen(1, pushed=0)
        node.ask(TASK.format("doze", "dozer"))
        outcome = upgrade("12", "suspend", BIRTHS)
        assert outcome.status == "done", outcome
        assert said(outcome, "old_functions_held").startswith("dozer: hold functions of code that is replaced")
        assert said(outcome, "outside_trees").startswith("stray: ")
        assert node.ask("sys:get_state(late_ledger)") == ("balance", 5, "eur")
        assert node.ask("[is_process_alive(whereis(N)) || N <- [dozer, late_dozer]]") == [True, True]


def test_a_node_that_loads_what_it_calls_loads_the_right_version_before_and_after(beam: Beam) -> None:
    def loaded() -> Any:
        return node.ask(
            "lists:sort([M || M <- element(2, application:get_key(zoo, modules)), code:is_loaded(M) =/= false])"
        )

    with living(beam, interactive=True) as (node, upgrade):
        before = loaded()
        assert "Elixir.Zoo.Loud" not in before
        node.ask("persistent_term:put({zoo, 'Elixir.Zoo.Pump'}, raise), code:ensure_loaded('Elixir.Zoo.Version')")
        assert upgrade("12").status == "rolled_back"
        assert sorted(loaded()) == sorted([*before, "Elixir.Zoo.Version"])
        node.ask("persistent_term:erase({zoo, 'Elixir.Zoo.Pump'})")
        assert upgrade("12").status == "done"
        # as if no instruction had loaded it
        node.ask("code:purge('Elixir.Zoo.Loud'), code:delete('Elixir.Zoo.Loud'), code:purge('Elixir.Zoo.Loud')")
        assert node.ask(STATES) == seen(2, pushed=0)
        assert upgrade("21").status == "done"
        node.ask("code:purge('Elixir.Zoo.Loud'), code:delete('Elixir.Zoo.Loud'), code:purge('Elixir.Zoo.Loud')")
        assert node.ask(STATES) == seen(1, pushed=1)


def test_a_busy_depot_goes_on_in_the_same_processes_whatever_becomes_of_an_upgrade(beam: Beam) -> None:
    """Its till calls its stock all the time, so that suspending begins again; its door changes its callback mode."""
    names = "[list_to_binary(pid_to_list(whereis(N))) || N <- [depot_stock, depot_till, depot_door]]"
    ways = [planned(beam.depot[base], beam.depot[goal]) for base, goal in ("13", "12", "21")]
    with beam.depot_node(interval=0, workers=20) as node, asyncio.Runner() as runner:

        async def upgraded(*plans: Relup) -> list[str]:
            async with connect(reach(node)) as bridge:
                statuses = []
                for relup in plans:
                    statuses.append((await applied(bridge, node, relup)).status)
                    line = rf"^sold\[{2 if relup.goal.vsn == '2' else 1}\]"
                    assert await asyncio.to_thread(node.wait_for, line)
                return statuses

        before = node.ask(names)
        assert runner.run(upgraded(*ways)) == ["rolled_back", "done", "done"]
        assert list(node.ask("lists:sort(maps:keys(sys:get_state(depot_stock)))")) == ["left", "taken"]
        assert node.ask(names) == before


def test_an_agent_that_is_not_told_what_to_call_is_named_with_what_to_write(beam: Beam) -> None:
    relup = planned(beam.zoo["1"], beam.zoo["2"])
    script = tuple(
        replace(i, changes=tuple(replace(c, extra=None) for c in i.changes)) if isinstance(i, CodeChange) else i
        for i in relup.script
    )
    with living(beam) as (node, upgrade):
        outcome = upgrade(replace(relup, script=script))
        (failed,) = (d for d in outcome.diagnostics if d.code == "code_change_failed")
        assert (
            failed.hint == "an agent calls what extra says: change: {advanced: {tuple: [Elixir.Module, function, []]}}"
        )
        assert node.ask(STATES) == seen(1, pushed=0)
