"""What `pip install --target` makes, read as a release, and everything that can be wrong with it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput, Location
from relup.document import read_extensions, read_release, read_sources
from relup.document.python.needs import needs_of, roots, start_needs
from relup.document.python.requirements import Requirement, requirement
from relup.model.release import Application, Release
from tests.wheels import distribution, install

SO = EXTENSION_SUFFIXES[0]
APPUP = "application: {}\nvsn: 2\n"


def read(root: Path, *distributions: Mapping[str, bytes]) -> Release:
    return read_release(install(root, *distributions))


def only(root: Path, files: Mapping[str, str | bytes], **more: object) -> Application:
    (found,) = read(root, distribution("one", "2", files, **more)).applications  # type: ignore[arg-type]
    return found


def problems(folder: Path) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_release(folder)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


MODULES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "a package": (["one/__init__.py", "one/a/b.py"], ["one", "one.a.b"], []),
    "of another name": (["yaml/__init__.py", "_yaml/__init__.py"], ["_yaml", "yaml"], []),
    "a single file": (["six.py"], ["six"], []),
    "nothing": ([], [], []),
    "no scripts, stubs, data or bytecode": (
        [
            "one.py",
            "bin/run.py",
            "../../bin/x.py",
            "one.pyi",
            "one/t.txt",
            "one/__pycache__/x.py",
            "/etc/x.py",
            "a-b/c.py",
        ],
        ["one"],
        [],
    ),
    "a package called bin": (["bin/__init__.py", "bin/run.py"], ["bin", "bin.run"], []),
    "extensions": (
        [f"_top{SO}", f"one/_fast{SO}", "one/any.abi3.so", "one.libs/libx.so"],
        [],
        ["_top", "one._fast", "one.any"],
    ),
    "an extension before its source": (["one/a.py", f"one/a{SO}", f"one/b{SO}"], [], ["one.a", "one.b"]),
    "a package before an extension": (["a/__init__.py", f"a{SO}"], ["a"], []),
    "a source before an extension for nobody": (["a.py", "a.cpython-27-x86_64-linux-gnu.so"], ["a"], []),
    "an extension for nobody": (["a.cpython-27-x86_64-linux-gnu.so"], [], ["a"]),
    "a helper of mypyc": ([f"0ab__mypyc{SO}"], [], ["0ab__mypyc"]),
}


@pytest.mark.parametrize("case", MODULES)
def test_modules_are_what_import_would_find(case: str, tmp_path: Path) -> None:
    files, modules, extensions = MODULES[case]
    found = distribution("one", "2", dict.fromkeys(files, ""))
    install(tmp_path, {name: data for name, data in found.items() if not name.startswith(("/", ".."))})
    release = read_release(tmp_path)
    (one,) = release.applications
    assert (list(one.modules), sorted(one.extensions)) == (modules, extensions)
    assert sorted(read_sources(release)) == modules
    assert [*read_extensions(release)] == [e for e in extensions if "27" not in files[-1]]


def test_names_are_normalized_and_versions_are_left_alone(tmp_path: Path) -> None:
    release = read(tmp_path, distribution("Ruamel.Yaml_Ext", "1.0.post1+local.2", {"x.py": ""}))
    (found,) = release.applications
    assert (found.name, found.vsn) == ("ruamel-yaml-ext", "1.0.post1+local.2")
    assert (release.name, release.vsn, release.root) == (found.name, found.vsn, str(tmp_path))
    info = tmp_path / "Ruamel.Yaml_Ext-1.0.post1+local.2.dist-info"
    assert found.location == Location(str(info / "METADATA"), 2, 1)


def test_applications_are_the_installed_requirements_and_start_after_them(tmp_path: Path) -> None:
    needs = ["b>=1", "C [fast] ; python_version < '3'", "absent", "d ; extra == 'dev'"]
    release = read(
        tmp_path,
        distribution("a", "1", {"a.py": ""}, requires=needs),
        distribution("b", "1", {"b.py": ""}),
        distribution("c", "1", {"c.py": ""}, requires=["e; extra == 'fast'", "b; extra == 'slow'"]),
        distribution("d", "1", {"d.py": ""}),
        distribution("e", "1", {"e.py": ""}),
    )
    assert {x.name: x.applications for x in release.applications}["a"] == ("b", "c")
    assert [x.name for x in release.applications] == ["b", "e", "c", "a", "d"]
    assert (release.name, release.vsn) == ("a+d", "1+1")


GRAPHS: dict[str, tuple[str, str, str, str]] = {
    # what requires what; what starts; what the release is called; the order
    "one": ("a", "", "a", "a"),
    "nobody requires two": ("a:c b:c c", "", "a+b", "c a b"),
    "the one that starts": ("a:b b", "b", "b", "b a"),
    "of two that start the outer": ("a:b b:c c", "c a", "a", "c b a"),
    "two that start, over others": ("a:b b:c c d", "a d", "a+d", "c b a d"),
    "a circle": ("a:b b:a c:a", "", "c", "a b c"),
    "a circle of all": ("a:b b:c c:a", "", "a+b+c", "a b c"),
    "in a circle what starts is last": ("a:b b:a", "a", "a", "b a"),
    "itself": ("a:a", "", "a", "a"),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_the_release_is_named_and_ordered_by_what_requires_what(case: str, tmp_path: Path) -> None:
    graph, starting, name, order = GRAPHS[case]
    made = []
    for part in graph.split():
        who, _, needed = part.partition(":")
        start = f"{who}:App" if who in starting.split() else None
        made.append(distribution(who, "1", {f"{who}.py": ""}, requires=[*filter(None, needed.split(","))], start=start))
    release = read(tmp_path, *made)
    assert (release.name, " ".join(a.name for a in release.applications)) == (name, order)


def test_circles_are_cut_and_nothing_else() -> None:
    needs = {"a": ["b", "c"], "b": ["a"], "c": []}
    assert start_needs(needs, {"a"}) == {"a": ["b", "c"], "b": [], "c": []}
    assert start_needs(needs, ()) == {"a": ["c"], "b": ["a"], "c": []}
    assert roots(needs, ()) == ["a", "b"]
    assert needs_of([]) == {}


MARKERS: dict[str, tuple[str, bool]] = {
    "": ("", True),
    "python_version < '3'": ("", True),
    "extra == 'x'": ("", False),
    "extra=='X_y'": ("x-y", True),
    "'x' == extra": ("x", True),
    "extra == 'x' and python_version < '3'": ("y", False),
    "python_version < '3' and (extra == 'x' or extra == 'y')": ("y", True),
    "(os_name == 'nt' or sys_platform == 'win32') and extra == 'x'": ("", False),
    "extra == 'x' or os_name == 'nt'": ("", True),
    "extra != 'x'": ("x", False),
    "not a marker (": ("", True),
}


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marker_counts_as_far_as_it_asks_for_extras(marker: str) -> None:
    asked, holds = MARKERS[marker]
    found = requirement(f"name (>=1) ; {marker}" if marker else "name", Location("f", 1, 1))
    assert isinstance(found, Requirement)
    assert found.holds(frozenset(filter(None, [asked]))) is holds


STARTS: dict[str, tuple[str, list[str]]] = {
    "one": ("[relup.application]\nmain = one.app:App\n", []),
    "of other groups": ("[console_scripts]\nx = y:z\n\n; said\n[relup.application]\nmain=one.app:App.Inner\n", []),
    "two": (
        "[relup.application]\na = one.app:App\n  b = one.app:Other\n",
        [":3:3: a distribution is one application: 'a' starts it already, in line 2 [several_starts]"],
    ),
    "not a class": (
        "[relup.application]\na = one.app\n",
        [":2:1: expected package.module:Class, found 'one.app' [bad_start]"],
    ),
    "no name": (
        "[relup.application]\none.app:App\n",
        [":2:1: expected name = package.module:Class, found 'one.app:App' [bad_entry_point]"],
    ),
    "a module of another": (
        "[relup.application]\na = os.path:App\n",
        [":2:1: 'os.path' is not a module of the distribution 'one' [bad_start]"],
    ),
}


@pytest.mark.parametrize("case", STARTS)
def test_the_start_is_the_entry_point_of_its_group(case: str, tmp_path: Path) -> None:
    text, wanted = STARTS[case]
    install(tmp_path, distribution("one", "2", {"one/app.py": ""}))
    (tmp_path / "one-2.dist-info/entry_points.txt").write_text(text)
    if wanted:
        assert problems(tmp_path) == [f"one-2.dist-info/entry_points.txt{line}" for line in wanted]
    else:
        assert str(read_release(tmp_path).applications[0].start).startswith("one.app:App")


@pytest.mark.parametrize("place", ["", "my_one/", "space/inner/"])
@pytest.mark.parametrize("name", ["my-one", "my_one", "My.One"])
def test_an_appup_is_package_data_in_either_spelling(place: str, name: str, tmp_path: Path) -> None:
    files = {"my_one/__init__.py": "", "space/inner/__init__.py": ""}
    found = distribution("My.One", "2", {**files, f"{place}{name}.appup.yaml": APPUP.format("my_one")})
    (one,) = read(tmp_path, found).applications
    assert one.appup is not None
    assert (one.appup.application, one.appup.vsn) == ("my-one", "2")
    (tmp_path / "my_one" / "my-one.appup.yaml").write_text(APPUP.format("x"))
    (tmp_path / "space/inner" / "my_one.appup.yaml").write_text(APPUP.format("x"))
    assert "has two appups" in problems(tmp_path)[0]


def test_two_distributions_may_share_a_namespace_and_a_file_of_the_same_words(tmp_path: Path) -> None:
    release = read(
        tmp_path,
        distribution("a", "1", {"ns/a.py": "", "old/__init__.py": "same", "old/a.py": ""}),
        distribution("b", "1", {"ns/b.py": "", "old/__init__.py": "same", "old/b.py": ""}),
    )
    assert [a.modules for a in release.applications] == [("ns.a", "old", "old.a"), ("ns.b", "old.b")]


def test_a_distribution_without_record_has_the_modules_that_it_names(tmp_path: Path) -> None:
    for name, top in (("one-x", None), ("two", "tops\nlone\n")):
        found = distribution(name, "1", {})
        install(tmp_path, {f: d for f, d in found.items() if not f.endswith("RECORD")})
        if top:
            (tmp_path / "two-1.dist-info/top_level.txt").write_text(top)
    install(tmp_path, {"one_x/__init__.py": b"", "tops/a.py": b"", "lone.py": b""})
    assert [a.modules for a in read_release(tmp_path).applications] == [("one_x",), ("lone", "tops.a")]


def test_everything_wrong_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    install(
        tmp_path,
        distribution("a", "1", {"a.py": "", "both.py": "x", "a/gone.py": "", "a/gone.txt": ""}),
        distribution("a", "2", {"a.py": ""}),
        distribution("b", "1", {"both.py": "y"}),
        distribution("c", "1", {"__editable__.c.pth": "", "__editable___c_finder.py": ""}),
        {"d-1.dist-info/METADATA": b"Name: d d\nVersion: 1\nRequires-Dist: \n  !\n\nName: no\n"},
        {"e-1.dist-info/METADATA": b"\xff", "e-1.dist-info/RECORD": b"a,b,c,d\n"},
        {"f-1.dist-info/METADATA": b"Name: f\nVersion: 1\n"},
        {"g-1.dist-info/RECORD": b""},
        {"~lick-1.dist-info/METADATA": b"what pip was about to remove"},
    )
    for name in ("gone.py", "gone.txt"):
        (tmp_path / "a" / name).unlink()
    again = "(install each release afresh, into a folder of its own)"
    assert problems(tmp_path) == [
        f"a-1.dist-info/RECORD:3:1: RECORD of 'a' names a/gone.py, which is not there {again} [file_not_found]",
        f"a-1.dist-info/RECORD:4:1: RECORD of 'a' names a/gone.txt, which is not there {again} [file_not_found]",
        f"a-2.dist-info/METADATA:2:1: 'a' is installed twice in this folder: 1 and 2 {again} [duplicate_distribution]",
        "b-1.dist-info/RECORD:1:1: the module 'both' is in 'a' and in 'b' [duplicate_modules]",
        "c-1.dist-info/RECORD:1:1: 'c' is installed as editable: its code lies elsewhere, and changes while it runs"
        " (install it without -e) [editable]",
        "d-1.dist-info/METADATA:1:1: 'd d' is no name of a distribution [bad_metadata]",
        "d-1.dist-info/METADATA:3:1: '!' is no requirement of a distribution [bad_metadata]",
        "e-1.dist-info/METADATA:1:1: this byte is not UTF-8 text [not_utf8]",
        "e-1.dist-info/RECORD:1:1: a row of RECORD is a path, a hash and a size [bad_record_file]",
        "f-1.dist-info/RECORD:1:1: 'f' has no RECORD and no top_level.txt, so its modules cannot be told"
        f" {again} [no_record]",
        "g-1.dist-info/METADATA:1:1: there is no such file [no_such_file]",
    ]


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    root = install(tmp_path / "r", distribution("a", "1", {"a.py": "", "p/x.py": ""}))
    (root / "a.py").unlink()
    (root / "a.py").symlink_to(tmp_path / "elsewhere.py")
    (root / "p").rename(tmp_path / "p")
    (root / "p").symlink_to(tmp_path / "p")
    (tmp_path / "elsewhere.py").write_text("")
    message = "this link leads out of the release folder [outside_release]"
    assert problems(root) == [f"a.py:1:1: {message}", f"p/x.py:1:1: {message}"]


def test_a_release_file_wins_and_may_name_what_is_installed(tmp_path: Path) -> None:
    install(tmp_path, distribution("PyYAML", "6", {"yaml/__init__.py": "", f"yaml/_yaml{SO}": "", "yaml/x.py": ""}))
    listed = "name: r\nvsn: 1\napplications:\n  - {name: pyyaml, vsn: 6}\n  - {name: own, vsn: 1}\n"
    install(tmp_path, {"release.yaml": listed.encode(), "own/__init__.py": b"", f"own/c{SO}": b""})
    release = read_release(tmp_path)
    assert (release.name, release.vsn) == ("r", "1")
    assert [a.modules for a in release.applications] == [("yaml", "yaml.x"), ("own",)]
    assert [[*a.extensions] for a in release.applications] == [["yaml._yaml"], ["own.c"]]


def test_relup_itself_is_no_part_of_a_release(tmp_path: Path) -> None:
    relup = distribution("relup", "9", {"relup/__init__.py": ""}, requires=["click"])
    install(tmp_path, relup)
    assert problems(tmp_path) == [
        f"{tmp_path}:1:1: there is no distribution in this folder but relup itself [no_release]"
    ]
    app = distribution("app", "1", {"app.py": ""}, requires=["relup"], start="app:App")
    assert [a.name for a in read(tmp_path, app).applications] == ["app"]


def test_two_thousand_modules_are_read_in_well_under_a_second(tmp_path: Path) -> None:
    made = [
        distribution(f"d{n}", "1", {f"d{n}/m{m}.py": f"x = {m}\n" * 100 for m in range(100)}, requires=["d0"])
        for n in range(20)
    ]
    install(tmp_path, *made)
    read_release(tmp_path)
    begun = time.process_time()
    release = read_release(tmp_path)
    assert time.process_time() - begun < 0.8
    assert len(release.fingerprints()) == 2_000
