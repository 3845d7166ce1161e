"""How fast servers are, and what an idle one weighs.

    python benchmarks/runtime.py            100,000 servers
    python benchmarks/runtime.py 10000     fewer

Calls and casts are measured against a bare `asyncio.Queue` loop in the same run, in turns, and the median of the ratios
is what counts: another program on the machine disturbs both. Memory is what tracemalloc sees, per server, its state (a
small int) included: of servers that were never sent anything, which have no task yet, and of those that were.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from relup.runtime import GenServer, Node, Pid, Reply, migrate
from relup.runtime.suspension import resume, suspend

CALLS, CASTS, ROUNDS = 20_000, 100_000, 5


class Plain(GenServer):
    def init(self, args: Any) -> Any:
        return args

    def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        return Reply(request, state)

    def handle_cast(self, message: Any, state: Any) -> Any:
        return state


class Async(Plain):
    async def handle_call(self, request: Any, caller: Any, state: Any) -> Any:
        return Reply(request, state)

    async def handle_cast(self, message: Any, state: Any) -> Any:
        return state


async def queue_calls(count: int) -> None:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def echo() -> None:
        while True:
            value, future = await queue.get()
            future.set_result(value)

    task = asyncio.create_task(echo())
    for n in range(count):
        future = loop.create_future()
        await queue.put((n, future))
        await future
    task.cancel()


async def queue_casts(count: int) -> None:
    queue: asyncio.Queue[Any] = asyncio.Queue()

    async def drain() -> None:
        for _ in range(count):
            await queue.get()

    task = asyncio.create_task(drain())
    for n in range(count):
        queue.put_nowait(n)
    await task


async def calls(node: Node, pid: Pid, count: int) -> None:
    for n in range(count):
        await node.call(pid, n)


async def casts(node: Node, pid: Pid, count: int) -> None:
    for n in range(count):
        node.cast(pid, n)
    await node.call(pid, 0)


async def rate(work: Callable[[int], Awaitable[None]], count: int) -> float:
    begun = perf_counter()
    await work(count)
    return count / (perf_counter() - begun)


async def messages() -> None:
    async with Node() as node:
        for cls in (Plain, Async):
            pid = await node.start(cls)
            for name, count, bare, ours in (
                ("calls", CALLS, queue_calls, lambda n, pid=pid: calls(node, pid, n)),
                ("casts", CASTS, queue_casts, lambda n, pid=pid: casts(node, pid, n)),
            ):
                rates = [(await rate(bare, count), await rate(ours, count)) for _ in range(ROUNDS)]
                ratio = median(b / a for a, b in rates)
                best = max(b for _, b in rates)
                print(f"{name} of {cls.__name__.lower()} handlers: {best:>9,.0f}/s, {ratio:.2f} of a bare queue")


async def creation(count: int) -> None:
    async with Node() as node:
        begun = perf_counter()
        for n in range(count):
            await node.start(Plain, n)
        print(f"create {count:,}: {perf_counter() - begun:.2f} s")
        members = list(node.processes.values())
        await hold(node, members, "never sent anything")
        for process in members:
            node.cast(process.pid, 0)
        await node.call(members[-1].pid, 0)
        await hold(node, members, "used")
        begun = perf_counter()
    print(f"leave the node: {perf_counter() - begun:.2f} s")


async def hold(node: Node, members: list[Any], kind: str) -> None:
    suspended, resumed = [], []
    for _ in range(ROUNDS):
        begun = perf_counter()
        assert await suspend(node, members) == []
        suspended.append(perf_counter() - begun)
        begun = perf_counter()
        resume(node, members)
        resumed.append(perf_counter() - begun)
    print(
        f"{len(members):,} idle servers, {kind}: "
        f"suspend {median(suspended) * 1000:.1f} ms, resume {median(resumed) * 1000:.1f} ms"
    )


async def memory(count: int) -> None:
    async with Node() as node:
        gc.collect()
        tracemalloc.start()
        for n in range(count):
            await node.start(Plain, n)
        gc.collect()
        unused = tracemalloc.get_traced_memory()[0] / count
        for pid in list(node.processes):
            node.cast(pid, 0)
        await node.call(pid, 0)
        gc.collect()
        print(
            f"an idle server: {unused:,.0f} bytes, {tracemalloc.get_traced_memory()[0] / count:,.0f} once it was used"
        )
        tracemalloc.stop()


@dataclass
class Old:
    name: str
    total: int
    items: list[int]


@dataclass
class New(Old):
    currency: str = "EUR"
    tags: list[str] = field(default_factory=list)


def migration(count: int) -> None:
    states = [Old("a", n, []) for n in range(count)]
    begun = perf_counter()
    new = [migrate(s, New) for s in states]
    up = perf_counter() - begun
    begun = perf_counter()
    for state in new:
        migrate(state, Old)
    print(f"migrate {count:,} dataclasses: up {up * 1000:.0f} ms, down {(perf_counter() - begun) * 1000:.0f} ms")


if __name__ == "__main__":
    servers = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    asyncio.run(messages())
    asyncio.run(creation(servers))
    asyncio.run(memory(min(servers, 20_000)))
    migration(servers)
