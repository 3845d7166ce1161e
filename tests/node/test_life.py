"""A node's life in real processes: upgrades, confirmation, crashes, clients that vanish, messages that are counted."""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from relup.cli.demo import examples
from tests.support import PATIENCE, Commands, NodeProcess

ANEMONE, ACCOUNTS, CHAT = (examples() / name for name in ("anemone", "accounts", "chat"))


@pytest.fixture
def anemone(commands: Commands) -> Iterator[NodeProcess]:
    with commands.node(ANEMONE / "1", "--name", "anemone") as process:
        yield process


def status(commands: Commands, name: str = "anemone") -> dict[str, object]:
    found: dict[str, object] = json.loads(commands.run("status", name, "--json").stdout)
    return found


def vsn(commands: Commands, name: str = "anemone") -> object:
    return status(commands, name)["release"]["vsn"]  # type: ignore[index]


def test_the_demo_tells_the_truth(commands: Commands) -> None:
    begun = time.monotonic()
    done = commands.run("demo", "--json")
    assert time.monotonic() - begun < 30
    seen = json.loads(done.stdout)
    assert any(b - a == 1001 for a, b in pairwise(seen["upgraded"]))


def test_the_count_is_migrated_up_rolled_back_and_migrated_down(commands: Commands, anemone: NodeProcess) -> None:
    anemone.wait_for("count: 3$")
    commands.run("apply", "anemone", ANEMONE / "2", "--yes")
    anemone.wait_for(r"count: 10\d\d$")
    done = commands.run("apply", "anemone", ANEMONE / "3", "--yes", exit_code=5)
    assert "rolled back" in done.stdout
    commands.run("downgrade", "anemone", "--yes")
    numbers = [int(line.split()[1]) for line in anemone.lines if line.startswith("count: ")]
    while len(numbers) < 3 or numbers[-1] - numbers[-2] != 1 or numbers[-1] > 900:
        numbers.append(int(anemone.wait_for(r"count: (\d+)$")[1]))
    steps = [b - a for a, b in pairwise(numbers)]
    assert [s for s in steps if s not in (1, 2)] == [1001, -998]
    entries = json.loads(commands.run("history", "anemone", "--json").stdout)
    assert [e["what"] for e in entries] == ["start", *["begin", "upgrade"] * 2, "begin", "downgrade"]
    assert [e["outcome"] for e in entries if "outcome" in e] == ["done", "rolled_back", "done"]


def test_a_dry_run_touches_nothing(commands: Commands, anemone: NodeProcess) -> None:
    done = commands.run("apply", "anemone", ANEMONE / "2", "--dry-run", "--json")
    assert json.loads(done.stdout)["status"] == "ready"
    assert vsn(commands) == "1"


def test_a_restart_before_confirm_boots_the_permanent_release_and_after_it_the_new_one(commands: Commands) -> None:
    with commands.node(ANEMONE / "1", "--name", "anemone") as node:
        commands.run("apply", "anemone", ANEMONE / "2", "--yes")
        assert status(commands)["provisional"] is True
        node.kill()
        killed = node.pid
    with commands.node(ANEMONE / "1", "--name", "anemone") as node:
        found = f"found: the node was killed (pid {killed}); anemone 2 ran and was not confirmed"
        assert found in node.lines
        assert vsn(commands) == "1"
        left = commands.run("downgrade", "anemone", "2", "--yes", exit_code=4)
        assert "no release '2' is on the way back from 1: it leads to nothing (release '2' has run here" in left.stderr
        commands.run("apply", "anemone", ANEMONE / "2", "--yes")
        commands.run("confirm", "anemone")
        assert status(commands)["provisional"] is False
        node.kill()
    with commands.node(ANEMONE / "1", "--name", "anemone") as node:
        assert vsn(commands) == "2"
        node.kill()
    with commands.node(ANEMONE / "1", "--name", "anemone", "--as-given"):
        assert vsn(commands) == "1"


def test_an_unconfirmed_upgrade_goes_back_by_itself(commands: Commands, anemone: NodeProcess) -> None:
    commands.run("apply", "anemone", ANEMONE / "2", "--yes", "--confirm", "0.5")
    anemone.wait_for(r"count: 10\d\d$")
    anemone.wait_for(r"count: \d\d?$")
    assert vsn(commands) == "1"
    last = json.loads(commands.run("history", "anemone", "--json").stdout)[-1]
    assert last["what"] == "downgrade"
    assert "deadline" in last["who"]


def test_a_confirmed_upgrade_stays(commands: Commands, anemone: NodeProcess) -> None:
    commands.run("apply", "anemone", ANEMONE / "2", "--yes", "--confirm", "1.5")
    commands.run("confirm", "anemone")
    found = status(commands)
    assert (found["provisional"], found["goes_back_in"]) == (False, None)


def test_stop_ends_the_node_cleanly(commands: Commands, anemone: NodeProcess) -> None:
    commands.run("stop", "anemone")
    assert anemone.process.wait(timeout=PATIENCE) == 0
    commands.run("status", "anemone", exit_code=4)
    assert "start anemone 1" in commands.run("history", "anemone").stdout


def test_sigterm_ends_the_node_cleanly(commands: Commands, anemone: NodeProcess) -> None:
    anemone.process.send_signal(signal.SIGTERM)
    assert anemone.process.wait(timeout=PATIENCE) == 0


def test_two_nodes_of_one_name_are_refused(commands: Commands, anemone: NodeProcess) -> None:
    done = commands.run("start", ANEMONE / "1", "--name", "anemone", exit_code=4)
    assert str(anemone.pid) in done.stderr


def test_rpc_and_remote_look_into_the_node(commands: Commands, anemone: NodeProcess) -> None:
    assert commands.run("rpc", "anemone", "1 + 1").stdout == "2\n"
    assert commands.run("rpc", "anemone", "node.whereis('counter') is not None").stdout == "True\n"
    for error in ("1 / 0", "(_ for _ in ()).throw(KeyboardInterrupt())", "exit()", "[].x"):
        assert "rpc_failed" in commands.run("rpc", "anemone", error, exit_code=3).stderr
    done = subprocess.run(
        commands.argv("remote", "anemone"),
        env=commands.environ,
        input="x = 20\nfor i in range(2):\n  x += i\n\nprint(x)\nx + 1\n1/0\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert "21\n" in done.stdout
    assert "22\n" in done.stdout
    assert "ZeroDivisionError" in done.stderr


def test_the_client_may_be_killed_at_any_moment(commands: Commands) -> None:
    chance = random.Random(7)
    with commands.node(ANEMONE / "1", "--name", "anemone"):
        for _ in range(6):
            goal = "2" if vsn(commands) == "1" else "1"
            argv = commands.argv("apply", "anemone", ANEMONE / "2", "--yes")
            if goal == "1":
                argv = commands.argv("downgrade", "anemone", "1", "--yes")
            client = subprocess.Popen(argv, env=commands.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                client.wait(timeout=chance.uniform(0.2, 0.8))
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait()
            found = status(commands)
            assert not any(p["suspended"] for p in found["processes"])  # type: ignore[attr-defined]
        assert all(
            e.get("outcome", "done") == "done" for e in json.loads(commands.run("history", "anemone", "--json").stdout)
        )


def test_accounts_are_migrated_together(commands: Commands) -> None:
    def rpc(expression: str) -> str:
        return commands.run("rpc", "accounts", expression).stdout.strip()

    with commands.node(ACCOUNTS / "1"):
        for owner in ("ada", "grace"):
            rpc(f"node.call('teller', ('enter', '{owner}'))")
        assert rpc("node.call('teller', ('serve', 5))") == "Account(owner='ada', balance=5, note='new customer')"
        commands.run("apply", "accounts", ACCOUNTS / "2", "--yes")
        assert rpc("node.call('teller', ('serve', 7))") == "Account(holder='grace', balance=7, currency='EUR')"
        assert rpc("node.call('teller', ('enter', 'alan'))") == "1"
        commands.run("downgrade", "accounts", "--yes")
        assert rpc("node.call('teller', ('serve', 1))") == "Account(owner='alan', balance=1, note='')"
        assert rpc("node.call('ledger', ('deposit', 'ada', 1))") == "Account(owner='ada', balance=6, note='')"


class Client:
    """One who is connected to the chat, and counts."""

    def __init__(self, port: int, name: str) -> None:
        self.name = name
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.lines = self.connection.makefile("r", encoding="utf-8")
        assert self.lines.readline() == "welcome\n"
        self.say(f"/nick {name}")
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.connection.sendall(f"{text}\n".encode())

    def hear(self, count: int) -> None:
        while len(self.heard) < count:
            line = self.lines.readline()
            assert line, "the connection was closed"
            self.heard.append(line.rstrip("\n"))

    def close(self) -> None:
        self.lines.close()
        self.connection.close()


def test_chat_connections_stay_open_and_no_message_is_lost(commands: Commands, tmp_path: Path) -> None:
    import shutil

    chat = shutil.copytree(CHAT, tmp_path / "chat")
    for release in ("1", "2"):
        path = chat / release / "release.yaml"
        path.write_text(path.read_text().replace("7777", "0"))
    count = 400
    with commands.node(chat / "1", "--name", "chat"):
        port = int(commands.run("rpc", "chat", "node.call('listener', 'port')").stdout)
        clients = [Client(port, name) for name in ("ada", "grace")]
        upgrade = subprocess.Popen(
            commands.argv("apply", "chat", chat / "2", "--yes"), env=commands.environ, stdout=subprocess.PIPE, text=True
        )
        said = 0
        while upgrade.poll() is None or said < count:
            for client in clients:
                client.say(f"{client.name} says {said}")
            said += 1
            clients[0].hear(2 * said)
        output, _ = upgrade.communicate()
        assert upgrade.returncode == 0, output
        for client in clients:
            client.hear(2 * said)
            texts = [line.split(": ", 1)[1] for line in client.heard]
            for speaker in clients:
                assert [t for t in texts if t.startswith(speaker.name)] == [
                    f"{speaker.name} says {n}" for n in range(said)
                ]
        assert not clients[0].heard[0].startswith("#")
        assert clients[0].heard[-1].startswith("#")
        for client in clients:
            client.close()


def test_what_a_restart_could_not_boot_is_not_made_permanent(commands: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "1"
    shutil.copytree(ANEMONE / "1", folder)
    with commands.node(folder):
        moved = folder.rename(tmp_path / "elsewhere")
        refused = commands.run("confirm", "anemone", exit_code=4)
        assert "cannot be made permanent" in refused.stderr
        assert "[release_changed_in_place]" in refused.stderr
        moved.rename(folder)
        commands.run("confirm", "anemone")
