"""What old code entered into lists of the process leaves with it, and comes back with it."""

from __future__ import annotations

import codecs
import copy
import copyreg
import gc
import sys
import warnings

import pytest

from tests.runtime.code.releases import Running, settled

FINDER = (
    "import sys\nclass Finder:\n    def find_spec(self, *a): return None\n{0}sys.meta_path.append(Finder())\n# {1}\n"
)
REPLACES = "sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != 'Finder']\n"


def finders() -> list[object]:
    return [f for f in sys.meta_path if type(f).__name__ == "Finder"]


@pytest.mark.parametrize("replaces", ["", REPLACES], ids=["adds", "replaces"])
def test_import_finders_are_exchanged_by_the_swap(shop: Running, replaces: str) -> None:
    before = list(sys.meta_path)
    shop.boot({"shop/__init__.py": "", "shop/model.py": FINDER.format(replaces, 1)})
    (old,) = finders()
    staged = shop.stage({"shop/model.py": FINDER.format(replaces, 2)})
    assert finders() == [old]
    staged.swap()
    (new,) = finders()
    assert type(new) is shop["shop.model"].Finder is not type(old)
    staged.undo()
    assert finders() == [old]
    staged = shop.stage({"shop/model.py": FINDER.format(replaces, 3)}, vsn="3")
    staged.swap()
    del old, new
    shop.code.purge(["shop.model"])
    settled()
    assert shop.code.freed("shop.model")
    sys.meta_path[:] = [f for f in before if f in sys.meta_path]


def test_warning_filters_of_old_classes_are_exchanged(shop: Running) -> None:
    body = "import warnings\nclass W(UserWarning): ...\nwarnings.simplefilter('ignore', W)\n# {0}\n"
    with warnings.catch_warnings():
        shop.boot({"shop/__init__.py": "", "shop/model.py": body.format(1)})
        count = len(warnings.filters)
        old = shop["shop.model"].W
        staged = shop.upgrade({"shop/model.py": body.format(2)})
        assert len(warnings.filters) == count
        assert [f[2] for f in warnings.filters if f[2].__name__ == "W"] == [shop["shop.model"].W]
        warnings.warn(shop["shop.model"].W("unheard"), stacklevel=1)
        staged.undo()
        assert [f[2] for f in warnings.filters if f[2].__name__ == "W"] == [old]


def test_codec_searches_and_error_handlers_are_exchanged(shop: Running) -> None:
    body = (
        "import codecs\ndef search(name):\n    if name == 'zork':\n"
        "        return codecs.CodecInfo(lambda t, e='strict': (b'{0}', len(t)), codecs.utf_8_decode, name='zork')\n"
        "codecs.register(search)\ncodecs.register_error('zork', lambda error: ('{0}', error.end))\n"
    )

    def said() -> tuple[bytes, bytes]:
        return "x".encode("zork"), "\u00fc".encode("ascii", "zork")

    gc.unfreeze()  # the interpreter's list of searches is found through the collector alone
    shop.boot({"shop/__init__.py": "", "shop/model.py": body.format(1)})
    old = shop["shop.model"].search
    try:
        assert said() == (b"1", b"1")
        staged = shop.stage({"shop/model.py": body.format(2)})
        assert said() == (b"1", b"1")
        staged.swap()
        assert said() == (b"2", b"2")
        staged.undo()
        assert said() == (b"1", b"1")
    finally:
        codecs.unregister(old)
        codecs.register_error("zork", codecs.strict_errors)


def test_the_effects_of_one_window_are_there_for_the_bodies_of_the_next(shop: Running) -> None:
    shop.boot({"shop/__init__.py": "", "shop/a.py": "", "shop/b.py": ""})
    first = shop.stage({"shop/a.py": "import os\nimport sys\nsys.path.insert(0, '/nowhere-else')\n"})
    body = "import sys\nassert sys.path[0] == '/nowhere-else'\n"
    second = shop.stage({"shop/b.py": body}, after=first)
    assert "/nowhere-else" not in sys.path
    first.swap()
    second.swap()
    assert sys.path[0] == "/nowhere-else"
    second.undo()
    first.undo()
    assert "/nowhere-else" not in sys.path


def test_how_instances_of_purged_classes_are_pickled_is_forgotten(shop: Running) -> None:
    body = "import copyreg\nclass A: ...\ndef reduce(a):\n    return A, ()\ncopyreg.pickle(A, reduce)\n# {0}\n"
    shop.boot({"shop/__init__.py": "", "shop/model.py": body.format(1)})
    old = shop["shop.model"].A()
    staged = shop.upgrade({"shop/model.py": body.format(2)})
    assert type(copy.copy(old)) is type(old)
    del old, staged
    settled()
    assert shop.code.lingering(["shop.model"]) == []
    shop.code.purge(["shop.model"])
    settled()
    assert shop.code.freed("shop.model")
    assert [k for k in copyreg.dispatch_table if k.__module__ == "shop.model"] == [shop["shop.model"].A]
    del copyreg.dispatch_table[shop["shop.model"].A]
