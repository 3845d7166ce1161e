"""Source trees with a pyproject.toml, read as releases of one application."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput
from relup.document import read_release
from relup.document.folder import releases_in
from relup.model.release import Release
from tests.support import write_release

HEAD = '[project]\nname = "My.App"\nversion = "1.0"\n'
START = '[project.entry-points."relup.application"]\nmain = "my_app.app:App"\n'


def build(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


LAYOUTS: dict[str, tuple[list[str], list[str]]] = {
    "flat": (
        ["my_app/__init__.py", "my_app/app.py", "tests/__init__.py", "docs/conf.py", "setup.py"],
        ["my_app", "my_app.app"],
    ),
    "two packages": (["my_app/__init__.py", "other/__init__.py", "build/__init__.py"], ["my_app", "other"]),
    "a namespace of its name": (["my_app/app.py", "scripts/x.py"], ["my_app.app"]),
    "a single module": (["my_app.py", "conftest.py", "tests/test_x.py"], ["my_app"]),
    "src": (["src/my_app/app.py", "src/lone.py", "my_app_old/__init__.py"], ["lone", "my_app.app"]),
    "an empty src": (["src/README.md", "my_app.py"], ["my_app"]),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_modules_are_those_of_src_or_beside_the_file(case: str, tmp_path: Path) -> None:
    files, modules = LAYOUTS[case]
    release = read_release(build(tmp_path, {"pyproject.toml": HEAD, **dict.fromkeys(files, "")}))
    (app,) = release.applications
    assert (release.name, release.vsn, app.name, app.vsn) == ("my-app", "1.0", "my-app", "1.0")
    assert list(app.modules) == modules
    assert (app.applications, app.start, release.given) == ((), None, str(tmp_path))


@pytest.mark.parametrize("place", ["my-app.appup.yaml", "src/my_app/my_app.appup.yaml"])
def test_start_and_appup_are_found_and_the_root_leads_back_to_the_tree(place: str, tmp_path: Path) -> None:
    files = {"src/my_app/app.py": "", place: "application: my_app\nvsn: 1.0\n", "pyproject.toml": HEAD + START}
    release = read_release(build(tmp_path, files))
    (app,) = release.applications
    assert app.start == "my_app.app:App"
    assert app.appup is not None
    assert release.root == str(tmp_path / "src")
    assert read_release(release.root) == release


VERSIONS: dict[str, dict[str, str]] = {
    "in the package": {"my_app/__init__.py": 'x = 1\n__version__ = "2.5"\n'},
    "with a type": {"my_app/__init__.py": "__version__: str = '2.5'  # bumped\n"},
    "in a file of its own": {"my_app/__init__.py": "", "my_app/_version.py": "__version__ = version = '2.5'\n"},
    "in a module": {"my_app.py": "__version__ = '2.5'\n"},
}


@pytest.mark.parametrize("case", VERSIONS)
def test_a_dynamic_version_is_that_of_the_package(case: str, tmp_path: Path) -> None:
    head = '[project]\nname = "my-app"\ndynamic = ["version"]\n'
    assert read_release(build(tmp_path, {"pyproject.toml": head, **VERSIONS[case]})).vsn == "2.5"


NO_MODULES = (
    ":2:1: the project 'my-app' has no modules: there is no package in src/, and no my_app/ or my_app.py beside"
    " pyproject.toml (write a release.yaml that lists them, or give what the build makes: a wheel) [package_not_found]"
)
BAD: dict[str, tuple[str, list[str]]] = {
    "no TOML": ("[project\n", [":1:9: expected ']' at the end of a table declaration [toml_syntax]"]),
    "no project": (
        "[tool.x]\n",
        [
            ":1:1: there is no [project] table here (write [project] with name and version,"
            " or a release.yaml beside it) [no_project]"
        ],
    ),
    "no name": (
        "[build-system]\nrequires = []\n[project]\nversion = '1'\n",
        [
            ":3:1: there is no name in [project] here (write [project] with name and version,"
            " or a release.yaml beside it) [no_project]"
        ],
    ),
    "no version": (
        '[project]\nname = "my-app"\n',
        [':1:1: there is no version in [project] (write version = "…") [no_version]', NO_MODULES],
    ),
    "everything else": (
        '[project]\nname = "absent"\n dynamic = ["version"]\n[project.entry-points."relup.application"]\n'
        'a = "x.y"\nb = "x:Y"\n',
        [
            ":2:1: the project 'absent' has no modules: there is no package in src/, and no absent/ or absent.py beside"
            " pyproject.toml (write a release.yaml that lists them, or give what the build makes: a wheel)"
            " [package_not_found]",
            ':3:2: the version is dynamic, and no __version__ = "…" is in the package: only a build knows it (write the'
            " version into [project], or give what the build makes: a wheel) [no_version]",
            ":5:1: expected package.module:Class, found 'x.y' [bad_start]",
            ":6:1: a distribution is one application: 'a' starts it already, in line 5 [several_starts]",
        ],
    ),
    "a start that is elsewhere": (
        HEAD + START.replace("my_app.app", "os.path"),
        [
            NO_MODULES,
            ":5:1: 'os.path' is not a module of the project 'my-app' [bad_start]",
        ],
    ),
    "entry points that are none": (
        HEAD + '[project.entry-points]\n"relup.application" = 3\n',
        [
            ":1:1: expected name = package.module:Class in the entry points 'relup.application' [bad_entry_point]",
            NO_MODULES,
        ],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_everything_wrong_is_told_with_its_place(case: str, tmp_path: Path) -> None:
    text, wanted = BAD[case]
    build(tmp_path, {"pyproject.toml": text})
    with pytest.raises(InvalidInput) as caught:
        read_release(tmp_path)
    assert str(caught.value).splitlines() == [f"{tmp_path}/pyproject.toml{line}" for line in wanted]


def test_a_release_file_wins_and_releases_in_a_tree_are_not_hidden_by_it(tmp_path: Path) -> None:
    build(tmp_path, {"pyproject.toml": HEAD, "my_app.py": ""})
    write_release(tmp_path / "versions" / "1", "7", {"cart": ""})
    build(tmp_path / "versions", {"pyproject.toml": HEAD, "my_app.py": ""})
    assert [r.vsn for r in releases_in(tmp_path / "versions") if isinstance(r, Release)] == ["7"]
    assert [r.vsn for r in releases_in(tmp_path) if isinstance(r, Release)] == ["1.0"]
    write_release(tmp_path, "8", {"cart": ""})
    assert read_release(tmp_path).vsn == "8"
