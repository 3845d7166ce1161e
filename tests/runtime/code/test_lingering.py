"""Who lingers in old code, and that what was purged is gone."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import threading

import pytest

from tests.runtime.code.releases import Running, found, process, settled

MODEL = """
    import asyncio
    from dataclasses import dataclass
    from enum import Enum
    from functools import lru_cache, singledispatch, partial
    from typing import Optional, NamedTuple, Generic, TypeVar
    __vsn__ = "{0}"
    T = TypeVar("T")
    class Color(Enum):
        RED = 1
    class Point(NamedTuple):
        x: int
    class Box(Generic[T]):
        pass
    @dataclass
    class Account:
        n: int = 0
        def total(self): return self.n
        class Inner: pass
    class Failure(Exception): ...
    DEFAULT = Account()
    REGISTRY = {{"a": [Account, Account(1)], "f": partial(Account, 3)}}
    CACHE = Box[int]
    @lru_cache
    def cached(x): return Account(x)
    @singledispatch
    def shown(x): return x
    @shown.register
    def _(x: Account): return "account"
    def count(a: Optional[Account] = None):
        yield 1
        yield 2
    async def wait(event):
        await inner(event)
    async def inner(event):
        await event.wait()
    async def stream(event):
        await event.wait()
        yield 1
    async def consume(event):
        async for _ in stream(event):
            pass
    def block(started, event):
        started.set()
        event.wait()
    def adder():
        return lambda: Account
    cached(1)
    shown(DEFAULT)
"""
FILES = {"shop/__init__.py": "", "shop/model.py": MODEL.format(1), "shop/use.py": "HELD = []\nDEEP = {}\n"}


def upgraded(shop: Running) -> None:
    shop.upgrade({"shop/model.py": MODEL.format(2)})


def test_nobody_lingers_in_a_module_that_only_holds_itself(shop: Running) -> None:
    shop.boot(FILES)
    upgraded(shop)
    assert shop.code.lingering(["shop.model"]) == []
    assert not shop.code.freed("shop.model") or shop.code.old
    assert shop.code.soft_purge("shop.model")
    settled()
    assert shop.code.freed("shop.model")
    assert shop.code.old == ()


HOLDERS = {
    "instance": ("[m.Account()]", "instances of shop.model.Account", "instance"),
    "many instances": ("[m.Account(i) for i in range(30)]", "30 instances of shop.model.Account", "instance"),
    "enum member": ("[m.Color.RED]", "shop.model.Color", "instance"),
    "exception": ("[m.Failure('x')]", "instances of shop.model.Failure", "instance"),
    "class": ("[m.Account]", "list with shop.model.Account", "code"),
    "function": ("[m.count]", "list with shop.model.count", "code"),
    "bound method": ("[m.Account().total]", "bound method Account.total", "code"),
    "closure": ("[m.adder()]", "adder.<locals>.<lambda>", "code"),
    "generator": ("[start(m.count())]", "suspended count", "code"),
    "coroutine": ("[m.wait(None)]", "suspended wait", "code"),
    "partial": ("[functools.partial(m.count, 1)]", "partial with shop.model.count", "code"),
    "module": ("[m]", "list with shop.model", "code"),
    "subclass": ("[type('Sub', (m.Account,), {})]", "class tests.runtime.code.test_lingering.Sub", "code"),
    "alias": ("[list[m.Account]]", "tuple with shop.model.Account", "code"),
    "what is private but shared": ("[m.REGISTRY]", "shop.model.Account", "code"),
}


def start(generator: object) -> object:
    next(generator)  # type: ignore[call-overload]
    return generator


DEEP = {f"{name}, deep": (*HOLDERS[name], True) for name in ("instance", "function", "generator", "class")}
CASES = {name: (*holder, False) for name, holder in HOLDERS.items()} | DEEP


@pytest.mark.parametrize(("make", "who", "kind", "deep"), CASES.values(), ids=CASES)
def test_holders_are_named_until_they_let_go(shop: Running, make: str, who: str, kind: str, deep: bool) -> None:
    shop.boot(FILES)
    use = shop["shop.use"]
    made = eval(make, {"m": shop["shop.model"], "functools": functools, "start": start, "__name__": __name__})
    if deep:
        use.DEEP["here"] = {"there": [{"held": made}]}
    else:
        use.HELD = made
    del made
    upgraded(shop)
    lingerers = shop.code.lingering(["shop.model"])
    assert any(who in x.who and x.kind == kind for x in lingerers), lingerers
    if kind != "code" or who.startswith("list"):
        assert found(lingerers, "shop.use.")
    assert not shop.code.soft_purge("shop.model")
    assert shop.code.old == ("shop.model",)
    if "wait" in make:
        (use.DEEP["here"]["there"][0]["held"] if deep else use.HELD)[0].close()
    use.HELD = []
    use.DEEP.clear()
    settled()
    assert shop.code.lingering(["shop.model"]) == []
    assert shop.code.soft_purge("shop.model")
    settled()
    assert shop.code.freed("shop.model")


def test_what_only_a_running_function_holds_counts(shop: Running) -> None:
    shop.boot(FILES)
    mine = shop["shop.model"].Account(5)
    upgraded(shop)
    assert found(shop.code.lingering(["shop.model"]), "instances of shop.model.Account", "running function")
    assert mine.n == 5


@pytest.mark.parametrize("name", ["wait", "consume"])
def test_tasks_that_stand_in_old_code_are_named(shop: Running, name: str) -> None:
    shop.boot(FILES)

    async def main() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(getattr(shop["shop.model"], name)(event), name="till 3")
        await asyncio.sleep(0)
        upgraded(shop)
        lingerers = await asyncio.to_thread(shop.code.lingering, ["shop.model"])
        assert found(lingerers, "task 'till 3'", "model.py:")
        assert lingerers[0].kind == "frame"
        event.set()
        await task
        del task
        assert shop.code.soft_purge("shop.model")

    asyncio.run(main())


def test_threads_that_stand_in_old_code_are_named(shop: Running) -> None:
    shop.boot(FILES)
    started, event = threading.Event(), threading.Event()
    thread = threading.Thread(target=shop["shop.model"].block, args=(started, event), name="till 4")
    thread.start()
    assert started.wait(10)
    upgraded(shop)
    assert found(shop.code.lingering(["shop.model"]), "thread 'till 4'", "model.py:")
    event.set()
    thread.join()
    del thread
    assert shop.code.soft_purge("shop.model")


def test_a_purge_drops_what_lingers_and_freed_tells_the_truth(shop: Running) -> None:
    shop.boot(FILES)
    held = [shop["shop.model"].Account()]
    upgraded(shop)
    shop.code.purge(["shop.model"])
    settled()
    assert held
    assert not shop.code.freed("shop.model")
    held.clear()
    settled()
    assert shop.code.freed("shop.model")


def test_abandoned_and_undone_code_is_freed(shop: Running) -> None:
    shop.boot(FILES)
    shop.stage({"shop/model.py": MODEL.format(2)}).abandon()
    upgraded_once = shop.upgrade({"shop/model.py": MODEL.format(3)}, vsn="3")
    upgraded_once.undo()
    settled()
    assert shop.code.freed("shop.model")


def test_processes_of_a_removed_module_linger(shop: Running) -> None:
    shop.boot(FILES)
    reference = shop.code.reference(shop["shop.model"].Account)
    shop.upgrade({}, ("shop.model",))
    assert found(shop.code.lingering(["shop.model"]), "processes of shop.model.Account")
    del reference
    assert shop.code.soft_purge("shop.model")


def test_swaps_in_a_row_leave_the_process_as_it_was(shop: Running) -> None:
    files = {
        "shop/__init__.py": "from shop.model import Account\n",
        "shop/user.py": "from shop.model import *\nfrom shop import model\ndef f(a: Account, b: list[Account]): ...\n",
        "shop/exc.py": "class E(Exception): ...\n",
    }
    model = MODEL + "    from shop.exc import E\n    class Mine(E): ...\n"
    shop.boot({**files, "shop/model.py": model.format(0)})
    counts = []
    for n in range(1, 31):
        staged = shop.upgrade(
            {"shop/model.py": model.format(n), "shop/exc.py": files["shop/exc.py"]}, vsn=str(n % 2 + 2)
        )
        if n % 3 == 0:
            staged.undo()
        else:
            shop.code.purge(staged.previous)
        del staged
        settled()
        if n % 6 == 0:
            state = process()
            counts.append(
                (
                    len(gc.get_objects()),
                    len(state["modules"]),
                    len(Exception.__subclasses__()),
                    len(object.__subclasses__()),
                )
            )
            del state
    assert len({c[1:] for c in counts[1:]}) == 1, counts
    assert max(c[0] for c in counts[1:]) - counts[1][0] < 200, counts
    assert shop.code.freed("shop.model")
    assert sys.modules["shop"].Account is shop["shop.model"].Account
