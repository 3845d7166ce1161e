"""`start`: a node in the foreground, for people and for service managers."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import click

from relup.targets.python.service import serve


def start(release: str, name: str | None, *, as_given: bool) -> int:
    """Run a release until it is stopped; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return asyncio.run(_run(release, name, as_given=as_given))


async def _run(release: str, name: str | None, *, as_given: bool) -> int:
    async with serve(release, name=name, as_given=as_given) as service:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, service.stopping, signal.Signals(number).name)
        if service.note:
            click.echo(service.note, err=True)
        click.echo(f"node {service.node.name} runs {service.handler.running} (pid {os.getpid()})", err=True)
        reason = await _first(service.stopping, service.node.stopped)
        click.echo(f"node {service.node.name} stops: {reason}", err=True)
        return 0 if service.stopping.done() else 1


def _stop(stopping: asyncio.Future[str], reason: str) -> None:
    if not stopping.done():
        stopping.set_result(reason)


async def _first(*futures: asyncio.Future[str]) -> str:
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    return str(next(iter(done)).result())
