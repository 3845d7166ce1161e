"""Releases as people have them: wheels, and folders that pip made, in real nodes."""

from __future__ import annotations

import _bisect
import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import pytest

from relup.model.release import Application, Release
from relup.targets.python.home import Home
from relup.targets.python.preflight import check_extensions
from relup.targets.records import Installed, Records
from tests.support import Commands, NodeProcess, supervised, write_release
from tests.wheels import APPUP, distribution, install, pip_install, shop_wheels, write_wheel


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of releases 1 and 2 of a shop, and release 1 as pip installs it."""
    folder = tmp_path_factory.mktemp("shops")
    shop_wheels(folder / "1", "1")
    shop_wheels(folder / "2", "2", "1")
    pip_install(folder / "installed", folder / "1", "shop", "shop-store")
    return folder


@pytest.fixture
def shop(commands: Commands, shops: Path) -> Iterator[NodeProcess]:
    with commands.node(shops / "1") as node:
        yield node


def call(commands: Commands, name: str = "w0", node: str = "shop") -> object:
    return eval(commands.run("rpc", node, f"node.call({name!r}, 'x')").stdout)


def status(commands: Commands, node: str = "shop") -> dict[str, object]:
    found: dict[str, object] = json.loads(commands.run("status", node, "--json").stdout)
    return found


def kept(commands: Commands) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in (commands.home / "shop" / "releases").iterdir())


def test_a_folder_of_wheels_is_run_upgraded_confirmed_and_booted_again(commands: Commands, shops: Path) -> None:
    with commands.node(shops / "1") as node:
        assert call(commands) == ("1", 1, {"count": 1}, "1", "1")
        commands.run("apply", "shop", shops / "2", "--yes")
        assert call(commands) == ("2", 2, {"count": 2, "changed": "2"}, "2", "2")
        found = status(commands)
        assert [(r["vsn"], r["status"]) for r in found["releases"]] == [("2", "current"), ("1", "permanent")]  # type: ignore[attr-defined]
        assert "shop 2 current, shop 1 permanent" in commands.run("status", "shop").stdout
        commands.run("confirm", "shop")
        found = status(commands)
        assert [(r["vsn"], r["status"]) for r in found["releases"]] == [("2", "permanent"), ("1", "old")]  # type: ignore[attr-defined]
        assert {Path(r["root"]).parent for r in found["releases"]} == {commands.home / "shop" / "releases"}  # type: ignore[attr-defined]
        node.kill()
    with commands.node(shops / "1"):
        assert call(commands) == ("2", 2, {"count": 1}, "2", "2")
        commands.run("downgrade", "shop", "--yes")
        assert call(commands)[0] == "1"  # type: ignore[index]
        commands.run("confirm", "shop")
        assert kept(commands) == ["shop-1"]


def test_a_folder_of_pip_is_run_and_takes_wheels_and_a_saved_plan_of_wheels(commands: Commands, shops: Path) -> None:
    commands.run("plan", shops / "1", shops / "2", "-o", commands.home / "plan.yaml")
    with commands.node(shops / "installed"):
        assert call(commands) == ("1", 1, {"count": 1}, "1", "1")
        commands.run("apply", "shop", commands.home / "plan.yaml")
        assert call(commands) == ("2", 2, {"count": 2, "changed": "2"}, "2", "2")
        roots = {r["vsn"]: Path(r["root"]).parent for r in status(commands)["releases"]}  # type: ignore[attr-defined]
        assert roots == {"1": shops, "2": commands.home / "shop" / "releases"}
        shutil.rmtree(commands.home / ".unpacked")
        commands.run("downgrade", "shop", "--yes")


@pytest.mark.usefixtures("shop")
def test_what_was_unpacked_for_nothing_goes_with_the_next_confirm(commands: Commands, shops: Path) -> None:
    commands.run("apply", "shop", shops / "2", "--dry-run")
    assert kept(commands) == ["shop-1", "shop-2"]
    commands.run("confirm", "shop")
    assert kept(commands) == ["shop-1"]
    commands.run("apply", "shop", shops / "2", "--yes")
    assert call(commands)[0] == "2"  # type: ignore[index]


def test_a_release_that_was_changed_in_place_is_told_and_not_taken_for_what_runs(
    commands: Commands, shops: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(shops / "installed", tmp_path / "here")
    with commands.node(folder):
        (folder / "shop" / "app.py").write_text(supervised(2))
        said = commands.run("apply", "shop", folder, "--yes", exit_code=4).stderr
        assert "now it holds other files of shop.app" in said
        pip_install(folder, shops / "2", "--upgrade", "shop", "shop-store")
        said = commands.run("apply", "shop", folder, "--yes", exit_code=3).stderr
        assert "'shop' is installed twice in this folder: 1 and 2" in said
        said = commands.run("apply", "shop", shops / "2", "--yes", exit_code=4).stderr
        assert "[release_changed_in_place]" in said
        assert "[duplicate_distribution]" in said
        for name in ("shop", "shop_store"):
            shutil.rmtree(folder / f"{name}-1.dist-info")
        for goal in (folder, shops / "2"):
            said = commands.run("apply", "shop", goal, "--yes", exit_code=4).stderr
            assert "changed in place: the node keeps shop 1, which runs, in it, and now it holds shop 2" in said
            assert "[release_changed_in_place]" in said
        plan = tmp_path / "plan.yaml"
        commands.run("plan", folder, shops / "1", "-o", plan)
        assert "[release_changed_in_place]" in commands.run("apply", "shop", plan, exit_code=4).stderr
        assert call(commands)[:2] == ("1", 1)  # type: ignore[index]


def extension(vsn: str) -> dict[str, str | bytes]:
    """Return the files of C extensions, one at the top and one in a package: those of Python, copied."""
    found = find_spec("_bisect"), find_spec("_heapq")
    paths = [Path(spec.origin) for spec in found if spec and spec.origin and spec.has_location]
    if len(paths) < 2:
        pytest.skip("this Python has its C extensions built in, so there is none to copy")
    tail = b"" if vsn in ("1", "2") else vsn.encode()
    top, inner = (path.read_bytes() + tail for path in paths)
    return {
        f"mill/fast/_bisect{EXTENSION_SUFFIXES[0]}": top,
        f"mill/_heapq{EXTENSION_SUFFIXES[0]}": inner,
        "mill/_heapq.py": "raise ImportError('an extension comes before a source')\n",
        "mill/data.txt": f"data of {vsn}",
    }


MILL = """
    from importlib.resources import files
    from relup.runtime import GenServer, Reply
    from mill import _heapq
    from mill.fast import _bisect

    class Worker(GenServer):
        def init(self, args):
            return [1, 3]

        def handle_call(self, request, caller, state):
            heap = [3, 1]
            _heapq.heapify(heap)
            texts = [(files(p) / t).read_text() for p, t in (("mill", "data.txt"), ("mill_space", "a/t.txt"))]
            _bisect.insort_right(state, %s)
            return Reply((state, heap, texts, _heapq.__file__.rpartition("/mill/")[0]), state)

        def code_change(self, old_vsn, state, extra):
            return state
"""
MILL_APPUP = """\
application: mill
vsn: "%s"
up: [{from: "1", instructions: [{update: {module: mill.worker, change: advanced}}]}]
down: [{to: "1", instructions: [{update: {module: mill.worker, change: advanced}}]}]
"""


def mill(folder: Path, vsn: str) -> Path:
    """Install a release with C extensions, data files, and a namespace package that two distributions share."""
    files: dict[str, str | bytes] = {"mill/__init__.py": "", "mill/app.py": supervised(1, "mill")}
    files |= {"mill/worker.py": MILL % vsn, **extension(vsn), "mill_space/b/__init__.py": ""}
    if vsn != "1":
        files["mill/mill.appup.yaml"] = MILL_APPUP % vsn
    space = distribution("mill-a", "1", {"mill_space/a/__init__.py": "", "mill_space/a/t.txt": "shared"})
    needs = ["mill-a; python_version > '3'", "missing; extra == 'x'"]
    return install(folder, distribution("mill", vsn, files, requires=needs, start="mill.app:App"), space)


def test_extensions_data_and_namespaces_are_found_in_the_release_that_runs(commands: Commands, tmp_path: Path) -> None:
    roots = {vsn: mill(tmp_path / vsn, vsn) for vsn in ("1", "2", "3")}
    with commands.node(roots["1"]):
        texts = ["data of 1", "shared"]
        assert call(commands, node="mill") == ([1, 1, 3], [1, 3], texts, str(roots["1"]))
        said = commands.run("apply", "mill", roots["3"], "--yes", exit_code=3).stderr
        for module in ("mill._heapq", "mill.fast._bisect"):
            assert f"the C extension {module!r} of 'mill' is another one in the new release" in said
        commands.run("apply", "mill", roots["2"], "--yes")
        texts = ["data of 2", "shared"]
        assert call(commands, node="mill") == ([1, 1, 2, 3], [1, 3], texts, str(roots["1"]))
        commands.run("downgrade", "mill", "--yes")
        assert call(commands, node="mill")[2] == ["data of 1", "shared"]  # type: ignore[index]


CLICK = """
    import click
    from importlib.metadata import version
    from relup.runtime import GenServer, Reply

    class Worker(GenServer):
        def init(self, args):
            return 0

        def handle_call(self, request, caller, state):
            return Reply((click.WHO, version("click")), state)

        def code_change(self, old_vsn, state, extra):
            return state
"""


def desk(worker: str, vsn: str) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {"shop/__init__.py": "", "shop/app.py": supervised(1), "shop/worker.py": worker}
    return files | ({"shop.appup.yaml": APPUP % {"vsn": "2", "old": "1"}} if vsn == "2" else {})


def test_a_release_may_bring_libraries_that_relup_itself_uses(commands: Commands, tmp_path: Path) -> None:
    before = CLICK.replace("import click", "click = None").replace("click.WHO", "click")
    itself = distribution("relup", "0.0.1", {"relup/__init__.py": "raise ImportError\n"}, requires=["click"])
    first = distribution(
        "shop", "1", desk(before.replace('version("click")', "0"), "1"), requires=["relup"], start="shop.app:App"
    )
    write_wheel(tmp_path / "2", "shop", "2", desk(CLICK, "2"), requires=["click"], start="shop.app:App")
    write_wheel(tmp_path / "2", "click", "99", {"click/__init__.py": "WHO = 'of a wheel'\n"})
    with commands.node(install(tmp_path / "1", first, itself)) as node:
        assert call(commands) == (None, 0)
        commands.run("apply", "shop", tmp_path / "2", "--yes")
        assert call(commands) == ("of a wheel", "99")
        found = status(commands)
        assert ([a["name"] for a in found["applications"]], found["pid"]) == (["click", "shop"], node.pid)  # type: ignore[attr-defined]


def test_a_release_file_may_name_libraries_that_relup_itself_uses(commands: Commands, tmp_path: Path) -> None:
    folder = install(tmp_path, distribution("click", "99", {"click/__init__.py": "WHO = 'of the release'\n"}))
    write_release(folder, "1", {"app": supervised(1), "worker": CLICK}, extra="  - {name: click, vsn: 99}\n")
    with commands.node(folder):
        assert call(commands) == ("of the release", "99")
    (folder / "shop" / "app.py").write_text("1 +\n")
    assert "[start_failed]" in commands.run("start", folder, exit_code=4).stderr
    (folder / "shop" / "app.py").unlink()
    assert "[bad_start]" in commands.run("start", folder, exit_code=3).stderr


def test_what_somebody_reads_is_not_removed(tmp_path: Path) -> None:
    home, kept_here = Home(tmp_path, "shop"), Installed("shop", "1", str(tmp_path / "shop" / "releases" / "a"))
    home.create()
    for name in ("a", "b", ".unfinished-c"):
        (home.releases / name / "package").mkdir(parents=True)
    records = Records(kept_here, kept_here, (kept_here,))
    with home.reading(), home.reading():
        assert home.sweep(records) == []
    assert home.sweep(records) == [".unfinished-c", "b"]
    assert [p.name for p in home.releases.iterdir()] == ["a"]


def test_an_extension_of_which_another_is_loaded_is_refused(tmp_path: Path) -> None:
    (file,) = (data for name, data in extension("1").items() if "_bisect" in name)
    assert isinstance(file, bytes)
    assert Path(_bisect.__file__).read_bytes() == file
    other = tmp_path / f"_bisect{EXTENSION_SUFFIXES[0]}"
    for text, codes in ((file, []), (file + b"x", ["extension_changed"])):
        other.write_bytes(text)
        goal = Release("r", "1", (Application("r", "1", extensions={"_bisect": sha256(text).hexdigest()}),))
        assert [d.code for d in check_extensions(goal, {"_bisect": other})] == codes
        assert check_extensions(goal, {"_bisect": tmp_path / "gone.so"})[0].code == "stale_plan"
