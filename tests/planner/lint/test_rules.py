"""Every rule finds what it is for, where it is, with a hint; and nothing in the sound pair beside it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from relup.cli.files import findings
from relup.diagnostics import Diagnostic
from relup.planner.lint import RULES
from relup.planner.lint.calls import OTP
from relup.runtime import application, supervisor
from tests.planner.lint.cases import CASES, CHANGE, Case, apply, server
from tests.planner.lint.test_beam import BEAM
from tests.support import write_release

EVERY = {f"{code} {n}": (code, case) for code, cases in CASES.items() for n, case in enumerate(cases, start=1)}


def found(folder: Path, case: Case) -> list[Diagnostic]:
    """Write the releases of a case, and check them as the command does."""
    for name, text in (("1", '"1"'), ("2", '"2"')):
        other = folder / name / "other"
        if case.extra:
            other.mkdir(parents=True)
            (other / "__init__.py").write_text(f"N = {text}")
    old = write_release(folder / "1", "1", case.old, extra=case.extra)
    new = write_release(folder / "2", "2", case.new, case.text(), extra=case.extra)
    return list(findings([old, new]))


@pytest.mark.parametrize(("code", "case"), EVERY.values(), ids=EVERY.keys())
def test_a_rule_finds_what_it_is_for(tmp_path: Path, code: str, case: Case) -> None:
    hits = [d for d in found(tmp_path, case) if d.code == code]
    assert hits, [str(d) for d in found(tmp_path, case)]
    first = hits[0]
    assert first.location is not None
    assert first.location.file.endswith(case.file)
    assert case.line in Path(first.location.file).read_text().splitlines()[first.location.line - 1]
    assert {d.severity for d in hits} == {case.severity or RULES[code].severity}
    if code not in WITHOUT_HINT:
        assert all(d.hint for d in hits)


WITHOUT_HINT = {"loaded_unchanged", "no_relup", "state_lost"}
"""Where there is nothing to be done, or too much to be said in a word."""


@pytest.mark.parametrize(("code", "case"), EVERY.values(), ids=EVERY.keys())
def test_it_finds_nothing_in_the_sound_pair_beside_it(tmp_path: Path, code: str, case: Case) -> None:
    assert [str(d) for d in found(tmp_path, case.mended()) if d.code == code] == []


def test_every_rule_is_tried() -> None:
    assert RULES.keys() - CASES.keys() - BEAM.keys() - {"module_of_another"} == set()
    assert CASES.keys() | BEAM.keys() <= RULES.keys()


def test_instructions_about_the_modules_of_another_application(tmp_path: Path) -> None:
    """Two applications change, and one appup speaks of a module of the other."""
    for vsn in ("1", "2"):
        folder = tmp_path / vsn
        extra = f'  - name: other\n    vsn: "{vsn}"\n'
        other = folder / "other"
        other.mkdir(parents=True)
        (other / "__init__.py").write_text(f"N = {vsn}")
        case = replace(Case(), up=("update: shop.cart", "load_module: other"))
        write_release(
            folder, vsn, case.old if vsn == "1" else case.new, case.text() if vsn == "2" else None, extra=extra
        )
    text = 'application: other\nvsn: "2"\nup: [{from: "1", instructions: []}]\ndown: [{to: "1", instructions: []}]\n'
    (tmp_path / "2" / "other.appup.yaml").write_text(text)
    hits = [d for d in findings([tmp_path / "1", tmp_path / "2"]) if d.code == "module_of_another"]
    assert [(d.severity, d.location and d.location.line) for d in hits] == [("warning", 7), ("warning", 12)]


GROWING = CASES["not_inverse"][2].mended()
"""A supervisor gets a child, which is started on the way up and ended on the way down."""


def test_a_sound_upgrade_is_warned_of_nothing(tmp_path: Path) -> None:
    """Modules come and go, states change both ways, a child is started, a function is called and taken back."""
    calls = apply("open", "2", module="shop.util", undo="module: shop.util, function: close, args: [2]")
    closes = apply("close", "2", module="shop.util", undo="module: shop.util, function: open, args: [2]")
    util = "def open(n):\n    ...\n\ndef close(n):\n    ...\n"
    case = Case(
        old={**GROWING.old, "cart": server(1), "util": util, "gone": "A = 1\n", "model": "LIMIT = 1\n"},
        new={**GROWING.new, "cart": server(2, CHANGE), "util": util, "fresh": "A = 1\n", "model": "LIMIT = 2\n"},
        up=(
            "add_module: shop.fresh",
            "update: {module: shop.cart, change: advanced, depends: [shop.model]}",
            "load_module: shop.model",
            *GROWING.up,
            calls,
            "delete_module: shop.gone",
        ),
        down=(
            closes,
            "add_module: shop.gone",
            *(GROWING.down or ()),
            "update: {module: shop.cart, change: advanced, depends: [shop.model]}",
            "load_module: shop.model",
            "delete_module: shop.fresh",
        ),
    )
    assert [str(d) for d in found(tmp_path, case)] == []


def test_otps_functions_are_those_that_a_python_node_has() -> None:
    modules = {"supervisor": supervisor, "application": application}
    for name, functions in OTP.items():
        for function, (least, most) in functions.items():
            given = inspect.signature(getattr(modules[name], function)).parameters.values()
            assert (sum(p.default is p.empty for p in given), len(given)) == (least, most)


EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("example", sorted(p.name for p in EXAMPLES.iterdir() if (p / "1").is_dir()))
def test_examples_are_sound(example: str) -> None:
    releases = sorted(p for p in (EXAMPLES / example).iterdir() if (p / "release.yaml").is_file())
    assert [str(d) for d in findings(releases)] == []
