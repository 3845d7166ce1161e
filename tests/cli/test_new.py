"""`relup new`: drafts of Python releases as files, answered, checked and planned by commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import Commands, supervised, write_release

WORKER = """
    from relup.runtime import GenServer, Reply

    class Worker(GenServer):
        def init(self, number):
            return {state}

        def handle_call(self, request, caller, state):
            return Reply(state, state)
"""


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Path, Path]:
    states = {"1": '{"number": number}', "2": '{"number": number, "seen": 0}'}
    modules = {v: {"app": supervised(1), "worker": WORKER.format(state=state)} for v, state in states.items()}
    return write_release(tmp_path / "1", "1", modules["1"]), write_release(tmp_path / "2", "2", modules["2"])


def test_a_draft_is_refused_until_its_todos_are_answered(tmp_path: Path, releases: tuple[Path, Path]) -> None:
    commands, (old, new) = Commands(tmp_path / "home"), releases
    done = commands.run("new", old, new)
    appup = new / "shop.appup.yaml"
    assert f"shop 1 → 2: 1 instruction(s), 1 TODO(s) to answer: {appup}" in done.stdout
    lines = appup.read_text().splitlines()
    (line,) = [n for n, text in enumerate(lines, start=1) if "# TODO" in text]
    for command in ("check", "plan"):
        refused = commands.run(command, old, new, exit_code=3)
        assert f"{appup}:{line}:" in refused.stdout + refused.stderr
        assert "[todo]" in refused.stdout + refused.stderr
    method = [text.strip()[2:] for text in lines if text.strip().startswith("#   ")]
    stub = "\n".join(method).replace("...", "0")
    worker = new / "shop/worker.py"
    worker.write_text(worker.read_text().replace("GenServer, Reply", "Down, GenServer, Reply") + "\n" + stub + "\n")
    appup.write_text("\n".join(text for text in lines if "#" not in text or "schema" in text) + "\n")
    commands.run("check", "--strict", old, new)
    with commands.node(old):
        commands.run("apply", "shop", new, "--yes")
        assert "{'number': 0, 'seen': 0}" in commands.run("rpc", "shop", "await node.call('w0', 'get')").stdout
        commands.run("downgrade", "shop", "--yes")
        assert "{'number': 0}" in commands.run("rpc", "shop", "await node.call('w0', 'get')").stdout


def test_nothing_is_written_over(tmp_path: Path, releases: tuple[Path, Path]) -> None:
    commands, (old, new) = Commands(tmp_path / "home"), releases
    appup = new / "shop.appup.yaml"
    appup.write_text('application: shop\nvsn: "2"\nup: []\ndown: []\n')
    refused = commands.run("new", old, new, exit_code=4)
    assert f"{appup}:1:1: there is an appup already" in refused.stderr
    assert "-o DIR" in refused.stderr
    assert appup.read_text().endswith("down: []\n")
    commands.run("new", old, new, "-o", tmp_path / "drafts")
    assert "update" in (tmp_path / "drafts/shop.appup.yaml").read_text()


def test_an_application_that_has_its_entry_is_left_alone(tmp_path: Path, releases: tuple[Path, Path]) -> None:
    commands, (old, new) = Commands(tmp_path / "home"), releases
    entry = "instructions: [{update: shop.worker}]"
    (new / "shop.appup.yaml").write_text(
        f'application: shop\nvsn: "2"\nup: [{{from: "1", {entry}}}]\ndown: [{{to: "1", {entry}}}]\n'
    )
    assert "nothing to draft" in commands.run("new", old, new).stdout


def test_json_has_everything_and_stdout_nothing_else(tmp_path: Path, releases: tuple[Path, Path]) -> None:
    commands, (old, new) = Commands(tmp_path / "home"), releases
    (found,) = json.loads(commands.run("new", old, new, "--json").stdout)
    assert (found["application"], found["from"], found["to"], found["todos"]) == ("shop", "1", "2", 1)
    assert Path(found["file"]).read_text() == found["text"]


@pytest.mark.parametrize(
    ("paths", "code", "said"),
    [
        (("1", "nowhere"), 3, "nowhere"),
        (("1", "1"), 0, "nothing to draft"),
        (("1", "same"), 3, "code_changed_vsn_did_not"),
        (("1", "other"), 3, "different_releases"),
    ],
)
def test_what_cannot_be_drafted_is_said(
    tmp_path: Path, releases: tuple[Path, Path], paths: tuple[str, str], code: int, said: str
) -> None:
    write_release(tmp_path / "same", "1", {"app": supervised(1), "worker": WORKER.format(state="[]")})
    write_release(tmp_path / "other", "2", {"app": supervised(1, "desk")}, name="desk")
    done = Commands(tmp_path / "home").run("new", *(tmp_path / p for p in paths), exit_code=code)
    assert said in done.stdout + done.stderr
