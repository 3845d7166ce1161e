"""`instances`: every live instance of a class becomes one of the new class in place, or all are as they were."""

from __future__ import annotations

import asyncio
import gc
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from itertools import product
from pathlib import Path
from textwrap import indent
from typing import Any, TypeAlias

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Emit, Event, Options, Outcome
from relup.model.release import Release
from relup.planner import plan
from relup.runtime.code.instances import LITTLE
from relup.targets.python.service import Service, serve
from tests.support import Commands, supervised, unread, write_release

COUNT = 3
OLD_MODEL = """
    from dataclasses import dataclass, field

    @dataclass
    class Cart:
        owner: str
        items: list = field(default_factory=list)
        note: str = "old"

        def total(self):
            return len(self.items)

    @dataclass(eq=False)
    class Key:
        name: str

    class Line:
        __slots__ = ("text",)
        def __init__(self, text):
            self.text = text
"""
NEW_MODEL = """
    from dataclasses import dataclass, field
    from relup.runtime import counterpart, migrate

    @dataclass
    class Cart:
        owner: str
        items: list = field(default_factory=list)
        currency: str = "EUR"

        def total(self):
            return 100 * len(self.items)

    @dataclass(eq=False)
    class Key:
        name: str
        more: int = 7

    class Line:
        __slots__ = ("text",)

    CALLS = []

    def upgrade_cart(cart):
        cart.items.append("changed in place")
        CALLS.append(cart)
        {cart}
        return migrate(cart, Cart)

    def downgrade_cart(cart):
        cart.items.remove("changed in place")
        return migrate(cart, counterpart(Cart), note="went down")

    def turn(old):
        return migrate(old, counterpart(type(old)))

    def turn_back(new):
        return migrate(new, counterpart(type(new)))
"""
HOLDER = """
    from shop.model import Cart, Key, Line

    GLOBALS, CACHE, CLOSURES = [], {}, []

    def fill():
        GLOBALS.append(Cart("global"))
        CACHE[Key("k")] = "value"
        hidden = Cart("hidden")
        CLOSURES.append(lambda: hidden)
"""
WORKER = """
    from relup.runtime import Down, GenServer, Reply
    from shop import holder, model

    class Worker(GenServer):
        def init(self, number):
            line = model.Line(str(number))
            if number == 0:
                holder.fill()
            return {{"number": number, "cart": model.Cart(f"owner {{number}}", [number]), "line": line, "seen": None}}

        def handle_call(self, request, caller, state):
            return Reply(state["cart"].total(), state)

        def code_change(self, old_vsn, state, extra):
            assert type(state["cart"]) is model.Cart
            state["seen"] = sorted(vars(state["cart"]))
            {change}
            return state
"""
SMALL = """
    from relup.runtime import GenServer

    class Worker(GenServer):
        def init(self, number):
            return number
"""
HOLDERS = {"holder": "GLOBALS = []", "worker": SMALL}
UP = """
- load_module: {module: shop.model, instances: {Cart: upgrade_cart, Key: turn, Line: "shop.model:turn"}}
- update: {module: shop.worker, change: advanced}
"""
DOWN = """
- update: {module: shop.worker, change: advanced}
- load_module: {module: shop.model, instances: {Cart: downgrade_cart, Key: turn_back, Line: turn_back}}
"""


@pytest.fixture(autouse=True)
def the_whole_heap() -> None:
    """What is set aside before an upgrade is put back after it: here nobody else has set anything aside."""
    gc.unfreeze()


def appup(up: str, down: str, vsn: str = "2") -> str:
    lists = f'up:\n  - from: "1"\n    instructions:{indent(up, "      ")}down:\n  - to: "1"\n    instructions:'
    return f'application: shop\nvsn: "{vsn}"\n{lists}{indent(down, "      ")}'


def modules(model: str, change: str = "pass") -> Mapping[str, str]:
    return {"app": supervised(COUNT), "model": model, "holder": HOLDER, "worker": WORKER.format(change=change)}


@asynccontextmanager
async def running(
    tmp_path: Path, cart: str = "pass", change: str = "pass", up: str = UP, down: str = DOWN
) -> AsyncIterator[tuple[Service, Path]]:
    old = write_release(tmp_path / "1", "1", modules(OLD_MODEL))
    new = modules(NEW_MODEL.format(cart=cart), change)
    goal = write_release(tmp_path / "2", "2", new, appup(up, down))
    async with serve(old, base=tmp_path / "home") as service:
        yield service, goal


Read: TypeAlias = Callable[[Path], Release]


async def apply(
    service: Service, goal: Path, *, emit: Emit = lambda event: None, dry_run: bool = False, read: Read = read_release
) -> Outcome:
    relup = plan(read(Path(service.handler.running.root)), read(goal))
    return await service.handler.install(relup, owner="a test", emit=emit, options=Options(dry_run=dry_run))


def carts(service: Service) -> list[Any]:
    holder = import_module("shop.holder")
    states = [p.state for p in service.node.processes.values() if isinstance(p.state, dict)]
    return [*holder.GLOBALS, holder.CLOSURES[0](), *(s["cart"] for s in states)]


def view(service: Service) -> str:
    """Return everything that a rollback restores: identities, classes, attributes in their order, what they hold."""
    holder = import_module("shop.holder")
    found = [*carts(service), *holder.CACHE, *(p.state["line"] for p in service.node.processes.values() if holds(p))]
    shown = [(id(o), type(o), {k: (id(v), repr(v)) for k, v in attributes(o).items()}) for o in found]
    states = {p.pid: (p.name, id(p.state), repr(p.state), p.holds) for p in service.node.processes.values()}
    return repr((shown, states, list(holder.CACHE.items()), service.handler.running, sorted(service.node.code.old)))


def holds(process: Any) -> bool:
    return isinstance(process.state, dict)


def attributes(instance: Any) -> dict[str, Any]:
    return vars(instance) if hasattr(instance, "__dict__") else {"text": instance.text}


def test_every_instance_becomes_one_of_the_new_class_wherever_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (service, goal):
            before, key = carts(service), next(iter(import_module("shop.holder").CACHE))
            items = [cart.items for cart in before]
            outcome = await apply(service, goal)
            assert outcome.status == "done"
            assert told(outcome) == [
                "instances: 5 of shop.model.Cart migrated by upgrade_cart",
                "instances: 1 of shop.model.Key migrated by turn",
                "instances: 3 of shop.model.Line migrated by shop.model:turn",
            ]
            after, model = carts(service), import_module("shop.model")
            assert [id(c) for c in after] == [id(c) for c in before]
            assert {type(c) for c in after} == {model.Cart}
            assert [(c.currency, hasattr(c, "note")) for c in after] == [("EUR", False)] * len(before)
            assert all(c.items is i for c, i in zip(after, items, strict=True))
            assert import_module("shop.holder").CACHE[key] == "value"
            assert (type(key), key.more) == (model.Key, 7)
            assert await service.node.call("w0", "total") == 200
            assert gc.get_freeze_count() == 0

    asyncio.run(scenario())


def told(outcome: Outcome) -> list[str]:
    return [d.message for d in outcome.diagnostics if d.code == "instances"]


def test_code_change_sees_new_instances_in_both_directions_and_old_ones_where_it_is_static(tmp_path: Path) -> None:
    """On the way down `code_change` of the code that is left runs first, unless the module is static."""
    new, old = ["currency", "items", "owner"], ["items", "note", "owner"]
    for number, (kind, seen) in enumerate({"dynamic": new, "static": old}.items()):
        down = DOWN.replace("advanced}", f"advanced, mod_type: {kind}}}")

        async def scenario(folder: Path, down: str, seen: list[str]) -> None:
            async with running(folder, down=down) as (service, goal):
                before, pid = carts(service), service.node.whereis("w1")
                assert pid is not None
                assert (await apply(service, goal)).status == "done"
                assert service.node.processes[pid].state["seen"] == new
                assert (await apply(service, folder / "1")).status == "done"
                assert service.node.processes[pid].state["seen"] == seen
                assert carts(service) == before
                assert {type(c) for c in before} == {import_module("shop.model").Cart}
                assert {c.note for c in before} == {"went down"}
                assert await service.node.call("w1", "total") == 1

        asyncio.run(scenario(tmp_path / str(number), down, seen))


FAILURES = {
    "the function raises": ("{at} and 1/0", "pass", "instances_failed"),
    "it misspells a name": ("if {at}: migrate(cart, Cart, curency=1)", "pass", "instances_failed"),
    "the function exits": ("{at} and exit(3)", "pass", "instances_failed"),
    "it forgets its return": ("if {at}: return", "pass", "bad_return_value"),
    "it returns the old one": ("if {at}: return cart", "pass", "bad_return_value"),
    "it returns something else": ("if {at}: return dict(vars(cart))", "pass", "bad_return_value"),
    "code_change raises later": ("pass", 'state["cart"].items.clear(); {process} and 1/0', "code_change_failed"),
}


def test_whatever_fails_at_whichever_instance_all_are_what_they_were(tmp_path: Path) -> None:
    """One node goes through all of it, and can be upgraded in the end."""

    async def scenario() -> None:
        async with running(tmp_path) as (service, goal):
            before = view(service)
            for number, (failure, failing) in enumerate(product(FAILURES, (0, 2, 4))):
                cart, change, code = FAILURES[failure]
                cart = cart.format(at=f"len(CALLS) == {failing + 1}")
                change = change.format(process=f'state["number"] == {failing // 2}')
                folder = tmp_path / f"bad{number}"
                new = modules(NEW_MODEL.format(cart=cart), change)
                outcome = await apply(service, write_release(folder, "2", new, appup(UP, DOWN)))
                assert outcome.status == "rolled_back", failure
                assert outcome.diagnostics[0].code == code, failure
                assert ("model.py:" in outcome.diagnostics[0].message) == (code == "instances_failed")
                assert str(outcome.diagnostics[0].location).endswith(("appup.yaml:6:9", "appup.yaml:7:9"))
                assert view(service) == before, failure
                assert gc.get_freeze_count() == 0
            assert [await service.node.call(f"w{i}", "total") for i in range(COUNT)] == [1] * COUNT
            assert (await apply(service, goal)).status == "done"

    asyncio.run(scenario())


def test_an_instance_born_after_the_census_is_migrated_and_one_that_died_is_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (service, goal):
            holder, model = import_module("shop.holder"), import_module("shop.model")

            def exchange(event: Event) -> None:
                if event.phase == "suspend":
                    holder.GLOBALS[:] = [model.Cart("born"), model.Cart("born too")]

            outcome = await apply(service, goal, emit=exchange)
            assert told(outcome)[0] == "instances: 6 of shop.model.Cart migrated by upgrade_cart"
            assert {type(c) for c in carts(service)} == {import_module("shop.model").Cart}
            assert [c.owner for c in holder.GLOBALS] == ["born", "born too"]

    asyncio.run(scenario())


OWN = """
    from relup.runtime import counterpart, migrate
    VERSION = {vsn}
    class Registry:
        def __init__(self): self.names = []
    REGISTRY = Registry()
    def turn(old): return migrate(old, counterpart(type(old)), version=VERSION)
"""


def test_an_object_of_the_module_itself_is_kept_and_migrated_and_a_module_nobody_loaded_has_none(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        listed = "keep: [REGISTRY], instances: {Registry: turn}"
        load = f"\n- load_module: {{module: shop.own, {listed}}}\n- load_module: {{module: shop.lazy, {listed}}}\n"
        releases = [
            write_release(
                tmp_path / vsn,
                vsn,
                {"app": supervised(1), **HOLDERS, "own": OWN.format(vsn=vsn), "lazy": OWN.format(vsn=vsn)},
                appup(load, load) if vsn == "2" else None,
            )
            for vsn in "12"
        ]
        async with serve(releases[0], base=tmp_path / "home") as service:
            registry = import_module("shop.own").REGISTRY
            outcome = await apply(service, releases[1])
            assert outcome.status == "done"
            own = import_module("shop.own")
            assert (own.REGISTRY is registry, type(registry) is own.Registry, registry.version) == (True, True, 2)
            assert told(outcome) == ["instances: 1 of shop.own.Registry migrated by turn"]
            [note] = [d for d in outcome.diagnostics if d.code == "nothing_to_keep"]
            assert (note.severity, str(note.location)[-3:]) == ("note", "7:9")
            assert import_module("shop.lazy").VERSION == 2

    asyncio.run(scenario())


MIDST = """
    import asyncio
    from relup.runtime import GenServer, Reply
    from shop import holder
    from shop.model import Cart

    gate, made = asyncio.Event(), asyncio.Event()

    class Midst(GenServer):
        def init(self, args):
            return None

        async def handle_call(self, request, caller, state):
            old = Cart
            await gate.wait()
            holder.GLOBALS.append(old("made late", ["by old code"]))
            made.set()
            return Reply("done", state)
"""


@pytest.mark.parametrize("fails", [False, True])
def test_what_old_code_makes_while_a_code_change_is_awaited_is_migrated_too(tmp_path: Path, fails: bool) -> None:
    async def scenario() -> None:
        change = f"from shop.midst import gate, made; gate.set()\n            if {fails} and state['number'] == 2: 1/0"
        old = {**modules(OLD_MODEL), "midst": MIDST}
        new = {**modules(NEW_MODEL.format(cart="pass"), "PLACE"), "midst": MIDST}
        text = new["worker"].replace("PLACE", f"{change}\n            await made.wait()")
        new["worker"] = text.replace("def code_", "async def code_")
        write_release(tmp_path / "1", "1", old)
        goal = write_release(tmp_path / "2", "2", new, appup(UP, DOWN))
        async with serve(tmp_path / "1", base=tmp_path / "home") as service:
            await service.node.start(import_module("shop.midst").Midst, None, name="midst")
            in_the_midst = asyncio.ensure_future(service.node.call("midst", "make", timeout=None))
            await asyncio.sleep(0)
            outcome = await apply(service, goal)
            assert outcome.status == ("rolled_back" if fails else "done"), outcome
            assert await in_the_midst == "done"
            late = import_module("shop.holder").GLOBALS[-1]
            assert late.owner == "made late"
            assert type(late) is import_module("shop.model").Cart
            if fails:
                assert late.items == ["by old code"]
            else:
                assert told(outcome)[0] == "instances: 6 of shop.model.Cart migrated by upgrade_cart"

    asyncio.run(scenario())


def test_a_program_that_froze_its_heap_is_upgraded_and_its_heap_is_frozen_after_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (service, goal):
            gc.freeze()
            try:
                outcome = await apply(service, goal)
                assert told(outcome)[0] == "instances: 5 of shop.model.Cart migrated by upgrade_cart"
                assert gc.get_freeze_count() > 0
            finally:
                gc.unfreeze()

    asyncio.run(scenario())


def test_a_dry_run_counts_the_instances_and_touches_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (service, goal):
            before = view(service)
            outcome = await apply(service, goal, dry_run=True)
            assert outcome.status == "ready"
            assert told(outcome)[0] == "instances: 5 of shop.model.Cart will be migrated by upgrade_cart"
            assert view(service) == before
            assert gc.get_freeze_count() == 0

    asyncio.run(scenario())


KINDS = """
    import asyncio
    from collections import OrderedDict, deque
    from relup.runtime import counterpart, migrate
    VERSION = {vsn}

    class Base:
        pass
    class Plain(Base): ...
    class Tags(dict): ...
    class Ordered(OrderedDict): ...
    class Row(list): ...
    class Group(set): ...
    class Line(deque): ...
    class Wrong(LookupError): ...
    class Wire(asyncio.Protocol): ...
    class Valued:
        def __init__(self, name): self.name = name
        def __eq__(self, other): return type(other) is Valued and other.name == self.name
        def __hash__(self): return hash((VERSION, self.name))
    class Multi(dict):
        # it shows the first of each list, as those of libraries for the web do
        def __iter__(self): return iter(())
        def __getitem__(self, key): return dict.__getitem__(self, key)[0]
        def __setitem__(self, key, value): dict.__setitem__(self, key, [value])
        def items(self): return [(key, self[key]) for key in dict.keys(self)]
        def __len__(self): return 0
    class OrderedMulti(OrderedDict):
        items, __iter__ = Multi.items, Multi.__iter__
    class Bag(set):
        def __iter__(self): return iter(())
        def __len__(self): return 0
    class Private:
        def __init__(self): self.__secret = "hidden"
        def tell(self): return self.__secret

    ALL, KEYS = [], {{}}

    def fill():
        KEYS.update({{Valued("a"): 1, "z": OrderedDict({{Valued("b"): 2, Valued("c"): 3}})}})
        KEYS["set"] = {{Valued("d"), 5}}
        KEYS["multi"], KEYS["ordered"], KEYS["bag"] = Multi(), OrderedMulti(), Bag([Valued("g"), 6])
        dict.update(KEYS["multi"], {{Valued("e"): [1, 2]}})
        OrderedDict.__setitem__(KEYS["ordered"], "y", [0])
        OrderedDict.__setitem__(KEYS["ordered"], Valued("f"), [1, 2])
        plain = Plain(); plain.b, plain.a = [1], 2
        tags = Tags(x=1); tags.extra = 5
        row = Row([3, 1]); wrong = Wrong("no", 7)
        wire = Wire(); wire.transport = "t"
        ALL.extend([plain, tags, Ordered(z=1, y=2), row, Group([1]), Line([1, 2], 4), wrong, wire, Private()])

    def turn(old):
        return make(old, counterpart(type(old)))

    def make(old, new):
        if isinstance(old, (dict, list, set)):
            made = new(old)
        elif isinstance(old, deque):
            made = new([*old, 9], old.maxlen)
        elif isinstance(old, Exception):
            made = new(*old.args, "more")
        else:
            return migrate(old, new)
        vars(made).update(vars(old))
        return made
"""
EVERY_KIND = ["Plain", "Tags", "Ordered", "Row", "Group", "Line", "Wrong", "Wire", "Private"]


def test_every_kind_of_object_that_can_change_its_class_does_and_is_put_back(tmp_path: Path) -> None:
    def shown(kinds: list[Any]) -> list[object]:
        return [(id(k), type(k), repr(k), list(vars(k).items()), getattr(k, "args", None)) for k in kinds]

    def whole(kinds: Any) -> object:
        ordered = [(getattr(key, "name", key), held) for key, held in OrderedDict.items(kinds.KEYS["ordered"])]
        bag = set.__contains__(kinds.KEYS["bag"], kinds.Valued("g")), set.__len__(kinds.KEYS["bag"])
        return dict.get(kinds.KEYS["multi"], kinds.Valued("e")), ordered, bag

    async def scenario() -> None:
        listed = ", ".join(f"{kind}: turn" for kind in [*EVERY_KIND, "Valued"])
        load = f"\n- load_module: {{module: shop.kinds, keep: [ALL, KEYS], instances: {{{listed}}}}}\n"
        update = "- update: {module: shop.worker, change: advanced}\n"
        old = write_release(tmp_path / "1", "1", {**modules(OLD_MODEL), "kinds": KINDS.format(vsn=1)})
        goals = []
        for vsn, change in (("2", "1/0"), ("3", "pass")):
            new = {**modules(OLD_MODEL, change), "kinds": KINDS.format(vsn=vsn)}
            goals.append(write_release(tmp_path / vsn, vsn, new, appup(load + update, load + update, vsn)))
        async with serve(old, base=tmp_path / "home") as service:
            kinds = import_module("shop.kinds")
            kinds.fill()
            every, keys = list(kinds.ALL), list(kinds.KEYS.items())
            before, held = shown(every), whole(kinds)
            assert held == ([1, 2], [("y", [0]), ("f", [1, 2])], (True, 2))
            assert (await apply(service, goals[0])).status == "rolled_back"
            assert shown(every) == before
            assert whole(kinds) == held
            assert list(kinds.KEYS.items()) == keys
            assert kinds.KEYS[kinds.Valued("a")] == 1
            assert kinds.Valued("d") in kinds.KEYS["set"]
            outcome = await apply(service, goals[1])
            assert outcome.status == "done", outcome
            assert [type(k) for k in every] == [getattr(import_module("shop.kinds"), k) for k in EVERY_KIND]
            plain, tags, ordered, row, group, line, wrong, wire, private = every
            assert (list(vars(plain)), tags, tags.extra, list(ordered), row) == (
                ["b", "a"],
                {"x": 1},
                5,
                ["z", "y"],
                [3, 1],
            )
            assert (group, list(line), line.maxlen, wrong.args) == ({1}, [1, 2, 9], 4, ("no", 7, "more"))
            assert (wire.transport, private.tell()) == ("t", "hidden")
            kinds = import_module("shop.kinds")
            assert kinds.ALL[0] is plain
            assert kinds.KEYS[kinds.Valued("a")] == 1
            assert kinds.KEYS["z"][kinds.Valued("c")] == 3
            assert list(kinds.KEYS["z"].values()) == [2, 3]
            assert whole(kinds) == held
            assert kinds.Valued("d") in kinds.KEYS["set"]

    asyncio.run(scenario())


BAD = """
    from dataclasses import dataclass
    from enum import Enum
    from shop.holder import GLOBALS as Imported
    import shop.holder
    VERSION = {vsn}
    class Cart: ...
    class Sub(Cart): ...
    class Colour(Enum):
        RED = 1
    class Pair(tuple): ...
    class Name(str): ...
    class Slots:
        __slots__ = ({slots})
    class Based({base}): ...
    class Only{vsn}: ...
    from logging import Handler
    async def later(old): ...
    def stream(old): yield
    def two(old, more): ...
    def good(old): return old
    number = 5
"""
REFUSALS = {
    "Colour: good": ("not_migratable", "New[old.name]"),
    "Pair: good": ("not_migratable", "what a tuple holds can never be changed in place"),
    "Name: good": ("not_migratable", "what a str holds can never be changed in place"),
    "Slots: good": ("not_migratable", "its slots were a, b and are a, b, c"),
    "Based: good": ("not_migratable", "Python refuses it"),
    "Only1: good": ("no_such_class", "the version of shop.model to come has no class Only1"),
    "Only2: good": ("no_such_class", "the version of shop.model that runs has no class Only2"),
    "Handler: good": ("same_class", "logging, which defines it, stays"),
    "Cart: gone": ("no_such_function", "the newer version of shop.model has no gone, which is to migrate Cart"),
    "Cart: 'shop.nowhere:good'": ("no_such_function", "shop.nowhere has no good"),
    "Cart: number": ("bad_function", "number for shop.model.Cart is no function"),
    "Cart: later": ("bad_function", "not an ordinary function"),
    "Cart: stream": ("bad_function", "not an ordinary function"),
    "Cart: two": ("bad_function", "cannot be called with one argument"),
}


def test_what_cannot_be_migrated_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    async def scenario() -> None:
        bad = BAD.format(vsn=1, slots="'a', 'b'", base="Exception")
        old = write_release(tmp_path / "1", "1", {"app": supervised(1), "model": bad, **HOLDERS})
        async with serve(old, base=tmp_path / "home") as service:
            import_module("shop.model")
            bad = BAD.format(vsn=2, slots="'a', 'b', 'c'", base="dict")
            for number, (listed, (code, words)) in enumerate(REFUSALS.items()):
                load = f"\n- load_module: {{module: shop.model, instances: {{{listed}}}}}\n"
                new = {"app": supervised(1), "model": bad, **HOLDERS}
                goal = write_release(tmp_path / f"g{number}", "2", new, appup(load, load))
                with pytest.raises(Refused) as refusal:
                    await apply(service, goal, read=unread)
                [diagnostic] = refusal.value.diagnostics
                assert diagnostic.code == code, listed
                assert words in str(diagnostic), listed
                assert str(diagnostic.location).endswith("shop.appup.yaml:6:9")
                assert gc.get_freeze_count() < LITTLE
            load = "\n- load_module: {module: shop.model, instances: {Cart: good}}\n"
            goal = write_release(
                tmp_path / "last", "2", {"app": supervised(1), "model": bad, **HOLDERS}, appup(load, load)
            )
            ready = await apply(service, goal, dry_run=True)
            assert ("not_listed", "warning") in [(d.code, d.severity) for d in ready.diagnostics]
            assert "shop.model.Sub extends shop.model.Cart and is not listed" in str(ready)

    asyncio.run(scenario())


def test_a_node_in_a_process_of_its_own_is_upgraded_rolled_back_and_downgraded_by_commands(tmp_path: Path) -> None:
    relup = Commands(tmp_path / "home")
    look = (
        "import shop.holder as h, shop.model as m; "
        "[(type(c) is m.Cart, sorted(vars(c))) for c in (h.GLOBALS[0], h.CLOSURES[0]())] + [list(h.CACHE.values())]"
    )
    fine, bad = modules(NEW_MODEL.format(cart="pass")), modules(NEW_MODEL.format(cart="len(CALLS) == 3 and 1/0"))
    old = write_release(tmp_path / "1", "1", modules(OLD_MODEL))
    goal = write_release(tmp_path / "2", "2", fine, appup(UP, DOWN))
    wrong = write_release(tmp_path / "bad", "2", bad, appup(UP, DOWN))
    was, is_now = (f"(True, {names})" for names in (["items", "note", "owner"], ["currency", "items", "owner"]))
    with relup.node(old, "--name", "shop"):
        before = relup.run("rpc", "shop", look).stdout
        assert before.count(was) == 2
        failed = relup.run("apply", "shop", wrong, "--yes", exit_code=5).stdout
        assert "upgrade_cart failed for an instance of shop.model.Cart: ZeroDivisionError" in failed
        assert "model.py:" in failed
        assert relup.run("rpc", "shop", look).stdout == before
        dry = relup.run("apply", "shop", goal, "--dry-run").stdout
        assert "instances: 5 of shop.model.Cart will be migrated by upgrade_cart" in dry
        assert "instances    shop.model.Cart, shop.model.Key, shop.model.Line" in dry
        done = relup.run("apply", "shop", goal, "--yes").stdout
        assert "instances: 5 of shop.model.Cart migrated by upgrade_cart" in done
        assert relup.run("rpc", "shop", look).stdout.count(is_now) == 2
        down = relup.run("downgrade", "shop", "--yes").stdout
        assert "instances: 5 of shop.model.Cart migrated by downgrade_cart" in down
        assert relup.run("rpc", "shop", look).stdout == before
