"""The swap: every name that an import bound, at once, and back; and nothing that no import bound."""

# ruff: noqa: E501 - a case a line

from __future__ import annotations

import importlib
import sys
import threading
import types

import pytest

from relup.runtime.code import NotPurged, StagingError, SwapError, counterpart, current_code
from tests.runtime.code.releases import Running, process

V1 = {
    "shop/__init__.py": "",
    "shop/model.py": "LIMIT = 10\nNAME = None\nclass Account:\n    vsn = 1\n    class Inner:\n        vsn = 1\ndef f():\n    return 1\n"
    "def gone():\n    pass\n",
}
V2 = V1["shop/model.py"].replace("1\n", "2\n").replace("10", "20").replace("None", "'n'")

BINDINGS = {
    "from import": ("from shop.model import f", "m.f()"),
    "from import as": ("from shop.model import f as g", "m.g()"),
    "a small constant": ("from shop.model import LIMIT", "m.LIMIT // 10"),
    "relative": ("from .model import f", "m.f()"),
    "relative module": ("from . import model", "m.model.f()"),
    "module as": ("import shop.model as x", "m.x.f()"),
    "dotted": ("import shop.model", "m.shop.model.f()"),
    "star": ("from shop.model import *", "m.f()"),
    "star, private names excepted": ("from shop.model import *\n_f = f", "1 + (m.f is not m._f)"),
    "in try": ("try:\n    from shop.model import f\nexcept ImportError:\n    f = None", "m.f()"),
    "in except": ("try:\n    import nothing_here\nexcept ImportError:\n    from shop.model import f", "m.f()"),
    "in if, else, with, for": (
        "import contextlib\nif 0:\n    pass\nelse:\n    with contextlib.nullcontext():\n        for _ in 'a':\n"
        "            from shop.model import f",
        "m.f()",
    ),
    "in match": ("match 1:\n    case 1:\n        from shop.model import f", "m.f()"),
    "under global": ("def load():\n    global f\n    from shop.model import f\nload()", "m.f()"),
    "in a function": ("def call():\n    from shop.model import f\n    return f()", "m.call()"),
    "through a re-exporter": ("from shop.reexport import f", "m.f()"),
    "through a star re-exporter": ("from shop.stars import f", "m.f()"),
    "through two": ("from shop.again import h", "m.h()"),
    "module through a re-exporter": ("from shop.reexport import model as x", "m.x.f()"),
    "two names for one": ("from shop.model import f\nfrom shop.model import f as g", "m.f() * m.g() // m.f()"),
}
REEXPORTS = {
    "shop/reexport.py": "from .model import f\nfrom . import model\n",
    "shop/stars.py": "from shop.model import *\n",
    "shop/again.py": "from shop.stars import f as h\n",
}


@pytest.mark.parametrize(("text", "reading"), BINDINGS.values(), ids=BINDINGS)
@pytest.mark.parametrize("place", ["shop/user.py", "desk.py"])
def test_names_that_imports_bind_follow_the_swap_and_its_undo(
    shop: Running, place: str, text: str, reading: str
) -> None:
    if place == "desk.py" and "from ." in text:
        place = "shop/other.py"
    shop.boot({**V1, **REEXPORTS, place: text})
    user = shop[place.removesuffix(".py").replace("/", ".")]
    before = process("shop", "desk")
    assert eval(reading, {"m": user}) == 1
    staged = shop.upgrade({"shop/model.py": V2})
    assert eval(reading, {"m": user}) == 2
    staged.undo()
    assert process("shop", "desk") == before


UNTOUCHED = {
    "an equal constant": "LIMIT = 10",
    "the same class by another way": "class Account:\n    vsn = 1\nf = lambda: 1",
    "a name bound anew": "from shop.model import LIMIT\nLIMIT = 99",
    "imported for types only": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop.model import LIMIT\nLIMIT = 10",
    "an import that lost": "try:\n    from shop.model import LIMIT\n    raise ImportError\nexcept ImportError:\n    LIMIT = 'own'",
    "a name of another module": "from shop.twin import LIMIT, NAME",
    "interned": "NAME = None\nfrom shop.model import LIMIT as LIMIT_\nLIMIT = 10\nLIMIT_ = 3",
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED)
def test_names_that_no_import_binds_are_not_written_though_identical(shop: Running, text: str) -> None:
    shop.boot({**V1, "shop/twin.py": "LIMIT = 10\nNAME = None\n", "shop/user.py": text})
    before = {k: id(v) for k, v in vars(shop["shop.user"]).items()}
    shop.upgrade({"shop/model.py": V2})
    assert {k: id(v) for k, v in vars(shop["shop.user"]).items()} == before


def test_star_imports_lose_what_is_gone_and_get_what_is_new(shop: Running) -> None:
    shop.boot(
        {
            **V1,
            **REEXPORTS,
            "shop/deep.py": "from shop.stars import *\n",
            "shop/own.py": "from shop.model import *\nfresh = 0\n",
        }
    )
    staged = shop.upgrade({"shop/model.py": "def f():\n    return 2\nfresh = 2\n_hidden = 2\n"})
    for name in ("shop.stars", "shop.deep"):
        assert not hasattr(shop[name], "LIMIT")
        assert not hasattr(shop[name], "_hidden")
        assert shop[name].fresh == shop[name].f() == 2
    assert shop["shop.own"].fresh == 0
    staged.undo()
    assert shop["shop.deep"].LIMIT == 10
    assert not hasattr(shop["shop.deep"], "fresh")


def test_star_imports_respect_all(shop: Running) -> None:
    shop.boot({"shop/model.py": "__all__ = ['_a']\n_a = b = 1\n", "shop/user.py": "from shop.model import *\n"})
    shop.upgrade({"shop/model.py": "__all__ = ['_a', '_c']\n_a = _c = b = 2\n"})
    assert shop["shop.user"]._a == shop["shop.user"]._c == 2
    assert not hasattr(shop["shop.user"], "b")


def test_names_of_lazy_modules_are_looked_up(shop: Running) -> None:
    lazy = """
        def __getattr__(name):
            if name == "late":
                from shop import impl
                return impl.late
            raise AttributeError(name)
    """
    shop.boot(
        {"shop/lazy.py": lazy, "shop/impl.py": "def late(): return 1\n", "shop/user.py": "from shop.lazy import late\n"}
    )
    shop.upgrade({"shop/lazy.py": lazy, "shop/impl.py": "def late(): return 2\n"})
    assert shop["shop.user"].late() == 2


GONE = {
    "from import": (
        "import os\nfrom shop.model import gone",
        2,
        "imports gone from shop.model, which no longer has it",
    ),
    "re-export": ("from shop.middle import gone", 1, "imports gone from shop.model"),
    "removed module": ("\n\nfrom shop.legacy import x", 3, "imports x from shop.legacy"),
    "removed module itself": ("from shop import legacy", 1, "imports shop.legacy, which is removed"),
    "removed module dotted": ("import shop.legacy", 1, "imports shop.legacy, which is removed"),
    "removed module as": ("import shop.legacy as old", 1, "imports shop.legacy, which is removed"),
}


@pytest.mark.parametrize(("text", "line", "message"), GONE.values(), ids=GONE)
def test_an_import_that_would_not_work_any_more_is_refused(shop: Running, text: str, line: int, message: str) -> None:
    middle = {"shop/middle.py": "from shop.model import gone\n"} if "middle" in text else {}
    shop.boot({**V1, **middle, "shop/legacy.py": "x = object()\n", "shop/user.py": text})
    before = process()
    with pytest.raises(StagingError, match=message) as caught:
        shop.stage({"shop/model.py": V2.replace("def gone", "def renamed")}, ("shop.legacy",))
    assert caught.value.line in (line, 1)
    assert caught.value.module in ("shop.user", "shop.middle")
    assert process() == before


def test_modules_that_are_not_of_the_release_are_rebound_too(shop: Running) -> None:
    (shop.folder / "site").mkdir()
    (shop.folder / "site/plug.py").write_text("from shop.model import f, LIMIT\nimport shop.model as m\n")
    shop.boot(V1)
    sys.path.insert(0, str(shop.folder / "site"))
    try:
        import plug  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    staged = shop.upgrade({"shop/model.py": V2})
    assert (plug.f(), plug.LIMIT, plug.m) == (2, 20, shop["shop.model"])
    staged.undo()
    assert (plug.f(), plug.LIMIT) == (1, 10)


def test_a_removed_module_cannot_be_imported_until_undone(shop: Running) -> None:
    shop.boot({**V1, "shop/legacy.py": "x = 1\n"})
    before = process()
    staged = shop.stage({}, ("shop.legacy",))
    assert process() == before
    staged.swap()
    with pytest.raises(ModuleNotFoundError):
        __import__("shop.legacy")
    assert not hasattr(shop["shop"], "legacy")
    assert shop.code.old == ("shop.legacy",)
    assert not shop.code.loaded("shop.legacy")
    staged.undo()
    assert process() == before
    assert shop.code.old == ()


def test_a_reloaded_package_keeps_its_unchanged_children(shop: Running) -> None:
    shop.boot({"shop/__init__.py": "V = 1\n", "shop/a.py": "import shop\ndef v(): return shop.V\n", "shop/b.py": ""})
    old = shop["shop.a"]
    shop.upgrade({"shop/__init__.py": "V = 2\nimport shop.b\n", "shop/b.py": ""})
    assert shop["shop"].a is old
    assert shop["shop"].b is shop["shop.b"]
    assert old.v() == 2


def test_modules_imported_between_staging_and_swap_are_rebound(shop: Running) -> None:
    shop.boot(
        {**V1, "shop/late.py": "from shop.model import f, LIMIT as L\nfrom shop.model import gone\n"}, "shop.model"
    )
    staged = shop.stage({"shop/model.py": V2})
    import shop.late as late  # type: ignore[import-not-found]

    before = process()
    staged.swap()
    assert (late.f(), late.L) == (2, 20)
    staged.undo()
    assert process() == before


def test_a_late_importer_of_a_name_that_goes_stops_the_swap(shop: Running) -> None:
    shop.boot({**V1, "shop/late.py": "from shop.model import gone\n"}, "shop.model")
    staged = shop.stage({"shop/model.py": V2.replace("def gone", "def renamed")})
    import shop.late  # type: ignore[import-not-found]

    before = process()
    with pytest.raises(SwapError, match="imports gone"):
        staged.swap()
    assert process() == before


def test_a_swap_based_on_what_changed_since_writes_nothing(shop: Running) -> None:
    shop.boot({**V1, "shop/user.py": "from shop.model import LIMIT, f\n"})
    staged = shop.stage({"shop/model.py": V2})
    shop["shop.user"].LIMIT = 11
    before = process()
    with pytest.raises(SwapError, match="'LIMIT' has changed since"):
        staged.swap()
    assert process() == before


def test_an_undo_restores_even_what_was_written_since(shop: Running) -> None:
    shop.boot({**V1, "shop/user.py": "from shop.model import LIMIT\n"})
    before = process()
    staged = shop.upgrade({"shop/model.py": V2})
    shop["shop.user"].LIMIT = 5
    staged.undo()
    assert process() == before


def test_modules_loaded_after_the_swap_go_with_its_undo(shop: Running) -> None:
    shop.boot({**V1, "shop/rare.py": "from shop.model import f\n"}, "shop.model")
    before = process()
    staged = shop.upgrade({"shop/model.py": V2})
    __import__("shop.rare")
    assert shop["shop.rare"].f() == 2
    staged.undo()
    assert process() == before


def test_the_life_of_an_upgrade_has_one_order(shop: Running) -> None:
    shop.boot(V1)
    staged = shop.stage({"shop/model.py": V2})
    with pytest.raises(SwapError, match="cannot undo an upgrade that is staged"):
        staged.undo()
    staged.swap()
    with pytest.raises(SwapError, match="cannot swap an upgrade that is swapped"):
        staged.swap()
    with pytest.raises(SwapError, match="undo it instead"):
        staged.abandon()
    staged.undo()
    for verb in (staged.undo, staged.swap):
        with pytest.raises(SwapError, match="that is undone"):
            verb()
    staged.abandon()
    shop.upgrade({"shop/model.py": V2}).undo()


def test_new_code_that_was_undone_may_be_kept_and_made_current_again(shop: Running) -> None:
    shop.boot(V1)
    before = shop["shop.model"]
    staged = shop.stage({"shop/model.py": V2})
    staged.swap()
    after = shop["shop.model"]
    staged.undo(keep=True)
    assert shop["shop.model"] is before
    staged.redo()
    assert shop["shop.model"] is after
    staged.undo(keep=True)
    staged.abandon()
    assert shop["shop.model"] is before
    with pytest.raises(SwapError, match="that is abandoned"):
        staged.redo()


def test_loading_over_old_code_is_refused_until_it_is_purged(shop: Running) -> None:
    shop.boot(V1)
    one, other = shop.stage({"shop/model.py": V2}), shop.stage({"shop/model.py": V2}, vsn="3")
    one.swap()
    assert shop.code.old == ("shop.model",)
    with pytest.raises(NotPurged, match=r"not_purged: old code of shop\.model"):
        other.swap()
    shop.code.purge(["shop.model"])
    assert shop.code.old == ()
    with pytest.raises(SwapError, match="that is finished"):
        one.undo()
    with pytest.raises(SwapError, match="has changed since"):
        other.swap()
    shop.upgrade({"shop/model.py": V2}, vsn="3")


def test_references_are_shared_and_follow(shop: Running) -> None:
    shop.boot(V1)
    model = shop["shop.model"]
    account, inner = shop.code.reference(model.Account), shop.code.reference(model.Account.Inner)
    assert shop.code.reference(model.Account) is account
    staged = shop.upgrade({"shop/model.py": V2})
    assert account.cls is shop["shop.model"].Account is not model.Account
    assert inner.cls is shop["shop.model"].Account.Inner
    assert shop.code.reference(model.Account) is account, "an old class in a child spec means the current one"
    staged.undo()
    assert account.cls is model.Account
    assert inner.cls is model.Account.Inner


def test_a_reference_that_is_still_held_means_the_class_of_a_module_that_has_come_back(shop: Running) -> None:
    shop.boot({**V1, "shop/extra.py": "class Extra:\n    vsn = 1\n"})
    held = shop.code.reference(shop["shop.extra"].Extra)
    shop.upgrade({"shop/model.py": V2}, removed=("shop.extra",))
    shop.code.purge(["shop.model", "shop.extra"])
    shop.upgrade({"shop/extra.py": "class Extra:\n    vsn = 3\n"}, vsn="3")
    assert shop.code.reference(importlib.import_module("shop.extra").Extra) is held
    assert held.cls.vsn == 3  # type: ignore[attr-defined]


def test_classes_without_a_path_get_a_cell_of_their_own(shop: Running) -> None:
    class Local: ...

    shop.boot({"desk.py": "class A:\n    pass\nB = A\nclass A:\n    pass\n"})
    for cls in (Local, shop["desk"].B, type("Made", (), {"__module__": "__main__"})):
        assert shop.code.reference(cls).cls is cls
        assert shop.code.reference(cls) is not shop.code.reference(cls)
    assert shop.code.reference(Running) is shop.code.reference(Running)


def test_a_class_that_processes_run_must_stay(shop: Running) -> None:
    shop.boot(V1)
    reference = shop.code.reference(shop["shop.model"].Account)
    text = V2.replace("class Account", "class Renamed")
    with pytest.raises(StagingError, match=r"shop\.model: has no class Account any more, which processes run"):
        shop.stage({"shop/model.py": text})
    del reference
    staged = shop.stage({"shop/model.py": text})
    reference = shop.code.reference(shop["shop.model"].Account)
    with pytest.raises(SwapError, match="a process uses"):
        staged.swap()
    assert reference.cls is shop["shop.model"].Account


def test_counterpart_is_the_class_of_the_other_version(shop: Running) -> None:
    shop.boot({**V1, "shop/other.py": "class Other: ...\n"})
    code, old, other = shop.code, shop["shop.model"].Account, shop["shop.other"].Other
    with pytest.raises(LookupError, match="no upgrade is in progress"):
        code.counterpart(old)
    staged = shop.stage({"shop/model.py": V2 + "class Added: ...\n"})
    new = staged.modules["shop.model"].Account
    for _ in ("staged", "swapped"):
        assert code.counterpart(old) is new
        assert code.counterpart(new) is old
        assert code.counterpart(old.Inner) is new.Inner
        assert code.counterpart(other) is other
        with pytest.raises(LookupError, match=r"the other version of shop.model has no class Added"):
            code.counterpart(staged.modules["shop.model"].Added)
        if staged.stage == "staged":
            staged.swap()
    token = current_code.set(code)
    try:
        assert counterpart(new) is old
    finally:
        current_code.reset(token)
    with pytest.raises(LookupError, match="outside a node"):
        counterpart(new)
    staged.undo()
    with pytest.raises(LookupError, match="no upgrade is in progress"):
        code.counterpart(old)


def test_counterpart_finds_a_class_that_is_called_otherwise_there(shop: Running) -> None:
    shop.boot({**V1, "shop/other.py": "class Other: ...\n", "shop/gone.py": "class Gone: ...\n"})
    old, gone, other = shop["shop.model"].Account, shop["shop.gone"].Gone, shop["shop.other"].Other
    text = V2.replace("class Account", "class Renamed")
    staged = shop.stage({"shop/model.py": text, "shop/moved.py": "class Moved: ...\n"}, removed=("shop.gone",))
    new, moved = staged.modules["shop.model"].Renamed, staged.modules["shop.moved"].Moved
    for _ in ("staged", "swapped"):
        assert shop.code.counterpart(new, "Account") is old
        assert shop.code.counterpart(new, "shop.gone:Gone") is shop.code.counterpart(moved, "shop.gone:Gone") is gone
        assert shop.code.counterpart(old, "Renamed") is new
        assert shop.code.counterpart(old, "shop.moved:Moved") is moved
        for cls in (new, other):
            with pytest.raises(LookupError, match=r"the other version of .* has no class Lost"):
                shop.code.counterpart(cls, "Lost")
        if staged.stage == "staged":
            staged.swap()


def test_counterpart_leads_onwards_from_an_upgrade_that_was_not_purged(shop: Running) -> None:
    """Its undo information is still there, and the class that it replaced is not what anybody goes to now."""
    shop.boot(V1)
    first = shop["shop.model"].Account
    shop.upgrade({"shop/model.py": V2})
    second = shop["shop.model"].Account
    assert shop.code.counterpart(second) is first
    staged = shop.stage({"shop/model.py": V1["shop/model.py"]}, vsn="3")
    third = staged.modules["shop.model"].Account
    assert (shop.code.counterpart(second), shop.code.counterpart(third)) == (third, second)


def test_annotations_of_unchanged_functions_follow(shop: Running) -> None:
    user = """
        from typing import Optional, Annotated, Callable
        from shop.model import Account
        def f(a: Account, b: list[Account], c: Optional[Account], d: Account | None,
              e: Callable[[Account], dict[str, Account]], g: Annotated[Account, 1], h: "Account", i: int) -> Account: ...
        class A:
            def m(self, a: Account): ...
            @staticmethod
            def s(a: Account): ...
            @property
            def p(self) -> Account: ...
    """
    shop.boot({**V1, "shop/user.py": user})
    user_module = shop["shop.user"]
    before = dict(user_module.f.__annotations__)
    staged = shop.upgrade({"shop/model.py": V2})
    new = shop["shop.model"].Account
    found = user_module.f.__annotations__
    assert found["a"] is found["return"] is found["b"].__args__[0] is found["c"].__args__[0] is new
    assert found["d"] == new | None
    assert (found["h"], found["i"]) == ("Account", int)
    assert "vsn = 1" not in str(found)
    assert found["e"].__args__[0] is found["g"].__origin__ is new
    assert user_module.A.m.__annotations__["a"] is user_module.A.p.fget.__annotations__["return"] is new
    assert staged.unclosed == ()
    staged.undo()
    assert user_module.f.__annotations__ == before


def test_threads_that_import_meanwhile_see_one_version_whole(shop: Running) -> None:
    text = "import time\nA = {0}\nB = {0}\n"
    shop.boot({"shop/model.py": text.format(1)})
    torn: list[tuple[int, int]] = []
    stop = threading.Event()

    def reader() -> None:
        while not stop.is_set():
            from shop import model  # type: ignore[import-not-found]

            if model.A != model.B or not isinstance(model, types.ModuleType):
                torn.append((model.A, model.B))

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(2, 8):
        shop.upgrade({"shop/model.py": text.format(n)}, vsn=str(n))
        shop.code.purge(["shop.model"])
    stop.set()
    for thread in threads:
        thread.join()
    assert torn == []
