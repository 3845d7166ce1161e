"""Processes of every kind that Elixir and OTP have, upgraded, brought back and led back on one live node.

What a process runs, and who its children are, is told in several places, and each of them may be silent or wrong: a
spec that names another module, or the wrong type, or nothing of handlers. Nobody may be missed for that, and nobody
may be asked what would end it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Options, Outcome, install
from relup.planner import plan
from relup.targets.beam.connect import connect
from tests.beam.asking import LOADED
from tests.beam.losing import LosingTarget
from tests.beam.nodes import Beam, BeamNode
from tests.beam.reaching import reach

CHILD = "Child = fun(S, Id) -> {_, P, _, _} = lists:keyfind(Id, 1, supervisor:which_children(S)), P end,"
WHO = f"""
    {CHILD}
    Top = 'Elixir.Zoo.Supervisor',
    Only = fun(S) -> [{{_, P, _, _}}] = supervisor:which_children(S), P end,
    [{{Lion, _}}] = 'Elixir.Registry':lookup('Elixir.Zoo.Registry', lion),
    Who = [
        {{lion, Lion}}, {{owl, Only('Elixir.Zoo.Shifts')}}, {{cat, Child(Top, wrapped)}},
        {{mole, Only(Child(Top, hidden))}}, {{bear, Only('Elixir.Zoo.Keepers')}}, {{stray, whereis(stray)}},
        {{vet, Child(Top, 'Elixir.Zoo.Vet')}}, {{dynamic, Child(Top, dynamic)}},
        {{counter, whereis('Elixir.Zoo.Counter')}}, {{gate, whereis('Elixir.Zoo.Gate')}},
        {{basket, whereis('Elixir.Zoo.Basket')}}, {{ledger, whereis('Elixir.Zoo.Ledger')}},
        {{news, whereis('Elixir.Zoo.News')}}, {{gossip, whereis('Elixir.Zoo.Gossip')}},
        {{pump, whereis('Elixir.Zoo.Pump')}}
        | [{{fish, P}} || {{_, P, _, _}} <- supervisor:which_children('Elixir.Zoo.Tanks')]],
"""
STATES = f"""
    {WHO}
    {{[{{N, sys:get_state(P)}} || {{N, P}} <- Who],
      [list_to_binary(pid_to_list(P)) || {{_, P}} <- Who],
      [S || {{_, P}} <- Who, {{status, _, _, [_, S | _]}} <- [sys:get_status(P)], S =/= running],
      [element(2, process_info(P, dictionary)) || {{_, P}} <- Who, process_info(P, dictionary) =/= {{dictionary, []}}],
      element(6, sys:get_state('Elixir.Zoo.Keepers')), maps:get(max_children, sys:get_state('Elixir.Zoo.Shifts')),
      element(2, supervisor:get_childspec('Elixir.Zoo.Keepers', bear)),
      ['Elixir.Zoo.Loud':sound(X) || X <- [a, 2, []]],
      [{{M, code:is_loaded(M) =/= false, erlang:check_old_code(M)}} || M <- lists:sort([
          'Elixir.Zoo.Added', 'Elixir.Zoo.Deleted', 'Elixir.Zoo.Animal', 'Elixir.Zoo.Loud.Integer'])],
      [list_to_binary(pid_to_list(P)) || {{_, P, _, _}} <- supervisor:which_children('Elixir.Zoo.Supervisor')],
      {LOADED}}}
"""


@pytest.fixture(scope="module")
def node() -> Iterator[None]:
    yield None


def applied(beam: Beam, node: BeamNode, way: str = "12", after: str = "", happens: str = "ok", dry: bool = False) -> Outcome:
    base, goal = (read_release(beam.zoo[vsn]) for vsn in way)
    relup = plan(base, goal)

    async def scenario() -> Outcome:
        async with connect(reach(node)) as bridge:
            target = LosingTarget(bridge)
            target.effect, target.lose = after, lambda: node.ask(happens)
            return await install(relup, target, owner="a test", emit=lambda event: None, clock=time.perf_counter, options=Options(dry_run=dry))

    return asyncio.run(scenario())



PUSH = "[gen_statem:call('Elixir.Zoo.Gate', push), gen_statem:call('Elixir.Zoo.Gate', push)]"

def say(o):
    return o.status, [(d.code, d.message) for d in o.diagnostics if d.code not in ("loaded_unchanged", "deleted_while_used")]

def test_x(beam):
    with beam.zoo_node(interactive=True) as node:
        print(node.ask("[list_to_binary(D) || D <- code:get_path(), string:find(D, \"zoo\") =/= nomatch, string:find(D, \"consol\") =/= nomatch orelse string:find(D, \"lib/zoo\") =/= nomatch]"))
        mods = "Ms = element(2, application:get_key(zoo, modules)), [M || M <- Ms, code:is_loaded(M) =/= false]"
        l1 = set(node.ask(mods)); print(l1)
        print(node.ask("[lists:sort([M || M <- element(2, application:get_key(zoo, modules)), code:is_loaded(M) =:= false])]"))
        node.ask(f"persistent_term:put({{zoo, 'Elixir.Zoo.Pump'}}, raise)")
        print(say(applied(beam, node)))
        print(set(node.ask(mods)) ^ l1)
        node.ask(f"persistent_term:erase({{zoo, 'Elixir.Zoo.Pump'}})")
        print(say(applied(beam, node, after="suspend", happens="""{ok, W} = 'Elixir.Task.Supervisor':start_child('Elixir.Zoo.Tasks', 'Elixir.Zoo.Animal':doze()), register(dozer, W), ok""")))
        print(set(node.ask(mods)) - l1)
        print(node.ask("[list_to_binary(D) || D <- code:get_path(), string:find(D, \"zoo\") =/= nomatch, string:find(D, \"consol\") =/= nomatch orelse string:find(D, \"lib/zoo\") =/= nomatch]"))
        print(node.ask("['Elixir.Zoo.Loud':sound(X) || X <- [a, 2, []]]"))
        print(say(applied(beam, node, "21")))
        print(node.ask("['Elixir.Zoo.Loud':sound(X) || X <- [a, 2, []]]"))
        print(set(node.ask(mods)) - l1)
        assert 0
