"""How a copy of a node ends, and what it may do, is told as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.node.test_rehearsal import Case, apply, goal_of, open_files, running, states, wrong


def unfit(body: str, says: str) -> Case:
    return Case(body, "not_rehearsable", "not_rehearsable", says)


def fails(body: str, says: str) -> Case:
    return Case(body, "failed", "code_change_failed", says)


ENDS: Mapping[str, Case] = {
    "aborts": fails("os.abort()", "w0.* ends the node: by SIGABRT"),
    "ends with the exit code of a copy that broke": fails("os._exit(99)", "w0.* ends the node: with exit code 99"),
    "ends with that of one without memory": fails("os._exit(98)", "w0.* ends the node: with exit code 98"),
    "returns what is too large to be looked at": unfit(
        "return {**state, 'rows': bytearray(700 << 20)}", "code_change of 'shop.worker': the rehearsal itself.*1024 MB"
    ),
    "closes what it would be told by": unfit(
        "os.closerange(3, 500)\nreturn state", "code_change of 'shop.worker': the copy could not say how it went"
    ),
}


def check(tmp_path: Path, cases: Mapping[str, Case]) -> None:
    """Rehearse all on one node, which stays what it was."""

    async def scenario() -> None:
        async with running(tmp_path) as service:
            before, descriptors = await states(service), open_files()
            for number, (name, case) in enumerate(cases.items()):
                outcome = await apply(service, goal_of(case, tmp_path / f"goal {number}", tmp_path / "kept"))
                assert list(wrong(case, outcome)) == [], name
                assert (await states(service), open_files()) == (before, descriptors), name

    asyncio.run(scenario())


def test_who_ends_the_copy_is_told_from_what_relup_cannot_do_there(tmp_path: Path) -> None:
    check(tmp_path, ENDS)
