"""Staging: new bodies see the new release whole, everybody else sees nothing."""

# ruff: noqa: E501 - a case a line

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading

import pytest

from relup.runtime.code import NotPurged, StagingError
from tests.runtime.code.releases import Running, found, process

UNCHANGED = {
    "shop/__init__.py": "from shop.model import Account\nfrom . import model, util\nimport shop.lazy\nSTATE = []\n",
    "shop/model.py": "LIMIT = 1\nclass Account:\n    vsn = 1\ndef f():\n    return 1\n",
    "shop/util.py": "from .model import *\nfrom shop import model as m\nfrom shop.model import LIMIT as L\n",
    "shop/lazy.py": "def __getattr__(name):\n    if name == 'Late':\n        from shop.model import Account\n"
    "        return Account\n    raise AttributeError(name)\n",
    "shop/names.py": "child = 'a string'\n",
    "shop/sub/__init__.py": "from .child import child\n",
    "shop/sub/child.py": "V = 1\ndef child():\n    return 1\n",
}
MODEL = "LIMIT = 2\nclass Account:\n    vsn = 2\ndef f():\n    return 2\ndef fresh():\n    return 2\n"

BODIES = {
    "from package import child": "from shop import model\nassert model.LIMIT == 2",
    "import package.child as": "import shop.model as c\nassert c.LIMIT == 2",
    "attribute of the package": "import shop\nassert shop.model.LIMIT == 2",
    "import package.child": "import shop.model\nassert shop.model.LIMIT == 2",
    "relative": "from . import model\nfrom .model import LIMIT\nassert model.LIMIT == LIMIT == 2",
    "import_module": "import importlib\nassert importlib.import_module('shop.model').LIMIT == 2",
    "explicit __import__": "assert __import__('shop.model').model.LIMIT == 2",
    "importlib.__import__": "import importlib\nassert importlib.__import__('shop.model', fromlist=['x']).LIMIT == 2",
    "sys.modules": "import sys\nassert sys.modules['shop.model'].LIMIT == 2 and 'shop.model' in sys.modules",
    "own entry": "import sys\nassert vars(sys.modules[__name__]) is globals()",
    "iteration": "import sys\nassert dict(sys.modules)['shop.model'].LIMIT == 2\nassert len(list(sys.modules)) == len(sys.modules)",
    "re-export of an unchanged package": "from shop import Account\nassert Account.vsn == 2",
    "re-export by attribute": "import shop\nassert shop.Account.vsn == 2",
    "re-export by star": "from shop.util import Account, f, L, m\nassert Account.vsn == f() == L == m.LIMIT == 2",
    "star of a re-exporter": "from shop.util import *\nassert Account.vsn == LIMIT == 2",
    "star of the package": "from shop import *\nassert Account.vsn == 2 and model.LIMIT == 2",
    "getattr of an unchanged lazy module": "from shop.lazy import Late\nassert Late.vsn == 2",
    "vars of the package": "import shop\nassert 'model' in vars(shop) and 'Account' in dir(shop)",
    "find_spec": "from importlib.util import find_spec\nassert '/2/' in find_spec('shop.model').origin",
    "submodule named as a function": "from shop.sub import child\nassert child() == 2",
    "module under a shadowed name": "import importlib\nassert importlib.import_module('shop.sub.child').V == 2",
    "dataclass with text annotations": "from __future__ import annotations\nfrom dataclasses import dataclass, fields, InitVar\n"
    "from typing import ClassVar\n@dataclass\nclass D:\n    a: int\n    b: ClassVar[int] = 1\n    c: InitVar[int] = 2\n"
    "assert [f.name for f in fields(D)] == ['a']",
    "global enum": "import enum\n@enum.global_enum\nclass E(enum.Enum):\n    RED = 1\nassert RED is E.RED",
    "type hints": "import typing\nclass A: ...\ndef g(a: 'A') -> 'A': ...\nassert typing.get_type_hints(g)['a'] is A",
    "typed dict": "import typing\nclass T(typing.TypedDict):\n    a: 'Later'\nclass Later: ...\n"
    "assert typing.get_type_hints(T)['a'] is Later",
    "named tuple": "from collections import namedtuple\nP = namedtuple('P', 'a b')\nassert P.__module__ == __name__",
    "getmodule": "import inspect\nclass A: ...\nassert vars(inspect.getmodule(A)) is globals()",
    "resources": "import importlib.resources as r\nassert r.files('shop').joinpath('new.txt').read_text() == 'new'",
    "alias below the module": "import sys, types\nm = sys.modules[__name__ + '.moves'] = types.ModuleType('moves')\nm.x = 1\n"
    "import importlib\nassert importlib.import_module(__name__ + '.moves').x == 1",
    "module getattr": "import sys\ndef __getattr__(name):\n    if name == 'zap':\n        return 3\n    raise AttributeError(name)\n"
    "assert sys.modules[__name__].zap == 3",
    "replaced by an object": "import sys\nclass M(type(sys)):\n    x = 5\nm = M(__name__)\nm.__dict__.update(globals())\n"
    "sys.modules[__name__] = m\nassert sys.modules['shop.body'].x == 5",
    "a missing optional module": "try:\n    import shop.absent\nexcept ImportError:\n    absent = None\nassert absent is None",
    "an unpickled class of another module": "import pickle, collections\nassert pickle.loads(pickle.dumps(collections.Counter('a')))['a'] == 1",
    "abc and singledispatch": "import abc, functools\nclass B(abc.ABC): ...\n@functools.singledispatch\ndef g(x): return 0\n"
    "@g.register\ndef _(x: int): return 1\nassert g(1) == 1",
    "circular": "import shop.round_a\nassert shop.round_a.b.a is shop.round_a",
}
MEMBERS = {
    "shop/model.py": MODEL,
    "shop/sub/child.py": "V = 2\ndef child():\n    return 2\n",
    "shop/round_a.py": "from shop import round_b as b\nX = 1\n",
    "shop/round_b.py": "from shop import round_a as a\nimport shop.round_a as aa\nassert a is aa\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_new_body_sees_the_new_release_and_nobody_else_does(shop: Running, body: str) -> None:
    shop.boot({**UNCHANGED, "shop/body.py": "x = 1\n"})
    (shop.folder / "2/shop").mkdir(parents=True)
    (shop.folder / "2/shop/new.txt").write_text("new")
    before, seen, stop = process(), [], threading.Event()
    old = shop["shop.model"]

    def spy() -> None:
        while not stop.wait(0.001):
            module = sys.modules["shop.model"]
            ok = module is old is importlib.import_module("shop.model") is shop["shop"].model and module.LIMIT == 1
            from shop import Account
            from shop import model as again

            seen.append(ok and again is old and Account.vsn == 1 and "shop.round_a" not in sys.modules)

    thread = threading.Thread(target=spy)
    thread.start()
    try:
        files = {**{f: t for f, t in UNCHANGED.items() if f == "shop/__init__.py"}, "shop/body.py": body}
        shop.write("2", files)
        staged = shop.stage({**MEMBERS, "shop/body.py": body})
    finally:
        stop.set()
        thread.join()
    assert seen
    assert all(seen)
    assert {**process(), "modules": None} == {**before, "modules": None}
    staged.swap()
    assert shop["shop"].model.LIMIT == shop["shop"].Account.vsn == 2
    assert shop["shop.sub"].child() == 2
    staged.undo()
    assert process() == before


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("x = 1\nraise ValueError('bad')\n", 2, "ValueError: bad"),
        ("import sys\n\nsys.exit(3)\n", 3, "SystemExit: 3"),
        ("raise KeyboardInterrupt\n", 1, "KeyboardInterrupt"),
        ("from shop.model import absent\n", 1, "ImportError: cannot import name 'absent'"),
        ("\nimport shop.nothing\n", 2, "ModuleNotFoundError: No module named 'shop.nothing'"),
        ("x = (\n", 1, "SyntaxError: '(' was never closed"),
        ("def f():\n    json.loads('{')\nimport json\nf()\n", 2, "JSONDecodeError"),
        ("import asyncio\nraise asyncio.CancelledError\n", 2, "CancelledError"),
        ("class E(Exception):\n    def __str__(self): raise OSError\nraise E\n", 3, "E: (its text cannot be shown)"),
        ("raise BaseExceptionGroup('all', [SystemExit()])\n", 1, "BaseExceptionGroup: all"),
        ("x = '\\udc80'\n\x00", 0, "SyntaxError: source code"),
        ("# coding: klingon\n", 0, "SyntaxError: "),
    ],
)
def test_a_body_that_fails_is_named_with_its_line_and_leaves_nothing(
    shop: Running, body: str, line: int, message: str
) -> None:
    shop.boot(UNCHANGED)
    before = process()
    errors: list[StagingError] = []

    def stage() -> None:
        try:
            shop.stage({"shop/model.py": MODEL, "shop/bad.py": body, "shop/util.py": UNCHANGED["shop/util.py"]})
        except StagingError as error:
            errors.append(error)

    thread = threading.Thread(target=stage)
    thread.start()
    thread.join()
    (error,) = errors
    assert (error.module, error.line) == ("shop.bad", line)
    assert message in error.message
    assert "bad.py" in str(error)
    assert process() == before
    assert not any("/2/" in name for name in __import__("linecache").cache)


def test_a_failure_deep_in_new_code_names_the_line_that_can_be_mended(shop: Running) -> None:
    shop.boot(UNCHANGED)
    with pytest.raises(StagingError) as caught:
        shop.stage({"shop/util.py": "import shop.model\nshop.model.f()\n", "shop/model.py": "def f():\n    int('x')\n"})
    assert (caught.value.module, caught.value.line) == ("shop.model", 2)
    assert "int('x')" in caught.value.traceback
    assert "importlib" not in caught.value.traceback


def test_an_importer_may_survive_a_broken_module_but_the_upgrade_does_not(shop: Running) -> None:
    shop.boot(UNCHANGED)
    before = process()
    body = "try:\n    from shop import broken\nexcept ValueError:\n    broken = None\n"
    with pytest.raises(StagingError, match=r"shop\.broken: ValueError: x"):
        shop.stage({"shop/util.py": body, "shop/broken.py": "raise ValueError('x')\n"})
    assert process() == before


def test_stdlib_modules_that_bodies_import_first_are_public_and_go_with_the_upgrade(shop: Running) -> None:
    for name in ("this_is_late", "late_package", "late_package.part"):
        assert name not in sys.modules
    (shop.folder / "site/late_package").mkdir(parents=True)
    (shop.folder / "site/this_is_late.py").write_text("X = 1\n")
    (shop.folder / "site/late_package/__init__.py").write_text("")
    (shop.folder / "site/late_package/part.py").write_text("")
    sys.path.insert(0, str(shop.folder / "site"))
    try:
        shop.boot(UNCHANGED)
        before = process()
        staged = shop.stage({"shop/model.py": "import this_is_late, late_package.part\n" + MODEL})
        assert staged.late_imports == ("this_is_late", "late_package", "late_package.part")
        assert "this_is_late" in sys.modules
        staged.abandon()
        assert process() == before
    finally:
        sys.path.remove(str(shop.folder / "site"))


def test_a_late_import_that_imports_the_release_stays_private_until_the_swap(shop: Running) -> None:
    (shop.folder / "site").mkdir()
    (shop.folder / "site/plug.py").write_text("import json\nfrom shop.model import Account\nfrom plug_more import A\n")
    (shop.folder / "site/plug_more.py").write_text("from shop import Account as A\n")
    sys.path.insert(0, str(shop.folder / "site"))
    try:
        shop.boot(UNCHANGED)
        before = process()
        staged = shop.stage({"shop/model.py": MODEL, "shop/app.py": "import plug\n"})
        assert process() == before
        staged.swap()
        assert shop["plug"].Account is shop["plug"].A is shop["shop.model"].Account
        staged.undo()
        assert process() == before
    finally:
        sys.path.remove(str(shop.folder / "site"))


def test_what_bodies_kept_of_the_view_is_genuine_afterwards(shop: Running) -> None:
    shop.boot(UNCHANGED)
    body = """
        from sys import modules
        import shop
        from atexit import register
        kept = [shop, modules]
        class A:
            package = shop
        def f(p=shop):
            return p
        HOOK = __import__
    """
    shop.upgrade({"shop/model.py": MODEL, "shop/new.py": body})
    new, package = shop["shop.new"], shop["shop"]
    assert new.modules is sys.modules
    assert new.shop is package is new.A.package
    assert new.kept[1]["shop"] is package
    assert new.f().STATE is package.STATE
    assert new.register is __import__("atexit").register
    package.late = 1
    assert new.kept[0].late == new.f().late == 1
    new.f().late = 2
    assert package.late == 2
    assert new.HOOK("shop") is package


def test_what_bodies_write_into_unchanged_packages_is_part_of_the_swap(shop: Running) -> None:
    shop.boot(UNCHANGED)
    before = process()
    staged = shop.stage(
        {"shop/model.py": MODEL + "import shop\nshop.flag = LIMIT\ndel shop.STATE\nshop.Account = 'mine'\n"}
    )
    assert {**process(), "modules": None} == {**before, "modules": None}
    staged.swap()
    assert shop["shop"].flag == 2
    assert not hasattr(shop["shop"], "STATE")
    assert shop["shop"].Account == "mine"
    staged.undo()
    assert process() == before


def test_members_run_in_the_order_of_their_first_import_and_new_ones_last(shop: Running) -> None:
    shop.boot({f"shop/{n}.py": "" for n in "abc"}, "shop.b", "shop.a", "shop.c")
    note = "import builtins\nbuiltins.order.append(__name__)\n"
    order: list[str] = []
    __import__("builtins").order = order
    try:
        shop.stage({f"shop/{n}.py": note for n in "dabc"})
    finally:
        del __import__("builtins").order
    assert order == ["shop.b", "shop.a", "shop.c", "shop.d"]


def test_unloaded_modules_of_the_release_that_bodies_import_join_the_upgrade(shop: Running) -> None:
    shop.boot({**UNCHANGED, "shop/rare.py": "from shop.model import LIMIT\n"}, "shop")
    before = process()
    staged = shop.stage({"shop/model.py": MODEL, "shop/new.py": "import shop.rare\n"})
    assert process() == before
    assert "shop.rare" in staged.modules
    staged.swap()
    assert shop["shop.rare"].LIMIT == shop["shop"].rare.LIMIT == 2
    staged.undo()
    assert process() == before
    assert importlib.import_module("shop.rare").LIMIT == 1


def test_the_rest_of_the_new_release_is_found_after_the_swap(shop: Running) -> None:
    shop.boot({**UNCHANGED, "shop/rare.py": "V = 1\n"}, "shop", "shop.names")
    shop.folder.joinpath("2/shop").mkdir(parents=True)
    paths = shop.write("2", {**UNCHANGED, "shop/rare.py": "V = 2\n", "shop/util.py": "changed = 1\n"})
    staged = shop.code.stage(shop.sources({"shop/model.py": MODEL}), known=paths)
    assert shop.code.differing(paths) == ["shop.model", "shop.util"]
    staged.swap()
    assert importlib.import_module("shop.rare").V == 2
    assert "/2/" in shop["shop.names"].__file__
    assert "/2/" in shop["shop"].__path__[0]
    assert "/1/" in shop["shop.util"].__file__
    staged.undo()
    assert importlib.import_module("shop.rare").V == 1
    assert "/1/" in shop["shop"].__path__[0]


def test_two_upgrades_can_be_staged_one_on_the_other(shop: Running) -> None:
    shop.boot(UNCHANGED)
    states = [process()]
    first = shop.stage({"shop/model.py": MODEL, "shop/extra.py": "V = 2\n"})
    second = shop.stage(
        {
            "shop/model.py": MODEL.replace("2", "3"),
            "shop/last.py": "from shop import extra, Account\nassert Account.vsn == 3\n",
        },
        vsn="3",
        after=first,
    )
    third = shop.stage(
        {"shop/extra.py": "import shop.last\nfrom shop import model\nV = model.LIMIT\n"}, vsn="4", after=second
    )
    assert process() == states[0]
    first.swap()
    assert shop["shop"].model.LIMIT == 2
    states.append(process())
    with pytest.raises(NotPurged):
        second.swap()
    shop.code.purge(["shop.model"])
    second.swap()
    assert shop["shop"].Account.vsn == shop["shop.util"].L == 3
    assert shop["shop.last"].extra is shop["shop.extra"]
    third.swap()
    assert shop["shop.extra"].V == 3
    third.undo()
    second.undo()
    assert process() == states[1]


def test_requests_that_make_no_sense_are_refused(shop: Running) -> None:
    shop.boot(UNCHANGED)
    cases = [
        (["shop/model.py"], ("shop.model",), "named twice"),
        ([], ("shop.absent",), "has no such module"),
        (["json.py"], (), "loaded that is not of the release"),
    ]
    for files, removed, message in cases:
        with pytest.raises(StagingError, match=message):
            shop.stage(dict.fromkeys(files, ""), removed)


def test_a_thread_that_a_body_starts_sees_the_old_world_and_is_reported(shop: Running) -> None:
    shop.boot(UNCHANGED)
    body = """
        import threading, sys
        seen = []
        t = threading.Thread(target=lambda: seen.append(sys.modules['shop.model'].LIMIT), name='mine')
        t.start()
        t.join()
    """
    staged = shop.stage({"shop/model.py": MODEL, "shop/body.py": body})
    assert staged.modules["shop.body"].seen == [1]
    assert found(staged.notes, "thread 'mine'")


def test_extension_modules_stay_and_are_reported(shop: Running) -> None:
    shop.boot(UNCHANGED)
    name = next(n for n in ("_lsprof", "_testcapi", "_curses") if n not in sys.modules and importlib.util.find_spec(n))
    staged = shop.stage({"shop/model.py": f"import {name}\n{MODEL}"})
    assert found(staged.notes, name, "stays loaded")
    staged.abandon()
    assert name in sys.modules
