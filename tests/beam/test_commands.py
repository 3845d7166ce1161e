"""The tutorial on a live mix release, by commands: what the article does by hand in eight steps is one."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.beam.asking import GONE, LOADED
from tests.beam.nodes import Beam, BeamNode, copy_release
from tests.support import Commands


def steps(node: BeamNode, vsn: str) -> list[int]:
    """Read on to numbers that this version counts, and return how far apart they are."""
    numbers = [int(node.wait_for(rf"\[{vsn}\]: (\d+)$")[1]) for _ in range(3)]
    return [b - a for a, b in pairwise(numbers)]


def left_behind(node: BeamNode) -> Any:
    return node.ask(f"{{whereis(relup_agent), {LOADED}, [N || N <- nodes(hidden)]}}")


def test_a_counter_is_upgraded_stays_when_the_next_one_fails_and_goes_back(commands: Commands, beam: Beam) -> None:
    with beam.anemone_node(interval=100) as node:
        before, pid = left_behind(node), node.ask("list_to_binary(pid_to_list(whereis(counter)))")
        assert steps(node, "1") == [1, 1]
        # the node begins from another folder than this
        done = commands.run("apply", node.name, os.path.relpath(beam.anemone["2"]), "--yes", "--json")
        assert json.loads(done.stdout)["status"] == "done"
        assert steps(node, "2") == [2, 2]
        assert node.ask("sys:get_state(counter)") > 1000
        failed = commands.run("apply", node.name, beam.anemone["3"], "--yes", exit_code=5)
        assert "rolled back: every process runs 0.2.0" in failed.stdout
        assert "code_change of Elixir.Counter for counter: ArgumentError: release 3 " in failed.stdout
        assert steps(node, "2") == [2, 2]
        commands.run("downgrade", node.name, "--yes")
        assert steps(node, "1") == [1, 1]
        assert node.ask("sys:get_state(counter)") < 1000
        assert node.ask("list_to_binary(pid_to_list(whereis(counter)))") == pid
        assert left_behind(node) == before
        told = json.loads(commands.run("history", node.name, "--json").stdout)
        assert [(e["from"], e["to"], e["outcome"]) for e in told] == [
            ("0.1.0", "0.2.0", "done"),
            ("0.2.0", "0.3.0", "rolled_back"),
            ("0.2.0", "0.1.0", "done"),
        ]


def test_a_saved_plan_is_refused_when_a_file_or_the_node_is_another_one_by_now(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    goal, plan = copy_release(beam.depot["2"], tmp_path / "goal", "depot"), tmp_path / "plan.yaml"
    commands.run("plan", beam.depot["1"], goal, "-o", plan)
    (file,) = goal.glob("lib/depot-*/ebin/depot_worker.beam")
    (old,) = beam.depot["1"].glob("lib/depot-*/ebin/depot_worker.beam")
    planned = file.read_bytes()
    with beam.depot_node(interval=3_600_000) as node:
        file.write_bytes(old.read_bytes())
        changed = commands.run("apply", node.name, plan, exit_code=4).stderr
        assert f"{file}: module 'depot_worker' changed since the plan was made" in changed
        assert "[stale_plan]" in changed
        file.write_bytes(planned)
        in_the_way = commands.home / ".beam" / node.name.replace("@", ".") / "releases.new"
        in_the_way.mkdir(parents=True)
        assert "[record_not_written]" in commands.run("apply", node.name, plan, exit_code=4).stderr
        in_the_way.rmdir()
        commands.run("apply", node.name, plan)
        again = commands.run("apply", node.name, plan, exit_code=4).stderr
        assert f"the node runs depot 2 ({goal}), and the plan begins with depot 1" in again
        assert "[stale_base]" in again


def test_a_saved_plan_is_refused_whose_base_is_of_other_versions_or_other_code_than_run(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    commands.run("plan", beam.depot["1"], beam.depot["2"], "-o", plan)

    def refused(node: BeamNode, *edit: Any) -> str:
        text = plan.read_text()
        data = yaml.safe_load(text)
        base = data["hops"][0]["base"] if "hops" in data else data["base"]
        for change in edit:
            change(base)
        plan.write_text(yaml.safe_dump(data))
        said = commands.run("apply", node.name, plan, exit_code=4).stderr
        plan.write_text(text)
        assert "[stale_base]" in said
        assert "--base DIR" in said
        return said

    def other_release(base: Any) -> None:
        base["vsn"] = "0.9"

    def other_versions(base: Any) -> None:
        (depot,) = (a for a in base["applications"] if a["name"] == "depot")
        depot["vsn"] = "0.9"

    with beam.depot_node(interval=3_600_000) as node:
        before = left_behind(node)
        assert f"the node runs depot 1 ({node.root}), and the plan begins with depot 0.9" in refused(
            node, other_release
        )
        assert "other versions than the plan's base depot 1: it booted depot 1, and runs depot 1 (not 0.9)" in refused(
            node, other_versions
        )
        (file,) = beam.depot["2"].glob("lib/depot-2/ebin/depot_worker.beam")
        loaded = f'{{ok, New}} = file:read_file("{file}"), code:load_binary(depot_worker, "2", New)'
        node.ask(f"{loaded}, code:purge(depot_worker), ok")
        assert (
            "other code of depot_worker than the plan's base depot 1: it booted depot 1, and runs depot 1"
            in refused(node)
        )
        assert left_behind(node) == before


def test_a_module_without_a_file_is_told_where_it_is_listed_before_anything_is_shown(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    goal = copy_release(beam.depot["2"], tmp_path / "goal", "depot")
    (ebin,) = goal.glob("lib/depot-2/ebin")
    (ebin / "depot_price.beam").unlink()
    lines = (ebin / "depot.app").read_text().splitlines()
    (place,) = ((n, line.index("depot_price")) for n, line in enumerate(lines) if "depot_price" in line)
    said = f"{ebin / 'depot.app'}:{place[0] + 1}:{place[1] + 1}: the module 'depot_price' of depot 2 has no .beam file"
    assert said in commands.run("check", goal, exit_code=3).stdout
    assert said in commands.run("plan", beam.depot["1"], goal, exit_code=3).stderr
    with beam.depot_node(interval=3_600_000) as node:
        applied = commands.run("apply", node.name, goal, "--yes", exit_code=3)
        assert said in applied.stderr
        assert "[missing_beam]" in applied.stderr
        assert applied.stdout == ""
    for file in ebin.glob("*.beam"):
        file.unlink()
    commands.run("check", goal)  # what is not built yet is looked at as well


def test_the_nodes_that_run_here_are_named_to_who_names_none_of_them(commands: Commands, beam: Beam) -> None:
    with beam.depot_node(interval=3_600_000) as node:
        assert node.name in commands.run("status").stdout.splitlines()
        assert node.name in json.loads(commands.run("status", "--json").stdout)
        absent = commands.run("apply", "nosuchname", beam.depot["2"], exit_code=4).stderr
        assert "no node 'nosuchname' runs here" in absent
        assert node.name in absent


def test_a_dry_run_touches_nothing(commands: Commands, beam: Beam) -> None:
    with beam.anemone_node() as node:
        before = left_behind(node)
        told = commands.run("apply", node.name, beam.anemone["2"], "--dry-run").stdout
        assert "ready: everything that can be checked beforehand holds" in told
        assert steps(node, "1") == [1, 1]
        seen = json.loads(commands.run("status", node.name, "--json").stdout)
        assert [(p["name"], p["class"], p["vsn"], p["suspended"]) for p in seen["processes"]] == [
            ("counter", "Elixir.Counter", "1", False)
        ]
        assert (seen["old_code"], seen["drift"]) == ([], [])
        assert left_behind(node) == before


def test_a_restart_boots_the_old_release_until_the_new_one_is_confirmed(commands: Commands, beam: Beam) -> None:
    def status(node: BeamNode) -> tuple[str, str, bool]:
        found = json.loads(commands.run("status", node.name, "--json").stdout)
        return found["release"]["vsn"], found["permanent"]["vsn"], found["provisional"]

    with beam.anemone_node() as node:
        commands.run("apply", node.name, beam.anemone["2"], "--yes")
        assert status(node) == ("0.2.0", "0.1.0", True)
        cookie = (node.root / "releases" / "COOKIE").read_bytes()
    with beam.anemone_node(again=node) as again:
        assert steps(again, "1") == [1, 1]
        assert status(again) == ("0.1.0", "0.1.0", False)
        commands.run("apply", again.name, beam.anemone["2"], "--yes")
        other = node.root / "lib" / "anemone-0.2.0"
        other.mkdir()
        assert f"{other} is there already" in commands.run("confirm", again.name, exit_code=4).stderr
        other.rmdir()
        assert "0.2.0 is permanent now" in commands.run("confirm", again.name).stdout
        assert status(again) == ("0.2.0", "0.2.0", False)
        assert (node.root / "releases" / "COOKIE").read_bytes() == cookie
    with beam.anemone_node(again=node) as last:
        assert steps(last, "2") == [2, 2]
        assert status(last) == ("0.2.0", "0.2.0", False)


def test_expressions_are_evaluated_in_the_language_of_the_node(commands: Commands, beam: Beam) -> None:
    with beam.anemone_node(interval=3_600_000) as node:
        told = commands.run("rpc", node.name, 'IO.puts("so: ☕"); Enum.map([1, 2], & &1 * 2)')
        assert (told.stdout, told.stderr) == ("[2, 4]\n", "so: ☕\n")
        assert "foo(" in commands.run("rpc", node.name, "foo(", exit_code=3).stderr
    with beam.depot_node(interval=3_600_000) as node:
        told = commands.run("rpc", node.name, 'io:format("~p and ", [so]), {1, [X || X <- [2]]}.')
        assert (told.stdout, told.stderr) == ("{1,[2]}\n", "so and ")
        assert "syntax error" in commands.run("rpc", node.name, "foo(", exit_code=3).stderr


def test_a_node_is_stopped_and_its_history_stays(
    commands: Commands, beam: Beam, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with beam.anemone_node(interval=100) as node:
        commands.run("apply", node.name, beam.anemone["2"], "--yes")
        told = commands.run("history", node.name).stdout
        assert "0.1.0 → 0.2.0: done" in told
        assert f"stopped (pid {node.pid})" in commands.run("stop", node.name).stdout
    monkeypatch.setenv("HOME", str(tmp_path))  # where no cookie lies
    for known in ("RELUP_COOKIE", "RELEASE_COOKIE"):
        monkeypatch.delenv(known, raising=False)
    for name in (node.name, node.name.partition("@")[0]):
        assert commands.run("history", name).stdout == told
    assert "[no_such_node]" in commands.run("history", f"other_{node.name}", exit_code=4).stderr


def test_what_is_wrong_is_one_line_and_an_exit_code(commands: Commands, beam: Beam, tmp_path: Path) -> None:
    with beam.anemone_node(interval=3_600_000) as node:
        wrong = tmp_path / "cookie"
        wrong.write_text("something else\n")
        refused = commands.run("status", node.name, "--cookie-file", wrong, exit_code=4)
        assert len(refused.stderr.splitlines()) == 1
        unknown = commands.run("status", node.name, "--base", beam.depot["1"])
        assert "depot" in unknown.stdout
        shared = copy_release(beam.anemone["2"], tmp_path / "shared", "anemone")
        (shared / "lib" / "anemone-0.2.0" / "ebin").chmod(0o777)
        assert "writable_by_others" in commands.run("apply", node.name, shared, "--yes", exit_code=4).stderr
        assert node.ask(LOADED) == []
    gone = commands.run("status", node.name, "--cookie-file", wrong, exit_code=4)
    assert "no_such_node" in gone.stderr


def test_an_upgrade_that_nobody_confirms_goes_back_by_itself(commands: Commands, beam: Beam) -> None:
    def status(node: BeamNode) -> Any:
        return json.loads(commands.run("status", node.name, "--json").stdout)

    with beam.anemone_node(interval=100) as node:
        before = left_behind(node)
        commands.run("apply", node.name, beam.anemone["2"], "--yes", "--confirm", "2")
        assert steps(node, "2") == [2, 2]
        assert steps(node, "1") == [1, 1]
        assert node.ask("sys:get_state(counter)") < 1000
        assert status(node)["release"]["vsn"] == "0.1.0"
        assert node.ask(GONE) == []
        assert left_behind(node) == before
        commands.run("apply", node.name, beam.anemone["2"], "--yes", "--confirm", "600")
        assert 0 < status(node)["goes_back_in"] <= 600
        refused = commands.run("apply", node.name, beam.anemone["3"], "--yes", exit_code=4)
        assert "unconfirmed" in refused.stderr
        commands.run("confirm", node.name)
        assert status(node)["goes_back_in"] is None
        assert left_behind(node) == before
        assert steps(node, "2") == [2, 2]


def test_a_deadline_is_kept_when_the_downgrade_is_refused_and_ends_with_one_that_is_done(
    commands: Commands, beam: Beam
) -> None:
    def goes_back_in() -> float | None:
        left: float | None = json.loads(commands.run("status", node.name, "--json").stdout)["goes_back_in"]
        return left

    folder = "filename:dirname(code:which('Elixir.Counter'))"
    with beam.anemone_node(interval=100) as node:
        before = left_behind(node)
        commands.run("apply", node.name, beam.anemone["2"], "--yes", "--confirm", "600")
        node.ask(f"code:stick_dir({folder})")
        assert "sticky" in commands.run("downgrade", node.name, "--yes", exit_code=4).stderr
        node.ask(f"code:unstick_dir({folder})")
        left = goes_back_in()
        assert left is not None
        assert left < 600
        assert "ready" in commands.run("downgrade", node.name, "--dry-run").stdout
        assert steps(node, "2") == [2, 2]
        assert goes_back_in() is not None
        commands.run("downgrade", node.name, "--yes")
        assert steps(node, "1") == [1, 1]
        assert left_behind(node) == before
        commands.run("apply", node.name, beam.anemone["2"], "--yes", "--confirm", "600")
        commands.run("downgrade", node.name, "--dry-run")
        node.ask("relup_agent ! expired")  # as when the time is over
        assert steps(node, "1") == [1, 1]
        assert node.ask(GONE) == []
        assert left_behind(node) == before
