"""`relup new` for BEAM releases, as a user runs it where there is no Erlang."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.document.erlang.shop import write_shop
from tests.support import Commands


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_shop(tmp_path_factory.mktemp("shop"), stripped=True)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Commands that find no programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return Commands(tmp_path / "home")


def test_a_draft_is_written_where_it_is_looked_for_is_refused_until_answered_and_never_overwritten(
    commands: Commands, shop: list[Path]
) -> None:
    ebin = shop[1].parents[2] / "lib" / "shop-2" / "ebin"
    shown = commands.run("new", *shop).stdout
    assert f"shop 1 → 2: 11 instruction(s), 6 TODO(s) to answer: {ebin / 'shop.appup'}" in shown
    text = (ebin / "shop.appup").read_text()
    assert "{update, shop_cart, {advanced, []}, [shop_format]}," in text
    assert commands.run("check", *shop, exit_code=3).stdout.count("[todo]") == 6
    answered = [line for line in text.splitlines() if not line.lstrip().startswith("%%")]
    (ebin / "shop.appup").write_text("\n".join(answered))
    assert "code_change up shop_cart" in commands.run("plan", *shop).stdout
    (ebin / "shop.appup").write_text('{"2", [], []}.\n')
    assert "[appup_exists]" in commands.run("new", *shop, exit_code=4).stderr
    assert (ebin / "shop.appup").read_text() == '{"2", [], []}.\n'
    (ebin / "shop.appup").unlink()


def test_a_draft_is_written_elsewhere_when_asked(commands: Commands, shop: list[Path], tmp_path: Path) -> None:
    (found,) = json.loads(commands.run("new", *shop, "-o", tmp_path / "drafts", "--json").stdout)
    assert (tmp_path / "drafts" / "shop.appup").read_text() == found["text"]


def test_damaged_modules_are_told_with_their_places(commands: Commands, shop: list[Path], tmp_path: Path) -> None:
    beam = shop[1].parents[2] / "lib" / "shop-2" / "ebin" / "shop_till.beam"
    whole = beam.read_bytes()
    beam.write_bytes((beam.parent / "shop_log.beam").read_bytes())
    told = commands.run("new", *shop, "-o", tmp_path / "drafts", exit_code=3).stderr
    beam.write_bytes(whole)
    assert f"{beam}:1:1: this file is named for the module 'shop_till', and holds 'shop_log' [wrong_module]" in told
    assert not (tmp_path / "drafts").exists()
