"""For each rule a pair of releases that it finds something in, and one beside it that it finds nothing in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Modules = Mapping[str, str]

SERVER = """\
from relup.runtime import Down, GenServer, Reply

class Cart(GenServer):
    def init(self, args):
        return {"items": []}

    def handle_call(self, request, caller, state):
        return Reply(VALUE, state)
"""
CHANGE = """
    def code_change(self, old_vsn, state, extra):
        return state if isinstance(old_vsn, Down) else {**state, "tax": 0}
"""
RENEWING = """
    def code_change(self, old_vsn, state, extra):
        return migrate(state, counterpart(type(state)))
"""
STARRED = """\
from relup.runtime import *

class Cart(GenServer): ...
"""
TOP = """\
from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
from shop.cart import Cart

class App(Application):
    async def start(self, args):
        return await self.node.start_link(Top, args, name="shop_sup")

class Top(Supervisor):
    def init(self, args):
        return SupervisorSpec([CHILDREN])
"""


def server(value: int = 1, more: str = "", **changes: str) -> str:
    """Return a server that answers *value*; *changes* are other words in its text."""
    text = SERVER.replace("VALUE", str(value)) + more
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def top(*children: str) -> str:
    """Return an application whose supervisor has these child specs."""
    return TOP.replace("CHILDREN", ", ".join(children))


CART = 'ChildSpec("cart", Cart, name="cart")'
BASKET = 'ChildSpec("basket", Cart, name="basket")'


BOTH = top(CART, 'ChildSpec("tax", Tax, name="tax")').replace("import Cart", "import Cart\nfrom shop.tax import Tax")


def asking(how: str, name: str, **changes: str) -> str:
    """Return a server that calls another by its name, or casts."""
    wait = "await " if how == "call" else ""
    body = f'        {wait}self.{how}("{name}", 1)\n        return state\n'
    return server(2, f"\n    async def handle_info(self, message, state):\n{body}", **changes)


DYNAMIC = """\
from relup.runtime import Application, ChildSpec, GenServer, Reply
from relup.runtime.supervisor import start_child
from shop.cart import Cart

class App(Application): ...

class Door(GenServer):
    async def handle_call(self, request, caller, state):
        return Reply(await start_child("carts", {}), state)
"""


@dataclass(frozen=True)
class Case:
    """Two releases, and where the finding stands: in the line of *file* that has the text *line*."""

    old: Modules = field(default_factory=lambda: {"cart": server(1)})
    new: Modules = field(default_factory=lambda: {"cart": server(2)})
    up: Sequence[str] = ("update: shop.cart",)
    down: Sequence[str] | None = None
    """None: as `up`."""
    line: str = ""
    file: str = "shop.appup.yaml"
    severity: str = ""
    """Empty: the rule's own."""
    appup: str | None = None
    extra: str = ""
    """What else stands in the release files."""
    sound: Mapping[str, Any] = field(default_factory=dict)
    """What is otherwise in the pair that the rule finds nothing in."""

    def mended(self) -> Case:
        """Return the pair beside it."""
        return replace(self, **self.sound)

    def text(self) -> str:
        """Return the appup."""
        if self.appup is not None:
            return self.appup
        down = self.up if self.down is None else self.down
        return "\n".join(
            ("application: shop", 'vsn: "2"', "up:", *_entry("from", self.up), "down:", *_entry("to", down))
        )


def _entry(word: str, instructions: Sequence[str]) -> Sequence[str]:
    listed = [f"      - {i}" for i in instructions]
    return (f'  - {word}: "1"', "    instructions:" if listed else "    instructions: []", *listed)


def versions(up: str, down: str) -> str:
    """Return an appup whose entries have these versions, separated by blanks; `/…/` is a pattern."""
    lines = ["application: shop", 'vsn: "2"']
    for direction, word, listed in (("up", "from", up), ("down", "to", down)):
        lines.append(f"{direction}:" if listed else f"{direction}: []")
        for vsn in listed.split():
            written = f"{{regex: '{vsn[1:-1]}'}}" if vsn.startswith("/") else f'"{vsn}"'
            lines += [f"  - {word}: {written}", "    instructions: [update: shop.cart]"]
    return "\n".join(lines)


def apply(function: str, *args: str, module: str = "supervisor", undo: str = "") -> str:
    undone = f", undo: {{{undo}}}" if undo else ""
    return f"apply: {{module: {module}, function: {function}, args: [{', '.join(args)}]{undone}}}"


ADVANCED = "update: {module: shop.cart, change: advanced}"
UTILS = {"util": "def tidy(one, two=2): ...\n", "cart": server(1)}
GUARDED = (
    (
        "try:\n    import tomllib\nexcept ValueError:\n    import shop.tax",
        "",
        "try:\n    import tomllib\nexcept ImportError:\n    import shop.tax",
    ),
    (
        "try:\n    import tomllib\nexcept ImportError:\n    ...\nelse:\n    import shop.tax",
        "",
        "try:\n    import shop.tax\nexcept* ModuleNotFoundError:\n    ...",
    ),
    (
        "import sys\nif sys.version_info < (3, 11):\n    import shop.tax",
        "warning",
        "import sys\nif sys.version_info < (3, 11):\n"
        "    try:\n        import shop.tax\n    except ImportError:\n        ...",
    ),
    (
        "import sys\nif sys.platform == 'win32':\n    ...\nelse:\n    import shop.tax",
        "warning",
        "from contextlib import suppress\nwith suppress(ImportError):\n    import shop.tax",
    ),
    (
        "import os\nclass Tax:\n    if os.name == 'nt':\n        def tax(self):\n            from shop import tax",
        "warning",
        "class Tax:\n    def tax(self):\n"
        "        try:\n            from shop import tax\n        except (OSError, ImportError):\n            ...",
    ),
    (
        "try:\n    def tax():\n        import shop.tax\nexcept ImportError:\n    ...",
        "warning",
        "try:\n    import tomllib\nexcept:\n    for n in (1, 2):\n        import shop.tax",
    ),
)
"""Imports that are needed, how grave their lack is, and the same one tried."""
MODEL = "class Item:\n    def price(self):\n        return PRICE\n"
HOLDING = server(1).replace('{"items": []}', "[Item()]").replace("\nclass", "from shop.model import Item\n\nclass", 1)

APPS = """
  - name: other
    vsn: "{vsn}"
"""

CASES: Mapping[str, Sequence[Case]] = {
    "changed_not_loaded": [Case(up=(), line='from: "1"', sound={"up": ("update: shop.cart",)})],
    "new_not_loaded": [
        Case(
            new={"cart": server(2), "tax": ""},
            line='from: "1"',
            sound={
                "up": ("update: shop.cart", "add_module: shop.tax"),
                "down": ("update: shop.cart", "delete_module: shop.tax"),
            },
        )
    ],
    "removed_not_deleted": [
        Case(
            old={"cart": server(1), "tax": ""},
            line='from: "1"',
            sound={
                "up": ("update: shop.cart", "delete_module: shop.tax"),
                "down": ("update: shop.cart", "add_module: shop.tax"),
            },
        )
    ],
    "deleted_but_present": [
        Case(up=("delete_module: shop.cart",), line='from: "1"', sound={"up": ("update: shop.cart",)})
    ],
    "code_changed_vsn_did_not": [
        Case(
            old={"cart": server(1)},
            extra=APPS.format(vsn="1"),
            file="release.yaml",
            line="- name: other",
            sound={"extra": ""},
        )
    ],
    "bad_code": [
        Case(
            old={"cart": server(1), "model": "LIMIT = 1\n"},
            new={"cart": server(1), "model": "LIMIT = 2)\n"},
            up=("load_module: shop.model",),
            file="model.py",
            line="LIMIT = 2)",
            sound={"new": {"cart": server(1), "model": "LIMIT = 2\n"}},
        ),
    ],
    "loaded_unchanged": [
        Case(
            old={"cart": server(1), "tax": "A = 1"},
            new={"cart": server(2), "tax": "A = 1"},
            up=("update: shop.cart", "load_module: shop.tax"),
            line="load_module: shop.tax",
            sound={"new": {"cart": server(2), "tax": "A = 2"}},
        )
    ],
    "not_closed": [
        Case(
            old={"cart": server(1), "sub": "from shop.cart import Cart\nclass Sub(Cart): ...\n"},
            new={"cart": server(2), "sub": "from shop.cart import Cart\nclass Sub(Cart): ...\n"},
            line="update: shop.cart",
            sound={"up": ("update: shop.cart", "load_module: shop.sub")},
        )
    ],
    "no_relup": [Case(appup=versions("0.9", "0.9"), line="application: shop", sound={"appup": versions("1", "1")})],
    "no_such_module": [Case(up=("update: shop.crat",), line="update: shop.crat", sound={"up": ("update: shop.cart",)})],
    "muldef_module": [
        Case(
            up=("update: shop.cart", "load_module: shop.cart"),
            line="load_module: shop.cart",
            sound={"up": ("update: shop.cart",)},
        )
    ],
    "loaded_and_removed": [
        Case(
            up=(
                "load_object_code: {application: shop, vsn: '2', modules: [shop.cart]}",
                "update: shop.cart",
                "remove: shop.cart",
            ),
            line="remove: shop.cart",
            sound={"up": ("update: shop.cart",)},
        )
    ],
    "loaded_twice": [
        Case(
            up=(
                "load_object_code: {application: shop, vsn: '2', modules: [shop.cart]}",
                "update: shop.cart",
                "load: shop.cart",
            ),
            line=" load: shop.cart",
            sound={"up": ("update: shop.cart",)},
        )
    ],
    "deleted_while_used": [
        Case(
            old={"cart": server(1), "tax": ""},
            new={"cart": "import shop.tax\n" + server(2)},
            up=("update: shop.cart", "delete_module: shop.tax"),
            down=("update: shop.cart", "add_module: shop.tax"),
            line="delete_module: shop.tax",
            sound={"new": {"cart": "try:\n    import shop.tax\nexcept ImportError:\n    pass\n" + server(2)}},
        ),
        Case(
            old={"cart": server(1), "tax": ""},
            new={"cart": server(2) + "\n    def terminate(self, reason, state):\n        from shop import tax\n"},
            up=("update: shop.cart", "delete_module: shop.tax"),
            down=("update: shop.cart", "add_module: shop.tax"),
            line="delete_module: shop.tax",
            severity="warning",
            sound={
                "new": {"cart": server(2), "__init__": "tax = 1\n"},
                "old": {"cart": server(1), "tax": "", "__init__": "tax = 1\n"},
            },
        ),
        *(
            Case(
                old={"cart": server(1), "tax": ""},
                new={"cart": f"{needed}\n{server(2)}"},
                up=("update: shop.cart", "delete_module: shop.tax"),
                down=("update: shop.cart", "add_module: shop.tax"),
                line="delete_module: shop.tax",
                severity=severity,
                sound={"new": {"cart": f"{tried}\n{server(2)}"}},
            )
            for needed, severity, tried in GUARDED
        ),
    ],
    "used_before_added": [
        Case(
            old=UTILS,
            new={**UTILS, "cart": "from shop import tax\n" + server(2), "tax": ""},
            up=(
                "update: shop.cart",
                apply("tidy", "1", module="shop.util", undo="module: shop.util, function: tidy, args: [2]"),
                "add_module: shop.tax",
            ),
            down=("update: shop.cart", "delete_module: shop.tax"),
            line="add_module: shop.tax",
            sound={"up": ("update: {module: shop.cart, depends: [shop.tax]}", "add_module: shop.tax")},
        )
    ],
    "loose_pattern": [
        Case(appup=versions(r"/1.0/ 1", r"/1.0/ 1"), line="1.0", sound={"appup": versions(r"/1\.0/ 1", r"/1\.0/ 1")}),
        Case(
            appup=versions(r"/4.3.[0-4]/ 1", r"1 /4.3.[0-4]/"),
            line="4.3",
            sound={"appup": versions(r"/.*/ /2[.]0.+/", r"/.*/ /2[.]0.+/")},
        ),
    ],
    "dead_alternative": [
        Case(
            appup=versions(r"/1\.0|1\.0\.1/ 1", r"/1\.0|1\.0\.1/ 1"),
            line=r"1\.0\.1",
            sound={"appup": versions(r"/1\.0\.1|1\.0/ 1", r"/1\.0\.1|1\.0/ 1")},
        )
    ],
    "shadowed_entry": [
        Case(
            appup=versions(r"/[0-9]/ 1", r"/[0-9]/ 1"),
            line='from: "1"',
            sound={"appup": versions(r"1 /[0-9]/", r"1 /[0-9]/")},
        ),
        Case(appup=versions("1 1", "1"), line='from: "1"', sound={"appup": versions("1 0.9", "1 0.9")}),
    ],
    "own_version": [Case(appup=versions("1 2", "1 2"), line='from: "2"', sound={"appup": versions("1", "1")})],
    "one_way_entry": [
        Case(appup=versions("1 0.9", "1"), line='from: "0.9"', sound={"appup": versions("1 0.9", r"1 /0\.[0-9]/")}),
        Case(appup=versions("0.9 1", ""), line="application: shop", sound={"appup": versions("0.9 1", "1 0.9")}),
    ],
    "not_inverse": [
        Case(
            new={"cart": server(2), "tax": ""},
            up=("update: shop.cart", "load_module: shop.tax"),
            down=("update: shop.cart",),
            line='to: "1"',
            sound={"down": ("update: shop.cart", "delete_module: shop.tax")},
        ),
        Case(
            old={"cart": server(1), "tax": "A = 1"},
            new={"cart": server(2), "tax": "A = 1  # the same"},
            up=("update: shop.cart", "load_module: shop.tax"),
            down=("update: shop.cart",),
            line='to: "1"',
            sound={"down": ("update: shop.cart", "load_module: shop.tax")},
        ),
        Case(
            old={"app": top(CART), "cart": server(1)},
            new={"app": top(CART, BASKET), "cart": server(1)},
            up=("update: {module: shop.app, change: supervisor}", apply("restart_child", "shop_sup", "basket")),
            down=("update: {module: shop.app, change: supervisor}",),
            line='to: "1"',
            sound={
                "down": (
                    apply("terminate_child", "shop_sup", "basket"),
                    apply("delete_child", "shop_sup", "basket"),
                    "update: {module: shop.app, change: supervisor}",
                )
            },
        ),
    ],
    "down_ignored": [
        Case(
            new={"cart": server(2, CHANGE.replace("state if isinstance(old_vsn, Down) else ", ""))},
            up=(ADVANCED,),
            file="shop/cart.py",
            line="def code_change",
            sound={"new": {"cart": server(2, CHANGE)}},
        ),
        Case(
            new={"cart": server(2, CHANGE.replace("state if isinstance(old_vsn, Down) else ", ""))},
            up=(ADVANCED,),
            file="shop/cart.py",
            line="def code_change",
            sound={"new": {"cart": server(2, RENEWING, Down="Down, counterpart, migrate")}},
        ),
    ],
    "no_such_name": [
        Case(
            old={"tax": "SEEN = {}\nR = 1\n"},
            new={"tax": "SEEN = {}\nR = 2\n"},
            up=("load_module: {module: shop.tax, keep: [SEAN]}",),
            line="keep: [SEAN]",
            sound=dict.fromkeys(("up", "down"), ("load_module: {module: shop.tax, keep: [SEEN]}",)),
        ),
    ],
    "no_such_class": [
        Case(
            old={"tax": "class Rate: ...\n"},
            new={"tax": "class Rate:\n    x = 1\ndef turn(old): ...\n"},
            up=("load_module: {module: shop.tax, instances: {Rat: turn}}",),
            line="instances: {Rat",
            sound=dict.fromkeys(("up", "down"), ("load_module: {module: shop.tax, instances: {Rate: turn}}",)),
        ),
    ],
    "no_such_function": [
        Case(
            old={"tax": "class Rate: ...\n"},
            new={"tax": "class Rate:\n    x = 1\ndef turn(old): ...\n"},
            up=("load_module: {module: shop.tax, instances: {Rate: trun}}",),
            line="instances: {Rate: trun",
            sound=dict.fromkeys(("up", "down"), ("load_module: {module: shop.tax, instances: {Rate: turn}}",)),
        ),
    ],
    "irreversible": [
        Case(
            old=UTILS,
            new={**UTILS, "cart": server(2)},
            up=("update: shop.cart", apply("tidy", "1", module="shop.util")),
            down=("update: shop.cart",),
            line="apply: ",
            sound={
                "up": (
                    "update: shop.cart",
                    apply("tidy", "1", module="shop.util", undo="module: shop.util, function: tidy, args: [2]"),
                )
            },
        )
    ],
    "state_lost": [
        Case(up=("restart_application: shop",), line="restart_application", sound={"up": ("update: shop.cart",)})
    ],
    "no_code_change": [Case(up=(ADVANCED,), line="update: ", sound={"up": ("update: shop.cart",)})],
    "extra_missing": [
        Case(
            new={
                "cart": server(
                    2,
                    CHANGE.replace('"tax": 0', '"tax": extra["tax"]')
                    .replace("state if isinstance(old_vsn, Down) else ", "")
                    .replace("return", "if isinstance(old_vsn, Down):\n            return state\n        return"),
                )
            },
            up=(ADVANCED,),
            line="update: ",
            sound={"up": ("update: {module: shop.cart, change: {advanced: {tax: 7}}}",), "down": (ADVANCED,)},
        )
    ],
    "code_change_not_called": [
        Case(new={"cart": server(2, CHANGE)}, line="update: shop.cart", sound={"up": (ADVANCED,)}),
        Case(
            old={"cart": server(1, CHANGE.replace("0", "1"))},
            new={"cart": server(2, CHANGE)},
            up=("load_module: shop.cart",),
            line="load_module: shop.cart",
            sound={"old": {"cart": server(1, CHANGE)}},
        ),
    ],
    "state_not_migrated": [
        Case(
            new={"cart": server(2).replace('"items": []', '"items": [], "tax": 0')},
            line="update: shop.cart",
            sound={"new": {"cart": server(2).replace('"items": []', '"items": [1]')}},
        )
    ],
    "state_holds_code": [
        Case(
            old={"cart": HOLDING, "model": MODEL.replace("PRICE", "1")},
            new={"cart": HOLDING, "model": MODEL.replace("PRICE", "2")},
            up=("load_module: shop.model",),
            file="shop/cart.py",
            line="[Item()]",
            sound={"old": {"cart": server(1), "model": MODEL}},
        ),
        Case(
            old={"cart": HOLDING, "model": MODEL.replace("PRICE", "1")},
            new={"cart": HOLDING, "model": MODEL.replace("PRICE", "2")},
            up=("load_module: shop.model",),
            file="shop/cart.py",
            line="[Item()]",
            sound=dict.fromkeys(("up", "down"), ("load_module: {module: shop.model, instances: {Item: turn}}",)),
        ),
        Case(
            old={"cart": server(1).replace("[]}", "lambda: 1}")},
            file="shop/cart.py",
            line="lambda",
            sound={"old": {"cart": server(1).replace("[]}", "sorted([1], key=lambda n: n)}")}},
        ),
        Case(
            old={
                "cart": server(1).replace("return Reply", 'state["items"].append(x for x in ())\n        return Reply')
            },
            file="shop/cart.py",
            line="append",
            sound={
                "old": {"cart": server(1).replace("return Reply", 'state["items"].append(1)\n        return Reply')}
            },
        ),
        Case(
            old={
                "cart": server(1)
                .replace("[]}", "Color.RED}")
                .replace("\nclass", "from shop.color import Color\n\nclass", 1),
                "color": "from enum import Enum\nclass Color(Enum):\n    RED = 1\n",
            },
            new={"cart": server(2), "color": "from enum import Enum\nclass Color(Enum):\n    RED = 2\n"},
            up=("update: shop.cart", "load_module: shop.color"),
            file="shop/cart.py",
            line="Color.RED",
            sound={"old": {"cart": server(1), "color": "from enum import Enum\nclass Color(Enum):\n    RED = 1\n"}},
        ),
    ],
    "vsn_unchanged": [
        Case(
            old={"cart": "__vsn__ = 1\n" + server(1)},
            new={"cart": "__vsn__ = 1\n" + server(2)},
            file="shop/cart.py",
            line="__vsn__",
            sound={"new": {"cart": "__vsn__ = 2\n" + server(2)}},
        )
    ],
    "nothing_to_suspend": [
        Case(
            old={"tax": "A = 1"},
            new={"tax": "A = 2"},
            up=("update: shop.tax",),
            line="update: shop.tax",
            sound={"up": ("load_module: shop.tax",)},
        ),
        Case(
            old={"cart": STARRED.replace("GenServer", "Reply")},
            new={"cart": STARRED.replace("GenServer", "Reply") + "A = 2\n"},
            line="update: shop.cart",
            sound={"old": {"cart": STARRED}, "new": {"cart": STARRED + "A = 2\n"}},
        ),
    ],
    "loaded_not_suspended": [
        Case(up=("load_module: shop.cart",), line="load_module: shop.cart", sound={"up": ("update: shop.cart",)})
    ],
    "call_circle": [
        Case(
            old={"app": BOTH, "cart": server(1), "tax": server(1, Cart="Tax")},
            new={"app": BOTH, "cart": asking("call", "tax"), "tax": asking("call", "cart", Cart="Tax")},
            up=("update: shop.cart", "update: shop.tax"),
            line="update: shop.cart",
            sound={"new": {"app": BOTH, "cart": asking("call", "tax"), "tax": asking("cast", "cart", Cart="Tax")}},
        )
    ],
    "child_not_started": [
        Case(
            old={"app": top(CART), "cart": server(1)},
            new={"app": top(CART, BASKET), "cart": server(1)},
            up=("update: {module: shop.app, change: supervisor}",),
            down=(
                apply("terminate_child", "shop_sup", "basket"),
                apply("delete_child", "shop_sup", "basket"),
                "update: {module: shop.app, change: supervisor}",
            ),
            line="update: ",
            sound={
                "up": ("update: {module: shop.app, change: supervisor}", apply("restart_child", "shop_sup", "basket"))
            },
        )
    ],
    "child_not_ended": [
        Case(
            old={"app": top(CART, BASKET), "cart": server(1)},
            new={"app": top(CART), "cart": server(1)},
            up=("update: {module: shop.app, change: supervisor}",),
            down=("update: {module: shop.app, change: supervisor}", apply("restart_child", "shop_sup", "basket")),
            line="update: ",
            sound={
                "up": (
                    apply("terminate_child", "shop_sup", "basket"),
                    apply("delete_child", "shop_sup", "basket"),
                    "update: {module: shop.app, change: supervisor}",
                )
            },
        )
    ],
    "child_of_old_class": [
        Case(
            old={"app": top(CART), "cart": server(1) + "\nclass Big(Cart): ...\n"},
            new={
                "app": top('ChildSpec("cart", Big, name="cart")').replace("import Cart", "import Big"),
                "cart": server(1) + "\nclass Big(Cart): ...\n",
            },
            up=("update: {module: shop.app, change: supervisor}",),
            line="update: ",
            sound={
                "up": (
                    "update: {module: shop.app, change: supervisor}",
                    apply("terminate_child", "shop_sup", "cart"),
                    apply("restart_child", "shop_sup", "cart"),
                )
            },
        )
    ],
    "children_not_stopped": [
        Case(
            old={"app": top(CART), "cart": server(1)},
            new={"app": top().replace("from shop.cart import Cart\n", "")},
            up=("update: {module: shop.app, change: supervisor}", "delete_module: shop.cart"),
            down=(
                "add_module: shop.cart",
                "update: {module: shop.app, change: supervisor}",
                apply("restart_child", "shop_sup", "cart"),
            ),
            line="delete_module: shop.cart",
            sound={
                "up": (
                    apply("terminate_child", "shop_sup", "cart"),
                    apply("delete_child", "shop_sup", "cart"),
                    "update: {module: shop.app, change: supervisor}",
                    "delete_module: shop.cart",
                )
            },
        ),
        Case(
            old={"app": DYNAMIC.format("ChildSpec(request, Cart)"), "cart": server(1)},
            new={"app": DYNAMIC.format("None").replace("from shop.cart import Cart\n", "")},
            up=("update: shop.app", "delete_module: shop.cart"),
            down=("add_module: shop.cart", "update: shop.app"),
            line="delete_module: shop.cart",
            sound={"up": ("stop: [shop.cart]", "start: [shop.cart]", "update: shop.app", "delete_module: shop.cart")},
        ),
    ],
    "apply_undefined": [
        Case(
            old=UTILS,
            new={**UTILS, "cart": server(2)},
            up=("update: shop.cart", apply("tydi", "1", module="shop.util")),
            down=("update: shop.cart",),
            line="apply: ",
            sound={"up": ("update: shop.cart", apply("tidy", "1", module="shop.util"))},
        ),
        Case(
            old=UTILS,
            new={**UTILS, "cart": server(2)},
            up=("update: shop.cart", apply("tidy", module="shop.util")),
            down=("update: shop.cart",),
            line="apply: ",
            sound={"up": ("update: shop.cart", apply("tidy", "1", "2", module="shop.util"))},
        ),
        Case(
            old=UTILS,
            new={**UTILS, "cart": server(2)},
            up=(
                "update: shop.cart",
                apply("tidy", "1", module="shop.util", undo="module: shop.util, function: mess, args: []"),
            ),
            down=("update: shop.cart",),
            line="apply: ",
            sound={
                "up": (
                    "update: shop.cart",
                    apply("tidy", "1", module="shop.util", undo="module: shop.util, function: tidy, args: [1]"),
                )
            },
        ),
        Case(
            old=UTILS,
            new={"util": UTILS["util"] + "\ndef fresh(): ...\n", "cart": server(2)},
            up=("update: shop.cart", apply("fresh", module="shop.util"), "load_module: shop.util"),
            down=("update: shop.cart", "load_module: shop.util"),
            line="apply: ",
            sound={"up": ("update: shop.cart", "load_module: shop.util", apply("fresh", module="shop.util"))},
        ),
        Case(
            old=UTILS,
            new={"util": UTILS["util"] + "\ndef sane(): ...\n", "cart": server(2)},
            up=("update: shop.cart", "load_module: shop.util", "verify: [shop.util, insane]"),
            down=("update: shop.cart", "load_module: shop.util"),
            line="verify: ",
            sound={"up": ("update: shop.cart", "verify: [shop.util, sane]", "load_module: shop.util")},
        ),
        Case(
            up=("update: shop.cart", apply("restart_children", "shop_sup")),
            line="apply: ",
            sound={"up": ("update: shop.cart", apply("restart_child", "shop_sup", "cart"))},
        ),
    ],
    "apply_unknown_module": [
        Case(
            up=("update: shop.cart", apply("run", module="shop.carts")),
            line="apply: ",
            sound={"up": ("update: shop.cart", apply("collect", module="gc"))},
        )
    ],
    "todo": [
        Case(
            up=("update: shop.cart  # TODO: is this soft?",),
            line="TODO",
            sound={"up": ("update: shop.cart  # it is soft, and TODO is no mark here",)},
        ),
        Case(
            new={"cart": server(2, CHANGE.replace('"tax": 0', '"tax": TODO'))},
            up=(ADVANCED,),
            file="shop/cart.py",
            line="return state if",
            sound={"new": {"cart": server(2, CHANGE)}},
        ),
    ],
}
