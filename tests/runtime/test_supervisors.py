"""Supervisors: starts, ends, failures, specs, code changes. Restarts are compared with OTP's own."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from relup.runtime import (
    ChildError,
    ChildSpec,
    FailedToStartChild,
    GenServer,
    Ignore,
    InvalidSpec,
    Node,
    Pid,
    ProcessError,
    Stop,
    Supervisor,
    SupervisorSpec,
)
from relup.runtime.supervisor import (
    count_children,
    delete_child,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)
from relup.runtime.suspension import resume, suspend
from tests.runtime.program import program, turns, until


class Worker(GenServer):
    """Writes its life into the journal that it is given."""

    def init(self, args: Any) -> Any:
        journal, behaviour = args
        journal.append(("start", self.name))
        match behaviour:
            case "fail":
                raise ValueError("cannot start")
            case "ignore":
                return Ignore
            case ("fail on", counter):
                counter[0] -= 1
                if counter[0] == 0:
                    raise ValueError("cannot start this time")
        return args

    async def handle_cast(self, message: Any, state: Any) -> Any:
        if isinstance(message, asyncio.Event):
            await message.wait()
            return state
        return Stop(message, state)

    def terminate(self, reason: Any, state: Any) -> None:
        state[0].append(("end", self.name, reason))


class Top(Supervisor):
    def init(self, args: Any) -> Any:
        return args


def spec(journal: list[Any], name: str, behaviour: Any = None, **options: Any) -> ChildSpec:
    return ChildSpec(name, Worker, (journal, behaviour), name=name, **options)


def top(*children: ChildSpec, **options: Any) -> SupervisorSpec:
    return SupervisorSpec(list(children), **options)


def pid_of(node: Node, name: str) -> Pid:
    pid = node.whereis(name)
    assert pid is not None
    return pid


@program
async def test_children_start_in_order_and_end_in_reverse() -> None:
    journal: list[Any] = []
    async with Node() as node:
        sup = await node.start(Top, top(*(spec(journal, n) for n in "abc")))
        assert [(c.id, c.child, c.type, c.modules) for c in await which_children(sup)] == [
            (n, node.whereis(n), "worker", (__name__,)) for n in "abc"
        ]
        assert await count_children(sup) == {"specs": 3, "active": 3, "supervisors": 0, "workers": 3}
    assert journal == [("start", n) for n in "abc"] + [("end", n, "shutdown") for n in "cba"]


@program
async def test_a_child_that_fails_to_start_ends_those_before_it_and_the_start() -> None:
    journal: list[Any] = []
    async with Node() as node:
        with pytest.raises(FailedToStartChild) as failed:
            await node.start(Top, top(spec(journal, "a"), spec(journal, "b"), spec(journal, "c", "fail")), name="top")
        assert failed.value.child == "c"
        assert isinstance(failed.value.reason, ValueError)
        assert not node.processes
    assert journal == [("start", n) for n in "abc"] + [("end", "b", "shutdown"), ("end", "a", "shutdown")]


@program
async def test_a_nested_supervisor_ends_its_own_children_first() -> None:
    journal: list[Any] = []
    async with Node() as node:
        inner = ChildSpec("inner", Top, top(spec(journal, "b"), spec(journal, "c")), name="inner")
        sup = await node.start(Top, top(spec(journal, "a"), inner, spec(journal, "d")))
        assert [c.type for c in await which_children(sup)] == ["worker", "supervisor", "worker"]
        await terminate_child(sup, "inner")
        assert node.whereis("b") is None
        await restart_child(sup, "inner")
        assert node.processes[pid_of(node, "b")].parent is node.processes[pid_of(node, "inner")]
        journal.clear()
    assert journal == [("end", n, "shutdown") for n in "dcba"]


@program
async def test_a_child_whose_init_returns_ignore_has_no_process() -> None:
    journal: list[Any] = []
    async with Node() as node:
        sup = await node.start(
            Top, top(spec(journal, "a", "ignore"), spec(journal, "t", "ignore", restart="temporary"))
        )
        assert [(c.id, c.child) for c in await which_children(sup)] == [("a", None)]
        assert await start_child(sup, spec(journal, "b", "ignore")) is None
        assert await restart_child(sup, "b") is None


@pytest.mark.parametrize(
    ("shutdown", "reasons"), [(5.0, ["shutdown"]), ("infinity", ["shutdown"]), ("brutal_kill", [])]
)
@program
async def test_the_shutdown_of_a_spec_says_whether_terminate_is_called(shutdown: Any, reasons: list[str]) -> None:
    journal: list[Any] = []
    async with Node() as node:
        sup = await node.start(Top, top(spec(journal, "a", shutdown=shutdown)))
        await terminate_child(sup, "a")
        assert [entry[2] for entry in journal if entry[0] == "end"] == reasons


@program
async def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    journal: list[Any] = []
    async with Node() as node:
        sup = await node.start(Top, top(spec(journal, "a", shutdown=0.01)))
        monitor = node.monitor("a")
        node.cast("a", asyncio.Event())
        await turns()
        await terminate_child(sup, "a")
        assert await monitor == "killed"
    assert journal == [("start", "a")]


@program
async def test_too_many_restarts_end_the_supervisor_with_shutdown(caplog: pytest.LogCaptureFixture) -> None:
    journal: list[Any] = []
    async with Node() as node:
        children = [spec(journal, n) for n in "abc"]
        sup = await node.start(Top, top(*children, intensity=1, period=60))
        monitor = node.monitor(sup)
        for _ in range(2):
            down = node.monitor("b")
            node.cast("b", "boom")
            await down
            await turns()
        assert await monitor == "shutdown"
        assert not node.processes
    assert journal[-2:] == [("end", "c", "shutdown"), ("end", "a", "shutdown")]
    assert [r.getMessage() for r in caplog.records if "gives up" in r.getMessage()]


@program
async def test_restarts_long_ago_do_not_count() -> None:
    journal: list[Any] = []
    async with Node() as node:
        sup = await node.start(Top, top(spec(journal, "a"), intensity=1, period=0.001))
        for _ in range(5):
            down = node.monitor("a")
            node.cast("a", "boom")
            await down
            passed = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.005, passed.set_result, None)
            await passed
        assert sup in node.processes
        assert node.whereis("a")


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@program
async def test_a_restart_that_fails_is_tried_again(strategy: Any, caplog: pytest.LogCaptureFixture) -> None:
    journal: list[Any] = []
    async with Node() as node:
        children = [spec(journal, "a"), spec(journal, "b", ("fail on", [2])), spec(journal, "c")]
        sup = await node.start(Top, top(*children, strategy=strategy, intensity=5, period=60))
        node.cast("b", "boom")
        await until(lambda: journal.count(("start", "b")) == 3 and node.whereis("c") is not None)
        assert [c.child for c in await which_children(sup)] == [node.whereis(n) for n in "abc"]
        assert journal.count(("start", "b")) == 3
    assert any("tries again" in r.getMessage() for r in caplog.records)


@program
async def test_one_crash_is_one_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with Node() as node:
        sup = await node.start(Top, top(spec([], "a")))
        pid = pid_of(node, "a")
        node.cast("a", ValueError("boom"))
        await node.monitor(pid)
        await which_children(sup)
        assert pid_of(node, "a") != pid
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1


@program
async def test_refusals_have_otps_tags() -> None:
    journal: list[Any] = []
    async with Node() as node:
        sup = await node.start(Top, top(spec(journal, "a")), name="top")
        cases = [
            (start_child("top", spec(journal, "a")), "already_started"),
            (restart_child(sup, "a"), "running"),
            (delete_child(sup, "a"), "running"),
            (terminate_child(sup, "ghost"), "not_found"),
            (restart_child(sup, ["unhashable"]), "not_found"),
            (start_child(sup, spec(journal, "b", "fail")), "failed_to_start_child"),
        ]
        for request, tag in cases:
            with pytest.raises(ChildError) as refused:
                await request
            assert refused.value.tag == tag
        await terminate_child(sup, "a")
        with pytest.raises(ChildError) as refused:
            await start_child(sup, spec(journal, "a"))
        assert refused.value.tag == "already_present"
        assert await restart_child(sup, "a") == node.whereis("a")
        with pytest.raises(ProcessError, match="does not understand"):
            await node.call(sup, "junk")
        assert [c.id for c in await which_children(sup)] == ["a"]


@program
async def test_a_child_spec_may_be_plain_data() -> None:
    async with Node() as node:
        sup = await node.start(Top, top())
        data = {"id": "w", "start": f"{__name__}:Worker", "args": ([], None), "name": "w", "restart": "transient"}
        assert await start_child(sup, data) == node.whereis("w")
        for wrong, problem in (
            ({"id": 1}, "start"),
            ({"id": 1, "start": "no.such:Class"}, "no such class"),
            ({"id": 1, "start": f"{__name__}:Worker", "ending": 1}, "ending"),
        ):
            with pytest.raises(InvalidSpec, match=problem):
                await start_child(sup, wrong)


@program
async def test_all_that_is_wrong_with_specs_is_said_at_once() -> None:
    wrong = SupervisorSpec(
        [
            ChildSpec("a", int, restart="always", shutdown=-1),  # type: ignore[arg-type]
            ChildSpec("a", Worker, type="robot", modules="m"),  # type: ignore[arg-type]
            ChildSpec([], Worker, name=7),  # type: ignore[arg-type]
            "no spec",  # type: ignore[list-item]
        ],
        strategy="all_for_none",  # type: ignore[arg-type]
        intensity=-1,
        period=0,
    )
    async with Node() as node:
        with pytest.raises(InvalidSpec) as invalid:
            await node.start(Top, wrong)
        found = "\n".join(invalid.value.problems)
        for part in (
            "strategy 'all_for_none'", "intensity -1", "period 0", "no GenServer", "restart 'always'", "shutdown -1",
            "type 'robot'", "modules 'm'", "hashable", "name 7", "'no spec' is no ChildSpec", "2 children have the id",
        ):  # fmt: skip
            assert part in found
        with pytest.raises(InvalidSpec, match="must return a SupervisorSpec"):
            await node.start(Top, None)


class Changing(Supervisor):
    """Its init reads a list that the test writes, as new code would."""

    def init(self, args: Any) -> Any:
        return args[0]


@program
async def test_a_code_change_reads_init_again_and_leaves_the_old_state_as_it_was() -> None:
    journal: list[Any] = []
    cell = [top(*(spec(journal, n) for n in "abc"))]
    async with Node() as node:
        sup = node.processes[await node.start(Changing, cell)]
        await start_child(sup.pid, spec(journal, "extra"))
        pids = {c.id: c.child for c in await which_children(sup.pid)}
        before = sup.state
        snapshot = (before.strategy, dict(before.children), dict(before.ids))
        cell[0] = top(
            spec(journal, "new"),
            spec(journal, "c", shutdown=9.0),
            spec(journal, "a"),
            strategy="one_for_all",
            intensity=7,
        )
        assert await suspend(node, [sup]) == []
        after = sup.change_code(__name__, "1", None)
        assert sup.state is before
        assert (before.strategy, before.children, before.ids) == snapshot
        assert [(c.id, c.child) for c in after.info()] == [
            ("new", None),
            ("c", pids["c"]),
            ("a", pids["a"]),
            ("b", pids["b"]),
            ("extra", pids["extra"]),
        ]
        assert (after.strategy, after.intensity, after.children["c"].spec.shutdown) == ("one_for_all", 7, 9.0)
        assert ("start", "new") not in journal
        sup.state = after
        resume(node, [sup])
        assert await restart_child(sup.pid, "new") == node.whereis("new")
        cell[0] = top(spec(journal, "a", restart="never"))
        with pytest.raises(InvalidSpec):
            sup.change_code(__name__, "2", None)


@program
async def test_an_exit_during_the_hold_of_a_supervisor_is_handled_after_it() -> None:
    async with Node() as node:
        sup = node.processes[await node.start(Top, top(spec([], "a")))]
        assert await suspend(node, [sup]) == []
        node.exit("a", "kill")
        await turns()
        assert node.whereis("a") is None
        assert len(sup.mailbox) == 1
        resume(node, [sup])
        await which_children(sup.pid)
        assert node.whereis("a")


@program
async def test_a_supervisor_that_ends_a_held_child_is_drained_with_it() -> None:
    journal: list[Any] = []
    async with Node() as node:
        sup = node.processes[await node.start(Top, top(spec(journal, "a"), spec(journal, "b")))]
        a, b = (node.processes[pid_of(node, n)] for n in "ab")
        event = asyncio.Event()
        node.cast("b", event)
        await turns()
        ending = asyncio.create_task(terminate_child(sup.pid, "b"))
        await turns()
        assert sup.waiting_for == (b,)
        suspension = asyncio.create_task(suspend(node, [sup, a, b]))
        await turns()
        event.set()
        assert await suspension == []
        await ending
        assert not b.alive
        assert a.suspended
        resume(node, [sup, a, b])


@program
async def test_a_killed_supervisor_takes_its_children_along() -> None:
    async with Node() as node:
        inner = ChildSpec("inner", Top, top(spec([], "b")), name="inner")
        sup = await node.start(Top, top(spec([], "a"), inner))
        monitors = [node.monitor(n) for n in ("a", "b", "inner")]
        node.exit(sup, "kill")
        assert [await m for m in monitors] == ["killed", "shutdown", "killed"]
        await turns()
        assert not node.processes


@program
async def test_an_init_that_is_not_overridden_says_so() -> None:
    async with Node() as node:
        with pytest.raises(NotImplementedError, match="has no init"):
            await node.start(Supervisor)


@program
async def test_a_stopped_child_comes_back_if_it_is_permanent() -> None:
    async with Node() as node:
        sup = await node.start(Top, top(spec([], "a"), spec([], "b", restart="transient")))
        await node.stop("a")
        await node.stop("b")
        await which_children(sup)
        assert node.whereis("a")
        assert node.whereis("b") is None
