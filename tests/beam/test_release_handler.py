"""What OTP's release handler does, and what relup does in the same place on the same kind of node.

What OTP does is asserted too, so that the text stays true. Where relup leaves a node as it was, OTP comes after it on
that very node; elsewhere each has a node of its own.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from relup.diagnostics import Refused
from relup.report.text import outcome_lines
from tests.beam.beside import (
    BIRTH,
    GIVEN_UP,
    KEPT,
    LET_GO,
    SUSPENDED,
    VSN,
    WORKERS,
    altered,
    busy,
    by_otp,
    by_script,
    impatient,
    planned,
    timed,
    tried,
    unpacked,
    upgraded,
)
from tests.beam.nodes import Beam, copy_release
from tests.beam.test_contract import HOUR, VIEW

STATES = f"[sys:get_state(P) || P <- {WORKERS}]"
JOBS = "[(catch depot_worker:jobs(P)) || P <- persistent_term:get(busy)]"


def test_o1_who_does_not_suspend_in_time_is_skipped_by_otp_and_named_by_relup(beam: Beam, tmp_path: Path) -> None:
    """OTP answers ok, and the worker dies at the next call; relup rolls back, and says who it was and where it is."""
    goal = impatient(beam.depot["2"], tmp_path, 100)
    with beam.depot_node(interval=HOUR, workers=3) as node:
        before = node.ask(VIEW)
        (worker,) = node.ask(busy(1))
        outcome = upgraded(node, planned(beam.depot["1"], goal))
        assert outcome.status == "rolled_back"
        (said,) = outcome.diagnostics
        assert said.code == "suspend_timeout"
        assert f"{worker} (depot_worker) did not suspend in time: it is in prim_eval:receive/2" in said.message
        assert node.ask(f"{LET_GO}, ok") == "ok"
        assert node.ask(VIEW) == before

        assert node.ask(busy(1)) == [worker]
        node.ask(f"spawn(fun() -> {GIVEN_UP} end), ok")
        assert by_otp(node, goal) == "ok"
        assert node.ask(VSN) == (2, "2")
        assert sorted(map(type, node.ask(STATES)), key=str) == [dict, dict, tuple]
        assert "function_clause" in node.ask(f'list_to_binary(io_lib:format("~0p", [{JOBS}]))')


def test_o2_each_who_is_stuck_costs_otp_its_limit_and_5_s_and_all_cost_relup_one_limit(
    beam: Beam, tmp_path: Path
) -> None:
    """OTP is let off with two, of whom only the first is stuck for all the time that OTP gives it."""
    goal = impatient(beam.depot["2"], tmp_path, 100)
    with beam.depot_node(interval=HOUR, workers=20) as node:
        stuck = node.ask(busy(20))
        outcome, seconds = timed(node, planned(beam.depot["1"], goal))
        assert outcome.status == "rolled_back"
        assert {d.code for d in outcome.diagnostics} == {"suspend_timeout"}
        assert sorted(d.message.partition(" (depot_worker) did not")[0] for d in outcome.diagnostics) == sorted(stuck)
        assert 0.1 <= seconds < 1
        assert sorted(node.ask(LET_GO)) == [(n, 0) for n in range(1, 21)]

        assert len(node.ask(busy(2))) == 2
        node.ask(f"spawn(fun() -> {GIVEN_UP} end), ok")
        started = time.monotonic()
        assert by_otp(node, goal) == "ok"
        assert time.monotonic() - started > 5.2
        assert node.ask(f"length([S || {{_, 0}} = S <- {STATES}])") == 2


def test_o3_a_code_change_that_raises_leaves_otp_between_two_versions_and_relup_at_the_old_one(beam: Beam) -> None:
    with beam.depot_node(interval=HOUR, workers=9) as node:
        before = node.ask(VIEW)
        outcome = upgraded(node, planned(beam.depot["1"], beam.depot["3"]))
        assert outcome.status == "rolled_back"
        assert [d.code for d in outcome.diagnostics if d.severity == "error"] == ["code_change_failed"]
        assert node.ask(VIEW) == before

        assert by_otp(node, beam.depot["3"]) != "ok"
        assert node.ask(VSN)[0] == 3
        assert node.ask(SUSPENDED) == 9
        assert set(map(type, node.ask(STATES))) == {dict, tuple}


def test_o4_otp_starts_the_node_anew_and_relup_puts_code_and_states_back(beam: Beam) -> None:
    """The same processes with the states that they had, where OTP leaves neither."""
    relup = planned(beam.depot["1"], beam.depot["3"])
    with beam.depot_node(interval=HOUR, workers=9) as node:
        assert node.ask(KEPT) == 9
        before = node.ask(VIEW)
        assert upgraded(node, relup).status == "rolled_back"
        assert node.ask(VIEW) == before

        failed = node.ask(f'release_handler:install_release("{unpacked(node, relup)}")')
        assert failed[0] == "error"
        node.wait_for(r"^depot \S+: 9 workers$")
        assert sorted(node.ask(STATES)) == [(n, 0) for n in range(1, 10)]
        assert node.ask(VSN) == (1, "1")


def test_o5_who_dies_in_the_window_fails_otp_and_is_gone_for_relup(beam: Beam) -> None:
    """OTP asks it all the same and leaves the others suspended; for relup its replacement is new."""
    victim = f"[W | _] = {WORKERS}, persistent_term:put(victim, W)"
    dies = "exit(persistent_term:get(victim), kill)"
    with beam.depot_node(interval=HOUR, workers=4) as node:
        node.ask(victim)
        outcome = upgraded(node, planned(beam.depot["1"], beam.depot["2"]), "suspend", dies)
        assert outcome.status == "done", outcome
        (said,) = (d for d in outcome.diagnostics if d.code == "died_in_window")
        assert "(depot_worker) died in the window" in said.message
        assert set(map(type, node.ask(STATES))) == {dict}
        assert node.ask(f"length({WORKERS})") == 4
    with beam.depot_node(interval=HOUR, workers=4) as node:
        node.ask(victim)
        assert by_script(node, beam.depot["2"], dies)[1][1][0] == "noproc"
        assert node.ask(SUSPENDED) == 3
        assert node.ask(VSN)[0] == 2


def test_o8_who_is_born_between_suspend_and_load_is_left_by_otp_and_changed_by_relup(beam: Beam) -> None:
    """Under OTP it runs new code on an old state, and dies of it; with relup it is changed with the others.

    It is born outside every tree: where relup suspends, no supervisor can start anybody.
    """
    with beam.depot_node(interval=HOUR, workers=2) as node:
        outcome = upgraded(node, planned(beam.depot["1"], beam.depot["2"]), "suspend", BIRTH)
        assert outcome.status == "done", outcome
        assert node.ask("sys:get_state(stray)") == {"id": 99, "jobs": 0, "tools": []}
    with beam.depot_node(interval=HOUR, workers=2) as node:
        between = f"{BIRTH}, {{ok, P}} = supervisor:start_child(depot_pool, [98]), register(child, P)"
        assert by_script(node, beam.depot["2"], between)[0] == "ok"
        assert node.ask(VSN)[0] == 2
        assert node.ask("{sys:get_state(stray), sys:get_state(child)}") == ((99, 0), (98, 0))
        assert node.ask("element(1, element(1, element(2, catch depot_worker:jobs(child))))") == "function_clause"


ENVIRONMENT = (
    "{lists:sort(application:get_all_env(depot)), list_to_binary(element(2, application:get_key(depot, vsn)))}"
)


def test_o9_a_failure_before_the_window_leaves_otp_with_the_new_vsn_and_env_and_relup_with_neither(beam: Beam) -> None:
    """A file that is gone once the plan is made."""
    goal = copy_release(beam.depot["2"], beam.folder / "lacking", "depot")
    (config,) = goal.glob("releases/2/sys.config")
    config.write_text('[{depot, [{motto, "new"}]}, {sasl, [{sasl_error_logger, false}]}].\n')
    relup = planned(beam.depot["1"], goal)
    (goal / "lib" / "depot-2" / "ebin" / "depot_price.beam").unlink()
    with beam.depot_node(interval=HOUR, workers=2) as node:
        before = node.ask(VIEW), node.ask(ENVIRONMENT)
        with pytest.raises(Refused, match=r"depot_price"):
            upgraded(node, relup)
        assert (node.ask(VIEW), node.ask(ENVIRONMENT)) == before

        failed = node.ask(f'release_handler:install_release("{unpacked(node, relup)}")')
        assert (failed[0], failed[1][0]) == ("error", "no_such_file")
        env, vsn = node.ask(ENVIRONMENT)
        assert (dict(env)["motto"], vsn) == ([*map(ord, "new")], "2")
        assert node.ask(VSN)[0] == 1


def test_o10_a_check_does_not_try_code_change_and_relup_takes_back_what_fails(beam: Beam) -> None:
    """OTP's check says ok; relup's dry run says what it cannot know, and says nothing of code_change."""
    relup = planned(beam.depot["1"], beam.depot["3"])
    with beam.depot_node(interval=HOUR, workers=7) as node:
        before = node.ask(VIEW)
        *found, verdict = outcome_lines(tried(node, relup))
        assert verdict == "ready: everything that can be checked beforehand holds; nothing was touched"
        assert not [line for line in found if "code_change" in line]
        outcome = upgraded(node, relup)
        assert outcome.status == "rolled_back"
        (said,) = (d for d in outcome.diagnostics if d.severity == "error")
        assert (said.code, "{unwilling,7}" in said.message) == ("code_change_failed", True)
        assert node.ask(VIEW) == before

        vsn = unpacked(node, relup)
        assert node.ask(f'release_handler:check_install_release("{vsn}")')[0] == "ok"
        failed = node.ask(f'release_handler:install_release("{vsn}")')
        assert (failed[0], failed[1][0]) == ("error", "code_change_failed")


LINGERING = """
    Mute = spawn(fun() -> receive stop -> ok end end),
    P = spawn(fun() -> group_leader(Mute, self()), depot_till:handle_info(sell, {till, 0}) end),
    register(lingering, P),
    (fun W() -> case process_info(P, current_function) of
        {current_function, {io, _, _}} -> is_process_alive(P); _ -> receive after 1 -> W() end end end)()
"""


def test_o14_who_stands_in_old_code_is_killed_by_otp_on_the_way_back_and_named_by_relup_beforehand(
    beam: Beam, tmp_path: Path
) -> None:
    """It waits, in the till's code, for somebody who does not answer; it is in no tree."""
    purges = "{update, depot_till, dynamic, default, {advanced, []}, soft_purge, soft_purge, [depot_stock"
    goal = altered(
        beam.depot["2"],
        tmp_path,
        lambda text: text.replace("{update, depot_till, {advanced, []}, [depot_stock", purges),
    )
    with beam.depot_node(interval=HOUR, workers=2) as node:
        assert node.ask(LINGERING) is True
        before = node.ask(VIEW)
        with pytest.raises(Refused, match="lingering: their stacks stand in code that is replaced") as refused:
            upgraded(node, planned(beam.depot["1"], goal))
        assert [d.code for d in refused.value.diagnostics] == ["lingering"]
        assert node.ask("is_process_alive(whereis(lingering))") is True
        assert node.ask(VIEW) == before

        assert by_otp(node, goal) == "ok"
        assert node.ask("erlang:check_process_code(whereis(lingering), depot_till)") is True
        back = f'release_handler:downgrade_app(depot, "1", "{node.root}/lib/depot-1")'
        assert node.ask(back) == ("error", ("old_processes", "depot_till"))
        (plain,) = beam.depot["2"].glob("lib/depot-2/ebin/depot.appup")
        shutil.copy(plain, goal / "lib" / "depot-2" / "ebin")
        assert node.ask(back) == ("ok", [])
        assert node.ask("whereis(lingering)") == "undefined"


HIDDEN = """
    Spec = #{id => hidden, start => {supervisor, start_link, [depot_pool, []]}MODULES},
    {ok, S} = supervisor:start_child(depot_sup, Spec),
    {ok, P} = supervisor:start_child(S, [77]), register(NAME, P)
"""


def test_o15_below_a_supervisor_that_is_not_said_to_be_one_otp_changes_nobody_and_relup_all(beam: Beam) -> None:
    """Neither a spec that names the pool's module nor one that names OTP's own hides anybody from relup."""
    one = HIDDEN.replace("MODULES", ", modules => [depot_pool]").replace("NAME", "one")
    two = HIDDEN.replace("MODULES", "").replace("NAME", "two").replace("hidden", "hidden_too")
    states = "{sys:get_state(one), sys:get_state(two)}"
    with beam.depot_node(interval=HOUR, workers=2) as node:
        node.ask(f"{one}, ok")
        node.ask(f"{two}, ok")
        outcome = upgraded(node, planned(beam.depot["1"], beam.depot["2"]))
        assert outcome.status == "done", outcome
        assert [s["id"] for s in node.ask(states)] == [77, 77]
        assert not [d for d in outcome.diagnostics if d.code == "outside_trees"]
    with beam.depot_node(interval=HOUR, workers=2) as node:
        node.ask(f"{one}, ok")
        node.ask(f"{two}, ok")
        assert by_otp(node, beam.depot["2"]) == "ok"
        assert node.ask(VSN) == (2, "2")
        assert set(map(type, node.ask(STATES))) == {dict}
        assert node.ask(states) == ((77, 0), (77, 0))
