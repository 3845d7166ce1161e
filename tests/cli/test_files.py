"""Commands that need files only: plans, routes, drawings, and OTP's files in and out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relup.document import read_appup
from relup.document.route import read_route
from tests.node.test_routes import release
from tests.support import Commands

APPUP = """\
%% Written by hand.
{"2",
 [{<<"1\\\\.[0-9]+">>,
   [{load_module, shop_format},          % first
    %% The counter keeps its state.
    {update, shop_cart, {advanced, {bonus, "x"}}, [shop_format]}]}],
 [{<<"1\\\\.[0-9]+">>, []}]}.
"""


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "home")


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    for vsn in (1, 2, 3):
        release(tmp_path / "releases", vsn)
    return tmp_path / "releases"


def test_a_route_is_shown_with_its_cost_and_the_plan_of_each_hop(commands: Commands, releases: Path) -> None:
    shown = commands.run("plan", releases / "1", releases / "3").stdout
    assert shown.startswith("shop 1 → 2 → 3 (2 hops, applied as one upgrade)\ncost: 2 module(s) suspended\n")
    assert shown.count("code_change up shop.worker") == 2


def test_a_plan_may_have_the_name_that_otp_gives_its_own(commands: Commands, releases: Path) -> None:
    commands.run("plan", releases / "1", releases / "2", "-o", releases / "relup")
    assert json.loads(commands.run("check", releases / "relup", "--json").stdout)["ok"]


def test_a_saved_route_is_read_again(commands: Commands, releases: Path, tmp_path: Path) -> None:
    commands.run("plan", releases / "1", releases / "3", "-o", tmp_path / "plan.yaml")
    assert str(read_route(tmp_path / "plan.yaml")) == "shop 1 → 2 → 3"
    assert json.loads(commands.run("check", tmp_path / "plan.yaml", "--json").stdout)["ok"]


def test_releases_in_between_may_lie_elsewhere(commands: Commands, releases: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (releases / "2").rename(elsewhere / "2")
    assert "no_route" in commands.run("plan", releases / "1", releases / "3", exit_code=3).stderr
    commands.run("plan", releases / "1", releases / "3", "--through", elsewhere)


def test_a_broken_neighbour_is_named_and_left_out(commands: Commands, releases: Path) -> None:
    (release(releases, 4) / "release.yaml").write_text("name: [")
    done = commands.run("plan", releases / "1", releases / "3")
    assert "this release is left out" in done.stderr


def test_a_plan_is_explained(commands: Commands, releases: Path) -> None:
    wanted = ("plan", releases / "1", releases / "3", "--explain")
    shown = commands.run(*wanted).stdout
    assert "how shop 1 → 2 (up) came about" in shown
    assert "how shop 2 → 3 (up) came about" in shown
    assert len(json.loads(commands.run(*wanted, "--json").stdout)["explanations"]) == 2


DRAWINGS = {"dot": "digraph", "mermaid": "---\ntitle", "svg": "<svg"}


@pytest.mark.parametrize(("form", "start"), DRAWINGS.items())
def test_the_versions_of_a_folder_are_drawn(commands: Commands, releases: Path, form: str, start: str) -> None:
    assert commands.run("graph", releases, "--format", form).stdout.startswith(start)


def test_a_drawing_has_the_format_that_its_file_is_named_for(commands: Commands, releases: Path) -> None:
    commands.run("graph", releases / "1", releases / "2", "-o", releases / "order.svg")
    assert (releases / "order.svg").read_text().startswith("<svg")


def test_otp_has_no_routes(commands: Commands, releases: Path) -> None:
    wanted = ("plan", releases / "1", "--format", "otp")
    assert "not_in_otp" in commands.run(*wanted, releases / "3", exit_code=3).stderr
    assert commands.run(*wanted, releases / "2").stdout.startswith('%% coding: utf-8\n{"2",')


def test_an_appup_of_otp_becomes_yaml_and_the_same_terms_again(commands: Commands, tmp_path: Path) -> None:
    source, yaml, again = (tmp_path / name for name in ("shop.appup", "shop.appup.yaml", "again/shop.appup"))
    again.parent.mkdir()
    source.write_text(APPUP)
    commands.run("import", source, "-o", yaml)
    lines = [line.strip() for line in yaml.read_text().splitlines()]
    assert {"# Written by hand.", "# first", "# The counter keeps its state."} <= {*lines}
    assert read_appup(yaml).up[0].version.regex
    commands.run("export", yaml, "-o", again)
    assert "%% The counter keeps its state." in again.read_text()
    assert commands.run("import", again).stdout.splitlines() == yaml.read_text().splitlines()


def test_an_inverse_is_written_out_for_otp(commands: Commands, releases: Path) -> None:
    shown = commands.run("export", releases / "2" / "shop.appup.yaml").stdout
    assert shown.count("{update, 'shop.worker', {advanced, []}}") == 2


NOTHING = {
    "a release": ("2", "nothing_to_export"),
    "a file that is not there": ("nowhere.yaml", "no_such_file"),
    "a file that is nothing": ("2/shop/worker.py", None),
}


@pytest.mark.parametrize(("path", "code"), NOTHING.values(), ids=NOTHING.keys())
def test_what_cannot_be_exported_is_refused(commands: Commands, releases: Path, path: str, code: str | None) -> None:
    assert f"[{code or ''}" in commands.run("export", releases / path, exit_code=3).stderr


def test_graph_takes_one_folder_or_two_releases(commands: Commands, releases: Path) -> None:
    three = (releases / str(n) for n in (1, 2, 3))
    assert "two releases" in commands.run("graph", *three, exit_code=2).stderr
