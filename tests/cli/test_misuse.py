"""What was asked for and cannot be done is said, and nothing that was asked for is passed over."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from relup.cli.app import relup
from relup.document.route import read_route
from tests.node.test_routes import release
from tests.support import Commands
from tests.users import OTHER, as_user, open_folder, require_root


def run(*arguments: object, exit_code: int = 0) -> Result:
    """Run a command in this process; it must end with *exit_code*."""
    result = CliRunner().invoke(relup, [*map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    for vsn in (1, 2):
        release(tmp_path / "releases", vsn)
    return tmp_path / "releases"


# ── plans ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_relup_file_of_otp_wants_entries_for_both_directions(releases: Path, tmp_path: Path) -> None:
    release(releases, 2, down=False)
    file = tmp_path / "saved"
    wanted = ("plan", releases / "1", releases / "2", "-o", file, "--format")
    assert run(*wanted, "otp", exit_code=3).stderr.count("[no_relup]") == 1
    assert not file.exists()
    run(*wanted, "text")
    exported = run("export", file)
    assert "[irreversible]" in exported.stderr
    assert '{"1"' in exported.stdout


def test_warnings_of_a_plan_are_said_beside_otps_file(releases: Path) -> None:
    appup = releases / "2" / "shop.appup.yaml"
    appup.write_text(
        appup.read_text().replace("update: {module: shop.worker, change: advanced}", "restart_application: shop")
    )
    text, otp = (run("plan", releases / "1", releases / "2", "--format", form) for form in ("text", "otp"))
    said = [line for line in text.stdout.splitlines() if "warning: " in line]
    assert said
    assert otp.stderr.splitlines() == said


def test_a_plan_is_saved_as_json_when_that_is_asked_for(releases: Path, tmp_path: Path) -> None:
    saved = {form: tmp_path / f"plan.{form}" for form in ("text", "json")}
    for form, file in saved.items():
        run("plan", releases / "1", releases / "2", "--format", form, "-o", file)
    assert json.loads(saved["json"].read_text())["direction"] == "up"
    assert read_route(saved["json"]) == read_route(saved["text"])


def test_otps_file_has_no_room_for_an_explanation(releases: Path) -> None:
    wanted = ("plan", releases / "1", releases / "2", "--format", "otp", "--explain")
    assert "--explain" in run(*wanted, exit_code=2).stderr


# ── what is applied ────────────────────────────────────────────────────────────────────────────────────

NO_PLAN = {
    "2/shop.appup.yaml": ("", "an appup"),
    "shop.appup": ('{"2", [], []}.', "an appup"),
    "relup": ('{"2", [], []}.', "a relup file of OTP"),
    "otp.txt": ('%% coding: utf-8\n{"2", [], []}.', "a relup file of OTP"),
    "shop.app": (
        '{application, shop, [{description, ""}, {vsn, "2"}, {modules, []}, {registered, []}, {applications, []}]}.',
        "an .app file",
    ),
}


@pytest.mark.parametrize("name", NO_PLAN)
def test_a_document_that_leads_nowhere_is_named(releases: Path, name: str) -> None:
    text, what = NO_PLAN[name]
    if text:
        (releases / name).write_text(text)
    (line,) = run("apply", "nobody", releases / name, exit_code=3).stderr.splitlines()
    assert line.startswith(f"{releases / name}:1:1: this is {what}")
    assert line.endswith("[nothing_to_apply]")


def test_a_saved_plan_is_its_own_route(releases: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    run("plan", releases / "1", releases / "2", "-o", plan)
    for option in ("--via", "--through"):
        assert option in run("apply", "nobody", plan, option, releases, exit_code=2).stderr
    assert "no_such_node" in run("apply", "nobody", plan, exit_code=4).stderr


def test_a_folder_that_may_not_be_read_is_invalid_like_one_that_is_not_there() -> None:
    require_root()
    with open_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0)
        for command in (("check", closed), ("plan", closed, closed)):
            said = as_user(OTHER, partial(lambda *wanted: run(*wanted, exit_code=3).output, *command))
            assert said.startswith(f"{closed}:1:1: cannot be read: permission denied [unreadable]\n")


# ── drawings ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_without_releases_is_not_drawn(releases: Path) -> None:
    empty = releases / "none"
    empty.mkdir()
    assert run("graph", empty, exit_code=3).stderr.startswith(f"{empty}:1:1: there is no release to draw here")
    for vsn in (1, 2):
        (releases / str(vsn) / "release.yaml").write_text("name: [")
    said = run("graph", releases, exit_code=3).stderr
    assert said.count("this release is left out") == 2
    assert said.splitlines()[-1].endswith("[no_release]")


def test_a_file_named_for_another_format_is_not_written(releases: Path) -> None:
    picture = releases / "order.png"
    assert ".svg" in run("graph", releases, "-o", picture, exit_code=2).stderr
    assert not picture.exists()
    run("graph", releases, "-o", picture, "--format", "dot")
    run("graph", releases, "-o", releases / "ORDER.SVG")
    assert (releases / "ORDER.SVG").read_text().startswith("<svg")


# ── who reads ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("paths", "exit_code"), [(("1", "2"), 0), (("1", "nothing"), 3)])
def test_the_exit_code_is_true_when_nobody_reads(
    releases: Path, commands: Commands, paths: tuple[str, str], exit_code: int
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = commands.argv("plan", *(releases / path for path in paths))
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("plan", "--help"), ("plan", "1", "2")])
def test_a_full_disk_is_said_in_one_line(releases: Path, commands: Commands, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        command = commands.argv(*arguments)
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=releases)
    assert (done.returncode, done.stderr) == (0, "the result could not be written: No space left on device\n")


def test_code_is_no_document(releases: Path) -> None:
    said = run("check", releases / "1" / "shop" / "worker.py", exit_code=3).output
    assert "this is code, and no appup, release or plan" in said


def test_ctrl_c_before_a_command_is_at_work_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("relup.cli.app.finish", interrupted)
    assert run("demo", exit_code=130).output == "interrupted\n"
