"""While a worker thread works for an upgrade, the loop gets the interpreter often, and not after it."""

from __future__ import annotations

import asyncio
import sys
from threading import Event

import pytest

from relup.targets.python.threads import OFTEN, in_daemon_thread
from tests.support import PATIENCE


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
@pytest.mark.parametrize("how", ["ends", "is given up"])
def test_threads_take_turns_often_while_one_of_them_works_for_an_upgrade(order: tuple[int, int], how: str) -> None:
    """Two may work at the same time, and end in any order."""

    async def scenario() -> None:
        before = sys.getswitchinterval()
        assert before > OFTEN
        begun, ends = [Event(), Event()], [Event(), Event()]

        def work(number: int) -> None:
            begun[number].set()
            assert ends[number].wait(PATIENCE)

        tasks = []
        for number in (0, 1):
            tasks.append(asyncio.create_task(in_daemon_thread(work, number)))
            await asyncio.to_thread(begun[number].wait, PATIENCE)
        assert sys.getswitchinterval() == pytest.approx(OFTEN)
        for number in order:
            if how == "ends":
                ends[number].set()
            else:
                tasks[number].cancel()
            await asyncio.wait([tasks[number]])
            ends[number].set()
        assert sys.getswitchinterval() == before

    asyncio.run(scenario())


def test_an_interval_that_somebody_sets_meanwhile_stays() -> None:
    before = sys.getswitchinterval()
    try:
        asyncio.run(in_daemon_thread(sys.setswitchinterval, 0.002))
        assert sys.getswitchinterval() == pytest.approx(0.002)
    finally:
        sys.setswitchinterval(before)
