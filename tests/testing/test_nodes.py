"""A test starts nodes, drives them without `async` and with it, and is told what did not go as it says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

import relup.testing
from relup.diagnostics import InvalidInput, Refused
from relup.runtime import NoProcess
from relup.testing import Nodes, UpgradeFailed, running, start
from relup.testing.threads import InThread
from tests.testing import program


def test_a_node_is_driven_upgraded_and_downgraded_without_async(tmp_path: Path, relup_node: Nodes) -> None:
    node = relup_node.start(program.old(tmp_path / "1"))
    assert node.call("tally", ("add", 2)) == 2
    node.cast("tally", "double")
    node.send("tally", "hello")
    assert node.state("tally") == {"total": 4, "told": "hello"}
    outcome = node.upgrade(program.new(tmp_path / "2"))
    assert (outcome.status, node.vsn, node.release.name) == ("done", "2", "shop")
    assert node.states() == {"tally": {"total": 4, "told": "hello", "by": 1}, "other": {"total": 0, "by": 1}}
    assert node.downgrade().goal == "1"
    assert node.states() == {"tally": {"total": 4, "told": "hello"}, "other": {"total": 0}}


def test_an_asynchronous_test_has_the_node_in_its_own_loop(tmp_path: Path) -> None:
    async def drive() -> None:
        async with running(program.old(tmp_path / "1")) as node:
            assert await node.call("tally", ("ask", "other")) == 0
            await node.settle()
            await node.upgrade(program.new(tmp_path / "2"))
            assert await node.state("other") == {"total": 0, "by": 1}
            assert node.node.loop is asyncio.get_running_loop()

    asyncio.run(drive())


def test_settle_waits_for_messages_that_servers_send_each_other(tmp_path: Path, relup_node: Nodes) -> None:
    node = relup_node.start(program.old(tmp_path / "1"))
    node.call("other", ("add", 3))
    for _ in range(3):
        node.call("tally", ("ask", "other"))
    node.settle()
    assert node.states()["other"] == {"total": 24}


def test_a_state_that_was_looked_at_does_not_change_with_the_server(tmp_path: Path, relup_node: Nodes) -> None:
    node = relup_node.start(program.old(tmp_path / "1"))
    lock = threading.Lock()
    node.send("tally", [{"deep": [1]}, lock])
    before = node.state("tally")
    node.node.process("tally").state["told"][0]["deep"].append(2)
    assert before["told"] == [{"deep": [1]}, lock]
    assert node.state("tally")["told"][0] == {"deep": [1, 2]}


def test_nothing_is_left_of_a_node_that_was_stopped(tmp_path: Path) -> None:
    before = threading.active_count()
    with start(program.old(tmp_path / "1")) as node:
        assert "shop.tally" in sys.modules
    assert "shop.tally" not in sys.modules
    assert threading.active_count() == before
    node.stop()
    with pytest.raises(RuntimeError, match="was stopped"):
        node.call("tally", ("add", 1))


def test_several_nodes_live_in_one_test_where_their_modules_have_names_of_their_own(
    tmp_path: Path, relup_node: Nodes
) -> None:
    first, second = (relup_node.start(program.old(tmp_path / name, name)) for name in ("shop", "kiosk"))
    assert (first.call("tally", ("add", 1)), second.call("tally", ("add", 2))) == (1, 2)
    with pytest.raises(Refused, match=r"another node of this process .*already_loaded"):
        relup_node.start(tmp_path / "shop", name="another")
    first.stop()
    assert relup_node.start(tmp_path / "shop", name="another").state("tally") == {"total": 0}


def test_an_upgrade_that_ends_otherwise_than_expected_fails_the_test(tmp_path: Path, relup_node: Nodes) -> None:
    node = relup_node.start(program.old(tmp_path / "1"))
    node.call("tally", ("add", 2))
    bad = program.new(tmp_path / "2", program.RAISES_AT_2)
    with pytest.raises(UpgradeFailed, match=r"expected 'done', ended 'rolled back'\n.*ZeroDivisionError") as raised:
        node.upgrade(bad)
    assert raised.value.outcome.status == "rolled_back"
    assert node.upgrade(bad, expect="rolled_back").exit_code == 5
    with pytest.raises(UpgradeFailed, match="expected 'rolled back', ended 'done'"):
        node.upgrade(program.new(tmp_path / "3"), expect="rolled_back")
    with pytest.raises(UpgradeFailed, match=r"runs shop 2 already \[nothing_to_do\]\n  refused: nothing was touched$"):
        node.upgrade(tmp_path / "3")
    assert node.upgrade(tmp_path / "3", expect="refused").status == "refused"


def test_what_is_wrong_with_a_release_is_told_at_once(tmp_path: Path, relup_node: Nodes) -> None:
    bad = program.old(tmp_path / "1")
    (bad / "shop" / "tally.py").write_text("def (")
    (bad / "release.yaml").write_text("name: shop\nvsn: '1'\napplications:\n  - vsn: '1'\n  - name: 7\n")
    with pytest.raises(InvalidInput) as raised:
        relup_node.start(bad)
    assert len(raised.value.diagnostics) > 1
    with pytest.raises(InvalidInput, match="there is no release 'nowhere': looked for"):
        relup_node.start("nowhere")
    for nothing in (None, 7, ""):
        with pytest.raises(InvalidInput, match=f"a release is a path, not {nothing!r}"):
            relup_node.start(nothing)  # type: ignore[arg-type]  # as some test does
    with pytest.raises(TypeError, match="say `async with`; or, without one, `start`"), relup_node.running("1"):
        pass
    node = relup_node.start(program.old(tmp_path / "good"))
    with pytest.raises(InvalidInput, match="no_relup"):
        node.upgrade(program.new(tmp_path / "2", appup=program.APPUP.replace('from: "1"', 'from: "0"')))
    with pytest.raises(Refused, match="it leads to nothing"):
        node.downgrade()
    for use in (node.call, node.cast, node.send):
        with pytest.raises(NoProcess, match="is named 'nobody': there are other, tally, top"):
            use("nobody", "hello")
    with pytest.raises(InvalidInput, match="expect='roled_back' never comes"):
        node.upgrade(tmp_path / "2", expect="roled_back")  # type: ignore[arg-type]  # as some test does
    assert node.vsn == "1"


def test_an_argument_of_another_kind_is_told_in_a_sentence(tmp_path: Path) -> None:
    old, begin = program.old(tmp_path / "1"), cast(Any, start)
    wrong: list[tuple[str, Callable[[Any], object]]] = [
        ("the name of a node is a text, not 3", lambda _: begin(old, name=3)),
        ("home is a path, not 5", lambda _: begin(old, home=5)),
        ("as Limits(window=0.5), not 5", lambda node: node.upgrade(old, limits=5)),
        ("None for no limit, not 'x'", lambda node: node.call("tally", 1, timeout="x")),
        ("None for no limit, not 'x'", lambda node: node.state("tally", timeout="x")),
        ("None for no limit, not 'x'", lambda node: node.settle("x")),
        ("a version is a text, as '1', not 1", lambda node: node.downgrade(1)),
    ]
    node: Any
    with start(old, home=str(tmp_path / "home")) as node:
        assert (tmp_path / "home" / "shop").is_dir()
        for told, use in wrong:
            with pytest.raises(InvalidInput) as raised:
                use(node)
            assert str(raised.value).endswith(f"{told} [bad_argument]")
        with pytest.raises(InvalidInput, match="a release is a path, not Release") as raised:
            node.upgrade(node.release)
        assert len(str(raised.value)) < 120


def test_a_node_that_is_held_up_is_left_with_the_place_at_which_it_is() -> None:
    ending = threading.Event()

    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        yield

    async def hold_up() -> None:
        ending.wait()

    thread = InThread(context(), "held up", silence=0.05)
    with pytest.raises(RuntimeError, match=r"its event loop is held up: it is at .*hold_up"):
        thread.run(hold_up())
    ending.set()
    thread.close()


def test_pytest_loads_only_the_plugin_before_a_test_asks_for_more_and_what_is_not_installed_is_told() -> None:
    heavy = ("networkx", "jsonschema", "yaml", "hypothesis", "relup.runtime", "relup.diagnostics")
    code = f"import sys, relup.testing.plugin; print([m for m in {heavy} if m in sys.modules])\n"
    without = "sys.modules['hypothesis'] = None\nfrom relup.testing import assert_round_trip"
    done = subprocess.run([sys.executable, "-c", code + without], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n"
    assert "ImportError: assert_round_trip needs hypothesis: pip install 'relup[testing]'" in done.stderr


def test_every_public_name_is_there() -> None:
    assert all(getattr(relup.testing, name) is not None for name in relup.testing.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        relup.testing.nothing  # noqa: B018
