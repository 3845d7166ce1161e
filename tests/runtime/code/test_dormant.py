"""What nobody has loaded is not executed by an upgrade: it is found in the new release from then on."""

from __future__ import annotations

import importlib
import sys

import pytest

from relup.runtime.code import StagingError, SwapError
from tests.runtime.code.releases import Running, found, process

OLD = {
    "shop/__init__.py": "",
    "shop/model.py": "V = 1\n",
    "shop/windows.py": "raise ImportError('not on this machine, 1')\n",
    "shop/extra.py": "V = 1\n",
    "shop/__main__.py": "raise SystemExit(1)\n",
}
LOADED = ("shop", "shop.model")
NEW = {
    "shop/model.py": "V = 2\n",
    "shop/windows.py": "raise ImportError('not on this machine, 2')\n",
    "shop/extra.py": "V = 2\n",
    "shop/__main__.py": "raise SystemExit(2)\n",
}


def test_what_nobody_has_loaded_is_not_executed_and_found_after_the_swap(shop: Running) -> None:
    shop.boot(OLD, *LOADED)
    before = process()
    staged = shop.stage(NEW)
    assert staged.dormant == {"shop.windows", "shop.extra", "shop.__main__"}
    assert set(staged.modules) == {"shop.model"}
    staged.swap()
    assert "shop.extra" not in sys.modules
    assert importlib.import_module("shop.extra").V == 2
    with pytest.raises(ImportError, match="machine, 2"):
        importlib.import_module("shop.windows")
    staged.undo()
    assert process() == before
    assert importlib.import_module("shop.extra").V == 1


def test_its_text_must_compile(shop: Running) -> None:
    shop.boot(OLD, *LOADED)
    with pytest.raises(StagingError) as caught:
        shop.stage({**NEW, "shop/extra.py": "V = 2\nx = (\n"})
    assert (caught.value.module, caught.value.line) == ("shop.extra", 2)


def test_a_new_body_that_imports_it_gets_the_new_one(shop: Running) -> None:
    shop.boot(OLD, *LOADED)
    before = process()
    staged = shop.stage({**NEW, "shop/model.py": "from shop import extra\nV = extra.V\n"})
    assert set(staged.modules) == {"shop.model", "shop.extra"}
    assert "shop.extra" not in sys.modules
    staged.swap()
    assert shop["shop.model"].V == shop["shop.extra"].V == 2
    staged.undo()
    assert process() == before


def test_what_somebody_loads_before_the_swap_refuses_it(shop: Running) -> None:
    shop.boot(OLD, *LOADED)
    staged = shop.stage(NEW)
    importlib.import_module("shop.extra")
    before = process()
    with pytest.raises(SwapError, match=r"shop\.extra was loaded since the upgrade was staged"):
        staged.swap()
    assert process() == before
    staged.abandon()
    shop.stage(NEW, vsn="3").swap()
    assert shop["shop.extra"].V == shop["shop.model"].V == 2


def test_what_is_removed_without_having_been_loaded_is_only_forgotten(shop: Running) -> None:
    user = "try:\n    import shop.windows\nexcept ImportError:\n    shop = None\nimport shop\n"
    shop.boot({**OLD, "shop/user.py": user}, *LOADED, "shop.user")
    staged = shop.upgrade({"shop/model.py": "V = 2\n"}, removed=("shop.windows", "shop.extra"))
    with pytest.raises(ModuleNotFoundError, match="removed from the release"):
        importlib.import_module("shop.extra")
    staged.undo()
    assert importlib.import_module("shop.extra").V == 1


def test_a_new_module_is_executed_early_but_not_one_that_is_started(shop: Running) -> None:
    shop.boot({"shop/__init__.py": ""})
    staged = shop.stage(
        {"shop/fresh.py": "V = 2\n", "shop/tool/__main__.py": "raise SystemExit\n", "shop/tool/__init__.py": ""}
    )
    assert set(staged.modules) == {"shop.fresh", "shop.tool"}


def test_a_new_module_that_lacks_what_is_not_of_the_release_is_left_to_whoever_imports_it(shop: Running) -> None:
    shop.boot({"shop/__init__.py": "", "shop/model.py": "V = 1\n"})
    before = process()
    files = {
        "shop/model.py": "V = 2\n",
        "shop/browser.py": "import no_such_browser\n",
        "shop/page.py": "import shop.browser\n",
    }
    staged = shop.upgrade(files)
    assert set(staged.lacking) == {"shop.browser", "shop.page"}
    assert found(list(staged.lacking.values()), "browser.py:1", "No module named 'no_such_browser'")
    assert shop["shop.model"].V == 2
    with pytest.raises(ModuleNotFoundError, match="no_such_browser"):
        importlib.import_module("shop.page")
    staged.undo()
    assert process() == before
    with pytest.raises(StagingError, match="no_such_browser"):
        shop.stage({**files, "shop/model.py": "import shop.page\n"}, vsn="3")


def test_modules_that_an_old_body_made_by_hand_are_made_again_by_the_new_one(shop: Running) -> None:
    maker = (
        "import sys, types\nV = {0}\ndef make(name):\n    made = types.ModuleType(__name__ + '.' + name)\n"
        "    made.f = lambda: V\n    sys.modules[made.__name__] = made\n"
        "for name in NAMES:\n    if __name__ + '.' + name not in sys.modules:\n        make(name)\n"
    )
    shop.boot({"shop/__init__.py": "", "shop/tool.py": maker.format(1).replace("NAMES", "('a', 'b')")})
    before = process()
    staged = shop.upgrade({"shop/tool.py": maker.format(2).replace("NAMES", "('a', 'c')")})
    assert importlib.import_module("shop.tool.a").f() == importlib.import_module("shop.tool.c").f() == 2
    assert "shop.tool.b" not in sys.modules
    staged.undo()
    assert process() == before
    assert shop["shop.tool.b"].f() == 1


def test_a_new_optional_module_may_fail_in_any_way(shop: Running) -> None:
    shop.boot({"shop/__init__.py": "", "shop/model.py": "V = 1\n"})
    files = {"shop/model.py": "V = 2\n", "shop/broken.py": "raise ValueError('not here')\n"}
    with pytest.raises(StagingError, match="not here"):
        shop.stage(files)
    staged = shop.stage(files, vsn="3", optional=["shop.broken", "shop.model"])
    assert set(staged.lacking) == {"shop.broken"}
    staged.abandon()
    with pytest.raises(StagingError, match="needed"):
        shop.stage({**files, "shop/model.py": "raise ValueError('needed')\n"}, vsn="4", optional=["shop.model"])
