"""`remote`: a Python prompt whose statements run inside a live node (as `bin/app remote` opens one)."""

from __future__ import annotations

import contextlib
from codeop import compile_command
from typing import TYPE_CHECKING

import click

from relup.cli.live import echo
from relup.cli.output import Output
from relup.cli.reach import connect, is_beam
from relup.diagnostics import InvalidInput

if TYPE_CHECKING:
    from relup.cli.reach import Client


_PYTHON = "`node` is the node; await works"
_BEAM = "a line is one expression"


def remote(_: Output, node: str) -> int:
    """Read statements until end of file, and run each in the node."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives input() its editing and history
    beam = is_beam(node)
    with connect(node) as client:
        click.echo(f"in node {client.name}; {_BEAM if beam else _PYTHON}; Ctrl-D leaves", err=True)
        with contextlib.suppress(EOFError):
            while True:
                _run(client, input(f"{node}> ") if beam else _read(f"{node}> "))
    return 0


def _read(prompt: str) -> str:
    """Return one whole statement. Raises `EOFError` at the end of the input."""
    lines = [input(prompt)]
    while _is_incomplete("\n".join(lines)):
        lines.append(input("... "))
    return "\n".join(lines)


def _is_incomplete(source: str) -> bool:
    try:
        return compile_command(source) is None
    except (SyntaxError, ValueError, OverflowError):
        return False


def _run(client: Client, source: str) -> None:
    if source.strip() in ("exit()", "quit()"):
        raise EOFError
    try:
        echo(client.ask("evaluate", source=source))
    except InvalidInput as error:
        click.echo(str(error), err=True)
