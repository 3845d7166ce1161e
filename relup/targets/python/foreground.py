"""A node in the foreground, for people and for service managers: it says that it runs, and ends when it is told to."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

from relup.targets.python.service import Read, serve


def run(release: str | Path, name: str | None, *, as_given: bool, read: Read | None = None) -> int:
    """Run a release until it is stopped; return the exit code. Raises what `serve` raises."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return asyncio.run(_run(release, name, as_given=as_given, read=read))


async def _run(release: str | Path, name: str | None, *, as_given: bool, read: Read | None) -> int:
    async with serve(release, name=name, as_given=as_given, read=read) as service:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, service.stopping, signal.Signals(number).name)
        if service.found:
            _say(service.found)
        if service.note:
            _say(service.note)
        _say(f"node {service.node.name} runs {service.handler.running} (pid {os.getpid()})")
        reason = await _first(service.stopping, service.node.stopped)
        _say(f"node {service.node.name} stops: {reason}")
        return 0 if service.stopping.done() else 1


def _say(text: str) -> None:
    os.write(2, f"{text}\n".encode("utf-8", "replace"))


def _stop(stopping: asyncio.Future[str], reason: str) -> None:
    if not stopping.done():
        stopping.set_result(reason)


async def _first(*futures: asyncio.Future[str]) -> str:
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    return str(next(iter(done)).result())
