"""What bodies do outside their namespaces: said, and undone where it can be."""

# ruff: noqa: E501 - a case a line

from __future__ import annotations

import codecs
import colorsys
import copyreg
import functools
import logging
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from relup.runtime.code import StagingError
from tests.runtime.code.releases import Running, found, process, settled

POSTPONED = {"codec", "handler", "sys.path", "sys.path taken", "meta_path", "warnings"}
EFFECTS: dict[str, tuple[str, str, Callable[[], object]]] = {
    "codec": (
        "import codecs\ndef search(name):\n    return codecs.lookup('utf-8') if name == 'zork' else None\n"
        "codecs.register(search)\n",
        "codec search search",
        lambda: _fails(lambda: codecs.lookup("zork")),
    ),
    "handler": (
        "import logging\nlogging.getLogger('shop.log').addHandler(logging.NullHandler())\n",
        "NullHandler to the logger 'shop.log'",
        lambda: len(logging.getLogger("shop.log").handlers),
    ),
    "environment": (
        "import os\nos.environ['SHOP_ONE'] = 'new'\nos.environ['SHOP_TWO'] = 'x'\ndel os.environ['SHOP_GONE']\n",
        "environment variable SHOP_TWO",
        lambda: [os.environ.get(n) for n in ("SHOP_ONE", "SHOP_TWO", "SHOP_GONE")],
    ),
    "sys.path": ("import sys\nsys.path.insert(0, '/nowhere')\n", "sys.path", lambda: list(sys.path)),
    "sys.path taken": ("import sys\nsys.path.remove('/shop-path')\n", "sys.path", lambda: list(sys.path)),
    "meta_path": (
        "import sys\nclass F:\n    def find_spec(self, *a): return None\nsys.meta_path.append(F())\n",
        "sys.meta_path",
        lambda: len(sys.meta_path),
    ),
    "warnings": (
        "import warnings\nwarnings.filterwarnings('ignore', message='zork')\n",
        "warnings.filters",
        lambda: len(warnings.filters),
    ),
    "copyreg": (
        "import copyreg\nclass A: ...\ncopyreg.pickle(A, lambda a: (A, ()))\n",
        "how A is pickled",
        lambda: len(copyreg.dispatch_table),
    ),
    "signal": (
        "import signal\nsignal.signal(signal.SIGUSR2, lambda *a: None)\n",
        "handler of SIGUSR2",
        lambda: signal.getsignal(signal.SIGUSR2),
    ),
}


def _fails(call: object) -> bool:
    try:
        call()  # type: ignore[operator]
    except LookupError:
        return True
    return False


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_ONE", "old")
    monkeypatch.setenv("SHOP_GONE", "there")
    monkeypatch.setattr(sys, "path", [*sys.path, "/shop-path"])


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("kind", EFFECTS)
@pytest.mark.parametrize("end", ["abandoned", "undone", "failed"])
def test_effects_are_said_and_undone(shop: Running, kind: str, end: str) -> None:
    """Those that can be done again are seen by nobody until the swap."""
    body, sentence, look = EFFECTS[kind]
    shop.boot({"shop/__init__.py": "", "shop/model.py": "V = 1\n"})
    before, all_before = look(), process()
    if end == "failed":
        with pytest.raises(StagingError, match="late failure"):
            shop.stage({"shop/model.py": body, "shop/fails.py": "raise OSError('late failure')\n"})
    else:
        staged = shop.stage({"shop/model.py": body})
        assert found(staged.notes, sentence), staged.notes
        assert (look() == before) is (kind in POSTPONED)
        if end == "undone":
            staged.swap()
            assert look() != before
            staged.undo()
            assert look() == before
            staged = shop.stage({"shop/model.py": body}, vsn="3")
        staged.abandon()
    assert look() == before
    assert process() == all_before


def test_exit_handlers_of_abandoned_code_do_not_run(tmp_path: Path) -> None:
    script = f"""
        import pathlib, sys
        sys.path.insert(0, {str(Path.cwd())!r})
        from tests.runtime.code.releases import Running, found
        shop = Running(pathlib.Path({str(tmp_path)!r}))
        text = "import atexit, sys\\natexit.register(print, {{0}})\\n@atexit.register\\ndef bye(): print('bye', {{0}})\\n"
        shop.boot({{"shop/model.py": text.format(1)}})
        staged = shop.stage({{"shop/model.py": text.format(2)}})
        assert found(staged.notes, "registered bye with atexit")
        staged.abandon()
        assert shop["shop.model"].bye is not None
        shop.upgrade({{"shop/model.py": text.format(3)}}, vsn="3").undo()
        shop.upgrade({{"shop/model.py": text.format(4)}}, vsn="4")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.split() == ["bye", "4", "4", "bye", "1"]


def test_what_other_threads_do_meanwhile_is_not_the_bodies_doing(shop: Running) -> None:
    shop.boot({"shop/model.py": "V = 1\n"})
    body = """
        import threading, logging
        def elsewhere():
            import os
            os.environ["SHOP_OTHER"] = "1"
            logging.getLogger("shop.log2").addHandler(logging.NullHandler())
        t = threading.Thread(target=elsewhere)
        t.start()
        t.join()
    """
    staged = shop.stage({"shop/model.py": body})
    staged.abandon()
    assert os.environ.pop("SHOP_OTHER") == "1"
    assert len(logging.getLogger("shop.log2").handlers) == 1
    assert len(staged.notes) == 1
    logging.getLogger("shop.log2").handlers.clear()


REGISTRY = {
    "shop/__init__.py": "",
    "shop/registry.py": """
        import functools
        from collections import defaultdict
        PLUGINS = {}
        KINDS = defaultdict(list)
        HOOKS = []
        NAMES = set()
        class Base:
            known = {}
            def __init_subclass__(cls):
                Base.known[cls.__name__] = cls
        class Registry:
            def __init__(self):
                self.items = {}
        REGISTRY = Registry()
        def plugin(cls):
            PLUGINS[cls.__name__] = cls
            return cls
        @functools.singledispatch
        def show(value):
            return "?"
    """,
    "shop/plug.py": """
        from shop.registry import plugin, Base, REGISTRY, show, HOOKS, NAMES
        @plugin
        class Mail:
            vsn = 1
        class Sub(Base):
            vsn = 1
        REGISTRY.items["mail"] = Mail
        @show.register
        def _(value: Mail):
            return "mail 1"
        @show.register(int)
        def _(value):
            return "int 1"
    """,
}


def test_entries_in_dicts_of_unchanged_modules_are_part_of_the_swap(shop: Running) -> None:
    shop.boot(REGISTRY)
    registry, old = shop["shop.registry"], shop["shop.plug"]

    def state() -> object:
        return (
            dict(registry.PLUGINS),
            dict(registry.Base.known),
            dict(registry.REGISTRY.items),
            registry.show(1),
            registry.show(old.Mail()),
        )

    before = state()
    staged = shop.stage(
        {"shop/plug.py": REGISTRY["shop/plug.py"].replace("1", "2") + "\n        REGISTRY.items[Mail] = 1\n"}
    )
    assert state() == before
    staged.swap()
    new = shop["shop.plug"]
    assert {"Mail": new.Mail} == registry.PLUGINS
    assert registry.Base.known == {"Sub": new.Sub}
    assert registry.REGISTRY.items == {"mail": new.Mail, new.Mail: 1}
    assert (registry.show(1), registry.show(new.Mail()), registry.show(old.Mail())) == ("int 2", "mail 2", "mail 1")
    assert found(staged.notes, "PLUGINS", "part of the swap")
    staged.undo()
    assert state() == before


def test_additions_to_lists_and_sets_of_unchanged_modules_are_undone_and_reported(shop: Running) -> None:
    shop.boot(REGISTRY)
    registry = shop["shop.registry"]
    registry.HOOKS.append("live")
    body = "from shop.registry import HOOKS, NAMES\ndef hook(): ...\nHOOKS.append(hook)\nclass A: ...\nNAMES.add(A)\n"
    staged = shop.stage({"shop/plug.py": body})
    registry.HOOKS.append("traffic")
    assert {(u.module, u.name) for u in staged.unclosed} == {("shop.registry", "HOOKS"), ("shop.registry", "NAMES")}
    staged.abandon()
    assert registry.HOOKS == ["live", "traffic"]
    assert set() == registry.NAMES


def test_a_failed_body_leaves_no_registration(shop: Running) -> None:
    shop.boot(REGISTRY)
    registry = shop["shop.registry"]
    before = dict(registry.PLUGINS), dict(registry.Base.known), registry.show(1)
    text = REGISTRY["shop/plug.py"].replace("1", "2") + "        HOOKS.append(Mail)\n        raise OSError\n"
    with pytest.raises(StagingError):
        shop.stage({"shop/plug.py": text})
    assert (dict(registry.PLUGINS), dict(registry.Base.known), registry.show(1)) == before
    assert registry.HOOKS == []


def test_live_traffic_in_containers_is_left_alone(shop: Running) -> None:
    shop.boot(REGISTRY)
    registry = shop["shop.registry"]
    staged = shop.stage(
        {"shop/plug.py": "import shop.registry as r\nr.PLUGINS.update(count=3)\nr.HOOKS.append('text')\n"}
    )
    staged.abandon()
    assert registry.PLUGINS["count"] == 3, "plain data says nothing about who wrote it"
    assert functools.reduce(lambda a, b: a + b, registry.HOOKS) == "text"


def test_patches_of_other_peoples_modules_are_part_of_the_swap(shop: Running) -> None:
    shop.boot({"shop/plug.py": "V = 1\n"})
    before = process("shop", "colorsys")
    body = "import colorsys\ndef patched(): ...\ncolorsys.rgb_to_hls = patched\ncolorsys.extra = patched\n"
    staged = shop.stage({"shop/plug.py": body})
    assert process("shop", "colorsys") == before
    staged.swap()
    assert colorsys.rgb_to_hls is colorsys.extra is shop["shop.plug"].patched
    staged.undo()
    assert process("shop", "colorsys") == before


def test_patches_of_unchanged_classes_are_undone_and_reported(shop: Running) -> None:
    shop.boot({"shop/base.py": "class A:\n    def f(self): return 1\n", "shop/plug.py": "V = 1\n"})
    cls = shop["shop.base"].A
    body = "from shop.base import A\ndef f(self): return 2\nA.f = A.g = f\n"
    staged = shop.stage({"shop/plug.py": body})
    assert {(u.module, u.name) for u in staged.unclosed} == {("shop.base", "A.f"), ("shop.base", "A.g")}
    staged.abandon()
    assert cls().f() == 1
    assert not hasattr(cls, "g")


def test_overloads_do_not_keep_code_alive(shop: Running) -> None:
    text = "from typing import overload\n@overload\ndef f(a: int) -> int: ...\n@overload\ndef f(a: str) -> str: ...\ndef f(a): ...\n"
    shop.boot({"shop/plug.py": text})
    shop.upgrade({"shop/plug.py": "\n" + text})
    assert shop.code.soft_purge("shop.plug")
    settled()
    assert shop.code.freed("shop.plug")
