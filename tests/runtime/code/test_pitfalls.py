"""What goes wrong when Python code is reloaded: each is right here, or it is found and named before anything is swapped."""

# ruff: noqa: E501 - a case a line

from __future__ import annotations

import asyncio
import copy
import gc
import importlib
import linecache
import os
import pickle
import subprocess
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from relup.runtime.code import StagingError
from relup.runtime.migrate import migrate
from tests.runtime.code.releases import Running, found, process, settled

MODEL = """
    import functools, threading
    from dataclasses import dataclass, field
    from enum import Enum
    __vsn__ = "{0}"
    LIMIT = {0}
    class Color(Enum):
        RED = 1
        BLUE = 2
    class Failure(Exception): ...
    @dataclass
    class Account:
        n: int = 1
        {1}
        def total(self): return {0}
    class Slotted:
        __slots__ = ("a", {2})
    STATE = {{}}
    def f(): return {0}
    def fail(): raise Failure({0})
    def caught(call):
        try: call()
        except Failure: return True
    @functools.lru_cache
    def cached(): return {0}
"""
V1 = MODEL.format(1, "pass", "")
V2 = MODEL.format(2, "new: list = field(default_factory=list)", "'b'")
USE = """
    import shop.model
    from shop.model import LIMIT, Account, Color, Failure, cached, f, fail
    from shop import model as m
    HELD = []
    def limit(): return LIMIT
    def is_account(x): return isinstance(x, Account)
    def called(): return f(), m.f(), shop.model.f(), cached(), Account().total()
    def guarded(call):
        try: call()
        except Failure: return True
"""
FILES = {"shop/__init__.py": "from shop.model import Account, LIMIT\n", "shop/model.py": V1, "shop/use.py": USE}


def boot(shop: Running, hold: Callable[[Any], object] = lambda _: None) -> Any:
    """Boot release 1; return what an unchanged module holds of it, taken before release 2 was loaded."""
    shop.boot(FILES)
    held = hold(shop["shop.model"])
    shop["shop.use"].HELD = [held]
    return held


def upgrade(shop: Running) -> Any:
    shop.upgrade({"shop/model.py": V2})
    return shop["shop.model"]


# ── right by itself ────────────────────────────────────────────────────────────────────────────────────


def test_names_that_imports_copied_have_the_new_values(shop: Running) -> None:
    boot(shop)
    new = upgrade(shop)
    use = shop["shop.use"]
    assert use.limit() == use.LIMIT == shop["shop"].LIMIT == 2
    assert use.called() == (2, 2, 2, 2, 2)
    assert use.is_account(new.Account())
    assert shop["shop"].Account is use.Account is new.Account


def test_an_except_clause_and_what_raises_change_together(shop: Running) -> None:
    boot(shop)
    new = upgrade(shop)
    assert shop["shop.use"].guarded(new.fail)
    assert shop["shop.use"].guarded(shop["shop.use"].fail)
    assert new.caught(shop["shop.use"].fail)


def test_caches_start_anew_and_serve_the_old_version_again_after_an_undo(shop: Running) -> None:
    old = boot(shop, lambda model: model.cached)
    assert old() == 1
    staged = shop.upgrade({"shop/model.py": V2})
    assert shop["shop.use"].cached() == 2
    staged.undo()
    assert shop["shop.use"].cached is old
    assert (old.cache_info().hits, old.cache_info().misses) == (0, 1), "calls of the new version did not touch it"


def test_names_that_the_new_text_has_not_are_gone_everywhere(shop: Running) -> None:
    files = {
        "shop/__init__.py": "",
        "shop/model.py": "A = 1\nB = 1\ndef gone(): ...\n",
        "shop/star.py": "from shop.model import *\n",
    }
    shop.boot(files)
    staged = shop.upgrade({"shop/model.py": "A = 2\nC = 2\n"})
    for name in ("shop.model", "shop.star"):
        assert (shop[name].A, shop[name].C) == (2, 2)
        assert not {"B", "gone"} & vars(shop[name]).keys()
    staged.undo()
    assert (shop["shop.star"].B, hasattr(shop["shop.star"], "C")) == (1, False)


def test_a_removed_name_that_somebody_imports_is_refused_with_its_line(shop: Running) -> None:
    shop.boot(FILES)
    before = process()
    with pytest.raises(
        StagingError, match=r"use\.py:3: shop\.use: imports LIMIT from shop\.model, which no longer has it"
    ):
        shop.stage({"shop/model.py": V1.replace("LIMIT = 1", "")})
    assert process() == before


def test_a_second_body_starts_with_module_state_of_its_own(shop: Running) -> None:
    state = boot(shop, lambda model: model.STATE)
    state["orders"] = 3
    staged = shop.upgrade({"shop/model.py": V2})
    assert shop["shop.model"].STATE == {}
    staged.undo()
    assert shop["shop.model"].STATE is state
    assert state == {"orders": 3}


REGISTERED = """
    import abc
    from collections.abc import Sized
    from shop.base import Plugin
    from shop.store import Store, show
    V = {0}
    class Mail(Plugin): ...
    class Memory(Store): ...
    @Sized.register
    class Box: ...
    @Store.register
    class Virtual: ...
    @show.register
    def _(x: Mail): return {0}
    class Late(LookupError): ...
"""
BASES = {
    "shop/__init__.py": "",
    "shop/base.py": "class Plugin:\n    known = {}\n    def __init_subclass__(cls):\n        Plugin.known[cls.__name__] = cls\n",
    "shop/store.py": "import abc, functools\nclass Store(abc.ABC): ...\n@functools.singledispatch\ndef show(x): return 0\n",
}


def test_registries_and_subclasses_do_not_grow_with_each_upgrade(shop: Running) -> None:
    shop.boot({**BASES, "shop/plug.py": REGISTERED.format(0)})
    base, store = shop["shop.base"], shop["shop.store"]
    sizes = []
    for n in range(1, 6):
        staged = shop.upgrade({"shop/plug.py": REGISTERED.format(n)}, vsn=str(n % 2 + 2))
        new = shop["shop.plug"]
        assert base.Plugin.known == {"Mail": new.Mail}
        assert store.show(new.Mail()) == n
        assert issubclass(new.Virtual, store.Store)
        shop.code.purge(staged.previous)
        del staged, new
        settled()
        sizes.append(
            (
                len(base.Plugin.__subclasses__()),
                len(store.Store.__subclasses__()),
                len(store.show.registry),
                len(LookupError.__subclasses__()),
            )
        )
    assert set(sizes) == {(1, 1, 2, sizes[0][3])}


def test_bytecode_is_never_stale(tmp_path: Path) -> None:
    """Twenty texts of one size, written within the same second, each with a file of bytecode beside it."""
    script = f"""
import sys, pathlib, importlib.util, os
from relup.runtime.code import CodeServer
from relup.runtime.code.source import read
assert not sys.dont_write_bytecode
folder = pathlib.Path({str(tmp_path)!r})
file = folder / "stale.py"
def write(n):
    file.write_text(f"V = {{100 + n}}")
    os.utime(file, (1_700_000_000, 1_700_000_000))
sys.path.insert(0, str(folder))
stale = lost = 0
write(0)
def reloaded():
    running = sys.modules.pop("stale", None)
    spec = importlib.machinery.PathFinder.find_spec("stale", [str(folder)])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if running is not None:
        sys.modules["stale"] = running
    return module
reloaded()
assert list(folder.glob("__pycache__/stale*.pyc"))
code = CodeServer()
code.boot({{"stale": file}})
import stale as module
for n in range(1, 21):
    write(n)
    lost += reloaded().V != 100 + n
    staged = code.stage([read("stale", file)])
    staged.swap()
    stale += sys.modules["stale"].V != 100 + n
    code.purge(staged.previous)
print(stale, lost)
"""
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0", "20"], done.stderr


def test_threads_that_import_never_see_half_a_module_or_a_mixture(shop: Running) -> None:
    text = "import time\nA = {0}\ntime.sleep(0.0005)\nclass K:\n    v = {0}\nB = {0}\n"
    user = "from shop.model import A, B, K\ndef all(): return A, B, K.v\n"
    shop.boot({"shop/__init__.py": "", "shop/model.py": text.format(0), "shop/use.py": user})
    sources = {n: shop.sources({"shop/model.py": text.format(n)}, str(n)) for n in range(1, 51)}
    torn, seen, stop = [], set(), threading.Event()

    def reader(statement: str) -> None:
        code = compile(statement, "reader", "exec")
        while not stop.wait(0.0005):
            try:
                space: dict[str, Any] = {}
                exec(code, space)
                module = space["m"]
                one = (module.A, module.B, module.K.v)
            except Exception as error:
                torn.append(repr(error))
                continue
            seen.add(one[0])
            if len(set(one)) != 1 or type(module) is not types.ModuleType:
                torn.append(repr(one))

    ways = [
        "from shop import model as m",
        "import shop.model as m",
        "import importlib\nm = importlib.import_module('shop.model')",
    ]
    threads = [threading.Thread(target=reader, args=(w,)) for w in ways]
    for thread in threads:
        thread.start()
    try:
        for n in range(1, 51):
            staged = shop.code.stage(sources[n])
            staged.swap()
            if n % 5 == 0:
                staged.undo()
            else:
                shop.code.purge(staged.previous)
            assert len(set(shop["shop.use"].all())) == 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert torn == []
    assert len(seen) > 10, "they did look while the swaps went on"


def test_tracebacks_of_old_and_new_code_print_their_own_lines(shop: Running) -> None:
    text = "def f():\n    raise ValueError('{0}')  # text of {0}\n"
    shop.boot({"shop/__init__.py": "", "shop/model.py": text.format("one")})
    old = shop["shop.model"].f
    path = shop.folder / "1/shop/model.py"
    path.write_text("# a line more\n" + text.format("two"))
    linecache.checkcache()
    staged = shop.code.stage(shop.sources({"shop/model.py": path.read_text()}, "1"))
    staged.swap()

    def told(function: Callable[[], None]) -> str:
        try:
            function()
        except ValueError:
            return traceback.format_exc()
        raise AssertionError

    for _ in range(2):
        assert "# text of one" in told(old)
        assert "# text of two" in told(shop["shop.model"].f)
        linecache.checkcache()
    staged.undo()
    assert "# text of one" in told(shop["shop.model"].f)


def test_a_swap_never_reads_the_heap(shop: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    boot(shop, lambda model: [model.Account() for _ in range(10)])
    staged = shop.stage({"shop/model.py": V2})

    def refuse(*_: object) -> list[object]:
        raise AssertionError("the heap was read in the window")

    for name in ("get_referrers", "get_objects", "get_referents", "collect"):
        monkeypatch.setattr(gc, name, refuse)
    staged.swap()
    staged.undo(keep=True)
    staged.redo()
    shop.code.drop(staged.previous)
    assert shop["shop.use"].limit() == 2


def test_nothing_forks(shop: Running) -> None:
    """From 3.12 on a fork beside threads warns, and warnings are errors here."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            boot(shop)
            upgrade(shop)
    finally:
        stop.set()
        thread.join()
    assert shop["shop.use"].limit() == 2


# ── what holds old objects goes on with them, and is named before they would be dropped ───────────────────

HELD = {
    "callback": (lambda m: [m.f], "list with shop.model.f"),
    "bound method": (lambda m: m.Account().total, "bound method Account.total"),
    "instance": (lambda m: m.Account(), "instances of shop.model.Account"),
    "enum member": (lambda m: m.Color.RED, "shop.model.Color"),
    "exception": (lambda m: m.Failure("x"), "instances of shop.model.Failure"),
    "error class": (lambda m: (m.Failure,), "tuple with shop.model.Failure"),
    "cache": (lambda m: m.cached, "shop.model"),
    "slots": (lambda m: m.Slotted(), "instances of shop.model.Slotted"),
}


@pytest.mark.parametrize(("hold", "who"), HELD.values(), ids=HELD)
def test_what_others_hold_is_named_and_not_purged(shop: Running, hold: Callable[[Any], object], who: str) -> None:
    boot(shop, hold)
    upgrade(shop)
    assert found(shop.code.lingering(["shop.model"]), who)
    assert not shop.code.soft_purge("shop.model")
    shop["shop.use"].HELD.clear()
    settled()
    assert shop.code.lingering(["shop.model"]) == []
    assert shop.code.soft_purge("shop.model")


def test_a_held_callback_or_bound_method_runs_the_code_it_was_taken_from(shop: Running) -> None:
    held = boot(shop, lambda m: (m.f, m.Account().total))
    new = upgrade(shop)
    assert [call() for call in held] == [1, 1]
    assert (new.f(), new.Account().total()) == (2, 2)


def test_a_task_in_flight_ends_in_the_code_it_began_and_is_named(shop: Running) -> None:
    body = "import asyncio\nV = {0}\ndef part(): return {0}\nasync def work(gate):\n    first = part(), V\n    await gate.wait()\n    return first, (part(), V)\n"
    shop.boot({"shop/__init__.py": "", "shop/model.py": body.format(1)})

    async def main() -> None:
        gate = asyncio.Event()
        task = asyncio.create_task(shop["shop.model"].work(gate), name="order 7")
        await asyncio.sleep(0)
        shop.upgrade({"shop/model.py": body.format(2)})
        assert found(await asyncio.to_thread(shop.code.lingering, ["shop.model"]), "task 'order 7'", "model.py:6")
        gate.set()
        assert await task == ((1, 1), (1, 1)), "never the old body with new callees"
        assert await shop["shop.model"].work(gate) == ((2, 2), (2, 2))

    asyncio.run(main())


# ── identity: what migrate() is for ───────────────────────────────────────────────────────────────────────


def test_old_instances_and_members_are_none_of_the_new_classes(shop: Running) -> None:
    account, red = boot(shop, lambda m: (m.Account(), m.Color.RED))
    new = upgrade(shop)
    assert not isinstance(account, new.Account)
    assert account != new.Account()
    assert red != new.Color.RED
    assert red not in {new.Color.RED: 1}
    assert new.Color[red.name] is new.Color(red.value) is new.Color.RED
    assert isinstance(migrate(account, new.Account), new.Account)


def test_new_fields_are_absent_in_old_instances_until_they_are_migrated(shop: Running) -> None:
    account = boot(shop, lambda m: m.Account(7))
    new = upgrade(shop)
    assert not hasattr(account, "new")
    account.__class__, was = new.Account, account.__class__
    with pytest.raises(AttributeError):
        _ = account.new  # allowed by Python, and wrong all the same
    account.__class__ = was
    assert asdict(migrate(account, new.Account)) == {"n": 7, "new": []}


def test_an_instance_whose_slots_differ_can_only_be_migrated(shop: Running) -> None:
    old = boot(shop, lambda m: m.Slotted())
    old.a = 1
    new = upgrade(shop)
    with pytest.raises(TypeError, match="layout differs"):
        old.__class__ = new.Slotted
    assert migrate(old, new.Slotted, b=2).b == 2


def test_pickles_of_old_instances_lack_new_fields_until_they_are_migrated(shop: Running) -> None:
    account = boot(shop, lambda m: m.Account(7))
    written = pickle.dumps(account)
    new = upgrade(shop)
    read = pickle.loads(written)
    assert type(read) is new.Account
    assert "new" not in vars(read)
    assert asdict(migrate(read, new.Account, new=[1])) == {"n": 7, "new": [1]}
    assert asdict(migrate(vars(read), new.Account)) == {"n": 7, "new": []}
    with pytest.raises(pickle.PicklingError, match="not the same object"):
        pickle.dumps(account)
    assert type(copy.deepcopy(account)) is type(account)


# ── refused, with the reason ──────────────────────────────────────────────────────────────────────────────

KEEPERS = {
    "subclass": ("class Mine(Failure): ...", "evaluates at import Failure"),
    "default": ("def g(a=Account()): ...", "evaluates at import Account"),
    "value": ("DOUBLE = LIMIT * 2", "evaluates at import LIMIT"),
    "decorator": ("@caught\ndef g(): ...", "evaluates at import caught"),
    "class body": ("class A:\n        colour = Color.RED", "evaluates at import Color"),
}


@pytest.mark.parametrize(("text", "reason"), KEEPERS.values(), ids=KEEPERS)
def test_what_an_unchanged_module_computed_from_old_code_is_named(shop: Running, text: str, reason: str) -> None:
    shop.boot(
        {
            **FILES,
            "shop/keeper.py": "from shop.model import *\nfrom shop.model import LIMIT, cached\n"
            + text.replace("        ", "    "),
        }
    )
    staged = shop.stage({"shop/model.py": V2})
    assert found(list(staged.unclosed), "keeper.py", "shop.keeper", reason)
    closed = shop.stage({"shop/model.py": V2, "shop/keeper.py": (shop.folder / "1/shop/keeper.py").read_text()})
    assert closed.unclosed == ()


OUTSIDE = {
    "log handler": (
        "import logging\nlogging.getLogger('shop').addHandler(logging.NullHandler())",
        "added a NullHandler to the logger 'shop'",
    ),
    "atexit": ("import atexit\natexit.register(print)", "registered print with atexit"),
    "thread": (
        "import threading\nt = threading.Thread(target=print, name='pump')\nt.start()\nt.join()",
        "started the thread 'pump'",
    ),
    "abstract class": (
        "import collections.abc\nclass A: ...\ncollections.abc.Sized.register(A)",
        "registered A with the abstract class Sized",
    ),
}


@pytest.mark.parametrize(("text", "note"), OUTSIDE.values(), ids=OUTSIDE)
def test_what_a_body_does_outside_its_module_is_said(shop: Running, text: str, note: str) -> None:
    shop.boot(FILES)
    staged = shop.stage({"shop/model.py": V2, "shop/body.py": text})
    assert found(list(staged.notes), "a body " + note)
    staged.abandon()


def test_a_module_of_somebody_else_is_not_replaced(shop: Running) -> None:
    """An extension module, say: it is loaded once for the life of a process."""
    shop.boot(FILES)
    importlib.import_module("_json")
    with pytest.raises(StagingError, match="_json: a module of this name is loaded that is not of the release"):
        shop.stage({"_json.py": "V = 2\n"})
