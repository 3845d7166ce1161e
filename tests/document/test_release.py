"""A release folder: what is read from it, and everything that can be wrong with one."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.document import read_release, read_sources, source_path
from relup.document.start_order import as_listed, bad_order, start_order
from relup.model.appup import Appup

APPUP = "application: anemone\nvsn: 1\n"


def build(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def release(*applications: str, head: str = "name: r\nvsn: 1\n") -> str:
    return head + "applications:\n" + "".join(f"  - {a}\n" for a in applications)


ANEMONE = {
    "release.yaml": release("{name: anemone, vsn: 1.10, start: 'anemone.app:Anemone', args: {interval: 0.10}}"),
    "anemone/__init__.py": "",
    "anemone/app.py": "raise SystemExit('imported')\n",
    "anemone/parts/counter.py": "x = 1\n",
    "anemone/__pycache__/app.cpython-311.pyc": "",
    "anemone/data/notes.txt": "",
    "anemone/not-a-module.py": "",
    "anemone/.hidden/x.py": "",
}


def test_a_release_is_what_its_folder_says(tmp_path: Path) -> None:
    build(tmp_path, ANEMONE)
    found = read_release(tmp_path)
    (anemone,) = found.applications
    assert (found.name, found.vsn, found.kind, found.root) == ("r", "1", "python", str(tmp_path))
    assert anemone.modules == ("anemone", "anemone.app", "anemone.parts.counter")
    assert anemone.fingerprints["anemone.parts.counter"] == hashlib.sha256(b"x = 1\n").hexdigest()
    assert (anemone.vsn, anemone.start, anemone.args) == ("1.10", "anemone.app:Anemone", {"interval": 0.1})
    assert str(anemone.location) == f"{tmp_path}/release.yaml:4:5"
    assert (anemone.type, anemone.applications, anemone.appup) == ("permanent", (), None)


def test_nothing_of_a_release_is_imported(tmp_path: Path) -> None:
    before = set(sys.modules)
    read_release(build(tmp_path, ANEMONE))
    assert set(sys.modules) - before == set()


def test_a_release_is_found_by_its_file_and_from_within_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, ANEMONE)
    monkeypatch.chdir(tmp_path)
    by_folder, by_file, here = read_release(tmp_path), read_release(tmp_path / "release.yaml"), read_release(".")
    assert by_folder == by_file == here
    assert str(here.applications[0].location) == "release.yaml:4:5"


def test_a_release_behind_a_link_has_the_root_that_it_has_without(tmp_path: Path) -> None:
    build(tmp_path / "1", ANEMONE)
    (tmp_path / "current").symlink_to(tmp_path / "1")
    assert read_release(tmp_path / "current").root == str(tmp_path / "1")


def test_an_application_is_a_package_or_a_file_or_a_list_of_modules(tmp_path: Path) -> None:
    files = {"one.py": "", "two/__init__.py": "", "two/b.py": "", "three/x.py": "", "three/y/__init__.py": ""}
    applications = ("{name: one, vsn: 1}", "{name: two, vsn: 1}", "{name: three, vsn: 1, modules: [three.y, three.x]}")
    found = read_release(build(tmp_path, files | {"release.yaml": release(*applications)}))
    assert [a.modules for a in found.applications] == [("one",), ("two", "two.b"), ("three.x", "three.y")]


@pytest.mark.parametrize("place", ["anemone.appup.yaml", "anemone/anemone.appup.yaml"])
def test_an_appup_ships_beside_its_package_or_in_it(place: str, tmp_path: Path) -> None:
    files = {"anemone/__init__.py": "", "release.yaml": release("{name: anemone, vsn: 1}"), place: APPUP}
    (anemone,) = read_release(build(tmp_path, files)).applications
    assert anemone.appup == Appup("anemone", "1")
    assert anemone.appup is not None
    assert str(anemone.appup.location) == f"{tmp_path}/{place}:1:1"


def test_an_appup_that_leads_to_another_version_is_read(tmp_path: Path) -> None:
    files = {
        "one.py": "",
        "release.yaml": release("{name: one, vsn: 1}"),
        "one.appup.yaml": "application: one\nvsn: 2\n",
    }
    (one,) = read_release(build(tmp_path, files)).applications
    assert one.appup == Appup("one", "2")


def test_sources_are_the_files_of_all_modules(tmp_path: Path) -> None:
    found = read_release(build(tmp_path, ANEMONE))
    assert read_sources(found) == {
        "anemone": tmp_path / "anemone/__init__.py",
        "anemone.app": tmp_path / "anemone/app.py",
        "anemone.parts.counter": tmp_path / "anemone/parts/counter.py",
    }
    (tmp_path / "anemone/app.py").unlink()
    with pytest.raises(InvalidInput, match=r"there is no source of module 'anemone.app'.*\[module_not_found\]"):
        read_sources(found)


@pytest.mark.parametrize("module", ["", ".", "..", "a..b", "../a", "/etc/passwd", "a\x00", "x" * 300, "a-b", "a.b.c"])
def test_a_name_that_is_no_module_has_no_source(module: str, tmp_path: Path) -> None:
    build(tmp_path, {"a/b.py": ""})
    assert source_path(tmp_path, module) is None


ONE = {"one.py": "", "two.py": ""}
# the files of a folder, and what is said of it; {} stands for the folder
CASES: dict[str, tuple[dict[str, str], list[str]]] = {
    "empty": (
        {},
        [
            "{}:1:1: this folder is empty (a release is a folder with a release.yaml that says name, vsn and"
            " applications, or with releases/*/*.rel; or what `pip install --target` makes,"
            " or wheels, or a source tree with a pyproject.toml) [no_release]"
        ],
    ),
    "without a release file": (
        ONE,
        [
            "{}:1:1: this folder has neither a release.yaml nor a .rel file (a release is a folder with a release.yaml"
            " that says name, vsn and applications, or with releases/*/*.rel; or what `pip install --target` makes,"
            " or wheels, or a source tree with a pyproject.toml) [no_release]"
        ],
    ),
    "without applications": (
        {"release.yaml": "name: r\nvsn: 1\n"},
        ["{}/release.yaml:1:1: missing key 'applications' [missing_key]"],
    ),
    "with no application": (
        {"release.yaml": "name: r\nvsn: 1\napplications: []\n"},
        ["{}/release.yaml:3:15: expected at least 1 item, found none [too_few_items]"],
    ),
    "with applications as a mapping": (
        {"release.yaml": "name: r\nvsn: 1\napplications: {one: 1}\n"},
        ["{}/release.yaml:3:15: expected a list, found a mapping [wrong_type]"],
    ),
    "with a path for a name": (
        {"release.yaml": release("{name: ../one, vsn: 1}")},
        ["{}/release.yaml:4:12: expected something like anemone, found the text '../one' [bad_text]"],
    ),
    "with an application twice": (
        ONE | {"release.yaml": release("{name: one, vsn: 1}", "{name: one, vsn: 2}")},
        ["{}/release.yaml:5:5: the application 'one' is listed twice, first in line 4 [duplicate_application]"],
    ),
    "with a module of two applications": (
        ONE | {"release.yaml": release("{name: one, vsn: 1}", "{name: two, vsn: 1, modules: [two, one]}")},
        ["{}/release.yaml:5:5: the module 'one' is in 'one' and in 'two' [duplicate_modules]"],
    ),
    "with a module twice": (
        ONE | {"release.yaml": release("{name: one, vsn: 1, modules: [one, one]}")},
        ["{}/release.yaml:4:40: the module 'one' is listed twice [duplicate_modules]"],
    ),
    "with an unknown dependency": (
        ONE | {"release.yaml": release("{name: one, vsn: 1, applications: [sasl]}")},
        ["{}/release.yaml:4:5: 'one' needs 'sasl', which is not in this release [undefined_applications]"],
    ),
    "with a circle": (
        ONE
        | {
            "release.yaml": release(
                "{name: two, vsn: 1, applications: [one]}", "{name: one, vsn: 1, applications: [two]}"
            )
        },
        ["{}/release.yaml:4:5: the applications need each other: two → one → two [circular_dependencies]"],
    ),
    "with a circle of one": (
        ONE | {"release.yaml": release("{name: one, vsn: 1, applications: [one]}")},
        ["{}/release.yaml:4:5: the applications need each other: one → one [circular_dependencies]"],
    ),
    "without a package": (
        {"release.yaml": release("{name: one, vsn: 1}")},
        [
            "{}/release.yaml:4:12: the application 'one' has no modules: there is no one/ and no one.py"
            " (beside release.yaml; or list its modules) [package_not_found]"
        ],
    ),
    "with an empty package": (
        {"release.yaml": release("{name: one, vsn: 1}"), "one/data.txt": ""},
        [
            "{}/release.yaml:4:12: the application 'one' has no modules: there is no one/ and no one.py"
            " (beside release.yaml; or list its modules) [package_not_found]"
        ],
    ),
    "with a missing module": (
        ONE | {"release.yaml": release("{name: one, vsn: 1, modules: [one, one.gone]}")},
        [
            "{}/release.yaml:4:40: there is no source of module 'one.gone': no one/gone.py and no"
            " one/gone/__init__.py in {} [module_not_found]"
        ],
    ),
    "with a start that is none": (
        ONE | {"release.yaml": release("{name: one, vsn: 1, start: one.App}")},
        ["{}/release.yaml:4:32: expected package.module:Class, found 'one.App' [bad_start]"],
    ),
    "with a start elsewhere": (
        ONE | {"release.yaml": release("{name: one, vsn: 1, start: 'two:App'}")},
        ["{}/release.yaml:4:32: 'two' is not a module of the application 'one' [bad_start]"],
    ),
    "with a broken appup": (
        ONE | {"release.yaml": release("{name: one, vsn: 1}"), "one.appup.yaml": "application: one\nvsn: [\n"},
        ["{}/one.appup.yaml:3:1: did not find expected node content while parsing a flow node [yaml_syntax]"],
    ),
    "with an appup of another": (
        ONE | {"release.yaml": release("{name: one, vsn: 1}"), "one.appup.yaml": "application: two\nvsn: 2\n"},
        [
            "{}/one.appup.yaml:1:14: this is the appup of 'two', its file is named for 'one' [wrong_application]",
        ],
    ),
    "with two appups": (
        {
            "release.yaml": release("{name: one, vsn: 1}"),
            "one/__init__.py": "",
            "one/one.appup.yaml": "application: one\nvsn: 1\n",
            "one.appup.yaml": "application: one\nvsn: 1\n",
        },
        [
            "{}/one/one.appup.yaml:1:1: the application 'one' has two appups, the other is {}/one.appup.yaml"
            " [duplicate_appup]"
        ],
    ),
    "with much that is wrong": (
        ONE
        | {
            "release.yaml": release(
                "{name: one, vsn: 1, start: x, modules: [one, gone], applications: [nobody]}", "{name: three, vsn: 1}"
            ),
            "one.appup.yaml": "application: one\nvsn: 1\nups: []\n",
        },
        [
            "{}/one.appup.yaml:3:1: unknown key 'ups' (did you mean 'up'?) [unknown_key]",
            "{}/release.yaml:4:5: 'one' needs 'nobody', which is not in this release [undefined_applications]",
            "{}/release.yaml:4:32: expected package.module:Class, found 'x' [bad_start]",
            "{}/release.yaml:4:50: there is no source of module 'gone': no gone.py and no gone/__init__.py in {}"
            " [module_not_found]",
            "{}/release.yaml:5:12: the application 'three' has no modules: there is no three/ and no three.py"
            " (beside release.yaml; or list its modules) [package_not_found]",
        ],
    ),
}


def problems(folder: Path) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_release(folder)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("case", CASES)
def test_a_folder_is_refused(case: str, tmp_path: Path) -> None:
    files, wanted = CASES[case]
    assert problems(build(tmp_path, files)) == [line.replace("{}", str(tmp_path)) for line in wanted]


def test_a_link_out_of_the_release_is_refused(tmp_path: Path) -> None:
    root = build(tmp_path / "r", {"release.yaml": release("{name: one, vsn: 1}"), "one/__init__.py": ""})
    build(tmp_path / "elsewhere", {"x.py": "", "p/__init__.py": ""})
    (root / "one/x.py").symlink_to(tmp_path / "elsewhere/x.py")
    (root / "one/p").symlink_to(tmp_path / "elsewhere/p")
    message = "this link leads out of the release folder [outside_release]"
    assert problems(root) == [f"{root}/one/p:1:1: {message}", f"{root}/one/x.py:1:1: {message}"]


def test_a_package_that_is_a_link_out_of_the_release_is_refused_once(tmp_path: Path) -> None:
    root = build(tmp_path / "r", {"release.yaml": release("{name: one, vsn: 1}")})
    build(tmp_path / "elsewhere", {"__init__.py": "", "x.py": ""})
    (root / "one").symlink_to(tmp_path / "elsewhere")
    assert problems(root) == [f"{root}/one:1:1: this link leads out of the release folder [outside_release]"]


def test_a_link_within_the_release_is_followed_and_a_circle_is_refused(tmp_path: Path) -> None:
    root = build(tmp_path, {"release.yaml": release("{name: one, vsn: 1}"), "one/a/x.py": "", "one/__init__.py": ""})
    (root / "one/b").symlink_to("a")
    assert read_release(root).applications[0].modules == ("one", "one.a.x", "one.b.x")
    (root / "one/a/up").symlink_to("..")
    message = "this link leads back to a folder that it stands in [circular_link]"
    assert problems(root) == [f"{root}/one/a/up:1:1: {message}", f"{root}/one/b/up:1:1: {message}"]


def test_a_module_that_cannot_be_read_is_named_and_never_waited_for(tmp_path: Path) -> None:
    root = build(tmp_path, {"release.yaml": release("{name: one, vsn: 1}"), "one/__init__.py": ""})
    (root / "one/gone.py").symlink_to("nowhere.py")
    (root / "one/loop.py").symlink_to("loop.py")
    os.mkfifo(root / "one/pipe.py")
    wanted = "the source of 'one.{0}' is not a file that can be read [unreadable]"
    assert problems(root) == [f"{root}/one/{n}.py:1:1: {wanted.format(n)}" for n in ("gone", "loop", "pipe")]


def test_a_folder_whose_path_is_not_utf8_is_refused(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xff"))
    build(root, {"release.yaml": release("{name: one, vsn: 1}"), "one.py": ""})
    (line,) = problems(root)
    assert line.endswith("the path of this folder is not UTF-8, so no plan can name it [not_utf8]")
    line.encode()


graphs = st.dictionaries(st.integers(0, 12), st.frozensets(st.integers(0, 12), max_size=3), max_size=13)


@settings(max_examples=200, deadline=None)
@given(graphs)
def test_applications_start_after_those_that_they_need_and_else_as_listed(graph: dict[int, frozenset[int]]) -> None:
    needs = {str(n): {str(m): None for m in sorted(ms) if m in graph and m > n} for n, ms in graph.items()}
    assert list(bad_order(needs)) == []
    ordered = start_order(needs)
    place = {name: n for n, name in enumerate(ordered)}
    assert sorted(place) == sorted(needs)
    assert all(place[m] < place[n] for n in ordered for m in needs[n])
    assert start_order({name: needs[name] for name in ordered}) == ordered


ORDERS: dict[str, str] = {
    "": "",
    "c a b": "c a b",
    "x:z c a b z": "z x c a b",
    "a:d,c b c d:b": "c b d a",
    "a b:d c d:a,c": "a c d b",
}


@pytest.mark.parametrize("listed", ORDERS)
def test_what_an_application_needs_comes_right_before_it(listed: str) -> None:
    parts = {name: needed for name, _, needed in (part.partition(":") for part in listed.split())}
    needs = {name: as_listed(dict.fromkeys(needed.split(",")), parts) for name, needed in parts.items()}
    assert " ".join(start_order(needs)) == ORDERS[listed]


def test_a_chain_of_two_thousand_applications_is_ordered() -> None:
    chain = {str(n): [str(n + 1)] if n < 1_999 else [] for n in range(2_000)}
    assert start_order(chain) == tuple(str(n) for n in reversed(range(2_000)))
