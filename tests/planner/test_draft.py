"""Drafts between two releases: what is taken along, how, in which order, and what has to be answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from relup.document import read_release
from relup.document.draft import draft_text
from relup.document.instructions import write_instruction
from relup.model.draft import TODO, Draft
from relup.model.release import Release
from relup.model.windows import segments
from relup.planner import draft, plan

SERVER = """
from relup.runtime import Down, GenServer, Reply

class Cart(GenServer):
    def init(self, args):
        return {{"items": []}}

    def handle_call(self, request, caller, state):
        return Reply(len(state["items"]) + {0}, state)
"""
CODE_CHANGE = """
    def code_change(self, old_vsn, state, extra):
        return state if isinstance(old_vsn, Down) else {**state}
"""
ITEM = "from dataclasses import dataclass\n\n@dataclass\nclass Item:\n    name: str\n"
ASIDE = "    _: KW_ONLY\n    scale: InitVar[int] = 1\n    MOST: ClassVar[int] = 9\n"
"""What makes no field."""
HOLDER = """
from relup.runtime import GenServer
from shop import model

class Stock(GenServer):
    def init(self, args):
        return [model.Item("tea")]
"""
BOXED = HOLDER.replace('model.Item("tea")', "Box()") + "\nfrom shop import tax\nclass Box(tax.T): ...\n"
TOP = """
from relup.runtime import ChildSpec, Supervisor, SupervisorSpec
from shop.cart import Cart

class Top(Supervisor):
    def init(self, args):
        return SupervisorSpec([{0}])
"""
BASKET_TOP = TOP.replace("shop.cart", "shop.basket")
GONE, KEPT, COME = 'ChildSpec("gone", gone.Cart)', 'ChildSpec("kept", Cart)', 'ChildSpec("come", Cart)'
STARTED = """
from relup.runtime import Application
from shop.sup import Top

class App(Application):
    async def start(self, args):
        return await self.node.start_link(Top, args, name="top")
"""


@dataclass(frozen=True)
class Case:
    """Two versions of the modules of `shop`, and what the draft between them says."""

    old: Mapping[str, str]
    new: Mapping[str, str]
    up: list[object]
    down: list[object]
    said: list[str] = field(default_factory=list)
    """Parts of comments, in their order."""
    todos: int = 0


def both(changed: Mapping[str, tuple[str, str]], same: Mapping[str, str] | None = None) -> tuple[dict[str, str], ...]:
    same = {"app": "from relup.runtime import Application\nclass App(Application): ...\n"} | dict(same or {})
    return tuple({**same, **{n: texts[k] for n, texts in changed.items() if texts[k]}} for k in (0, 1))


CASES = {
    "a module without processes is loaded": Case(
        *both({"tax": ("R = 1\n", "R = 2\n")}), [{"load_module": "shop.tax"}], [{"load_module": "shop.tax"}]
    ),
    "comments and docstrings are no change": Case(
        *both({"tax": ("R = 1\n", '"""Tax."""\nR = 1  # one\n'), "vat": ("R = 1\n", "R = 2\n")}),
        [{"load_module": "shop.vat"}],
        [{"load_module": "shop.vat"}],
        ["Only comments and docstrings changed in shop.tax"],
    ),
    "a server whose state is what it was is updated": Case(
        *both({"cart": (SERVER.format(0), SERVER.format(1))}),
        [{"update": "shop.cart"}],
        [{"update": "shop.cart"}],
        ["a server: its state is what it was"],
    ),
    "a first state that differs is a change of state": Case(
        *both({"cart": (SERVER.format(0), SERVER.format(0).replace('{"items": []}', '{"items": [], "sum": 0}'))}),
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        [
            "Cart: init returns {'items': [], 'sum': 0}, before {'items': []}",
            "its state has ['sum']",
            "TODO: Cart in shop.cart has no code_change",
            "case Down():  # back to 1",
            "{k: v for k, v in state.items() if k not in {'sum'}}",
            "{**state, 'sum': ...}",
        ],
        1,
    ),
    "a state that is read in another way has changed": Case(
        *both({"cart": (SERVER.format(0), SERVER.format(0).replace('["items"])', '["things"])'))}),
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        ["its state has ['things']", "TODO"],
        1,
    ),
    "a code_change that was written for this version needs no answer": Case(
        *both({"cart": (SERVER.format(0), SERVER.format(1) + CODE_CHANGE)}),
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        ["its code_change is new"],
    ),
    "a code_change that does not know the way down has to be looked at": Case(
        *both(
            {"cart": (SERVER.format(0), SERVER.format(1) + CODE_CHANGE.replace("isinstance(old_vsn, Down)", "extra"))}
        ),
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        ["TODO: the code_change of Cart in shop.cart (line 11) does not look for Down"],
        1,
    ),
    "a code_change that asks for counterparts of classes knows the way down": Case(
        *both(
            {
                "cart": (
                    SERVER.format(0),
                    "from relup.runtime import counterpart, migrate\n"
                    + SERVER.format(1)
                    + "\n    def code_change(self, old_vsn, state, extra):\n"
                    + "        return migrate(state, counterpart(type(state)))\n",
                )
            }
        ),
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        ["its code_change is new"],
    ),
    "a code_change that is that of the version before has to be looked at": Case(
        *both(
            {
                "cart": (
                    SERVER.format(0) + CODE_CHANGE,
                    SERVER.format(0).replace('["items"])', '["things"])') + CODE_CHANGE,
                )
            }
        ),
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        ["TODO: the code_change of Cart in shop.cart (line 11) is that of 1: does it take over these states?"],
        1,
    ),
    "what a code_change reads of extra has to be said": Case(
        *both({"cart": (SERVER.format(0), SERVER.format(1) + CODE_CHANGE.replace("{**state}", "extra['x']"))}),
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        [{"update": {"module": "shop.cart", "change": "advanced"}}],
        ["reads extra['x']: say what that is"],
        1,
    ),
    "a server by way of a base in another module": Case(
        *both(
            {
                "cart": ("from shop.base import Own\nclass Cart(Own):\n    x = 1\n",) * 1
                + ("from shop.base import Own\nclass Cart(Own):\n    x = 2\n",)
            },
            {"base": "import relup.runtime as r\nclass Own(r.GenServer): ...\n"},
        ),
        [{"update": "shop.cart"}],
        [{"update": "shop.cart"}],
    ),
    "who keeps instances of a class that changed joins, and has to take them over": Case(
        *both({"model": (ITEM, ITEM + ASIDE + "    price: int = 0\n")}, {"stock": HOLDER}),
        [
            {"load_module": "shop.model"},
            {"update": {"module": "shop.stock", "depends": ["shop.model"], "change": "advanced"}},
        ],
        [
            {"update": {"module": "shop.stock", "depends": ["shop.model"], "change": "advanced"}},
            {"load_module": "shop.model"},
        ],
        ["uses Item of shop.model, which changed: + price", "TODO: Stock in shop.stock has no code_change", "migrate("],
        1,
    ),
    "who evaluates a name at import joins": Case(
        *both(
            {"tax": ("def d(f):\n    return f\n", "def d(f):\n    return [f]\n")},
            {"user": "from shop.tax import d\n\n@d\ndef f(): ...\n", "calm": "from shop.tax import d\n"},
        ),
        [{"load_module": "shop.tax"}, {"load_module": "shop.user"}],
        [{"load_module": "shop.user"}, {"load_module": "shop.tax"}],
        ["evaluates d of shop.tax when it is imported (line 3)"],
    ),
    "a supervisor reads its child specs again, and its children have to be started": Case(
        *both(
            {"sup": (TOP.format('ChildSpec("a", Cart)'), TOP.format('ChildSpec("b", Cart)'))},
            {"cart": SERVER.format(0)},
        ),
        [{"update": {"module": "shop.sup", "change": "supervisor"}}],
        [{"update": {"module": "shop.sup", "change": "supervisor"}}],
        [
            "a supervisor: its child specs are read again",
            "TODO: Top has other children",
            "before all that the list loads:",
            "terminate_child, args: [NAME_OF_TOP, a]",
            "delete_child, args: [NAME_OF_TOP, a]",
            "after all of it:",
            "restart_child, args: [NAME_OF_TOP, b]",
        ],
        1,
    ),
    "where the name of a supervisor's process is written, the calls are there": Case(
        *both(
            {
                "sup": ("from shop import gone" + TOP.format(f"{GONE}, {KEPT}"), BASKET_TOP.format(f"{KEPT}, {COME}")),
                "gone": (SERVER.format(0), ""),
                "basket": ("", SERVER.format(0)),
            },
            {"cart": SERVER.format(0), "app": STARTED},
        ),
        [
            {"apply": {"module": "supervisor", "function": "terminate_child", "args": ["top", "gone"]}},
            {"apply": {"module": "supervisor", "function": "delete_child", "args": ["top", "gone"]}},
            {"apply": {"module": "supervisor", "function": "terminate_child", "args": ["top", "kept"]}},
            {"add_module": "shop.basket"},
            {"update": {"module": "shop.sup", "depends": ["shop.basket"], "change": "supervisor"}},
            {"delete_module": {"module": "shop.gone", "depends": ["shop.sup"]}},
            {"apply": {"module": "supervisor", "function": "restart_child", "args": ["top", "come"]}},
            {"apply": {"module": "supervisor", "function": "restart_child", "args": ["top", "kept"]}},
        ],
        [
            {"apply": {"module": "supervisor", "function": "terminate_child", "args": ["top", "come"]}},
            {"apply": {"module": "supervisor", "function": "delete_child", "args": ["top", "come"]}},
            {"apply": {"module": "supervisor", "function": "terminate_child", "args": ["top", "kept"]}},
            {"add_module": {"module": "shop.gone", "depends": ["shop.sup"]}},
            {"update": {"module": "shop.sup", "depends": ["shop.basket"], "change": "supervisor"}},
            {"delete_module": "shop.basket"},
            {"apply": {"module": "supervisor", "function": "restart_child", "args": ["top", "gone"]}},
            {"apply": {"module": "supervisor", "function": "restart_child", "args": ["top", "kept"]}},
        ],
        [
            "TODO: shop.sup.Top loses the child gone: it ends, and its state is lost; is that meant?",
            "TODO: the child kept of shop.sup.Top is shop.basket.Cart now",
            "shop.sup.Top gets the child come",
        ],
        2,
    ),
    "state that another module fills is asked about": Case(
        *both(
            {"store": ("CACHE = {}\nR = 1\n", "CACHE = {}\nR = 2\n")},
            {"user": "from shop.store import CACHE\n\ndef put(k):\n    CACHE[k] = 1\n"},
        ),
        [{"load_module": "shop.store"}],
        [{"load_module": "shop.store"}],
        ["TODO: CACHE (line 1) will begin anew; keep: [CACHE]"],
        1,
    ),
    "new modules come before who needs them, gone ones go after who used them": Case(
        *both(
            {
                "cart": ("from shop import old\n" + SERVER.format(0), "from shop import fresh\n" + SERVER.format(1)),
                "old": ("X = 1\n", ""),
                "fresh": ("", "X = 1\n"),
            }
        ),
        [
            {"add_module": "shop.fresh"},
            {"update": {"module": "shop.cart", "depends": ["shop.fresh"]}},
            {"delete_module": {"module": "shop.old", "depends": ["shop.cart"]}},
        ],
        [
            {"add_module": {"module": "shop.old", "depends": ["shop.cart"]}},
            {"update": {"module": "shop.cart", "depends": ["shop.fresh"]}},
            {"delete_module": "shop.fresh"},
        ],
        ["new", "gone: deleted after shop.cart, which used it"],
    ),
    "processes of a module that goes have to end before": Case(
        *both({"cart": (SERVER.format(0), ""), "tax": ("R = 1\n", "R = 2\n")}),
        [{"load_module": "shop.tax"}, {"delete_module": "shop.cart"}],
        [{"add_module": "shop.cart"}, {"load_module": "shop.tax"}],
        ["TODO: processes of Cart must end before all that the list loads"],
        1,
    ),
    "only dependencies that matter are written, each once": Case(
        *both(
            {
                "cart": (
                    "from shop import a, b, c\n" + SERVER.format(0),
                    "from shop import a, b, c\n" + SERVER.format(1),
                ),
                "a": ("from shop import b\nX = 1\n", "from shop import b\nX = 2\n"),
                "b": ("def f():\n    from shop import c\n", "def f():\n    from shop import c\n    return c\n"),
                "c": ("X = 1\n", "X = 2\n"),
                "d": ("from shop import a\n", "from shop import a, b\n"),
            }
        ),
        [
            {"load_module": "shop.c"},
            {"load_module": {"module": "shop.b", "depends": ["shop.c"]}},
            {"load_module": {"module": "shop.a", "depends": ["shop.b"]}},
            {"update": {"module": "shop.cart", "depends": ["shop.a"]}},
            {"load_module": "shop.d"},
        ],
        [
            {"load_module": "shop.d"},
            {"update": {"module": "shop.cart", "depends": ["shop.a"]}},
            {"load_module": {"module": "shop.a", "depends": ["shop.b"]}},
            {"load_module": {"module": "shop.b", "depends": ["shop.c"]}},
            {"load_module": "shop.c"},
        ],
    ),
    "an object without fields of its own class is kept, and is of the old class": Case(
        *both({"tax": ("class T: ...\n", "class T:\n    x = 1\n")}, {"stock": BOXED}),
        [
            {"load_module": "shop.tax"},
            {"update": {"module": "shop.stock", "depends": ["shop.tax"], "change": "advanced"}},
        ],
        [
            {"update": {"module": "shop.stock", "depends": ["shop.tax"], "change": "advanced"}},
            {"load_module": "shop.tax"},
        ],
        ["evaluates tax.T of shop.tax", "uses Box of shop.stock, which is loaded anew", "TODO: Stock in shop.stock"],
        1,
    ),
    "variables that functions fill begin anew, unless somebody keeps them": Case(
        *both({"tax": ("X = {}\ndef f(k):\n    X[k] = 1\n", "X = {}\ndef f(k):\n    X[k] = 2\n")}),
        [{"load_module": "shop.tax"}],
        [{"load_module": "shop.tax"}],
        ["changed", "TODO: X (line 1) will begin anew; keep: [X] would carry it over"],
        1,
    ),
    "modules in a circle depend on each other": Case(
        *both(
            {
                "cart": ("import shop.pay\n" + SERVER.format(0), "import shop.pay\n" + SERVER.format(1)),
                "pay": ("import shop.cart\nX = 1\n", "import shop.cart\nX = 2\n"),
            }
        ),
        [
            {"update": {"module": "shop.cart", "depends": ["shop.pay"]}},
            {"load_module": {"module": "shop.pay", "depends": ["shop.cart"]}},
        ],
        [
            {"load_module": {"module": "shop.pay", "depends": ["shop.cart"]}},
            {"update": {"module": "shop.cart", "depends": ["shop.pay"]}},
        ],
    ),
}


def write(folder: Path, vsn: str, applications: Mapping[str, Mapping[str, str]], vsns: Mapping[str, str]) -> Release:
    """Write and read a release; a module named `app` starts its application."""
    listed = []
    for name, modules in applications.items():
        package = folder / vsn / name
        package.mkdir(parents=True)
        for module, text in {"__init__": "", **modules}.items():
            (package / f"{module}.py").write_text(dedent(text))
        start = f", start: {name}.app:App" if "app" in modules else ""
        listed.append(f'{{name: {name}, vsn: "{vsns.get(name, vsn)}"{start}}}')
    text = f'name: shop\nvsn: "{vsn}"\napplications: [{", ".join(listed)}]\n'
    (folder / vsn / "release.yaml").write_text(text)
    return read_release(folder / vsn)


def data(found: Draft, direction: str) -> list[dict[str, Any]]:
    return [write_instruction(d.instruction, places=False) for d in getattr(found, direction)]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_drafts(tmp_path: Path, case: Case) -> None:
    older, newer = (write(tmp_path, vsn, {"shop": files}, {}) for vsn, files in (("1", case.old), ("2", case.new)))
    (found,) = draft(older, newer)
    assert data(found, "up") == case.up
    assert data(found, "down") == case.down
    assert found.todos() == case.todos
    text = draft_text(found, newer)
    place = -1
    for said in case.said:
        place = text.find(said, place + 1)
        assert place >= 0, f"{said!r} is not said, or not in this order:\n{text}"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_draft_that_is_answered_plans_both_ways(tmp_path: Path, case: Case) -> None:
    older, newer = (write(tmp_path, vsn, {"shop": files}, {}) for vsn, files in (("1", case.old), ("2", case.new)))
    (found,) = draft(older, newer)
    text = draft_text(found, newer).replace(f"# {TODO}", "# done")
    (tmp_path / "2/shop.appup.yaml").write_text(text)
    newer = read_release(tmp_path / "2")
    assert plan(older, newer, "up").way_back
    assert plan(newer, older, "down").way_back


def test_children_end_and_start_around_all_that_must_change_together(tmp_path: Path) -> None:
    """The calls of `shop` stand in the appup of `lib`: its modules and a server of `shop` must come in one window."""
    lib = {"core": "class Base:\n    x = {0}\n"}
    user = "from lib.core import Base\n\nclass User(Base): ...\n"
    releases = []
    for vsn, child in (("1", "gone"), ("2", "come")):
        top = TOP.format(f'ChildSpec("{child}", Cart)')
        shop = {"app": STARTED, "sup": top, "user": user, "cart": SERVER.format(0)}
        libs = {"core": lib["core"].format(vsn)}
        releases.append(write(tmp_path, vsn, {"lib": libs, "shop": shop}, {}))
    drafts = {d.application: d for d in draft(*releases)}
    functions = {name: [i["apply"]["function"] for i in data(d, "up") if "apply" in i] for name, d in drafts.items()}
    assert functions == {"lib": ["terminate_child", "delete_child"], "shop": ["restart_child"]}
    for found in drafts.values():
        text = draft_text(found, releases[1]).replace(f"# {TODO}", "# done")
        (tmp_path / f"2/{found.application}.appup.yaml").write_text(text)
    relup = plan(releases[0], read_release(tmp_path / "2"))
    assert [type(part).__name__ for part in segments(relup.script)] == ["Apply", "Apply", "Window", "Apply"]


def test_a_library_is_taken_whole_and_who_evaluates_its_names_goes_with_it(tmp_path: Path) -> None:
    library = {"core": "def d(f):\n    return f\n", "extra": "X = 1\n", "gone": "", "_winconsole": "import msvcrt\n"}
    shop = {
        "app": "from relup.runtime import Application\nfrom lib.core import d\nclass App(Application):\n    x = d(1)\n"
    }
    older = write(tmp_path, "1", {"shop": shop, "lib": library}, {"shop": "1", "lib": "1.0"})
    library = {"core": "def d(f):\n    return [f]\n", "extra": "X = 1\n", "fresh": "", "_winconsole": "import msvcrt\n"}
    newer = write(tmp_path, "2", {"shop": shop, "lib": library}, {"shop": "1", "lib": "1.1"})
    (found,) = draft(older, newer)
    assert found.application == "lib"
    assert sorted(map(str, data(found, "up"))) == sorted(
        map(
            str,
            [
                *(
                    {"load_module": m}
                    for m in ("lib", "lib._winconsole", "lib.core", "lib.extra", "lib.fresh", "shop.app")
                ),
                {"delete_module": "lib.gone"},
            ],
        )
    )
    assert {"delete_module": "lib.fresh"} in data(found, "down")
    assert {"load_module": "lib.gone"} in data(found, "down")
    (tmp_path / "2/lib.appup.yaml").write_text(draft_text(found, newer))
    assert plan(older, read_release(tmp_path / "2")).way_back


def test_releases_that_do_the_same_need_no_instruction(tmp_path: Path) -> None:
    older, newer = (write(tmp_path, v, {"shop": {"tax": "R = 1\n" + "# x\n" * int(v)}}, {}) for v in "12")
    (found,) = draft(older, newer)
    assert (found.up, found.down, found.todos()) == ((), (), 0)
