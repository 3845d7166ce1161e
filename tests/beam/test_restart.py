"""Plans that restart the node: OTP's release handler carries them out, on a node that `heart` starts again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from relup.document import read_release
from relup.executor import Outcome
from relup.planner import find_route
from relup.targets.beam.connect import connect
from relup.targets.beam.restart import install_by_restart
from tests.beam.beside import VSN, WORKERS, altered
from tests.beam.nodes import Beam, BeamNode
from tests.beam.reaching import reach
from tests.beam.test_contract import HOUR
from tests.support import Commands

START = """#!/bin/sh
cd "{root}" && read -r ERTS VSN < "${{1:-releases/start_erl.data}}"
echo $$ >> again.pids
exec erts-$ERTS/bin/erl -noinput -heart -boot releases/$VSN/start -config releases/$VSN/sys {arguments} \\
    < /dev/null > again.log 2>&1
"""
STATES = f"[sys:get_state(P) || P <- {WORKERS}]"
WHICH = "[{list_to_binary(V), S} || {_, V, _, S} <- release_handler:which_releases()]"


def restarting(release: Path, folder: Path) -> Path:
    """Return a release whose way up begins with a new emulator, and whose way down ends with a restart."""

    def alter(text: str) -> str:
        up = text.replace('[{"1", [', '[{"1", [restart_new_emulator, ', 1)
        head, _, down = up.rpartition('[{"1", [')
        return f'{head}[{{"1", [restart_emulator, {down}'

    return altered(release, folder, alter)


@contextmanager
def with_start(node: BeamNode, more: str = "") -> Iterator[None]:
    """Give a node the program that starts a release by the name of its data file; end whatever it started."""
    start, pids = node.root / "bin" / "start", node.root / "again.pids"
    arguments = f"-sname {node.name} -setcookie {node.cookie} -depot workers 3 -depot interval {HOUR} {more}"
    start.write_text(START.format(root=node.root, arguments=arguments))
    start.chmod(0o755)
    # heart waits for seconds while there is anything left of the process that ended
    Thread(target=node.process.process.wait, daemon=True).start()
    try:
        yield
    finally:
        start.unlink()  # heart would start it again
        for pid in pids.read_text().split() if pids.exists() else ():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def answered(commands: Commands, *arguments: object, exit_code: int = 0) -> Any:
    return json.loads(commands.run(*arguments, "--json", exit_code=exit_code).stdout)


def test_a_new_emulator_is_started_by_otps_release_handler_and_states_are_lost(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    goal = restarting(beam.depot["2"], tmp_path)
    with beam.depot_node(interval=HOUR, workers=3, arguments=["-heart"]) as node, with_start(node):
        dry = commands.run("apply", node.name, goal, "--dry-run").stdout
        assert "every state in it is lost" in dry
        assert "ready: everything that can be checked" in dry
        not_asked = commands.run("apply", node.name, goal, "--yes", exit_code=4).stderr
        assert "--allow-restart goes on all the same" in not_asked
        assert not (node.root / "releases" / "2").exists()
        node.ask("[depot_worker:work(W) || {_, W, _, _} <- supervisor:which_children(depot_pool)]")
        done = answered(commands, "apply", node.name, goal, "--yes", "--allow-restart")
        assert done["status"] == "done"
        assert "state_lost" in {d["code"] for d in done["diagnostics"]}
        found = answered(commands, "status", node.name)
        assert (found["release"]["vsn"], found["permanent"]["vsn"]) == ("2", "1")
        assert found["pid"] != node.pid
        assert node.ask("[depot_worker:jobs(W) || {_, W, _, _} <- supervisor:which_children(depot_pool)]") == [0, 0, 0]
        commands.run("confirm", node.name)
        assert node.ask(WHICH) == [("2", "permanent"), ("1", "old")]
        commands.run("downgrade", node.name, "--yes", "--allow-restart")
        assert node.ask(WHICH) == [("2", "permanent"), ("1", "current")]
        told = answered(commands, "history", node.name)
        assert [(e["from"], e["to"], e["outcome"]) for e in told if "outcome" in e] == [
            ("1", "2", "done"),
            ("2", "1", "done"),
        ]


def test_a_restart_that_fails_on_its_way_is_told_as_what_became_of_it(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    """The script runs on the live node first; OTP restarts it within the same process of the system."""
    last = "{update, depot_worker, {advanced, []}}]}],"
    goal = altered(beam.depot["3"], tmp_path, lambda text: text.replace(last, f"{last[:-4]}, restart_emulator]}}],", 1))
    with beam.depot_node(interval=HOUR, workers=9, arguments=["-heart"]) as node, with_start(node):
        node.ask("[depot_worker:work(W) || {_, W, _, _} <- supervisor:which_children(depot_pool)]")
        failed = commands.run("apply", node.name, goal, "--yes", "--allow-restart", exit_code=6).stdout
        assert "release_handler could not install depot 3: " in failed
        assert "the node runs depot 1, and its states are lost" in failed
        assert sorted(node.ask(STATES)) == [(n, 0) for n in range(1, 10)]
        assert answered(commands, "status", node.name)["release"]["vsn"] == "1"
        (told,) = answered(commands, "history", node.name)
        assert (told["from"], told["to"], told["outcome"]) == ("1", "3", "operator_needed")


def test_a_node_that_does_not_come_back_is_told(beam: Beam, tmp_path: Path) -> None:
    goal = restarting(beam.depot["2"], tmp_path)

    async def restarted(node: BeamNode) -> Outcome:
        where = reach(node)
        async with connect(where) as bridge:
            route = find_route(read_release(beam.depot["1"]), read_release(goal))
            return await install_by_restart(bridge, where, route, dry_run=False, back_within=2.0)

    with beam.depot_node(interval=HOUR, workers=3, arguments=["-heart"]) as node, with_start(node):
        (node.root / "bin" / "start").write_text("#!/bin/sh\nexit 1\n")
        outcome = asyncio.run(restarted(node))
        assert outcome.exit_code == 6
        assert "the node did not come back within 2 s, and its states are lost" in str(outcome.diagnostics[-1])


def test_a_node_that_would_not_be_what_it_was_to_become_is_not_restarted(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    """What is not confirmed does not run for OTP: its script would lead from what was booted."""
    last = "[{update, depot_worker, {advanced, []}}]},"
    goal = altered(beam.depot["3"], tmp_path, lambda text: text.replace(last, f"{last[:-3]}, restart_emulator]}},", 1))
    with beam.depot_node(interval=HOUR, workers=3) as node:
        commands.run("apply", node.name, beam.depot["2"], "--yes")
        node.ask('application:set_env(sasl, static_emulator, true), application:set_env(sasl, releases_dir, "/tmp")')
        refused = commands.run("apply", node.name, goal, "--yes", "--allow-restart", exit_code=4).stderr
        assert "the node runs without heart" in refused
        assert "no program that starts a release" in refused
        assert "it is told not to (`static_emulator` of sasl)" in refused
        assert f"it looks for releases in /tmp, and not in {node.root}/releases" in refused
        assert "for it 1 runs, not 2: confirm what runs first" in refused
        assert node.ask(VSN) == (2, "2")
        assert not (node.root / "releases" / "3").exists()
