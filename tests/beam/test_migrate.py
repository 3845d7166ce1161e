"""Servers without a `code_change` change their states all the same, by a function of somebody else: `migrate`.

The depot's workers, door and log are as they were in the release to come, byte by byte, as a library's would be; so is
OTP's own alarm handler. What they keep changes its shape.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from relup.document import read_release
from relup.executor import Options, Outcome, install
from relup.planner import find_route
from relup.targets.beam.connect import connect
from relup.targets.beam.target import BeamNode as Target
from tests.beam.asking import GONE
from tests.beam.builds import depot_releases, once
from tests.beam.nodes import Beam, BeamNode
from tests.beam.reaching import reach
from tests.beam.test_contract import HOUR, VIEW
from tests.beam.test_loss import losing_upgrades

SOURCES = Path(__file__).parent / "migrating"
LIKE_BEFORE = ("depot_worker", "depot_door", "depot_log")
STATES = """
    [{depot_door, sys:get_state(depot_door)},
     {depot_log, hd([S || {depot_log, _, S} <- sys:get_state(depot_news)])},
     {depot_tally, hd([S || {depot_tally, _, S} <- sys:get_state(depot_news)])},
     {alarms, alarm_handler:get_alarms()},
     {workers, lists:sort([sys:get_state(P) || {_, P, _, _} <- supervisor:which_children(depot_pool)])}]
"""
PIDS = """
    [list_to_binary(pid_to_list(P)) || P <- [whereis(depot_door), whereis(depot_news), whereis(alarm_handler)] ++
        [P || {_, P, _, _} <- supervisor:which_children(depot_pool)]]
"""
LET_GO = """
    [Hanging] = [P || {_, P, _, _} <- supervisor:which_children(depot_pool),
        process_info(P, current_function) =:= {current_function, {depot_convert, third_worker_hangs, 3}}],
    Hanging ! go_on, ok
"""
ORDINARY = """
      - update: {module: depot_stock, change: advanced, post_purge: soft_purge, pre_purge: soft_purge}
      - update: {module: depot_till, change: advanced, depends: [depot_stock]}
      - update: {module: depot_tally, change: advanced}
      - update: {module: depot_pool, change: supervisor}"""
NEW = """
      - add_module: depot_price
      - add_module: depot_convert"""
GONE_DOWN = """
      - delete_module: depot_price
      - delete_module: depot_convert"""
APPUP = """
application: depot
vsn: "2"
up:
  - from: "1"
    instructions:{up}
down:
  - to: "1"
    instructions:{down}
"""


def by(function: str, module: str, rest: str = "") -> str:
    return f"\n      - update: {{module: {module}, {rest}migrate: {{module: depot_convert, function: {function}}}}}"


DOOR, LAST = by("door", "depot_door"), by("last", "depot_log")
ALARMS = by("alarms", "alarm_handler", "change: {advanced: {mark: relup}}, ")
MIGRATED = by("worker", "depot_worker") + DOOR + LAST + ALARMS


def goal(beam: Beam, folder: Path, up: str, down: str = " inverse") -> Path:
    """Return a release 2 of the depot whose workers, door and log have the code of release 1."""
    built = once(beam.shared, "migrating", SOURCES, lambda making: _build(making, depot_releases(beam.shared)))
    copy = Path(shutil.copytree(built, folder, symlinks=True, copy_function=_link))
    (ebin,) = copy.glob("lib/depot-2/ebin")
    (ebin / "depot.appup.yaml").write_text(APPUP.format(up=up, down=down))
    return copy


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _build(making: Path, depot: Any) -> None:
    shutil.copytree(depot["2"], making, symlinks=True, dirs_exist_ok=True)
    (ebin,) = making.glob("lib/depot-2/ebin")
    for module in LIKE_BEFORE:
        (code,) = depot["1"].glob(f"lib/depot-1/ebin/{module}.beam")
        shutil.copy(code, ebin)
    _add_converter(ebin, "depot")
    (ebin / "depot.appup").unlink()


def _add_converter(ebin: Path, application: str) -> None:
    subprocess.run(["erlc", "+deterministic", "-o", ebin, SOURCES / "depot_convert.erl"], check=True)
    app = ebin / f"{application}.app"
    text = app.read_text().replace("{modules,[", "{modules, [")
    app.unlink()
    app.write_text(text.replace("{modules, [", "{modules, [depot_convert, "))


def states(node: BeamNode) -> dict[str, Any]:
    return dict(node.ask(STATES))


def applied(node: BeamNode, base: Path, goal: Path, *, dry_run: bool = False) -> Outcome:
    """Apply the plan from *base* to *goal*, up or down, and return what came of it."""

    async def once() -> Outcome:
        route = find_route(read_release(base), read_release(goal))
        async with connect(reach(node)) as bridge:
            said = {"owner": "a test", "options": Options(dry_run=dry_run)}
            return await install(route, Target(bridge), emit=lambda event: None, clock=time.perf_counter, **said)

    return asyncio.run(once())


def test_servers_without_a_code_change_are_migrated_up_and_down(beam: Beam, tmp_path: Path) -> None:
    """What they hold and nothing else: their processes go on, their code is not loaded anew, other handlers stay.

    The function's module is new, and is loaded before it is needed though it is written last. A module that no process
    runs is told before.
    """
    nobody = goal(beam, tmp_path / "nobody", ORDINARY + NEW + by("worker", "release_handler_1"))
    new = goal(beam, tmp_path / "goal", MIGRATED + ORDINARY + NEW)
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before, pids = states(node), node.ask(PIDS)
        told = applied(node, beam.depot["1"], nobody, dry_run=True).diagnostics
        assert ["release_handler_1" in d.message for d in told if d.code == "nobody_to_migrate"] == [True]
        assert applied(node, beam.depot["1"], new).status == "done"
        assert states(node) == {
            "depot_door": ("shut", 1001),
            "depot_log": [2000, 1],
            "depot_tally": (1, 1),
            "alarms": [("relup", "here")],
            "workers": [(n, 1000) for n in range(1, 6)],
        }
        stayed = node.ask("[M || M <- [depot_worker, depot_door, alarm_handler], not erlang:check_old_code(M)]")
        assert stayed == ["depot_worker", "depot_door", "alarm_handler"]
        assert applied(node, new, beam.depot["1"]).status == "done"
        assert (states(node), node.ask(PIDS), node.ask(GONE)) == (before, pids, [])
        assert node.ask("code:is_loaded(depot_convert)") is False


FAILING = {
    # for one process of several
    "third_worker_fails": ("depot_worker", "no_cage in depot_convert:third_worker_fails/3 (depot_convert.erl:"),
    # with what is no {ok, State}
    "no_state": ("depot_worker", "{bad_return_value,{"),
    # with a state that would be the end of a gen_statem
    "no_data": ("depot_door", "{not_state_name_and_data,1}"),
    # for a handler of a gen_event, which tells nobody of it
    "no_handler": ("depot_log", "{bad_return_value,no_shelf}"),
}


def test_a_function_that_fails_or_hangs_leaves_everything_as_it_was(beam: Beam, tmp_path: Path) -> None:
    """Also what others had migrated before it; whoever hangs goes on with its old state, and nothing of ours in it."""
    hangs = goal(beam, tmp_path / "hangs", ORDINARY + NEW + by("third_worker_hangs", "depot_worker", "timeout: 300, "))
    goals = [
        goal(
            beam,
            tmp_path / name,
            ORDINARY + NEW + ALARMS + (DOOR if module != "depot_door" else LAST) + by(name, module),
        )
        for name, (module, _) in FAILING.items()
    ]
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW)
        for new, (name, (module, reason)) in zip(goals, FAILING.items(), strict=True):
            outcome = applied(node, beam.depot["1"], new)
            assert outcome.status == "rolled_back"
            failure = next(d for d in outcome.diagnostics if d.code == "code_change_failed")
            assert f"depot_convert:{name}, which migrates {module}, for " in failure.message
            assert reason in failure.message
            assert failure.location is not None
            assert failure.location.file.endswith("depot.appup.yaml")
            assert node.ask(VIEW) == before
        stuck = applied(node, beam.depot["1"], hangs)
        assert stuck.status == "operator_needed"
        assert "which migrates depot_worker, for " in stuck.diagnostics[0].message
        assert "did not return in time" in stuck.diagnostics[0].message
        assert (node.ask(GONE), node.ask(LET_GO)) == ([], "ok")
        assert node.ask(VIEW) == before


def test_whoever_is_lost_the_states_go_back(beam: Beam, tmp_path: Path) -> None:
    """In the window to what they were; after it by the function, for messages were handled meanwhile."""
    new = goal(beam, tmp_path / "one", MIGRATED + ORDINARY + NEW)
    cut = "\n      - apply: {module: depot_pool, function: start_worker, args: [6], undo: [erlang, now, []]}"
    two = goal(beam, tmp_path / "two", NEW + MIGRATED + cut + ORDINARY, MIGRATED + ORDINARY + GONE_DOWN)
    with beam.depot_node(interval=HOUR, workers=5) as node:
        before = node.ask(VIEW), states(node)
        with losing_upgrades(node, beam.depot["1"], new) as lost, lost("change_code", "controller"):
            assert (node.ask(VIEW), states(node)) == before
        with losing_upgrades(node, beam.depot["1"], two) as lost, lost("call", "bridge"):
            assert states(node) == before[1] | {"workers": [*before[1]["workers"], (6, -1000)]}


def test_an_agent_of_elixir_is_migrated(beam: Beam, tmp_path: Path) -> None:
    """Its module is that of its child spec, `Agent`; what the process runs is `Agent.Server`."""
    new = Path(shutil.copytree(beam.anemone["2"], tmp_path / "goal", symlinks=True))
    (ebin,) = new.glob("lib/anemone-*/ebin")
    _add_converter(ebin, "anemone")
    entry = "    instructions:\n      - update: {module: Counter, change: advanced}\n"
    text = (ebin / "anemone.appup.yaml").read_text()
    up, down = text.split("down:")
    up = up.replace(entry, f"{entry}      - add_module: depot_convert{by('worker', 'Agent')}\n")
    (ebin / "anemone.appup.yaml").write_text(f"{up}down:{down.replace(entry, '    instructions: inverse')}")
    with beam.anemone_node() as node:
        node.ask("""
            Start = {'Elixir.Agent', start_link, [fun() -> {1, 5} end, [{name, shelf}]]},
            {ok, _} = 'Elixir.Supervisor':start_child('Elixir.Anemone.Supervisor', #{id => shelf, start => Start}), ok
        """)
        assert applied(node, beam.anemone["1"], new).status == "done"
        assert node.ask("'Elixir.Agent':get(shelf, fun(State) -> State end)") == (1, 1005)
        assert applied(node, new, beam.anemone["1"]).status == "done"
        assert node.ask("'Elixir.Agent':get(shelf, fun(State) -> State end)") == (1, 5)
