"""Upgrade and downgrade a live node many times in a process of its own, and print what there is of everything.

python -m tests.node.endurance [ROUNDS]
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
from pathlib import Path

from relup.document import read_release
from relup.executor import Options
from relup.planner import plan
from relup.targets.python.service import serve
from tests.runtime.code.endurance import counts, let_threads_end
from tests.support import supervised, write_release

MODEL = """
    import abc, functools, logging
    from dataclasses import dataclass
    from enum import Enum
    class Color(Enum):
        RED = {vsn}
    class Failure(Exception): ...
    @dataclass
    class Account:
        n: int = {vsn}
    class Store(abc.ABC): ...
    @functools.lru_cache
    def cached(): return Account()
    @functools.singledispatch
    def shown(x): return x
    log = logging.getLogger(__name__)
    cached(), shown(1)
"""
WORKER = """
    from relup.runtime import GenServer, Reply, counterpart, migrate
    from shop.model import Account, Color
    class Worker(GenServer):
        def init(self, number):
            return Account(number)
        def handle_call(self, request, caller, state):
            return Reply(({vsn}, state.n, type(state) is Account), state)
        def code_change(self, old_vsn, state, extra):
            return migrate(state, counterpart(type(state)), n=state.n + 1)
"""
APPUP = """
    application: shop
    vsn: "{0}"
    up:
      - from: "{1}"
        instructions:
          - load_module: shop.model
          - update: {{module: shop.worker, change: advanced, depends: [shop.model]}}
    down: []
"""


def write(folder: Path) -> list[Path]:
    """Write two releases, each of which is an upgrade of the other: there and back are both on the way up."""
    releases = []
    for vsn, other in ((1, 2), (2, 1)):
        text = {
            "app": supervised(3),
            "model": MODEL.format(vsn=vsn),
            "worker": WORKER.format(vsn=vsn),
        }
        releases.append(write_release(folder / str(vsn), str(vsn), text, APPUP.format(vsn, other)))
    return releases


async def upgrades(folder: Path, rounds: int) -> None:
    one, two = map(read_release, write(folder))
    plans = [plan(one, two), plan(two, one)]
    async with serve(folder / "1", base=folder / "home") as service:
        # it asks something of the loop ten times a second, which a count sees or not; the soak counts beside it
        service.handler.watchdog.close()
        for n in range(rounds):
            relup = plans[n % 2]
            outcome = await service.handler.install(relup, owner="test", emit=lambda _: None, options=Options())
            assert outcome.status == "done", outcome
            confirmed = await service.handler.confirm("test")
            assert confirmed["lingering"] == [], confirmed
            if (n + 1) % (rounds // 10) == 0:
                said = [await service.node.call(f"w{i}", "what") for i in range(3)]
                assert said == [((n + 1) % 2 + 1, i + n + 1, True) for i in range(3)], said
                await quiet()
                print(json.dumps(counts(service.node.code)), flush=True)


async def quiet() -> None:
    """Let the threads of the last upgrade end, and the loop forget them."""
    let_threads_end()
    for _ in range(10):
        await asyncio.sleep(0)


if __name__ == "__main__":
    gc.freeze()  # relup itself is not what is counted, and need not be looked through each time
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the records are written and synced each time
    with tempfile.TemporaryDirectory(dir=memory) as place:
        asyncio.run(upgrades(Path(place), int(sys.argv[1]) if len(sys.argv) > 1 else 200))
