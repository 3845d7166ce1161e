"""What applications have in their environments after an upgrade, and after the way back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.beam.builds import DEPOT
from tests.beam.nodes import Beam, BeamNode, copy_release
from tests.beam.test_contract import HOUR
from tests.support import Commands

TOLD = """
config_change(Changed, New, Removed) -> persistent_term:put(told, {Changed, lists:sort(New), Removed}), ok.
"""
CONFIG = '[{sasl, [{sasl_error_logger, false}]}, "more.config"].'
MORE = '[{depot, [{color, "red"}, {workers, 7}]}, {kernel, [{relup_test, 1}]}].'


def configured(release: Path, folder: Path) -> Path:
    """Return a release 2 with another `sys.config`, other defaults, and an application that is told of changes."""
    goal = copy_release(release, folder / "configured", "depot")
    (goal / "releases" / "2" / "sys.config").write_text(CONFIG)
    (goal / "releases" / "2" / "more.config").write_text(MORE)
    (ebin,) = goal.glob("lib/depot-2/ebin")
    source = (DEPOT / "2" / "depot_app.erl").read_text()
    (folder / "depot_app.erl").write_text(source.replace("stop/1]", "stop/1, config_change/3]") + TOLD)
    subprocess.run(["erlc", "+deterministic", "-o", ebin, folder / "depot_app.erl"], check=True)
    app, appup = ebin / "depot.app", ebin / "depot.appup"
    app.write_text(app.read_text().replace("{interval, 1000}", "{interval, 5}, {size, 3}"))
    loads = '[{"1", [{load_module, depot_app}, '
    appup.write_text(appup.read_text().replace('[{"1", [', loads))
    return goal


def environments(node: BeamNode) -> list[object]:
    keys = ("depot, color", "depot, workers", "depot, interval", "depot, size", "kernel, relup_test")
    return [node.ask(f"application:get_env({key})") for key in keys]


def test_values_that_differ_between_the_releases_come_and_go_and_what_was_set_stays(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    """The node was started with other workers and another interval than its files say."""
    goal = configured(beam.depot["2"], tmp_path)
    with beam.depot_node(interval=HOUR, workers=9) as node:
        before = environments(node)
        assert before == ["undefined", ("ok", 9), ("ok", HOUR), "undefined", "undefined"]
        commands.run("apply", node.name, beam.depot["3"], "--yes", exit_code=5)
        assert environments(node) == before
        commands.run("apply", node.name, goal, "--yes")
        red = [ord(c) for c in "red"]
        assert environments(node) == [("ok", red), ("ok", 9), ("ok", HOUR), ("ok", 3), ("ok", 1)]
        assert node.ask("persistent_term:get(told)") == ([], [("color", red), ("size", 3)], [])
        assert node.ask("element(2, application:get_key(depot, vsn))") == [ord("2")]
        commands.run("downgrade", node.name, "--yes")
        assert environments(node) == before


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
    """On the node that runs, on the one that boots from it, and after a downgrade."""
    with beam.depot_node(interval=HOUR, workers=2) as node:
        commands.run("apply", node.name, beam.depot["2"], "--yes")
        assert node.ask(WHICH) == [("1", "permanent")]
        commands.run("confirm", node.name)
        assert node.ask(WHICH) == [("2", "permanent"), ("1", "old")]
    with beam.depot_node(interval=HOUR, workers=2, vsn="2", again=node) as again:
        assert again.ask("element(2, application:get_key(depot, vsn))") == [ord("2")]
        assert again.ask(WHICH) == [("2", "permanent"), ("1", "old")]
        assert again.ask('[filelib:is_dir(L) || L <- code:get_path(), L =/= "."]').count(False) == 0
        commands.run("downgrade", again.name, "--yes")
        commands.run("confirm", again.name)
        assert again.ask(WHICH) == [("1", "permanent"), ("2", "old")]
