"""Objects of code that is being replaced, in states that no code_change is given, are named before the window."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Options, Outcome
from relup.planner import plan
from relup.targets.python.held import SHOWN, Replaced, old_objects_held
from relup.targets.python.service import Service, serve
from tests.support import Commands, write_release

LIB = """
    import enum, functools

    class Item:
        def __init__(self, name):
            self.name = name
        def price(self):
            return {vsn}

    class Kind(enum.Enum):
        TEA = 1

    class Slotted:
        __slots__ = ("inner",)

    class Lost(Exception):
        pass

    def count():
        yield {vsn}
        yield {vsn}

    def closing(item):
        return lambda: item
"""
WORKER = """
    import contextvars, functools
    from collections import defaultdict
    from relup.runtime import GenServer, Reply
    from shop import lib

    class Worker(GenServer):
        def init(self, args):
            return self.keep(args)
        def keep(self, number):
            {state}
        def handle_call(self, request, caller, state):
            return Reply(None, state)
        {change}
"""
APP = """
    from relup.runtime import Application, ChildSpec, Supervisor, SupervisorSpec
    from shop.worker import Worker

    class App(Application):
        async def start(self, args):
            return await self.node.start_link(Top, args, name="top")

    class Top(Supervisor):
        def init(self, args):
            return SupervisorSpec([ChildSpec(f"w{i}", Worker, i, name=f"w{i}") for i in range(3)])
"""
HELD = {
    "instance": ("return {'cart': [1, lib.Item('a')]}", "of shop.lib:Item, in state['cart'][1]"),
    "attribute": (
        "from types import SimpleNamespace as N; return N(cart=N(items=(lib.Item('a'),)))",
        "of shop.lib:Item, in state.cart.items[0]",
    ),
    "key": ("return {lib.Kind.TEA: 1}", "of shop.lib:Kind, in state key"),
    "enum member": ("return ['x', lib.Kind.TEA]", "of shop.lib:Kind, in state[1]"),
    "class": ("return {'kind': lib.Item}", "of shop.lib:Item, in state['kind']"),
    "function": ("return [lib.count]", "of shop.lib:count, in state[0]"),
    "bound method": ("return [lib.Item('a').price]", "of shop.lib:Item.price, in state[0] and 2 more;"),
    "partial": ("return functools.partial(lib.closing, 1)", "of shop.lib:closing, in state.func"),
    "closure": ("return [lib.closing(3)]", "of shop.lib:closing.<locals>.<lambda>, in state[0]"),
    "closed over": ("item = lib.Item('a'); return [lambda: item]", "of shop.lib:Item, in state[0] closure item"),
    "generator": ("g = lib.count(); next(g); return g", "of shop.lib:count, in state and 2 more;"),
    "exception": ("return {'last': lib.Lost('gone')}", "of shop.lib:Lost, in state['last']"),
    "cause": ("e = ValueError(); e.__cause__ = lib.Lost(); return [e]", "shop.lib:Lost, in state[0].__cause__"),
    "iterator": ("return iter([lib.Item('a')])", "of shop.lib:Item, in state inside"),
    "default": ("return defaultdict(lib.Item)", "the class of shop.lib:Item, in state.default_factory"),
    "in a cache": (
        "made = [lib.Item('a')]; c = functools.lru_cache(lambda n: made.pop()); c(1); return {'c': c}",
        "of shop.lib:Item, in state['c'] inside",
    ),
    "of a partial": (
        "p = functools.partial(print); p.item = lib.Item('a'); return p",
        "of shop.lib:Item, in state.item",
    ),
    "of an error": ("e = AttributeError('x', obj=lib.Item('a')); return e", "of shop.lib:Item, in state inside"),
    "yielded from": (
        "made = [lib.count()]; g = (lambda: (yield from made.pop()))(); next(g); return [g]",
        "of shop.lib:count, in state[0] awaited and 2 more;",
    ),
    "slots": (
        "class S:\n                __slots__ = ('__x',)\n            s = S(); s._S__x = lib.Item('a'); return s",
        "of shop.lib:Item, in state",
    ),
    "in a set": ("return {'s': {lib.Item('a')}}", "of shop.lib:Item, in state['s']{…}"),
    "in a circle": ("s = []; s.append(s); s.append(lib.Item('a')); return s", "of shop.lib:Item, in state[1]"),
    "shared": ("return [SHARED]", "of shop.lib:Item, in state[0]"),
}
APPUP = """
    application: shop
    vsn: "2"
    up:
      - {{from: "1", instructions: [{i}]}}
    down:
      - {{to: "1", instructions: [{i}]}}
"""
LOADED = "{load_module: shop.lib}"
MIGRATED = "{load_module: shop.lib}, {update: {module: shop.worker, change: advanced}}"
CHANGE = "def code_change(self, old_vsn, state, extra): return self.keep(0)"


def releases(folder: Path, state: str, instructions: str = LOADED, change: str = "") -> tuple[Path, Path]:
    worker = WORKER.format(state=state, change=change)
    modules = {"app": APP, "worker": worker}
    if "SHARED" in state:
        instructions = "{load_module: shop.lib}, {load_module: shop.worker}, {load_module: shop.app}"
        modules["worker"] += "\n    SHARED = lib.Item('a')\n"
    old = write_release(folder / "1", "1", {**modules, "lib": LIB.format(vsn=1)})
    appup = APPUP.format(i=instructions)
    return old, write_release(folder / "2", "2", {**modules, "lib": LIB.format(vsn=2)}, appup)


@asynccontextmanager
async def running(folder: Path, release: Path) -> AsyncIterator[Service]:
    async with serve(release, name="held", base=folder / "home") as service:
        yield service


async def apply(service: Service, goal: Path, **options: bool) -> Outcome:
    relup = plan(read_release(Path(service.handler.running.root)), read_release(goal))
    return await service.handler.install(relup, owner="a test", emit=lambda _: None, options=Options(**options))


def upgrade(folder: Path, old: Path, new: Path, **options: bool) -> Outcome:
    async def work() -> Outcome:
        async with running(folder, old) as service:
            return await apply(service, new, **options)

    return asyncio.run(work())


@pytest.mark.parametrize(("state", "words"), HELD.values(), ids=HELD)
def test_what_states_hold_of_replaced_code_is_named_with_its_path(tmp_path: Path, state: str, words: str) -> None:
    outcome = upgrade(tmp_path, *releases(tmp_path, state), dry_run=True)
    named = [d for d in outcome.diagnostics if d.code == "old_objects_held"]
    assert len(named) == 1, outcome
    found = named[0]
    assert found.severity == "warning"
    assert "shop.worker:Worker (w0 (" in found.message
    assert "and 2 more) holds" in found.message
    assert words in found.message
    assert found.location is not None
    assert found.location.file.endswith("shop.appup.yaml")


@pytest.mark.parametrize(
    "state",
    [
        "return [1, {'a': 'b'}]",
        "import json; return {'f': json.dumps, 'n': self}",
        "contextvars.ContextVar('cart').set(lib.Item('a')); return {'context': contextvars.copy_context()}",
    ],
)
def test_states_that_hold_nothing_of_it_are_not_named(tmp_path: Path, state: str) -> None:
    outcome = upgrade(tmp_path, *releases(tmp_path, state), strict=True)
    assert outcome.status == "done"
    assert [d for d in outcome.diagnostics if d.severity != "note"] == []


def test_a_state_that_is_given_to_a_code_change_is_the_authors(tmp_path: Path) -> None:
    outcome = upgrade(tmp_path, *releases(tmp_path, HELD["instance"][0], MIGRATED, CHANGE))
    assert outcome.status == "done"
    assert not [d for d in outcome.diagnostics if d.code == "old_objects_held"]


def test_an_update_without_a_code_change_is_not(tmp_path: Path) -> None:
    outcome = upgrade(tmp_path, *releases(tmp_path, HELD["instance"][0], MIGRATED), dry_run=True)
    assert {d.code for d in outcome.diagnostics if d.severity == "warning"} == {"no_code_change", "old_objects_held"}


def test_a_variable_of_a_module_that_stays_is_named(tmp_path: Path) -> None:
    """It is set after the import, so no text says that the module would have to go along."""
    old, new = releases(tmp_path, "lib.items.append(lib.Item('a')); global LAST; LAST = lib.items; return 1")
    for folder in (old, new):
        file = folder / "shop/lib.py"
        file.write_text(file.read_text() + "\nitems = []\n")
    outcome = upgrade(tmp_path, old, new, dry_run=True)
    (found,) = [d for d in outcome.diagnostics if d.code == "old_objects_held"]
    assert "module shop.worker (LAST) holds 3 instances of shop.lib:Item, in shop.worker.LAST[" in found.message
    assert found.hint
    assert "load shop.worker too" in found.hint


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("return [[lib.Item('a') for _ in range(4)], number]", "in state[0][3] and 11 more;"),
        (
            "return {'ab'[number % 2]: lib.Item('a'), 'c': (lib.Item('b'),)}",
            "in state['c'][0], state['a'], state['b'] and 3 more;",
        ),
        (
            "return {str(n): lib.Item('a') for n in range(number, 99)}",
            "in state['98'], state['0'], state['1'] and 291 more;",
        ),
    ],
)
def test_a_few_places_are_named_and_how_many_more_there_are(tmp_path: Path, state: str, words: str) -> None:
    outcome = upgrade(tmp_path, *releases(tmp_path, state), dry_run=True)
    (found,) = [d for d in outcome.diagnostics if d.code == "old_objects_held"]
    assert words in found.message
    assert len(places(found.message)) <= SHOWN


def test_instances_that_the_upgrade_migrates_are_not_named(tmp_path: Path) -> None:
    loaded = "{load_module: {module: shop.lib, instances: {Item: turn}}}"
    old, new = releases(tmp_path, "return {'cart': [lib.Item('a')]}", loaded)
    turn = "def turn(old):\n    return migrate(old, counterpart(type(old)))\n"
    text = (new / "shop/lib.py").read_text()
    (new / "shop/lib.py").write_text(f"{text}\nfrom relup.runtime import counterpart, migrate\n{turn}")
    outcome = upgrade(tmp_path, old, new)
    assert outcome.status == "done"
    assert not [d for d in outcome.diagnostics if d.code == "old_objects_held"]


def test_users_of_code_that_was_purged_upgrades_ago_are_not_forgotten(tmp_path: Path) -> None:
    old, new = releases(tmp_path, HELD["bound method"][0])

    async def work() -> None:
        async with running(tmp_path, old) as service:
            assert (await service.handler.confirm("a test"))["lingering"] == []
            for goal in (new, old, new, old, new):
                assert (await apply(service, goal)).status == "done"
            told = (await service.handler.confirm("a test"))["lingering"]
            assert "shop.lib: somebody who uses code that was purged before, and cannot be named" in told

    asyncio.run(work())


def test_strict_refuses_and_touches_nothing(tmp_path: Path) -> None:
    old, new = releases(tmp_path, HELD["instance"][0])

    async def work() -> None:
        async with running(tmp_path, old) as service:
            with pytest.raises(Refused) as caught:
                await apply(service, new, strict=True)
            assert [(d.code, d.severity) for d in caught.value.diagnostics] == [("old_objects_held", "error")]
            assert str(service.handler.running) == "shop 1"
            assert (await apply(service, new)).status == "done"
            back = plan(service.handler.running, read_release(old))
            outcome = await service.handler.install(
                back, owner="a test", emit=lambda _: None, options=Options(dry_run=True)
            )
            # the first version comes back as another one: what was made before it is told again
            assert [d.code for d in outcome.diagnostics if d.severity == "warning"] == ["old_objects_held"]

    asyncio.run(work())


def test_the_commands_say_it_and_strict_ends_with_refused(commands: Commands, tmp_path: Path) -> None:
    old, new = releases(tmp_path, HELD["instance"][0])
    with commands.node(old, "--name", "held"):
        assert "[old_objects_held]" in commands.run("apply", "held", new, "--dry-run").stdout
        assert "state['cart'][1]" in commands.run("apply", "held", new, "--yes", "--strict", exit_code=4).stderr
        assert "[old_objects_held]" in commands.run("apply", "held", new, "--yes").stdout


def test_relups_own_libraries_make_way_for_those_of_a_release(commands: Commands, tmp_path: Path) -> None:
    """`relup start` has read the release with yaml and jsonschema, and its own command line is built with click."""
    lib = {"__init__": "", "helper": "VSN = {vsn!r}\n"}
    extra = "\n".join(f'  - {{name: {n}, vsn: "{{vsn}}"}}' for n in ("click", "yaml", "attrs", "jsonschema"))
    appups = {
        n: f'application: {n}\nvsn: "2"\nup:\n  - {{from: "1", instructions: [{{load_module: {n}.helper}}]}}\n'
        for n in ("click", "yaml", "attrs", "jsonschema")
    }
    worker = WORKER.format(state="from click.helper import VSN; return VSN", change="").replace(
        "from shop import lib", "import click.helper, yaml.helper, attrs.helper, jsonschema.helper"
    )
    folders = []
    for vsn in "12":
        folder = tmp_path / vsn
        appup = APPUP.format(i="") if vsn == "2" else None
        write_release(folder, vsn, {"app": APP, "worker": worker}, appup, extra=extra.replace("{vsn}", vsn) + "\n")
        for name, text_of_appup in appups.items():
            (folder / name).mkdir()
            for module, text in lib.items():
                (folder / name / f"{module}.py").write_text(text.format(vsn=vsn))
            if vsn == "2":
                down = text_of_appup.replace("up:", "down:").replace("from", "to").partition("down:")[2]
                (folder / f"{name}.appup.yaml").write_text(text_of_appup + "down:" + down)
        folders.append(folder)
    with commands.node(folders[0], "--name", "own"):
        seen = "[__import__(n + '.helper').helper.VSN for n in ('click', 'yaml', 'attrs', 'jsonschema')]"
        assert commands.run("rpc", "own", seen).stdout.strip() == str(["1"] * 4)
        commands.run("apply", "own", folders[1], "--yes")
        assert commands.run("rpc", "own", seen).stdout.strip() == str(["2"] * 4)
        commands.run("downgrade", "own", "--yes")
        assert commands.run("rpc", "own", seen).stdout.strip() == str(["1"] * 4)


def test_what_many_servers_share_is_looked_through_once(tmp_path: Path) -> None:
    """Looked through by each of them, it would be more than is looked at in all."""
    shared = "{n: [[n]] for n in range(10_000)} | {'old': [lib.Item('a')]}"
    state = (
        f"global SHARED; SHARED = {shared} if number == 0 else SHARED; return [SHARED, [lib.Kind.TEA, number, self]]"
    )
    old, new = releases(tmp_path, state.replace("SHARED", "CACHE"))
    for folder in (old, new):
        (folder / "shop/app.py").write_text((folder / "shop/app.py").read_text().replace("range(3)", "range(301)"))
    outcome = upgrade(tmp_path, old, new, dry_run=True)
    assert "search_bounded" not in [d.code for d in outcome.diagnostics]
    found = [d.message.partition(" (") for d in outcome.diagnostics if d.code == "old_objects_held"]
    assert [(kind, rest.partition(") ")[2].partition(";")[0]) for kind, _, rest in found] == [
        ("module shop.worker", "holds an instance of shop.lib:Item, in shop.worker.CACHE['old'][0]"),
        ("shop.worker:Worker", "and 300 more) holds an instance of shop.lib:Item, in state[0]['old'][0]"),
        ("shop.worker:Worker", "and 300 more) holds an instance of shop.lib:Kind, in state[1][0]"),
    ]


OLD = [type(name, (), {"__module__": "replaced"}) for name in ("One", "Two")]
Graph = tuple[list[tuple[int, list[int]]], list[tuple[int, int]]]
"""Objects, each with its kind and the parts that it has, and holders of some, each of a module."""


def reached(top: Any) -> set[Any]:
    seen, pending = {id(top): top}, [top]
    for value in pending:
        fresh = [v for v in (value if type(value) is list else ()) if id(v) not in seen]
        seen |= {id(v): v for v in fresh}
        pending += fresh
    return {v for v in seen.values() if type(v) in OLD}


numbers = st.integers(0, 9)
graphs = st.tuples(
    st.lists(st.tuples(st.integers(0, 5), st.lists(numbers, max_size=3)), min_size=10, max_size=10),
    st.lists(st.tuples(st.integers(0, 2), numbers), min_size=1, max_size=8),
)


@settings(max_examples=500)
@given(graphs)
def test_however_objects_are_shared_each_holder_and_each_old_object_is_counted_once(graph: Graph) -> None:
    kinds, holders = graph
    objects = [OLD[kind]() if kind < len(OLD) else [] for kind, _ in kinds]
    for value, (_, below) in zip(objects, kinds, strict=True):
        if type(value) is list:
            value += [objects[n] for n in below]
    expected: dict[tuple[int, str], tuple[int, int]] = {}
    variables = [(f"m{m}", f"v{n}", objects[top]) for n, (m, top) in enumerate(holders)]
    for m, cls in product(range(3), OLD):
        those = [{o for o in reached(objects[top]) if type(o) is cls} for owner, top in holders if owner == m]
        those = [t for t in those if t]
        if those:
            expected[m, cls.__name__] = len(those), len(set().union(*those))
    del objects, value, those  # some are held by nobody but each other now
    said = asyncio.run(old_objects_held([], variables, Replaced(["replaced"]), lambda process: False, {}))
    assert {counted(d.message) for d in said} == {(*k, *v) for k, v in expected.items()}
    spaces = {m: SimpleNamespace(**{n: v for k, n, v in variables if k == m}) for m, _, _ in variables}
    for path in (path for d in said for path in places(d.message)):
        assert type(eval(path, vars(SimpleNamespace(**spaces)))) in OLD


def places(message: str) -> list[str]:
    """Return where something is held, by a warning."""
    return message.partition(", in ")[2].partition(";")[0].partition(" and ")[0].split(", ")


def counted(message: str) -> tuple[int, str, int, int]:
    found = re.match(r"module m(\d) \(v\d(?: and (\d+) more)?\) holds (\w+) \w+ of replaced:(\w+)", message)
    assert found
    module, more, objects, name = found.groups()
    return int(module), name, int(more or 0) + 1, 1 if objects == "an" else int(objects)
