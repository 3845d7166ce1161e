"""Bad input ends in one line with its place and the right exit code, and the node is untouched."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relup.cli.demo import examples
from tests.support import Commands, NodeProcess, supervised, write_release

ANEMONE = examples() / "anemone"
WORKER = """
    from relup.runtime import GenServer

    class Worker(GenServer):
        def init(self, number):
            return {number}
"""
APPUP = """\
application: shop
vsn: "2"
up:
  - from: "1"
    instructions:
      - {instruction}
down:
  - to: "1"
    instructions: inverse
"""


@pytest.fixture
def node(commands: Commands, tmp_path: Path) -> Iterator[NodeProcess]:
    old = write_release(tmp_path / "1", "1", {"app": supervised(1), "worker": WORKER.format(number="1")})
    with commands.node(old, "--name", "shop") as process:
        yield process


def goal(tmp_path: Path, instruction: str, vsn: str = "2") -> Path:
    modules = {"app": supervised(1), "worker": WORKER.format(number="2")}
    return write_release(tmp_path / "goal", vsn, modules, APPUP.format(instruction=instruction))


@pytest.mark.parametrize(
    ("instruction", "code", "place"),
    [
        ("update: {modul: shop.worker}", "unknown_key", "6:18"),
        ("update: {module: [shop.worker]}", "bad_module", "6:26"),
        ("upgrade: shop.worker", "bad_instruction", "6:9"),
        ("update: shop.worke", "no_such_module", "6:9"),
    ],
)
def test_a_bad_appup_is_refused_with_its_place(
    commands: Commands, node: NodeProcess, tmp_path: Path, instruction: str, code: str, place: str
) -> None:
    done = commands.run("apply", "shop", goal(tmp_path, instruction), "--yes", exit_code=3)
    found = [line for line in done.stderr.splitlines() if line.endswith(f"[{code}]")]
    assert found, done.stderr
    assert f"shop.appup.yaml:{place}: " in found[0]
    assert json.loads(commands.run("status", "shop", "--json").stdout)["release"]["vsn"] == "1"


def test_a_missing_from_version_names_both_versions(commands: Commands, node: NodeProcess, tmp_path: Path) -> None:
    folder = goal(tmp_path, "load_module: shop.worker")
    text = (folder / "shop.appup.yaml").read_text().replace('from: "1"', 'from: "0.9"')
    (folder / "shop.appup.yaml").write_text(text)
    done = commands.run("apply", "shop", folder, "--yes", exit_code=3)
    first = done.stderr.splitlines()[0]
    assert "shop 1 → 2" in first
    assert "0.9" in first
    assert "shop.appup.yaml" in done.stderr


def test_a_plan_for_another_release_is_refused(commands: Commands, node: NodeProcess, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    commands.run("plan", ANEMONE / "1", ANEMONE / "2", "-o", plan)
    done = commands.run("apply", "shop", plan, exit_code=4)
    assert "anemone 1" in done.stderr
    assert "shop 1" in done.stderr


def test_a_stale_plan_names_the_changed_module(commands: Commands, node: NodeProcess, tmp_path: Path) -> None:
    folder, plan = goal(tmp_path, "load_module: shop.worker"), tmp_path / "plan.yaml"
    commands.run("plan", tmp_path / "1", folder, "-o", plan)
    (folder / "shop" / "worker.py").write_text("x = 1\n")
    done = commands.run("apply", "shop", plan, exit_code=4)
    assert "shop.worker" in done.stderr
    assert "stale_plan" in done.stderr


def test_a_saved_plan_is_applied_as_it_is(commands: Commands, node: NodeProcess, tmp_path: Path) -> None:
    folder, plan = goal(tmp_path, "load_module: shop.worker"), tmp_path / "plan.yaml"
    commands.run("plan", tmp_path / "1", folder, "-o", plan)
    commands.run("apply", "shop", plan)
    assert json.loads(commands.run("status", "shop", "--json").stdout)["release"]["vsn"] == "2"
    assert "wrong_base" in commands.run("apply", "shop", plan, exit_code=4).stderr


def make(path: Path, content: bytes | None) -> Path:
    if content is not None:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\x00\xff\xfe\x00" * 100, b"just text", b"a: [", b"- 1\n- 2\n"],
    ids=["missing", "empty", "binary", "text", "cut", "list"],
)
def test_a_file_that_is_no_plan(commands: Commands, node: NodeProcess, tmp_path: Path, content: bytes | None) -> None:
    done = commands.run("apply", "shop", make(tmp_path / "junk.yaml", content), "--yes", exit_code=3)
    assert "junk.yaml" in done.stderr


def test_a_file_of_100_mb_is_not_read(commands: Commands, node: NodeProcess, tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    done = commands.run("apply", "shop", path, "--yes", exit_code=3)
    assert len(done.stderr.splitlines()) == 1
    assert "big.yaml" in done.stderr


def test_a_release_folder_that_is_a_file(commands: Commands, tmp_path: Path) -> None:
    path = make(tmp_path / "release", b"name: x\n")
    assert "release" in commands.run("start", path, exit_code=3).stderr
    assert "release" in commands.run("plan", path, ANEMONE / "2", exit_code=3).stderr


def test_the_folder_of_the_running_release_is_gone(commands: Commands, node: NodeProcess, tmp_path: Path) -> None:
    folder = goal(tmp_path, "load_module: shop.worker")
    (tmp_path / "1").rename(tmp_path / "elsewhere")
    (line,) = commands.run("apply", "shop", folder, "--yes", exit_code=3).stderr.splitlines()
    assert line == f"{tmp_path / '1'}:1:1: shop 1, which runs, cannot be read: there is no such file [no_such_file]"


def test_a_node_that_is_not_there(commands: Commands) -> None:
    for command in (["status"], ["stop"], ["history"], ["confirm"], ["rpc"], ["downgrade"], ["apply"]):
        rest = {"rpc": ["1"], "apply": [str(ANEMONE / "2")]}.get(command[0], [])
        done = commands.run(*command, "nobody", *rest, exit_code=4)
        assert done.stderr.splitlines() == [done.stderr.strip()]
        assert "nobody" in done.stderr


def test_a_name_that_is_no_name(commands: Commands) -> None:
    commands.run("status", "../x", exit_code=3)


def test_usage(commands: Commands) -> None:
    commands.run("apply", "shop", exit_code=2)
    commands.run("no-such-command", exit_code=2)
    commands.run("apply", "shop", "x", "--confirm", "soon", exit_code=2)


def test_without_a_terminal_apply_wants_yes(commands: Commands, node: NodeProcess, tmp_path: Path) -> None:
    folder = goal(tmp_path, "load_module: shop.worker")
    done = commands.run("apply", "shop", folder, exit_code=2)
    assert "--yes" in done.stderr


def test_json_errors_are_one_document(commands: Commands, node: NodeProcess, tmp_path: Path) -> None:
    done = commands.run("apply", "shop", goal(tmp_path, "update: nope"), "--yes", "--json", exit_code=3)
    error = json.loads(done.stdout)
    assert error["exit_code"] == 3
    assert error["diagnostics"][0]["location"]["line"] == 6


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_node_of_another_user_is_refused(commands: Commands, node: NodeProcess) -> None:
    for folder in (commands.home.parent, commands.home, commands.home / "shop"):
        folder.chmod(0o755)
    (commands.home / "shop" / "control.sock").chmod(0o777)
    source = "import os, locale; from relup.cli import main, app, live, output; os.setuid(65534); main()"
    argv = [commands.argv()[0], "-c", source, "status", "shop"]
    done = subprocess.run(argv, env=commands.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "foreign_node" in done.stderr
