"""What a node tells of its live states: types and fields, of a bounded number of processes, between their messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from relup import serve
from relup.diagnostics import Busy
from relup.model.shapes import LiveStates
from relup.targets.python.service import Service
from relup.targets.python.shapes import MOST, live_states_from_data, shapes
from tests.support import supervised, write_release

WORKER = """
    from dataclasses import dataclass
    from decimal import Decimal
    from relup.runtime import GenServer, Reply

    @dataclass
    class Row:
        number: int
        __slots__ = ("number", "__dict__")

    class Worker(GenServer):
        def init(self, number):
            row = Row(number)
            setattr(row, f"secret_{number}", 1)
            return {"rows": [row], f"key {number}": Decimal(number), "text": ""}

        async def handle_call(self, request, caller, state):
            if request is not None:
                request[0].set_result(None)
                await request[1]
            return Reply(None, state)
"""


@asynccontextmanager
async def served(folder: Path, servers: int, worker: str = WORKER) -> AsyncIterator[Service]:
    release = write_release(folder / "1", "1", {"app": supervised(servers), "worker": worker})
    async with serve(release, base=folder / "home") as service:
        yield service


async def asked(service: Service, names: Sequence[str]) -> LiveStates:
    data = json.loads(json.dumps(await shapes(service.handler, names)))
    (live,) = live_states_from_data(data)
    return live


def test_only_types_and_names_that_were_asked_for_are_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path, 3) as service:
            before = {p: (p.state, repr(p.state)) for p in service.node.processes.values()}
            data = await shapes(service.handler, ["rows", "text"])
            assert all(p.state is state and repr(p.state) == text for p, (state, text) in before.items())
        (live,) = live_states_from_data(json.loads(json.dumps(data)))
        (state,) = live.state
        (rows,), (text,), (number,) = state.fields["rows"], state.fields["text"], state.items
        assert (live.server, live.processes, live.looked, live.busy, live.cut) == ("Worker", 3, 3, 0, 0)
        assert (state.type, rows.type, rows.filled, text.type, text.filled) == ("dict", "list", 3, "str", 0)
        assert (number.type, number.count) == ("decimal:Decimal", 3)
        assert list(rows.items[0].fields) == ["number"]
        assert not any(word in json.dumps(data) for word in ("secret", "key "))

    asyncio.run(scenario())


def test_what_is_at_several_places_and_members_that_the_text_names_are_told(tmp_path: Path) -> None:
    worker = WORKER.replace("class Worker", "class Kind(Enum):\n        TEA, SECRET = 1, 2\n\n    class Worker")
    worker = worker.replace('"text": ""', '"text": [Kind.TEA, Kind.SECRET], "more": ([row], row, (), ())')
    worker = worker.replace("from dataclasses", "from enum import Enum\n    from dataclasses")

    async def scenario() -> None:
        async with served(tmp_path, 2, worker) as service:
            live = await asked(service, ["rows", "text", "more", "TEA"])
        fields = live.state[0].fields
        (row,), (kind,), more = fields["rows"][0].items, fields["text"][0].items, fields["more"][0].items
        assert (row.count, row.looked, row.shared) == (2, 2, 4)
        assert {s.type.rpartition(":")[2]: s.shared for s in more} == {"Row": 2, "list": 0, "tuple": 0}
        assert dict(kind.fields) == {"TEA": ()}

    asyncio.run(scenario())


def test_who_is_inside_a_callback_is_named_and_not_looked_at(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path, 3) as service:
            inside, go = (asyncio.get_running_loop().create_future() for _ in range(2))
            call = asyncio.ensure_future(service.node.call("w1", (inside, go)))
            await inside
            live = await asked(service, [])
            go.set_result(None)
            await call
        assert (live.looked, live.busy) == (2, 1)
        assert live.busy_names[0].startswith("w1 (")

    asyncio.run(scenario())


def test_of_many_processes_a_sample_is_looked_at(tmp_path: Path) -> None:
    async def scenario() -> None:
        worker = WORKER.replace('"text": ""', '"text": number % 3 or None')
        async with served(tmp_path, MOST + 1, worker) as service:
            live = await asked(service, ["text"])
        assert live.processes == MOST + 1
        assert MOST / 2 < live.looked <= MOST
        assert {s.type for s in live.state[0].fields["text"]} == {"int", "NoneType"}

    asyncio.run(scenario())


def test_others_get_their_turn_while_large_states_are_looked_at(tmp_path: Path) -> None:
    async def scenario() -> None:
        large = WORKER.replace('"text": ""', '"text": [[[*range(40)] for _ in range(60)] for _ in range(60)]')
        async with served(tmp_path, 20, large) as service:
            turns = count()

            async def others() -> None:
                while True:
                    await asyncio.sleep(0)
                    next(turns)

            task = asyncio.ensure_future(others())
            live = await asked(service, ["text"])
            task.cancel()
        assert live.cut == live.looked == 20
        assert next(turns) > 3

    asyncio.run(scenario())


def test_nothing_is_told_while_an_upgrade_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path, 1) as service, service.handler.hold("a test"):
            with pytest.raises(Busy, match="a test"):
                await shapes(service.handler, [])

    asyncio.run(scenario())
