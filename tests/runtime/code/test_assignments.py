"""What bodies assign in other modules, and in what is in them: said, and put back."""

from __future__ import annotations

import json
import sys
import threading
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from relup.runtime.code import StagingError
from relup.syntax.targets import targets
from tests.runtime.code.releases import Running, found, process

BASE = {
    "shop/__init__.py": "",
    "shop/traffic.py": """
        from types import SimpleNamespace
        TABLE = {"old": 1}
        LIMIT = 10
        OPTIONS = SimpleNamespace(debug=False)
        class Traffic:
            speed = 1
            class Inner:
                depth = 1
        class Fast(Traffic):
            pass
    """,
    "shop/model.py": "V = 1\n",
}

BODIES = {
    "module": ("import json\njson.SHOP = 1\n", "set json.SHOP"),
    "module replaced": ("import json as j\nj.SHOP_OLD = object()\n", "set json.SHOP_OLD"),
    "module deleted": ("import json\ndel json.SHOP_OLD\n", "deleted json.SHOP_OLD"),
    "setattr": ("import json\nsetattr(json, 'SHOP', 2)\n", "set json.SHOP"),
    "delattr": ("import json\ndelattr(json, 'SHOP_OLD')\n", "deleted json.SHOP_OLD"),
    "submodule": ("import json.decoder\njson.decoder.SHOP = 1\n", "set json.decoder.SHOP"),
    "foreign class": ("from json import JSONEncoder\nJSONEncoder.shop = 1\n", "set json.JSONEncoder.shop"),
    "class": ("import shop.traffic\nshop.traffic.Traffic.hack = 1\n", "set shop.traffic.Traffic.hack"),
    "class replaced": ("from .traffic import Traffic as T\nT.speed += 1\n", "set shop.traffic.Traffic.speed"),
    "class deleted": ("from shop import traffic\ndel traffic.Traffic.speed\n", "deleted shop.traffic.Traffic.speed"),
    "inherited": ("from shop.traffic import Fast\nFast.speed = 3\n", "set shop.traffic.Fast.speed"),
    "inner class": ("from shop import traffic as t\nt.Fast.Inner.depth = 3\n", "set shop.traffic.Fast.Inner.depth"),
    "instance": ("from shop.traffic import OPTIONS\nOPTIONS.debug = True\n", "set shop.traffic.OPTIONS.debug"),
    "annotated": ("import shop.traffic as t\nt.LIMIT: int = 20\n", "set shop.traffic.LIMIT"),
    "entry": ("from shop.traffic import TABLE\nTABLE['new'] = 2\n", "set shop.traffic.TABLE['new']"),
    "entry replaced": ("from shop import traffic\ntraffic.TABLE['old'] = 2\n", "set shop.traffic.TABLE['old']"),
    "entry deleted": ("from shop import traffic\ndel traffic.TABLE['old']\n", "deleted shop.traffic.TABLE['old']"),
    "loop target": ("import json\nfor json.SHOP in (1, 2): pass\n", "set json.SHOP"),
    "with target": (
        "import json, contextlib\nwith contextlib.nullcontext(5) as (json.SHOP): pass\n",
        "set json.SHOP",
    ),
    "unpacked": ("import json\na, (json.SHOP, *b) = 1, (2, 3)\n", "set json.SHOP"),
    "in blocks": (
        "try:\n    import nothing_like_this as j\nexcept ImportError:\n    import json as j\nif j:\n    j.SHOP = 1\n",
        "set json.SHOP",
    ),
    "in a class body": ("import json\nclass A:\n    json.SHOP = 1\n", "set json.SHOP"),
    "in a function": ("def patch():\n    import json\n    json.SHOP = 1\npatch()\n", "set json.SHOP"),
    "in a method": ("import json\nclass P:\n    def go(self):\n        json.SHOP = 1\nP().go()\n", "set json.SHOP"),
    "in a constructor": (
        "import json\nclass P:\n    def __init__(self):\n        json.SHOP = 1\nP()\n",
        "set json.SHOP",
    ),
    "in a decorator": (
        "import json\ndef patch(f):\n    json.SHOP = f\n    return f\n@patch\ndef f(): ...\n",
        None,  # new code in a namespace: an entry of the swap
    ),
    "by another name": ("from shop import traffic\nt = traffic.Traffic\nt.hack = 1\n", "set shop.traffic.Traffic.hack"),
    "by names in a loop": (
        "import json\nfor name in ('SHOP', 'SHOP_TWO'):\n    setattr(json, name, 1)\n",
        "set json.SHOP_TWO",
    ),
    "by a constant": ("from shop.traffic import TABLE\nKEY = 'k'\nTABLE[KEY] = 1\n", "set shop.traffic.TABLE['k']"),
    "watched": (
        "import threading\nclass B: ...\nstart = threading.Thread.start\nthreading.Thread.start = lambda s: start(s)\n",
        "set threading.Thread.start",
    ),
    "watched, not changed": (
        "import threading, builtins\nif not threading:\n    threading.Thread.start = 1\n    builtins.__import__ = 1\n",
        None,
    ),
    "hook": ("import sys\nsys.excepthook = sys.__excepthook__.__call__\n", "set sys.excepthook"),
}


@pytest.fixture(autouse=True)
def _old_name() -> Iterator[None]:
    json.SHOP_OLD = "old"  # type: ignore[attr-defined]
    yield
    del json.SHOP_OLD  # type: ignore[attr-defined]


def surroundings(shop: Running) -> object:
    traffic = shop["shop.traffic"]
    classes = (traffic.Traffic, traffic.Fast, traffic.Traffic.Inner, json.JSONEncoder, threading.Thread)
    namespaces = process("shop", "json", "threading", "sys", "builtins")
    return namespaces, [dict(vars(c)) for c in classes], dict(traffic.TABLE), dict(vars(traffic.OPTIONS))


@pytest.mark.parametrize(("body", "sentence"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("end", ["abandoned", "undone", "kept", "failed"])
def test_assignments_are_said_and_undone(shop: Running, body: str, sentence: str | None, end: str) -> None:
    shop.boot(BASE)
    before = surroundings(shop)
    if end == "failed":
        with pytest.raises(StagingError, match="late failure"):
            shop.stage({"shop/model.py": body, "shop/fails.py": "raise OSError('late failure')\n"})
        assert surroundings(shop) == before
        return
    staged = shop.stage({"shop/model.py": body})
    if sentence is None:
        assert not found(staged.notes, "a body set ")
    else:
        assert f"a body {sentence}" in staged.notes
        assert surroundings(shop) != before
    if end == "abandoned":
        staged.abandon()
    else:
        staged.swap()
        staged.undo(keep=end == "kept")
        staged.abandon()
    assert surroundings(shop) == before


def test_a_raise_in_the_same_body_undoes_what_came_before_it(shop: Running) -> None:
    shop.boot(BASE)
    before = surroundings(shop)
    body = "import json\nfrom shop.traffic import Traffic, TABLE\njson.SHOP = Traffic.speed = TABLE['old'] = 9\n1 / 0\n"
    with pytest.raises(StagingError):
        shop.stage({"shop/model.py": body})
    assert surroundings(shop) == before


PLAIN = """
    import json
    from dataclasses import dataclass
    from shop.traffic import TABLE, Traffic
    @dataclass
    class Car(Traffic):
        name: str = ""
        def rename(self, name):
            self.name = name
            json.SHOP = name
            TABLE[name] = self
    Car.wheels = 4
    CARS = {}
    CARS["one"] = Car("one")
    CARS["one"].name = json.dumps(TABLE)
    if TABLE is None:
        Traffic.speed = 3
"""


def test_a_module_that_assigns_only_its_own_has_no_notes(shop: Running) -> None:
    shop.boot(BASE)
    staged = shop.stage({"shop/model.py": PLAIN})
    assert staged.notes == ()
    staged.abandon()


def test_what_the_upgrade_itself_brings_is_not_an_effect(shop: Running) -> None:
    shop.boot(BASE)
    body = "import shop, shop.traffic\nshop.NAME = 1\nshop.traffic.LIMIT = 30\nshop.traffic.Traffic.speed = 5\n"
    staged = shop.stage({"shop/model.py": body, "shop/traffic.py": BASE["shop/traffic.py"]})
    assert staged.notes == ()
    assert not hasattr(shop["shop"], "NAME")
    staged.swap()
    assert (shop["shop"].NAME, shop["shop.traffic"].LIMIT, shop["shop.traffic"].Traffic.speed) == (1, 30, 5)
    staged.undo()
    assert not hasattr(shop["shop"], "NAME")


def test_entries_that_became_writes_are_said_once(shop: Running) -> None:
    shop.boot(BASE)
    staged = shop.stage({"shop/model.py": "from shop.traffic import TABLE\nclass A: ...\nTABLE['a'] = A\n"})
    assert [n for n in staged.notes if "TABLE" in n] == ["a body sets 'a' in shop.traffic.TABLE, part of the swap"]
    assert "a" not in shop["shop.traffic"].TABLE
    staged.abandon()


def test_what_others_assign_meanwhile_stays(shop: Running) -> None:
    shop.boot(BASE)
    body = "import json\nfrom shop.traffic import TABLE, Traffic\nTABLE['body'] = 1\n"
    staged = shop.stage({"shop/model.py": body})
    traffic = shop["shop.traffic"]
    traffic.TABLE["live"], traffic.Traffic.speed = 7, 8
    staged.abandon()
    assert traffic.TABLE == {"old": 1, "live": 7}
    assert traffic.Traffic.speed == 8


def test_an_old_value_is_no_use_of_old_code(shop: Running) -> None:
    patch = "from json import JSONEncoder\ndef shop_hook(self): return {0}\nJSONEncoder.shop = shop_hook\n"
    shop.boot(BASE | {"shop/model.py": patch.format(1)})
    staged = shop.stage({"shop/model.py": patch.format(2)})
    staged.swap()
    try:
        assert shop.code.lingering(["shop.model"]) == []
        assert json.JSONEncoder().shop() == 2  # type: ignore[attr-defined]
        staged.undo()
        assert json.JSONEncoder().shop() == 1  # type: ignore[attr-defined]
    finally:
        del json.JSONEncoder.shop  # type: ignore[attr-defined]


def test_nobodys_code_is_asked_where_a_place_is(shop: Running) -> None:
    traffic = """
        asked = []
        def __getattr__(name):
            asked.append(name)
            raise AttributeError(name)
        class Proxy:
            __slots__ = ()
            def __getattribute__(self, name):
                asked.append(name)
                raise RuntimeError(name)
        PROXY = Proxy()
    """
    shop.boot({"shop/__init__.py": "", "shop/traffic.py": traffic, "shop/model.py": ""})
    body = (
        "from shop import traffic\nif not traffic:\n    traffic.PROXY.x.y = traffic.absent.z = traffic.PROXY[1] = 2\n"
    )
    staged = shop.stage({"shop/model.py": body})
    assert set(shop["shop.traffic"].asked) <= {"__path__", "__spec__", "__file__"}
    assert staged.notes == ()
    staged.abandon()


@pytest.mark.parametrize("text", ["import colorsys\n{0}.SHOP = 1\n", "from colorsys import rgb_to_hsv\n{0}.SHOP = 1\n"])
def test_modules_that_a_body_imports_first_are_looked_at_too(
    shop: Running, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    shop.boot(BASE)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    before = surroundings(shop)
    owner = "colorsys" if text.startswith("import") else "rgb_to_hsv"
    staged = shop.stage({"shop/model.py": text.format(owner)})
    name = "colorsys.SHOP" if owner == "colorsys" else "colorsys.rgb_to_hsv.SHOP"
    assert staged.notes[0] == f"a body set {name}"
    staged.abandon()
    assert surroundings(shop) == before


def test_a_place_in_a_late_module_that_is_not_assigned_is_not_said(
    shop: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.boot(BASE)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    staged = shop.stage({"shop/model.py": "import colorsys\nif not colorsys:\n    colorsys.ONE_SIXTH = 1\n"})
    assert not found(staged.notes, "a body set")
    staged.abandon()


def test_texts_of_any_shape_are_read() -> None:
    assert targets(b"def (", "") == ()
    assert targets(("x = " + "+".join(["1"] * 3000)).encode(), "") == ()
    assert targets(b"a = b\nb = a\na.x = 1\nfor a in (a, b): a.y = 1\n", "") == ()
    for module in (typing, threading, json):
        targets(Path(str(module.__file__)).read_bytes(), "")
    assert [str(t) for t in targets(b"from .. import a\na.b.c[1] = a.d = 2\n", "x.y")] == ["x.a.b.c[1]", "x.a.d"]
