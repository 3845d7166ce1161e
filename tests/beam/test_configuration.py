"""What applications have in their environments after an upgrade, and after the way back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.beam.asking import GONE
from tests.beam.beside import VSN, planned, upgraded
from tests.beam.builds import DEPOT
from tests.beam.losing import CUT
from tests.beam.nodes import Beam, copy_release
from tests.beam.test_contract import HOUR
from tests.support import Commands

TOLD = """
config_change(Changed, New, Removed) -> persistent_term:put(told, {Changed, lists:sort(New), Removed}), ok.
"""
CONFIG = '[{sasl, [{sasl_error_logger, false}]}, {extra, [{key, 7}]}, "more.config"].'
BEFORE = "[{sasl, [{sasl_error_logger, false}]}, {depot, [{gone, 1}]}]."
EXTRA = """
{application, extra, [{description, ""}, {vsn, "1"}, {modules, []}, {registered, []},
    {applications, [kernel, stdlib]}, {env, [{key, 1}]}]}.
"""
MORE = '[{depot, [{color, "red"}, {workers, 7}]}, {kernel, [{relup_test, 1}]}].'


def configured(release: Path, folder: Path) -> Path:
    """Return a release 2 with another `sys.config`, other defaults, one application more, and one that is told.

    Its workers cannot be changed without a value that is new.
    """
    goal = copy_release(release, folder / "configured", "depot")
    (goal / "releases" / "2" / "sys.config").write_text(CONFIG)
    (goal / "releases" / "2" / "more.config").write_text(MORE)
    (ebin,) = goal.glob("lib/depot-2/ebin")
    source = (DEPOT / "2" / "depot_app.erl").read_text()
    (folder / "depot_app.erl").write_text(source.replace("stop/1]", "stop/1, config_change/3]") + TOLD)
    subprocess.run(["erlc", "+deterministic", "-o", ebin, folder / "depot_app.erl"], check=True)
    worker = (DEPOT / "2" / "depot_worker.erl").read_text()
    needs = "_Extra) ->\n    {ok, 3} = application:get_env(depot, size),"
    (folder / "depot_worker.erl").write_text(worker.replace("{Id, Jobs}, _Extra) ->", f"{{Id, Jobs}}, {needs}"))
    subprocess.run(["erlc", "+deterministic", "-o", ebin, folder / "depot_worker.erl"], check=True)
    (goal / "lib" / "extra-1" / "ebin").mkdir(parents=True)
    (goal / "lib" / "extra-1" / "ebin" / "extra.app").write_text(EXTRA)
    rel = goal / "releases" / "2" / "depot.rel"
    rel.write_text(rel.read_text().replace('{depot,"2"}]', '{depot,"2"},{extra,"1"}]'))
    app, appup = ebin / "depot.app", ebin / "depot.appup"
    app.write_text(app.read_text().replace("{interval, 1000}", "{interval, 5}, {size, 3}"))
    loads = '[{"1", [{load_module, depot_app}, '
    appup.write_text(appup.read_text().replace('[{"1", [', loads))
    return goal


KEYS = ("depot, color", "depot, workers", "depot, interval", "depot, size", "depot, gone", "kernel, relup_test")
ENVIRONMENTS = (
    f"[case application:get_env(A, K) of {{ok, V}} -> V; O -> O end || {{A, K}} <- [{{{'}, {'.join(KEYS)}}}]]"
)
RED = [*map(ord, "red")]


def test_values_that_differ_between_the_releases_come_and_go_and_what_was_set_stays(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    """The node was started with other workers than its files say; what is new is there before new code runs."""
    goal = configured(beam.depot["2"], tmp_path)
    with beam.depot_node(interval=HOUR, workers=9) as node:
        node.ask("[application:set_env(depot, K, V) || {K, V} <- [{interval, 1000}, {gone, 1}]]")
        (node.root / "releases" / "1" / "sys.config").write_text(BEFORE)
        before = node.ask(ENVIRONMENTS)
        assert before == ["undefined", 9, 1000, "undefined", 1, "undefined"]
        told = commands.run("apply", node.name, goal, "--yes").stdout
        assert "depot: workers is not what the release that runs says: somebody set it, and it stays" in told
        assert node.ask(ENVIRONMENTS) == [RED, 9, 5, 3, "undefined", 1]
        changed = [("interval", 5)], [("color", RED), ("size", 3)], ["gone"]
        assert node.ask("persistent_term:get(told)") == changed
        assert node.ask("element(2, application:get_key(depot, vsn))") == [ord("2")]
        assert ("extra", "permanent") in node.ask("proplists:get_value(started, application:info())")
        assert node.ask("ok = application:stop(extra), ok = application:unload(extra), application:load(extra)") == "ok"
        assert node.ask("application:get_all_env(extra)") == [("key", 7)]
        commands.run("downgrade", node.name, "--yes")
        assert node.ask(ENVIRONMENTS) == before
        assert node.ask("application:load(extra)")[0] == "error"
        assert node.ask('[P || P <- code:get_path(), string:find(P, "/extra-") =/= nomatch]') == []


def test_an_upgrade_that_fails_takes_back_the_values_that_it_came_with(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    """They are there before the window is opened, for what is called first; and some of that cannot be taken back."""
    goal = configured(beam.depot["2"], tmp_path)
    (goal / "releases" / "2" / "more.config").write_text(MORE.replace("{workers, 7}", "{size, 4}"))
    (appup,) = goal.glob("lib/depot-2/ebin/depot.appup")
    told = "{apply, {persistent_term, put, [told, 1]}}"
    appup.write_text(appup.read_text().replace('[{"1", [', f'[{{"1", [{told}, '))
    seen = f"{{{ENVIRONMENTS}, lists:sort(application:loaded_applications())}}"
    with beam.depot_node(interval=HOUR, workers=9) as node:
        before = node.ask(seen)
        failed = commands.run("apply", node.name, goal, "--yes", exit_code=6).stdout
        assert "{badmatch,{ok,4}}" in failed
        assert "is not undone" in failed
        assert node.ask("persistent_term:get(told)") == 1
        assert node.ask(seen) == before


def test_an_upgrade_that_is_lost_takes_back_the_values_that_it_came_with(beam: Beam, tmp_path: Path) -> None:
    """The node alone takes them back, and ends what it started with them."""
    goal = configured(beam.depot["2"], tmp_path)
    seen = f"{{{ENVIRONMENTS}, lists:sort(application:loaded_applications()), code:get_path()}}"
    with beam.depot_node(interval=HOUR, workers=2) as node:
        before = node.ask(seen)
        upgraded(node, planned(beam.depot["1"], goal), "load", f"persistent_term:put(seen, {ENVIRONMENTS}), {CUT[:-1]}")
        assert node.ask(GONE) == []
        assert node.ask("persistent_term:get(seen)") == [RED, 2, HOUR, 3, "undefined", 1]
        assert node.ask(seen) == before


def test_an_application_that_is_added_and_does_not_start_fails_the_upgrade(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    """OTP ends the node for it: it is permanent."""
    goal = configured(beam.depot["2"], tmp_path)
    app = goal / "lib" / "extra-1" / "ebin" / "extra.app"
    app.write_text(EXTRA.replace("{modules, []}", "{modules, []}, {mod, {nowhere, []}}"))
    seen = f"{{{ENVIRONMENTS}, lists:sort(application:loaded_applications()), code:get_path(), {VSN}}}"
    with beam.depot_node(interval=HOUR, workers=2) as node:
        before = node.ask(seen)
        failed = commands.run("apply", node.name, goal, "--yes", exit_code=5).stdout
        assert "apply application:start('extra', 'permanent') failed: " in failed
        assert node.ask(seen) == before


def test_a_config_provider_that_differs_is_told_of(commands: Commands, beam: Beam, tmp_path: Path) -> None:
    goal = copy_release(beam.anemone["2"], tmp_path / "provided", "anemone")
    (goal / "releases" / "0.2.0" / "runtime.exs").write_text("import Config\n")
    with beam.anemone_node() as node:
        told = json.loads(commands.run("apply", node.name, goal, "--dry-run", "--json").stdout)
        assert [d["severity"] for d in told["diagnostics"] if d["code"] == "runtime_config"] == ["note"]


@pytest.mark.parametrize("does", ["erlang:error", "timer:sleep(infinity), element"])
def test_a_callback_that_fails_or_hangs_is_told_and_the_upgrade_stays(
    commands: Commands, beam: Beam, tmp_path: Path, does: str
) -> None:
    goal = configured(beam.depot["2"], tmp_path)
    source = tmp_path / "depot_app.erl"
    source.write_text(source.read_text().replace("persistent_term:put", does))
    subprocess.run(["erlc", "+deterministic", "-o", next(goal.glob("lib/depot-2/ebin")), source], check=True)
    with beam.depot_node(interval=HOUR, workers=5) as node:
        told = commands.run("apply", node.name, goal, "--yes").stdout
        assert "applications were not all told what changed in their environments" in told
        assert node.ask("element(2, application:get_key(depot, vsn))") == [ord("2")]


WHICH = '[{list_to_binary(Vsn), Status} || {"depot", Vsn, _, Status} <- release_handler:which_releases()]'


def test_what_is_confirmed_is_permanent_for_otps_release_handler_too(commands: Commands, beam: Beam) -> None:
    """On the node that runs, when it restarts, on the one that boots from it, and after a downgrade."""
    with beam.depot_node(interval=HOUR, workers=2) as node:
        commands.run("apply", node.name, beam.depot["2"], "--yes")
        assert node.ask(WHICH) == [("1", "permanent")]
        commands.run("confirm", node.name)
        assert node.ask(WHICH) == [("2", "permanent"), ("1", "old")]
        node.ask("init:restart()")
        node.wait_for(r"^depot \S+: 2 workers$")
        assert node.ask("list_to_binary(element(2, init:script_id()))") == "2"
    with beam.depot_node(interval=HOUR, workers=2, vsn="2", again=node) as again:
        assert again.ask("element(2, application:get_key(depot, vsn))") == [ord("2")]
        assert again.ask(WHICH) == [("2", "permanent"), ("1", "old")]
        assert again.ask('[filelib:is_dir(L) || L <- code:get_path(), L =/= "."]').count(False) == 0
        commands.run("downgrade", again.name, "--yes")
        commands.run("confirm", again.name)
        assert again.ask(WHICH) == [("1", "permanent"), ("2", "old")]
