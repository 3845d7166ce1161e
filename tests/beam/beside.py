"""The two ways on which a node of the depot is upgraded where relup and OTP's release handler stand side by side.

A release may be a copy of an example's that differs in one thing; the rest of it are the same files.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from relup.cli.otp import relup_text
from relup.document import read_release
from relup.executor import Options, Outcome, install
from relup.model.relup import Relup
from relup.planner import plan
from relup.targets.beam.connect import connect
from tests.beam.losing import LosingTarget
from tests.beam.nodes import BeamNode, copy_release
from tests.beam.otp import unpack_beside
from tests.beam.reaching import reach

WORKERS = "[P || {_, P, _, _} <- supervisor:which_children(depot_pool)]"
SUSPENDED = f"length([P || P <- {WORKERS}, {{status, _, _, [_, suspended | _]}} <- [sys:get_status(P)]])"
VSN = """
    {hd(proplists:get_value(vsn, depot_worker:module_info(attributes))),
     list_to_binary(element(2, application:get_key(depot, vsn)))}
"""
"""Asks which code of the workers is loaded, and which version the application is said to be."""
KEPT = f"""
    Keep = fun() -> [sys:replace_state(P, fun({{Id, _}}) -> {{Id, 7}} end) || P <- {WORKERS}] end, length(Keep())
"""
"""Gives the workers of release 1 states that a new start does not give them; says how many there are."""
BIRTH = """
    spawn(fun() -> {ok, P} = depot_worker:start_link(99), register(stray, P), unlink(P) end),
    (fun W() -> case whereis(stray) of undefined -> receive after 1 -> W() end; _ -> ok end end)()
"""
"""Starts a worker that stands in no tree."""
GIVEN_UP = """
    (fun W() -> case [P || P <- persistent_term:get(busy), {messages, Ms} <- [process_info(P, messages)],
                           not lists:any(fun(M) -> is_tuple(M) andalso element(3, M) =:= resume end, Ms)] of
        [] -> [P ! let_go || P <- persistent_term:get(busy)]; _ -> receive after 5 -> W() end end end)()
"""
"""Waits until the release handler wants each of the busy to resume, and lets them all go."""
LET_GO = "[P ! let_go || P <- persistent_term:get(busy)], [sys:get_state(P) || P <- persistent_term:get(busy)]"


def busy(count: int) -> str:
    """Make so many workers busy until they are let go; return the pids, as they are printed."""
    return f"""
        Busy = lists:sublist({WORKERS}, {count}), persistent_term:put(busy, Busy),
        [spawn(fun() -> sys:replace_state(P, fun(S) -> receive let_go -> S end end, infinity) end) || P <- Busy],
        Wait = fun W(P) -> case process_info(P, current_function) of
            {{current_function, {{prim_eval, 'receive', 2}}}} -> list_to_binary(pid_to_list(P));
            _ -> receive after 1 -> W(P) end end end,
        [Wait(P) || P <- Busy]
    """


def upgraded(node: BeamNode, relup: Relup, after: str = "", happens: str | Callable[[], None] = "ok") -> Outcome:
    """Carry out a plan on a node with relup; after an effect, something *happens* on the node, or here."""
    return timed(node, relup, after, happens)[0]


def tried(node: BeamNode, relup: Relup) -> Outcome:
    """Let relup do all that can be done without touching anybody."""
    return timed(node, relup, options=Options(dry_run=True))[0]


def timed(
    node: BeamNode,
    relup: Relup,
    after: str = "",
    happens: str | Callable[[], None] = "ok",
    options: Options | None = None,
) -> tuple[Outcome, float]:
    """Do as `upgraded`, with other options perhaps; return how many seconds it took beside the outcome."""

    async def happening() -> None:
        node.ask(happens) if isinstance(happens, str) else await asyncio.to_thread(happens)

    async def scenario() -> tuple[Outcome, float]:
        async with connect(reach(node)) as bridge:
            target = LosingTarget(bridge)
            target.effect, target.lose = after, happening
            started = time.perf_counter()
            outcome = await install(
                relup,
                target,
                owner="a test",
                emit=lambda event: None,
                clock=time.perf_counter,
                options=options or Options(),
            )
            return outcome, time.perf_counter() - started

    return asyncio.run(scenario())


def planned(base: Path, goal: Path) -> Relup:
    """Return the plan from one release to another."""
    return plan(read_release(base), read_release(goal))


def altered(release: Path, folder: Path, alter: Callable[[str], str]) -> Path:
    """Return a copy of a release of the depot whose appup is another text."""
    copy = copy_release(release, folder / f"{release.name}-altered", "depot")
    (appup,) = copy.glob("lib/depot-*/ebin/depot.appup")
    text = appup.read_text()
    assert alter(text) != text
    appup.write_text(alter(text))
    return copy


def impatient(release: Path, folder: Path, milliseconds: int) -> Path:
    """Return a copy of a release that waits so long for a worker to suspend, and for no longer."""
    limited = f"{{update, depot_worker, dynamic, {milliseconds}, {{advanced, []}}, soft_purge, soft_purge, []}}"
    return altered(release, folder, lambda text: text.replace("{update, depot_worker, {advanced, []}}", limited))


def by_otp(node: BeamNode, release: Path) -> Any:
    """Let `release_handler:upgrade_app` upgrade the depot to another release; return what it answers, or raises."""
    (application,) = release.glob("lib/depot-*")
    return node.ask(f"""
        case catch release_handler:upgrade_app(depot, "{application}") of
            {{ok, _}} -> ok; Other -> element(1, Other) end
    """)


def by_script(node: BeamNode, release: Path, between: str) -> Any:
    """Let `release_handler_1` change the workers; something happens *between* suspension and load, as by an `apply`."""
    (application,) = release.glob("lib/depot-*")
    vsn = application.name.removeprefix("depot-")
    return node.ask(f"""
        Between = fun() -> {between} end,
        release_handler_1:eval_script([
            {{load_object_code, {{depot, "{vsn}", [depot_worker]}}}},
            point_of_no_return,
            {{suspend, [depot_worker]}},
            {{apply, {{erlang, apply, [Between, []]}}}},
            {{load, {{depot_worker, brutal_purge, brutal_purge}}}},
            {{code_change, up, [{{depot_worker, []}}]}},
            {{resume, [depot_worker]}}
        ], [], [{{depot, "{vsn}", "{application}"}}], [], [])
    """)


def unpacked(node: BeamNode, relup: Relup) -> str:
    """Let the release handler know of a plan's goal, with the plan as OTP's file; return the goal's version."""
    unpack_beside(node, Path(relup.goal.root), relup.goal.vsn, relup_text(relup)[0])
    return relup.goal.vsn
