"""Commands that ask a live node one thing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from relup.cli.output import Output
from relup.cli.reach import base, connect, home_of
from relup.diagnostics import RelupError
from relup.model.shortened import shortened
from relup.report.status import history_lines, status_lines
from relup.targets.beam.running import running_names
from relup.targets.python.client import node_names, wait_until_gone
from relup.targets.python.home import UNPACKED

MOST = 20
"""How many users of old code are named."""


def unpacked() -> Path:
    """Return where wheels are unpacked that no node runs: to be looked at, planned with and compared."""
    return base() / UNPACKED


def status(output: Output, node: str | None) -> int:
    """Show one node, or name all of this user's."""
    if node is None:
        names = [*node_names(base()), *running_names()]
        output.result(names, names or [f"no node of this user runs ({base()})"])
        return 0
    with connect(node) as client:
        found = client.ask("status")
    output.result(found, status_lines(found))
    return 0


def confirm(output: Output, node: str, number: int | None = None) -> int:
    """Make the running release permanent: whatever runs, or what the upgrade of that *number* led to."""
    with connect(node) as client:
        found = client.ask("confirm", number=number)
    word = "is permanent now" if found["was_provisional"] else "was permanent already"
    output.result(found, [f"{found['release']} {word}", *_lingering(found["lingering"])])
    return 0


def _lingering(found: Sequence[str]) -> Iterator[str]:
    """Say who uses old code, each once, with the modules that stay for it; *found* are lines `module: who`."""
    users: dict[str, list[str]] = {}
    for line in found:
        module, _, who = line.partition(": ")
        users.setdefault(who, []).append(module)
    for who, modules in list(users.items())[:MOST]:
        yield f"old code stays until it is unused: {who}: {shortened(modules)}"
    if len(users) > MOST:
        yield f"and {len(users) - MOST} more, see --json"


def history(output: Output, node: str) -> int:
    """Show what was done, also on a node that does not run any more, so that nobody knows its cookie."""
    home = home_of(node)
    try:
        with connect(node) as client:
            entries = client.ask("history")
    except RelupError:
        if not (entries := home.history()):
            raise
    output.result(entries, history_lines(entries))
    return 0


def stop(output: Output, node: str) -> int:
    """Stop a node and wait until it is gone."""
    with connect(node) as client:
        found = client.ask("stop")
    wait_until_gone(found["pid"])
    output.result(found, [f"{node} stopped (pid {found['pid']})"])
    return 0


def rpc(output: Output, node: str, expression: str) -> int:
    """Evaluate an expression in the node."""
    with connect(node) as client:
        found = client.ask("evaluate", source=expression)
    sys.stderr.write(found["output"])
    output.result(found, [found["value"] or "None"])
    return 0


def echo(result: dict[str, str | None]) -> None:
    """Print what a remote evaluation printed and returned."""
    click.echo(result["output"] or "", nl=False)
    if result["value"] is not None:
        click.echo(result["value"])
