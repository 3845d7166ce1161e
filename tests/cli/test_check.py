"""`relup check`: its formats, its exit codes, and what `plan` and `apply` make of the same findings."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from relup.planner.lint import RULES
from tests.planner.lint.cases import ADVANCED, Case, server
from tests.support import Commands, write_release

SOUND = Case()
WARNED = Case(up=(ADVANCED,))
WRONG = Case(up=())
NOTED = Case(up=("load_module: shop.cart",))

SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "properties": {
                "tool": {"required": ["driver"], "properties": {"driver": {"$ref": "#/$defs/driver"}}},
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
            "additionalProperties": False,
        },
        "driver": {
            "type": "object",
            "required": ["name", "version", "rules"],
            "properties": {"rules": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/rule"}}},
        },
        "rule": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string"},
                "shortDescription": {"$ref": "#/$defs/message"},
                "help": {"$ref": "#/$defs/message"},
                "defaultConfiguration": {"properties": {"level": {"enum": ["none", "note", "warning", "error"]}}},
            },
            "additionalProperties": False,
        },
        "message": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
        "result": {
            "type": "object",
            "required": ["message", "ruleId", "ruleIndex", "level"],
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/message"},
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
            },
            "additionalProperties": False,
        },
        "location": {
            "type": "object",
            "required": ["physicalLocation"],
            "properties": {
                "physicalLocation": {
                    "required": ["artifactLocation", "region"],
                    "properties": {
                        "artifactLocation": {"properties": {"uri": {"type": "string", "pattern": "^[^ ]+$"}}},
                        "region": {
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            },
                            "additionalProperties": False,
                        },
                    },
                }
            },
        },
    },
}
"""What the published schema of SARIF 2.1.0 says of the parts that are written."""


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "home")


def releases(folder: Path, case: Case) -> tuple[Path, Path]:
    old = write_release(folder / "1", "1", case.old)
    return old, write_release(folder / "2", "2", case.new, case.text())


def check(
    commands: Commands, case: Case, *options: str, exit_code: int, folder: Path
) -> subprocess.CompletedProcess[str]:
    return commands.run("check", *releases(folder, case), *options, exit_code=exit_code)


EXITS = {
    "sound": (SOUND, 0, 0),
    "noted": (NOTED, 0, 0),
    "warned of": (WARNED, 0, 4),
    "wrong": (WRONG, 3, 3),
}


@pytest.mark.parametrize(("case", "plain", "strict"), EXITS.values(), ids=EXITS.keys())
def test_errors_are_invalid_and_warnings_refused_if_strict(
    tmp_path: Path, commands: Commands, case: Case, plain: int, strict: int
) -> None:
    check(commands, case, exit_code=plain, folder=tmp_path)
    told = json.loads(check(commands, case, "--strict", "--json", exit_code=strict, folder=tmp_path).stdout)
    assert told["ok"] == (strict == 0)


def test_sarif_has_a_rule_for_each_result_and_paths_that_hold_anywhere(tmp_path: Path, commands: Commands) -> None:
    old, new = releases(tmp_path / "a b", WRONG)
    (new / "shop.appup.yaml").write_text(WRONG.text() + "\n# TODO: ü")
    argv = commands.argv("check", old.relative_to(tmp_path), new.relative_to(tmp_path), tmp_path, "--format", "sarif")
    done = subprocess.run(argv, cwd=tmp_path, env=commands.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    log = json.loads(done.stdout)
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules[: len(RULES)] == [*RULES]
    assert all(rules[r["ruleIndex"]] == r["ruleId"] for r in run["results"])
    assert {r["ruleId"] for r in run["results"]} == {"todo", "changed_not_loaded", "no_release"}
    places = [r["locations"][0]["physicalLocation"] for r in run["results"] if r["ruleId"] == "changed_not_loaded"]
    assert places[0] == {
        "artifactLocation": {"uri": "a%20b/2/shop.appup.yaml"},
        "region": {"startLine": 4, "startColumn": 5},
    }


def test_github_gets_one_command_for_each_finding(tmp_path: Path, commands: Commands) -> None:
    old, new = releases(tmp_path / "50%,a:b", WARNED)
    argv = commands.argv("check", old, new, "--format", "github")
    done = subprocess.run(argv, cwd=tmp_path, env=commands.environ, capture_output=True, text=True, check=True)
    first, *others = done.stdout.splitlines()
    assert first.startswith(
        "::warning file=50%25%2Ca%3Ab/2/shop.appup.yaml,line=6,col=9,title=no_code_change::the states"
    )
    assert len(others) == 1
    assert done.stderr == ""


def test_two_formats_are_one_too_many(commands: Commands) -> None:
    assert "--json asks for one" in commands.run("check", ".", "--json", "--format", "sarif", exit_code=2).stderr


WRONG_PATHS = {"nowhere": "no_such_file", ".": "no_release"}


@pytest.mark.parametrize(("path", "code"), WRONG_PATHS.items())
def test_paths_that_lead_nowhere_are_named(tmp_path: Path, commands: Commands, path: str, code: str) -> None:
    told = commands.run("check", tmp_path / path, exit_code=3).stdout.splitlines()
    assert told[0].endswith(f"[{code}]")
    assert told[-1] == "1 error(s)"


def test_a_release_leads_nowhere_from_itself(tmp_path: Path, commands: Commands) -> None:
    old, _ = releases(tmp_path, SOUND)
    assert "[same_release]" in commands.run("check", old, old, exit_code=3).stdout


def test_an_appup_is_checked_alone(tmp_path: Path, commands: Commands) -> None:
    text = '{"2", [{<<"1.0">>, [{update, m}, {load_module, m}]}], %% TODO: say why\n [{<<"1.0">>, []}]}.'
    (tmp_path / "shop.appup").write_text(text)
    told = json.loads(commands.run("check", tmp_path / "shop.appup", "--json", exit_code=3).stdout)
    assert {d["code"] for d in told["diagnostics"]} == {"todo", "muldef_module", "loose_pattern", "not_inverse"}


def test_a_todo_stops_the_plan_and_not_the_next_draft(tmp_path: Path, commands: Commands) -> None:
    old, new = releases(tmp_path, Case(up=("update: shop.cart  # TODO: is it?",)))
    done = commands.run("plan", old, new, exit_code=3)
    assert "shop.appup.yaml:6:28: this has not been answered: is it? " in done.stderr
    assert done.stdout == ""
    commands.run("new", old, new, "-o", tmp_path / "drafts")


def test_a_plan_shows_what_is_warned_of(tmp_path: Path, commands: Commands) -> None:
    assert "[no_code_change]" in commands.run("plan", *releases(tmp_path, WARNED)).stdout


def test_apply_says_what_check_says_and_refuses_errors(tmp_path: Path, commands: Commands) -> None:
    old, new = releases(tmp_path, WARNED)
    appup = new / "shop.appup.yaml"
    with commands.node(old):
        appup.write_text(WRONG.text())
        assert "[changed_not_loaded]" in commands.run("apply", "shop", new, "--yes", exit_code=3).stderr
        appup.write_text(SOUND.text().replace('to: "1"', 'to: "2"'))
        assert "[own_version]" in commands.run("apply", "shop", new, "--dry-run").stdout
        appup.write_text(WARNED.text())
        refused = commands.run("apply", "shop", new, "--yes", "--strict", exit_code=4).stderr
        assert "[no_code_change]" in refused
        commands.run("plan", old, new, "-o", tmp_path / "plan.yaml")
        assert commands.run("apply", "shop", tmp_path / "plan.yaml", "--strict", exit_code=4).stderr == refused
        assert "[no_code_change]" in commands.run("apply", "shop", new, "--yes").stdout


def test_a_server_that_changes_nothing_else_is_sound(tmp_path: Path, commands: Commands) -> None:
    quiet = Case(new={"cart": server(2)})
    assert check(commands, quiet, "--strict", exit_code=0, folder=tmp_path).stdout == "2 path(s) hold\n"
