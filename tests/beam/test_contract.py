"""The contract of targets holds for a BEAM node: a fault at every effect, and the owner lost there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from relup.document import read_release
from relup.planner import plan
from relup.targets.beam.connect import connect
from relup.targets.beam.target import BeamNode as Target
from relup.testing import Subject, check_target, reusing
from tests.beam.asking import LOADED
from tests.beam.nodes import Beam
from tests.beam.reaching import reach

HOUR = 3_600_000
VIEW = f"""
    Modules = element(2, application:get_key(depot, modules)),
    Asked = [inet_gethost_native, inet_gethost_native_sup],
    Pids = [P || P <- [whereis(depot_stock), whereis(depot_till), whereis(depot_door), whereis(depot_news)] ++
        [C || {{_, C, _, _}} <- supervisor:which_children(depot_pool)]],
    {{[{{M, binary:encode_hex(M:module_info(md5)), erlang:check_old_code(M)}} || M <- Modules],
     [{{list_to_binary(pid_to_list(P)), sys:get_state(P), element(2, process_info(P, dictionary))}} || P <- Pids],
     [{{N, list_to_binary(pid_to_list(whereis(N)))}} || N <- registered() -- Asked, is_pid(whereis(N))],
     application:which_applications(), code:get_path(), {LOADED},
     [S || P <- Pids ++ [whereis(depot_pool)], {{status, _, _, [_, S | _]}} <- [sys:get_status(P)]]}}
"""


def test_the_contract_holds_with_one_window(beam: Beam) -> None:
    releases = {vsn: read_release(path) for vsn, path in beam.depot.items()}
    relup = plan(releases["1"], releases["2"])

    @asynccontextmanager
    async def fresh() -> AsyncIterator[Subject]:
        async with beam.depot_node(interval=HOUR) as node, connect(reach(node)) as bridge:
            yield Subject(Target(bridge), relup, partial(asyncio.to_thread, node.ask, VIEW))

    async def scenario() -> int:
        async with reusing(fresh) as again:
            return await check_target(again)

    assert asyncio.run(scenario()) > 20
