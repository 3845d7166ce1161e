"""Booting a release: modules by name, from source, with their own lines in tracebacks."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import inspect
import linecache
import os
import pkgutil
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path

import pytest

from relup.runtime.code import AlreadyLoaded, CodeServer
from tests.runtime.code.releases import Running, process

SHOP = {
    "shop/__init__.py": "from . import model\nfrom .deep.leaf import LEAF\n",
    "shop/model.py": "__vsn__ = 7\ndef fail():\n    raise ValueError('first text')\n",
    "shop/deep/__init__.py": "",
    "shop/deep/leaf.py": "from ..model import fail\nfrom .. import model\nLEAF = __package__\n",
}


def test_a_booted_release_imports_by_name_with_packages_relative_imports_and_resources(shop: Running) -> None:
    (shop.folder / "1/shop").mkdir(parents=True)
    (shop.folder / "1/shop/prices.txt").write_text("42")
    shop.boot(SHOP, "shop")
    assert shop["shop"].LEAF == "shop.deep"
    assert shop["shop.deep.leaf"].model is shop["shop.model"]
    assert importlib.resources.files("shop").joinpath("prices.txt").read_text() == "42"
    assert pkgutil.get_data("shop", "prices.txt") == b"42"
    assert [m.name for m in pkgutil.iter_modules(shop["shop"].__path__)] == ["deep", "model"]
    assert inspect.getsource(shop["shop.model"].fail).startswith("def fail")


def test_vsn_is_the_modules_own_or_its_digest(shop: Running) -> None:
    shop.boot(SHOP, "shop")
    source = shop.sources(SHOP, "1")
    digests = {s.name: s.digest for s in source}
    assert shop.code.vsn("shop.model") == "7"
    assert shop.code.vsn("shop") == shop.code.digest("shop") == digests["shop"]
    assert shop.code.digest("shop.model") == digests["shop.model"]
    assert shop.code.loaded("shop.model")
    assert not shop.code.loaded("shop.absent")
    assert shop.code.digest("shop.absent") is None
    assert shop.code.vsn("json") == shop.code.digest("json") is not None


def test_tracebacks_print_the_lines_that_ran_after_the_file_changed(shop: Running) -> None:
    shop.boot(SHOP, "shop")
    path = shop.folder / "1/shop/model.py"
    path.write_text("# nothing\n# like\n# before, and longer\n")
    linecache.checkcache()
    with pytest.raises(ValueError, match="first text") as caught:
        shop["shop.model"].fail()
    assert "raise ValueError('first text')" in "".join(traceback.format_exception(caught.value))


def test_two_versions_of_one_path_have_their_own_lines(shop: Running) -> None:
    shop.boot(SHOP, "shop")
    old = shop["shop.model"].fail
    shop.upgrade({"shop/model.py": "def fail():\n    raise ValueError('other text')\n"}, vsn="1")
    for function, line in ((old, "first text"), (shop["shop.model"].fail, "other text")):
        with pytest.raises(ValueError, match=line) as caught:
            function()
        assert f"raise ValueError('{line}')" in "".join(traceback.format_exception(caught.value))
    assert inspect.getsource(shop["shop.model"].fail).endswith("('other text')\n")


def test_closing_unloads_the_release_and_nothing_else(shop: Running) -> None:
    before = process()
    shop.boot(SHOP, "shop")
    shop.upgrade({"shop/model.py": "fail = 2\n", "shop/extra.py": ""})
    shop.code.close()
    assert process() == before
    assert not any("shop" in name for name in linecache.cache)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("shop")


def test_releases_run_one_after_another_in_one_process(shop: Running) -> None:
    for vsn in ("1", "2", "3"):
        code = CodeServer()
        code.boot(shop.write(vsn, {"shop/__init__.py": f"V = {vsn}\n"}))
        assert int(vsn) == importlib.import_module("shop").V
        code.close()


def test_names_that_are_taken_are_refused(shop: Running) -> None:
    shop.boot(SHOP)
    with pytest.raises(AlreadyLoaded, match="shop"):
        CodeServer().boot(shop.write("2", SHOP))
    with pytest.raises(AlreadyLoaded, match=r"already loaded.*json"):
        CodeServer().boot(shop.write("3", {"json/__init__.py": ""}))


def test_two_nodes_may_not_own_one_name_even_before_it_is_imported(shop: Running) -> None:
    shop.code.boot(shop.write("1", {"desk.py": ""}))
    with pytest.raises(AlreadyLoaded, match=r"another node.*desk"):
        CodeServer().boot(shop.write("2", {"desk.py": ""}))


def test_a_package_without_a_file_holds_modules_of_the_release(shop: Running) -> None:
    shop.boot({"ns/part/__init__.py": "from ns import other\n", "ns/other.py": "V = 1\n"}, "ns.part")
    assert shop["ns.part"].other.V == 1
    shop.upgrade({"ns/other.py": "V = 2\n"})
    assert shop["ns"].other.V == shop["ns.part"].other.V == 2
    shop.code.close()
    assert "ns" not in sys.modules


def test_metadata_comes_from_the_release(shop: Running) -> None:
    for vsn in ("1", "2"):
        info = shop.folder / vsn / f"shop-{vsn}.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: shop\nVersion: {vsn}.0\n")
    body = "from importlib.metadata import version\nV = version('shop')\n"
    shop.boot({"shop/__init__.py": body})
    assert shop["shop"].V == "1.0"
    shop.upgrade({"shop/__init__.py": body})
    assert shop["shop"].V == "2.0"
    assert importlib.metadata.version("shop") == "2.0"


def test_bytecode_is_neither_read_nor_written(shop: Running) -> None:
    """Two writes of one size in one second leave bytecode that Python believes."""
    script = f"""
        import os, pathlib, py_compile, sys
        sys.path.insert(0, {str(Path.cwd())!r})
        from relup.runtime.code import CodeServer
        path = pathlib.Path({str(shop.folder)!r}) / "desk.py"
        path.write_text("V = 1\\n"); os.utime(path, (10**9, 10**9)); py_compile.compile(str(path))
        path.write_text("V = 2\\n"); os.utime(path, (10**9, 10**9))
        sys.path.insert(0, str(path.parent)); import desk; assert desk.V == 1, "Python reads stale bytecode"
        sys.path.pop(0); del sys.modules["desk"]
        written = list(path.parent.rglob("*.pyc"))
        code = CodeServer(); code.boot({{"desk": path}}); import desk
        assert desk.V == 2
        assert list(path.parent.rglob("*.pyc")) == written
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, env=environment)


def test_a_body_that_raises_at_first_import_leaves_nothing(shop: Running) -> None:
    shop.code.boot(shop.write("1", {"desk.py": "import json\nraise OSError('no')\n"}))
    with pytest.raises(OSError, match="no"):
        importlib.import_module("desk")
    assert "desk" not in sys.modules
    assert not shop.code.loaded("desk")
