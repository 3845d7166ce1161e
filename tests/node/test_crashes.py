"""Crashes in all that a node writes, and disks that fail at every step: what is promised holds after each.

`python -m tests.node.lives` starts a node after a crash at every single byte.
"""

from __future__ import annotations

import asyncio
import errno
from functools import partial
from pathlib import Path

import pytest

from relup.diagnostics import Refused
from relup.document import read_release
from relup.executor import Options
from relup.model.route import Route
from relup.planner import plan
from relup.targets.python.home import Home
from relup.targets.python.service import serve
from tests.node.disks import Failing
from tests.node.lives import crashes, looked, recorded, releases, started


def test_after_a_crash_in_any_write_the_permanent_release_boots_and_what_was_lost_is_said_once(tmp_path: Path) -> None:
    recording = recorded(tmp_path)
    given = read_release(tmp_path / "1")
    said = {looked(step, files, tmp_path / "again", given) for step, files in crashes(recording, 23)}
    assert {"nothing", "found: shop 2 ran and was not confirmed"} <= said
    assert "found: an upgrade shop 1 → 2 (number 1, by a test) was lost in its midst" in said
    assert any("the last record of the history was cut off" in line for line in said)
    assert any("removed what was left half done: releases.new" in line for line in said)
    for step, files in list(crashes(recording, 100))[::12]:
        asyncio.run(started(step, files, tmp_path / "again", tmp_path / "1"))


@pytest.mark.parametrize(("error", "stays"), [(errno.EIO, False), (errno.ENOSPC, True)], ids=["once", "from then on"])
def test_a_step_of_the_disk_that_fails_stops_the_upgrade_and_undoes_it(tmp_path: Path, error: int, stays: bool) -> None:
    one, two, _ = releases(tmp_path)
    route = Route((plan(read_release(one), read_release(two)),))

    async def scenario(at: int) -> tuple[str, list[str]]:
        failing = Failing(10**9, error, stays)
        async with serve(one, base=tmp_path / f"home {at}", disk=failing.disk()) as service:
            failing.at = failing.taken + at
            outcome = await service.handler.install(route, owner="a test", emit=lambda event: None, options=Options())
            runs = service.handler.running.vsn
            assert runs == {"done": "2", "rolled_back": "1"}[outcome.status]
            assert await service.node.call("w0", "get") == ([1, "up"] if runs == "2" else [1])
            assert not any(p.suspended for p in service.node.processes.values())
            home = Home(tmp_path / f"home {at}", "shop")
            records = home.records()
            assert records is not None
            assert (records.current.vsn, records.permanent.vsn) == (runs, "1")
            codes = [d.code for d in outcome.diagnostics]
            ended = [e for e in home.history() if "outcome" in e]
            assert ("history_not_written" in codes) == (ended == [])
            assert [e["outcome"] for e in service.handler.history() if "outcome" in e] == [outcome.status]
            failed = list(failing.failed)
            failing.at, failing.stays = 0, False
            if outcome.status == "done":
                await service.handler.confirm("a test")
                assert [e["what"] for e in home.history()] == ["start", "begin", "upgrade", "confirm"]
            return outcome.status, failed

    came_to = []
    for at in range(1, 100):
        status, failed = asyncio.run(scenario(at))
        if not failed:
            break
        came_to.append(status)
    assert came_to[:3] == ["rolled_back"] * 3
    assert set(came_to[3:]) <= {"rolled_back", "done"}


def test_a_disk_that_fails_keeps_nobody_from_going_back_and_nothing_from_staying_unconfirmed(tmp_path: Path) -> None:
    one, two, _ = releases(tmp_path)
    relup = plan(read_release(one), read_release(two))

    async def scenario() -> None:
        failing = Failing(10**9, errno.ENOSPC)
        async with serve(one, base=tmp_path / "home", disk=failing.disk()) as service:
            handler, home = service.handler, Home(tmp_path / "home", "shop")
            install = partial(handler.install, owner="a test", emit=lambda event: None, options=Options())
            assert (await install(relup, confirm_within=3600)).status == "done"
            for step in range(1, 5):
                failing.at = failing.taken + step
                with pytest.raises(Refused, match=r"releases\.json"):
                    await handler.confirm("a test")
                records = home.records()
                assert records is not None
                assert (records.permanent.vsn, handler.records.permanent.vsn) == ("1", "1")
            assert handler.deadline is not None
            failing.at, failing.stays = failing.taken + 1, True
            outcome = await install(relup.back() or relup)
            assert outcome.status == "done"
            assert [d.code for d in outcome.diagnostics if d.severity == "warning"] == ["history_not_written"]
            assert (handler.running.vsn, handler.records.current.vsn) == ("1", "1")
            assert await service.node.call("w0", "get") == [1, "up", "down"]
            assert [e["what"] for e in handler.history() if "unwritten" in e] == ["begin", "downgrade"]
            failing.stays, failing.at = False, 0
            assert (await install(relup)).status == "done"
            assert [e["what"] for e in home.history()] == [
                "start",
                *["begin", "upgrade", "begin", "downgrade"],
                "begin",
                "upgrade",
            ]

    asyncio.run(scenario())
