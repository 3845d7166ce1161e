"""What modules evaluate when they are imported, and what only later: asked of texts, and of a node that runs them."""

MODEL = "def deco(f):\n    return f\nclass Base:\n    vsn = {0}\nLIMIT = {0}\ndef make():\n    return Base()\n"
EARLY = {
    "base class": ("from shop.model import Base\nclass A(Base): ...\n", 2, "Base"),
    "base class by module": ("from shop import model\nclass A(model.Base): ...\n", 2, "model.Base"),
    "base class by path": ("import shop.model\nclass A(shop.model.Base): ...\n", 2, "shop.model.Base"),
    "base class by alias": ("import shop.model as m\nclass A(m.Base): ...\n", 2, "m.Base"),
    "base class by star": ("from shop.model import *\nclass A(Base): ...\n", 2, "Base"),
    "base class, relative": ("from .model import Base as B\nclass A(B): ...\n", 2, "B"),
    "base class, re-exported": ("from shop.reexport import Base\nclass A(Base): ...\n", 2, "Base"),
    "base class, re-exporter's attribute": ("import shop.reexport as r\nclass A(r.Base): ...\n", 2, "r.Base"),
    "generic base": ("from shop.model import Base\nfrom typing import Generic\nclass A(list[Base]): ...\n", 3, "Base"),
    "decorator": ("from shop.model import deco\n@deco\ndef f(): ...\n", 2, "deco"),
    "decorator of a method": ("from shop.model import deco\nclass A:\n    @deco\n    def f(self): ...\n", 3, "deco"),
    "decorator of a class": ("from shop.model import deco\n@deco\nclass A: ...\n", 2, "deco"),
    "default": ("from shop.model import LIMIT\ndef f(a=LIMIT): ...\n", 2, "LIMIT"),
    "keyword default": ("from shop.model import LIMIT\ndef f(*, a=LIMIT): ...\n", 2, "LIMIT"),
    "default of a lambda": ("from shop.model import LIMIT\nf = lambda a=LIMIT: a\n", 2, "LIMIT"),
    "class body": ("from shop.model import Base\nclass A:\n    kind = Base\n", 3, "Base"),
    "import in a class body": ("class A:\n    from shop.model import Base\n", 2, "shop.model Base"),
    "field annotation": ("from shop.model import Base\nclass A:\n    kind: Base\n", 3, "Base"),
    "call": ("from shop.model import make\nX = make()\n", 2, "make"),
    "call of an own function": ("from shop.model import make\ndef go():\n    return make()\nX = go()\n", 4, "make"),
    "call of an own class": (
        "from shop.model import make\nclass A:\n    def __init__(self):\n        self.x = make()\nX = A()\n",
        5,
        "make",
    ),
    "call through two": (
        "import shop.model as m\ndef a():\n    return m.make()\ndef b():\n    return a()\nX = b()\n",
        6,
        "m.make",
    ),
    "own function as decorator": (
        "from shop.model import make\ndef d(f):\n    return make()\n@d\ndef f(): ...\n",
        4,
        "make",
    ),
    "value": ("from shop.model import Base\nKINDS = {'a': [Base]}\n", 2, "Base"),
    "comprehension": ("from shop import model\nX = [model.LIMIT for _ in 'ab']\n", 2, "model.LIMIT"),
    "condition": ("from shop.model import LIMIT\nif LIMIT:\n    X = 1\n", 2, "LIMIT"),
    "with": (
        "from shop.model import Base\nimport contextlib\nwith contextlib.nullcontext(Base) as x:\n    pass\n",
        3,
        "Base",
    ),
    "patch": ("import shop.model as m\nm.extra = 1\n", 2, "m.extra"),
    "decorated annotation": (
        "import functools\nfrom shop.model import Base\ndef d(f): return f\n@d\ndef f(a: Base): ...\n",
        5,
        "Base",
    ),
}
LATE = {
    "in a function": "from shop.model import Base, make\ndef f():\n    return Base, make()\n",
    "in a method": "from shop import model\nclass A:\n    def f(self):\n        return model.make()\n",
    "in a lambda": "from shop.model import make\nf = lambda: make()\n",
    "annotation": "from shop.model import Base\ndef f(a: Base) -> Base: ...\n",
    "text annotation": "from __future__ import annotations\nfrom shop.model import Base\nclass A:\n    kind: Base\n",
    "for types only": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop.model import Base\n",
    "as a script": "from shop.model import make\nif __name__ == '__main__':\n    make()\n",
    "another module of the package": "import shop.model\nimport shop.other\nX = shop.other.V\n",
    "other names": "from shop import other\nX = other.V\nclass A(dict): ...\n",
    "exception handler": "from shop import model\ntry:\n    pass\nexcept model.Base:\n    pass\n",
}
OTHERS = {"shop/__init__.py": "", "shop/other.py": "V = 1\n", "shop/reexport.py": "from shop.model import Base\n"}
