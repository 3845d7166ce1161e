"""Plans that restart the node: OTP's release handler carries them out, on a node that `heart` starts again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.beam.beside import altered
from tests.beam.nodes import Beam, BeamNode
from tests.beam.test_contract import HOUR
from tests.support import Commands

START = """#!/bin/sh
cd "{root}" && read -r ERTS VSN < "${{1:-releases/start_erl.data}}"
exec erts-$ERTS/bin/erl -noinput -heart -boot releases/$VSN/start -config releases/$VSN/sys {arguments} \\
    < /dev/null > again.log 2>&1
"""


def restarting(release: Path, folder: Path) -> Path:
    """Return a release whose way up begins with a new emulator."""
    return altered(release, folder, lambda text: text.replace('[{"1", [', '[{"1", [restart_new_emulator, ', 1))


@contextmanager
def with_start(node: BeamNode) -> Iterator[None]:
    """Give a node the program that starts a release by the name of its data file; end whatever it started."""
    start = node.root / "bin" / "start"
    arguments = f"-sname {node.name} -setcookie {node.cookie} -depot workers 3 -depot interval {HOUR}"
    start.write_text(START.format(root=node.root, arguments=arguments))
    start.chmod(0o755)
    try:
        yield
    finally:
        start.unlink()  # heart would start it again
        subprocess.run(["pkill", "-9", "-f", node.name], check=False)


def test_a_new_emulator_is_started_by_otps_release_handler_and_states_are_lost(
    commands: Commands, beam: Beam, tmp_path: Path
) -> None:
    goal = restarting(beam.depot["2"], tmp_path)
    with beam.depot_node(interval=HOUR, workers=3, arguments=["-heart"]) as node, with_start(node):
        dry = commands.run("apply", node.name, goal, "--dry-run")
        assert "every state in it is lost" in dry.stdout
        strict = commands.run("apply", node.name, goal, "--yes", "--strict", exit_code=4)
        assert "state_lost" in strict.stderr
        node.ask("[depot_worker:work(W) || {_, W, _, _} <- supervisor:which_children(depot_pool)]")
        done = json.loads(commands.run("apply", node.name, goal, "--yes", "--json").stdout)
        assert done["status"] == "done"
        assert "state_lost" in {d["code"] for d in done["diagnostics"]}
        found = json.loads(commands.run("status", node.name, "--json").stdout)
        assert (found["release"]["vsn"], found["permanent"]["vsn"]) == ("2", "1")
        assert found["pid"] != node.pid
        jobs = "lists:sum([depot_worker:jobs(W) || {_, W, _, _} <- supervisor:which_children(depot_pool)])"
        assert commands.run("rpc", node.name, jobs).stdout.strip() == "0"
        commands.run("confirm", node.name)
        which = "[{V, S} || {_, V, _, S} <- release_handler:which_releases()]"
        assert commands.run("rpc", node.name, which).stdout.strip() == '[{"2",permanent},{"1",old}]'


def test_a_node_that_nobody_would_start_again_is_not_restarted(commands: Commands, beam: Beam, tmp_path: Path) -> None:
    goal = restarting(beam.depot["2"], tmp_path)
    with beam.depot_node(interval=HOUR, workers=3) as node:
        refused = commands.run("apply", node.name, goal, "--yes", exit_code=4).stderr
        assert "the node runs without heart" in refused
        assert "no program that starts a release" in refused
        assert node.ask("depot_worker:module_info(attributes)") == [("vsn", [1]), ("behaviour", ["gen_server"])]
        assert not (node.root / "releases" / "2").exists()
