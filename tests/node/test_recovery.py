"""What goes wrong in odd places: half-done stops, hangs, deaths, late failures, the way back itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Event, Options
from relup.planner import plan
from relup.targets.python.service import Service
from tests.node.test_instructions import UPDATE, apply, appup, reach, running, shop
from tests.support import supervised, write_release

UNDONE = "undo: {module: shop.ops, function: note, args: [undone]}"
INSIDE = f"- apply: {{module: shop.ops, function: note, args: [done], window: inside, {UNDONE}}}"
OPS = """
    notes = []

    def note(what):
        notes.append(what)

    def fail():
        raise RuntimeError("no")
"""
FAIL = "- apply: {module: shop.ops, function: fail}"
STOP_START = (
    "- load_object_code: {{application: shop, vsn: '{}', modules: [shop.worker]}}",
    "- point_of_no_return",
    "- stop: [shop.worker]",
    "- load: shop.worker",
    "- start: [shop.worker]",
)


def stop_start(vsn: str) -> tuple[str, ...]:
    return tuple(line.format(vsn) for line in STOP_START)


def changed(folder: Path, body: str, *up: str, count: int = 2) -> Path:
    """Write release 2 of the shop, whose `code_change` is *body*."""
    goal = shop(folder, "2", appup(*up), count=count)
    path = goal / "shop" / "worker.py"
    text = path.read_text()
    old = '        return [*state, "down" if isinstance(old_vsn, Down) else "up"]\n'
    assert old in text
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    path.write_text(text.replace(old, lines).replace("def code_change", "async def code_change"))
    return goal


async def states(service: Service, *names: str) -> list[object]:
    return [await service.node.call(name, "get") for name in names or ("w0", "w1")]


def test_processes_that_were_stopped_run_again_when_the_new_ones_do_not_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = shop(tmp_path / "2", "2", appup(*stop_start("2"), down=stop_start("1")))
            path = goal / "shop" / "worker.py"
            path.write_text(path.read_text().replace("return [2]", "raise ValueError('no')"))
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back", outcome
            assert await states(service) == [[1], [1]]
            assert "state_lost" in {d.code for d in outcome.diagnostics}

    asyncio.run(scenario())


@pytest.mark.parametrize("body", ["await asyncio.Event().wait()", "await self.call('w1', 'get', timeout=None)"])
def test_a_code_change_that_never_returns_is_rolled_back_in_time(tmp_path: Path, body: str) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            update = "- update: {module: shop.worker, change: advanced, timeout: 200}"
            outcome = await apply(service, changed(tmp_path / "2", body, update))
            assert outcome.status == "rolled_back"
            assert "did not end within 0.2 s" in outcome.diagnostics[0].message
            assert await states(service) == [[1], [1]]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "error", ["asyncio.CancelledError()", "KeyboardInterrupt()", "GeneratorExit()", "BaseException('x')"]
)
def test_whatever_code_change_raises_is_a_failure_of_the_upgrade_alone(tmp_path: Path, error: str) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            outcome = await apply(service, changed(tmp_path / "2", f"raise {error}", UPDATE))
            assert outcome.status == "rolled_back"
            assert await states(service) == [[1], [1]]

    asyncio.run(scenario())


def test_calls_inside_a_window_are_taken_back_when_a_later_step_fails(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1", extra={"ops": OPS}), tmp_path / "home") as service:
            ops = import_module("shop.ops")
            down = (UPDATE,)
            goal = shop(tmp_path / "2", "2", appup(INSIDE, UPDATE, FAIL, down=down), extra={"ops": OPS})
            assert (await apply(service, goal)).status == "rolled_back"
            assert ops.notes == ["done", "undone"]
            assert await states(service) == [[1, "up", "down"], [1, "up", "down"]]

    asyncio.run(scenario())


def test_a_call_inside_a_window_without_processes_is_taken_back(tmp_path: Path) -> None:
    failing = f"- apply: {{module: shop.ops, function: fail, window: inside, {UNDONE}}}"

    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1", extra={"ops": OPS}), tmp_path / "home") as service:
            ops = import_module("shop.ops")
            goal = shop(
                tmp_path / "2",
                "2",
                appup(INSIDE, "- load_module: shop.worker", failing, down=("- load_module: shop.worker",)),
                extra={"ops": OPS},
            )
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back", outcome
            assert ops.notes == ["done", "undone"]

    asyncio.run(scenario())


def test_a_way_back_that_fails_leaves_code_and_states_of_one_version(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1", extra={"ops": OPS}), tmp_path / "home") as service:
            body = "if isinstance(old_vsn, Down):\n    raise ValueError('no way back')\nreturn [*state, 'up']"
            goal = changed(tmp_path / "2", body, UPDATE, FAIL)
            (goal / "shop" / "ops.py").write_text((tmp_path / "1" / "shop" / "ops.py").read_text())
            text = (goal / "shop.appup.yaml").read_text()
            (goal / "shop.appup.yaml").write_text(
                text.replace(f"      {FAIL}\n", "", 2).replace(
                    f"      {UPDATE}\n", f"      {UPDATE}\n      {FAIL}\n", 1
                )
            )
            outcome = await apply(service, goal)
            assert outcome.status == "operator_needed", outcome
            said = {d.code: d.message for d in outcome.diagnostics}
            assert {"call_failed", "code_change_failed"} <= said.keys()
            assert said["not_taken_back"] == "what stays at shop 2: shop.worker"
            assert await states(service) == [[1, "up"], [1, "up"]]
            assert service.node.code.digest("shop.worker") == read_release(goal).fingerprints()["shop.worker"]

    asyncio.run(scenario())


def test_a_shared_object_keeps_what_others_did_to_it_before_the_window(tmp_path: Path) -> None:
    worker = """
        from relup.runtime import GenServer, Reply
        shared = []

        class Worker(GenServer):
            def init(self, number):
                return shared

            def code_change(self, old_vsn, state, extra):
                state.append("changed")
                raise ValueError("no")
    """

    async def scenario() -> None:
        old = write_release(tmp_path / "1", "1", {"app": supervised(2), "worker": worker})
        goal = write_release(tmp_path / "2", "2", {"app": supervised(2), "worker": worker + "\n"}, appup(UPDATE))
        async with running(old, tmp_path / "home") as service:
            shared = import_module("shop.worker").shared

            def meanwhile(event: Event) -> None:
                if event.phase == "suspend":
                    shared.append("order 17")

            outcome = await apply(service, goal, emit=meanwhile)
            assert outcome.status == "rolled_back"
            assert shared == ["order 17"]

    asyncio.run(scenario())


def test_a_listener_that_raises_changes_nothing(tmp_path: Path) -> None:
    def broken(event: Event) -> None:
        raise BrokenPipeError(event.phase)

    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            outcome = await apply(service, shop(tmp_path / "2", "2", appup(UPDATE)), emit=broken)
            assert outcome.status == "done"
            assert await states(service) == [[1, "up"], [1, "up"]]
            assert not service.node.births.closed

    asyncio.run(scenario())


def test_a_death_in_the_window_is_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1", count=3), tmp_path / "home") as service:
            goal = changed(tmp_path / "2", "await gate.wait()\nreturn [*state, 'up']", UPDATE, count=3)
            upgrade = await reach(service, goal, "load")
            old = service.node.whereis("w2")
            assert old is not None
            service.node.exit(old, "kill")
            import_module("shop.worker").gate.set()
            outcome = await upgrade
            assert outcome.status == "done"
            assert [d.code for d in outcome.diagnostics if "w2" in d.message] == ["died_in_window"]
            assert await states(service, "w0", "w1") == [[1, "up"], [1, "up"]]
            with_new_code = service.node.process("w2").reference.cls
            assert with_new_code is import_module("shop.worker").Worker

    asyncio.run(scenario())


def test_an_application_that_does_not_start_is_unknown_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        old, goal = shop(tmp_path / "1", "1"), shop(tmp_path / "2", "2", appup(UPDATE))
        app = "from relup.runtime import Application\nclass App(Application):\n  def start(self, args):\n    1 / 0\n"
        write_release(goal, "2", {"app": app}, name="extra")
        both = 'name: shop\nvsn: "2"\napplications:\n  - {name: shop, vsn: "2", start: "shop.app:App"}\n'
        (goal / "release.yaml").write_text(both + '  - {name: extra, vsn: "1", start: "extra.app:App"}\n')
        async with running(old, tmp_path / "home") as service:
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back", outcome
            assert list(service.node.applications.loaded) == ["shop"]
            assert not service.node.code.loaded("extra.app")

    asyncio.run(scenario())


def test_extra_is_the_same_for_every_process(tmp_path: Path) -> None:
    update = "- update: {module: shop.worker, change: {advanced: {bonus: 5}}}"

    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            outcome = await apply(service, changed(tmp_path / "2", "return [*state, extra.pop('bonus')]", update))
            assert outcome.status == "done", outcome
            assert await states(service) == [[1, 5], [1, 5]]

    asyncio.run(scenario())


def test_a_dry_run_leaves_old_code_where_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = shop(tmp_path / "2", "2", appup(UPDATE))
            await apply(service, goal)
            assert service.node.code.old == ("shop.worker",)
            relup = plan(read_release(goal), read_release(tmp_path / "1"), "down")
            outcome = await service.handler.install(
                relup, owner="a test", emit=lambda event: None, options=Options(dry_run=True)
            )
            assert outcome.status == "ready"
            assert service.node.code.old == ("shop.worker",)

    asyncio.run(scenario())


def test_the_deadline_outwaits_whoever_is_busy(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = shop(tmp_path / "2", "2", appup(UPDATE))
            relup = plan(read_release(tmp_path / "1"), read_release(goal))
            install = service.handler.install
            await install(relup, owner="one", emit=lambda e: None, options=Options(), confirm_within=0.1)
            assert service.handler.deadline is not None
            task = service.handler.deadline.task
            async with service.handler.hold("another"):
                done, _ = await asyncio.wait([task], timeout=0.3)
                assert not done
            await task
            assert service.handler.running.vsn == "1"
            assert await states(service) == [[1, "up", "down"], [1, "up", "down"]]

    asyncio.run(scenario())


def test_the_way_back_ends_at_what_runs_and_no_release_that_ran_is_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = shop(tmp_path / "2", "2", appup(UPDATE))
            await apply(service, goal)
            assert [i.vsn for i in service.handler.records.way_back] == ["1"]
            await apply(service, tmp_path / "1", "down")
            assert [i.vsn for i in service.handler.records.installed] == ["1", "2"]
            assert service.handler.records.way_back == ()

    asyncio.run(scenario())


def test_what_others_write_into_a_shared_object_meanwhile_is_kept(tmp_path: Path) -> None:
    box = "box = []\n"
    worker = """
        import asyncio
        from relup.runtime import GenServer, Reply
        from shop.box import box

        class Worker(GenServer):
            def init(self, number):
                return box

            async def code_change(self, old_vsn, state, extra):
                if self.name == "w1":
                    raise ValueError("no")
                return state
    """

    async def scenario() -> None:
        modules = {"app": supervised(2), "worker": worker, "box": box}
        old = write_release(tmp_path / "1", "1", modules)
        goal = write_release(tmp_path / "2", "2", {**modules, "worker": worker + "\n"}, appup(UPDATE))
        async with running(old, tmp_path / "home") as service:
            written = import_module("shop.box").box
            outcome = await apply(service, goal, emit=lambda event: written.append(event.phase))
            assert outcome.status == "rolled_back"
            assert written == ["prepare", "suspend", "load", "rollback"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "value", ["Reply(1, state)", "NoReply(state)", "Stop('x', state)", "(x for x in state)", "list"]
)
def test_what_is_no_state_is_not_taken_for_one(tmp_path: Path, value: str) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = changed(tmp_path / "2", f"from relup.runtime import NoReply, Stop\nreturn {value}", UPDATE)
            outcome = await apply(service, goal)
            assert outcome.status == "rolled_back"
            assert outcome.diagnostics[0].code == "bad_return_value"
            assert await states(service) == [[1], [1]]

    asyncio.run(scenario())


def test_a_class_that_is_no_server_any_more_is_refused_beforehand(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = shop(tmp_path / "2", "2", appup(UPDATE))
            path = goal / "shop" / "worker.py"
            path.write_text(path.read_text().replace("class Worker(GenServer)", "class Worker"))
            with pytest.raises(Refused, match="bad_behaviour"):
                await apply(service, goal)
            assert await states(service) == [[1], [1]]

    asyncio.run(scenario())


def test_a_deleted_child_comes_back_when_a_later_step_fails(tmp_path: Path) -> None:
    remove = (
        "- apply: {module: supervisor, function: terminate_child, args: [top, w1]}",
        "- apply: {module: supervisor, function: delete_child, args: [top, w1]}",
    )

    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            outcome = await apply(service, changed(tmp_path / "2", "raise ValueError('no')", *remove, UPDATE))
            assert outcome.status == "rolled_back", outcome
            assert await states(service) == [[1], [1]]

    asyncio.run(scenario())


def test_an_edited_plan_that_leaves_changed_modules_alone_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            relup = plan(read_release(tmp_path / "1"), read_release(shop(tmp_path / "2", "2", appup(UPDATE))))
            with pytest.raises(Refused, match="changed_not_loaded"):
                await service.handler.install(
                    replace(relup, script=()), owner="a test", emit=lambda event: None, options=Options()
                )

    asyncio.run(scenario())


def test_a_node_that_stops_rolls_its_upgrade_back_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(shop(tmp_path / "1", "1"), tmp_path / "home") as service:
            goal = changed(tmp_path / "2", "await gate.wait()\nreturn state", UPDATE)
            upgrade = await reach(service, goal, "load")
            await service.handler.finish()
            outcome = await upgrade
            assert (outcome.status, outcome.diagnostics[0].code) == ("rolled_back", "interrupted")
            assert await states(service) == [[1], [1]]
            with pytest.raises(Refused, match="stopping"):
                await apply(service, goal)

    asyncio.run(scenario())
