"""The control socket: garbage does not hurt it, silence does not hold it, and its folder is private."""

from __future__ import annotations

import json
import random
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from relup.cli.demo import examples
from relup.document import read_release, relup_to_data
from relup.planner import plan
from relup.targets.python.wire import short_address
from tests.support import PATIENCE, Commands, NodeProcess


@pytest.fixture
def node(commands: Commands) -> Iterator[NodeProcess]:
    with commands.node(examples() / "anemone" / "1") as process:
        yield process


def talk(commands: Commands, *requests: bytes) -> list[dict[str, object]]:
    """Send lines and return the answers, one a line, until as many came or the node hangs up."""
    with (
        socket.socket(socket.AF_UNIX) as connection,
        short_address(commands.home / "anemone" / "control.sock") as address,
    ):
        connection.settimeout(PATIENCE)
        connection.connect(address)
        connection.sendall(b"".join(requests))
        with connection.makefile("rb") as lines:
            answers = (line for line in lines if not line.startswith(b'{"event"'))
            return [json.loads(line) for _, line in zip(requests, answers, strict=False)]


def test_garbage_gets_an_error_each_and_the_node_goes_on(commands: Commands, node: NodeProcess) -> None:
    chance = random.Random(3)
    garbage = [bytes(chance.choices(range(11, 256), k=chance.randint(1, 300))) + b"\n" for _ in range(300)]
    shapes = [
        [],
        {},
        {"op": 1},
        {"op": "apply"},
        {"op": "apply", "plan": {}, "options": {}},
        {"op": "apply", "plan": {"direction": "up"}, "options": {"confirm": "soon"}},
        {"op": "evaluate", "source": 3},
        {"op": "shapes"},
        {"op": "shapes", "names": "count"},
        {"op": "shapes", "names": ["count", 3]},
        {"op": "no such thing"},
        None,
        "status",
    ]
    answers = talk(commands, *garbage, *(json.dumps(s).encode() + b"\n" for s in shapes))
    deep = b"[" * 100_000 + b"]" * 100_000 + b"\n"
    answers += talk(commands, deep)
    assert len(answers) == 314
    assert all(a["error"]["exit_code"] == 3 for a in answers)  # type: ignore[index]
    assert "result" in talk(commands, b'{"op":"status"}\n')[0]
    assert not any("Traceback" in line for line in node.lines)


def test_a_plan_for_a_folder_that_cannot_be_is_refused(commands: Commands, node: NodeProcess) -> None:
    one, two = (read_release(examples() / "anemone" / vsn) for vsn in "12")
    options = {"dry_run": True, "confirm": None, "allow_irreversible": False, "strict": False}
    for root in ("/" + "x" * 300, "/x\0y", "/etc/passwd", "/" + "x/" * 3000):
        made = plan(one, two)
        data = relup_to_data(replace(made, goal=replace(made.goal, root=root)))
        request = json.dumps({"op": "apply", "plan": data, "options": options}).encode() + b"\n"
        (answer,) = talk(commands, request)
        code = answer["error"]["diagnostics"][0]["code"]  # type: ignore[index]
        assert code == ("unreadable_release" if "\0" in root else "stale_plan"), answer


def test_a_request_that_never_ends_is_refused(commands: Commands, node: NodeProcess) -> None:
    with (
        socket.socket(socket.AF_UNIX) as connection,
        short_address(commands.home / "anemone" / "control.sock") as address,
    ):
        connection.settimeout(PATIENCE)
        connection.connect(address)
        with pytest.raises(OSError):  # noqa: PT011 - broken pipe or reset, as the kernel sees it
            connection.sendall(b"x" * 200_000_000)
    assert "result" in talk(commands, b'{"op":"status"}\n')[0]


def test_clients_that_say_nothing_hold_nobody(commands: Commands, node: NodeProcess) -> None:
    path = commands.home / "anemone" / "control.sock"
    silent = []
    for _ in range(20):
        connection = socket.socket(socket.AF_UNIX)
        with short_address(path) as address:
            connection.connect(address)
        silent.append(connection)
    commands.run("apply", "anemone", examples() / "anemone" / "2", "--yes")
    commands.run("stop", "anemone")
    assert node.process.wait(PATIENCE) == 0
    for connection in silent:
        connection.close()


def test_a_home_is_private(commands: Commands, node: NodeProcess) -> None:
    home = commands.home / "anemone"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (home, *home.iterdir())}
    assert modes.pop("anemone") == 0o700
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes


def test_a_home_may_have_a_long_path(tmp_path: Path) -> None:
    commands = Commands(tmp_path / ("long" * 30) / ("deep" * 20))
    with commands.node(examples() / "anemone" / "1"):
        assert "anemone" in commands.run("status").stdout
        commands.run("apply", "anemone", examples() / "anemone" / "2", "--yes")
