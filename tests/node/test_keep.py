"""`keep`: the new version goes on with what a name of the old one means when the code is exchanged; undone as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from textwrap import indent
from typing import Any, TypeAlias

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Emit, Event, Options, Outcome
from relup.model.release import Release
from relup.planner import plan
from relup.targets.python.service import Service, serve
from tests.support import supervised, unread, write_release

STORE = """
    VERSION = {vsn}
    SESSIONS = {{}}
    COUNT = {count}

    def visit(name):
        global COUNT
        COUNT += 1
        SESSIONS[name] = [COUNT]
"""
PASSED_ON = """
    from shop.store import SESSIONS as passed_on, COUNT, visit
"""
READER = """
    from .passed_on import *
    from . import store
    VERSION = {vsn}
    __all__ = ["passed_on"]
"""
WORKER = """
    import asyncio
    from relup.runtime import Down, GenServer, Reply
    from shop.passed_on import passed_on
    from shop.reader import passed_on as read
    from shop import store, reader, passed_on as module
    VERSION = {vsn}

    class Worker(GenServer):
        def init(self, number):
            store.visit(f"w{{number}}")
            return number

        def handle_call(self, request, caller, state):
            store.visit(request)
            return Reply((store.VERSION, store.COUNT, sorted(store.SESSIONS)), state)

        {kind} code_change(self, old_vsn, state, extra):
            store.SESSIONS["w0"].append("changed in place")
            store.SESSIONS[f"change {{state}}"] = []
            store.COUNT += 100
            {change}
            return state
"""
KEEP = """
- load_module: {module: shop.store, keep: [SESSIONS, COUNT]}
- load_module: shop.reader
- update: {module: shop.worker, change: advanced, depends: [shop.store, shop.reader]}
"""
LEAVE = KEEP.replace(", keep: [SESSIONS, COUNT]", "")


def modules(vsn: int, change: str = "pass", kind: str = "def", store: str = STORE) -> Mapping[str, str]:
    return {
        "app": supervised(2),
        "store": store.format(vsn=vsn, count=vsn * 1000),
        "passed_on": PASSED_ON,
        "reader": READER.format(vsn=vsn),
        "worker": WORKER.format(vsn=vsn, change=change, kind=kind),
    }


def appup(up: str, down: str | None = None) -> str:
    lists = f'up:\n  - from: "1"\n    instructions:{indent(up, "      ")}'
    back = "" if down is None else f'down:\n  - to: "1"\n    instructions:{indent(down, "      ")}'
    return f'application: shop\nvsn: "2"\n{lists}{back}'


@asynccontextmanager
async def running(tmp_path: Path, up: str = KEEP, down: str = KEEP, **new: str) -> AsyncIterator[tuple[Service, Path]]:
    old = write_release(tmp_path / "1", "1", modules(1))
    goal = write_release(tmp_path / "2", "2", modules(2, **new), appup(up, down))
    async with serve(old, base=tmp_path / "home") as service:
        yield service, goal


Read: TypeAlias = Callable[[Path], Release]


async def apply(
    service: Service, goal: Path, emit: Emit = lambda event: None, *, dry_run: bool = False, read: Read = read_release
) -> Outcome:
    relup = plan(read(Path(service.handler.running.root)), read(goal))
    return await service.handler.install(relup, owner="a test", emit=emit, options=Options(dry_run=dry_run))


def bindings() -> dict[str, Any]:
    """Return everything by which SESSIONS can be reached."""
    store, passed_on, reader, worker = (import_module(f"shop.{m}") for m in ("store", "passed_on", "reader", "worker"))
    return {
        "itself": store.SESSIONS,
        "through a module": reader.store.SESSIONS,
        "imported by one that stays": passed_on.passed_on,
        "through a star": reader.passed_on,
        "by one that is new": worker.passed_on,
        "through two": worker.read,
        "through one that stays": worker.module.passed_on,
    }


def test_every_binding_leads_to_what_the_name_meant_when_the_code_was_exchanged(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (service, goal):
            store = import_module("shop.store")
            first = store.SESSIONS

            def rebind(event: Event) -> None:
                if event.phase == "suspend":
                    store.visit("late")

            outcome = await apply(service, goal, rebind)
            assert outcome.status == "done"
            now = bindings()
            assert {k: v is first for k, v in now.items()} == dict.fromkeys(now, True)
            assert list(first) == ["w0", "w1", "late", "change 0", "change 1"]
            assert import_module("shop.store").COUNT == 1203
            assert import_module("shop.passed_on").COUNT == 1000, "a copy that was another value already is nobody's"
            assert await service.node.call("w0", "x") == (2, 1204, sorted(first))

    asyncio.run(scenario())


def test_on_the_way_down_it_goes_back_where_the_down_list_keeps_it_and_starts_anew_where_not(tmp_path: Path) -> None:
    async def scenario(folder: Path, down: str) -> tuple[int, int, list[str]]:
        async with running(folder, down=down) as (service, goal):
            first = import_module("shop.store").SESSIONS
            outcome = await apply(service, goal)
            assert outcome.status == "done"
            warned = [d.message for d in outcome.diagnostics if d.code == "not_kept_down"]
            assert bool(warned) == (down == LEAVE)
            await service.node.call("w1", "new")
            assert (await apply(service, folder / "1")).status == "done"
            now = bindings()
            assert {v is first for v in now.values()} == {down == KEEP}
            assert {id(v) for v in now.values()} == {id(import_module("shop.store").SESSIONS)}
            answer: tuple[int, int, list[str]] = await service.node.call("w0", "x")
            return answer

    kept = asyncio.run(scenario(tmp_path / "kept", KEEP))
    assert kept == (1, 1404, ["change 0", "change 1", "new", "w0", "w1", "x"])
    assert asyncio.run(scenario(tmp_path / "anew", LEAVE)) == (1, 1001, ["x"])


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_rollback_puts_back_names_and_what_was_changed_in_place(tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        later = "await asyncio.sleep(0)" if kind == "async def" else "pass"
        change = f"{later}; state == 1 and 1/0"
        async with running(tmp_path, kind=kind, change=change) as (service, goal):
            store, before = import_module("shop.store"), bindings()
            contents = repr(store.SESSIONS)
            outcome = await apply(service, goal)
            assert (outcome.status, outcome.diagnostics[0].code) == ("rolled_back", "code_change_failed")
            now = bindings()
            assert {k: v is before[k] for k, v in now.items()} == dict.fromkeys(now, True)
            assert import_module("shop.store") is store
            assert (repr(store.SESSIONS), store.COUNT, store.VERSION) == (contents, 1002, 1)
            assert await service.node.call("w0", "x") == (1, 1003, ["w0", "w1", "x"])

    asyncio.run(scenario())


def test_a_failing_way_down_puts_back_what_code_change_did_before_the_exchange(tmp_path: Path) -> None:
    async def scenario() -> None:
        change = "isinstance(old_vsn, Down) and state == 1 and 1/0"
        async with running(tmp_path, change=change) as (service, goal):
            assert (await apply(service, goal)).status == "done"
            store, before = import_module("shop.store"), bindings()
            contents, count = repr(store.SESSIONS), store.COUNT
            outcome = await apply(service, tmp_path / "1")
            assert (outcome.status, outcome.diagnostics[0].code) == ("rolled_back", "code_change_failed")
            now = bindings()
            assert {k: v is before[k] for k, v in now.items()} == dict.fromkeys(now, True)
            assert (repr(store.SESSIONS), store.COUNT) == (contents, count)

    asyncio.run(scenario())


CALL = '- apply: {module: shop.ops, function: "%s", undo: {module: shop.ops, function: "%s"}}\n'
OPS = """
    from shop import store

    def visit():
        store.visit("between")

    def undone():
        store.visit("undone")

    def fail():
        raise RuntimeError("no")
"""


@pytest.mark.parametrize("down", [KEEP, LEAVE])
def test_a_late_failure_takes_back_what_was_kept_in_the_meantime(tmp_path: Path, down: str) -> None:
    """An early window that is downgraded keeps what its way back keeps; else the old module has what it had."""

    async def scenario() -> None:
        old = write_release(tmp_path / "1", "1", {**modules(1), "ops": OPS})
        up = KEEP + CALL % ("visit", "undone") + CALL % ("fail", "fail")
        goal = write_release(tmp_path / "2", "2", {**modules(2), "ops": OPS}, appup(up, down))
        async with serve(old, base=tmp_path / "home") as service:
            import_module("shop.ops")
            store = import_module("shop.store")
            sessions = store.SESSIONS
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back", outcome
            assert import_module("shop.store") is store
            assert {v is sessions for v in bindings().values()} == {True}
            assert sorted(sessions) == ["between", "change 0", "change 1", "undone", "w0", "w1"]
            counted = 1404 if down == KEEP else 1002
            assert vars(store)["COUNT"] == counted

    asyncio.run(scenario())


BAD = """
    import functools
    import threading
    VERSION = {vsn}
    class Cart: ...
    def function(): ...
    def handler(): ...
    @functools.lru_cache
    def cached(): ...
    method = functools.partial(function)
    BARE = {{}}
    CARTS = []
    HANDLERS = {{"{vsn}": handler}}
    FILLED = {{"only {vsn}": 1}}
    NUMBER = 1
    ALIAS = BARE
    OWN, OTHER = Cart(), Cart()
    LOCK = threading.Lock()
    LOOP = []
    def remembers(store=BARE): return store
    only_{vsn} = 1
"""
REFUSED = {
    "gone": ("no_such_name", "the version of shop.store that runs has no gone"),
    "BRAE": ("no_such_name", "did you mean 'BARE'?"),
    "only_1": ("no_such_name", "the version of shop.store to come has no only_1"),
    "function": ("keeps_old_code", "shop.store.function is the function function, old code"),
    "cached": ("keeps_old_code", "shop.store.cached is the function cached"),
    "method": ("keeps_old_code", "shop.store.method is the function function"),
    "Cart": ("keeps_old_code", "shop.store.Cart is the class Cart"),
}
WARNED = {
    "CARTS": ["keeps_old_instances: keep: shop.store.CARTS holds instances of shop.store.Cart"],
    "HANDLERS": [
        "keeps_old_code: keep: shop.store.HANDLERS holds the function handler",
        "made_in_vain: keep: the new body puts '2' into shop.store.HANDLERS",
    ],
    "FILLED": ["made_in_vain: keep: the new body puts 'only 2' into shop.store.FILLED"],
    "BARE": [
        "not_kept_everywhere: keep: shop.store.ALIAS holds what the new body made for shop.store.BARE",
        "not_kept_everywhere: keep: shop.store.remembers holds what the new body made for shop.store.BARE",
    ],
    "NUMBER": [],
    "OWN": ["keeps_old_instances: keep: shop.store.OWN holds instances of shop.store.Cart"],
    "LOCK": [],
    "LOOP": [],
}


def test_what_is_not_worth_keeping_is_refused_or_warned_of_beforehand(tmp_path: Path) -> None:
    async def scenario() -> None:
        other = {"app": supervised(1), "worker": "from relup.runtime import GenServer\nclass Worker(GenServer): ...\n"}
        old = write_release(tmp_path / "1", "1", {**other, "store": BAD.format(vsn=1)})
        async with serve(old, base=tmp_path / "home") as service:
            store = import_module("shop.store")
            store.CARTS.append({"nested": store.Cart()})
            store.LOOP.append(asyncio.get_running_loop())

            def goal(name: str) -> Path:
                load = f"\n- load_module: {{module: shop.store, keep: [{name}]}}\n"
                new = {**other, "store": BAD.format(vsn=2)}
                return write_release(tmp_path / name, "2", new, appup(load, load))

            for name, (code, words) in REFUSED.items():
                with pytest.raises(Refused) as refusal:
                    await apply(service, goal(name), read=unread)
                [diagnostic] = refusal.value.diagnostics
                assert (diagnostic.code, words in str(diagnostic)) == (code, True), str(diagnostic)
                assert str(diagnostic.location).endswith("shop.appup.yaml:6:9")
            for name, expected in WARNED.items():
                outcome = await apply(service, goal(name), dry_run=True)
                said = sorted(f"{d.code}: {d.message}" for d in outcome.diagnostics if d.severity == "warning")
                assert len(said) == len(expected), said
                assert all(s.startswith(e) for s, e in zip(said, expected, strict=True)), said

    asyncio.run(scenario())


def test_what_is_found_in_kept_values_is_told_in_an_order_and_where_the_search_ended_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        other = {"app": supervised(1), "worker": "from relup.runtime import GenServer\nclass Worker(GenServer): ...\n"}
        load = "\n- load_module: {module: shop.store, keep: [CARTS]}\n"
        old = write_release(tmp_path / "1", "1", {**other, "store": BAD.format(vsn=1)})
        new = write_release(tmp_path / "2", "2", {**other, "store": BAD.format(vsn=2)}, appup(load, load))
        async with serve(old, base=tmp_path / "home") as service:
            store = import_module("shop.store")
            store.CARTS.append({store.remembers, store.function, store.Cart(), store.handler, 5})
            outcome = await apply(service, new, dry_run=True)
            found = [
                "instances of shop.store.Cart",
                *(f"the function {f}" for f in ("function", "handler", "remembers")),
            ]
            assert [d.message for d in outcome.diagnostics if d.code.startswith("keeps_old")] == [
                f"keep: shop.store.CARTS holds {what} of the version that is left" for what in found
            ]
            assert "search_bounded" not in [d.code for d in outcome.diagnostics]
            store.CARTS[:] = [[store.handler] for _ in range(20_001)]
            outcome = await apply(service, new, dry_run=True)
            [note] = [d for d in outcome.diagnostics if d.code == "search_bounded"]
            assert note.severity == "note"
            assert "shop.store.CARTS was searched for old code up to 20,000 objects" in note.message
            assert str(note.location).endswith("shop.appup.yaml:6:9")

    asyncio.run(scenario())
