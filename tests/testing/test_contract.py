"""Who runs the contract of targets on what is none is told what is needed, and how an upgrade ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from relup.diagnostics import InvalidInput
from relup.document import read_release
from relup.planner import plan
from relup.testing import AsyncNode, Subject, check_target, reusing, running
from tests.testing import program

Made = Callable[[AsyncNode, Any], Any]


async def check(folder: Path, made: Made, tally: str = program.NEW) -> None:
    old, new = program.old(folder / "1"), program.new(folder / "2", tally)
    planned = plan(read_release(old), read_release(new))

    @asynccontextmanager
    async def fresh() -> AsyncIterator[Any]:
        async with running(old) as node:
            yield made(node, planned)

    await check_target(fresh)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            lambda node, planned: Subject(node, planned, node.states),
            "as the `target` of a node, not <relup",
        ),
        (lambda node, planned: Subject(node.target, "1 → 2", node.states), "relup.planner.plan makes it, not '1 → 2'"),
        (lambda node, planned: Subject(node.target, planned, 7), "view is an async function, not 7"),
        (lambda node, planned: Subject(node.target, planned, lambda: 7), "view is an async function, not 7"),
        (lambda node, planned: node.target, "an async context manager of a Subject, not <relup"),
    ],
)
def test_a_subject_that_is_none_is_told(tmp_path: Path, made: Made, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        asyncio.run(check(tmp_path, made))


def test_a_node_has_to_be_made_by_an_asynchronous_context_manager() -> None:
    async def generator() -> AsyncIterator[Subject]:
        raise AssertionError("nobody runs it")
        yield

    wrong: Any = generator

    async def reused() -> None:
        async with reusing(wrong) as again, again():
            pass

    for work in (check_target(wrong), check_target(cast(Any, 7)), reused()):
        with pytest.raises(InvalidInput, match="a function that returns an async context manager of a Subject"):
            asyncio.run(work)


def test_a_plan_that_fails_is_told_by_its_lines(tmp_path: Path) -> None:
    tally = program.NEW.replace('{**state, "by": 1}', "1 / 0")
    with pytest.raises(
        AssertionError, match=r"ended 'rolled back'\n  .*ZeroDivisionError[^\n]*\n.*\n  rolled back: every"
    ):
        asyncio.run(check(tmp_path, lambda node, planned: Subject(node.target, planned, node.states), tally))
