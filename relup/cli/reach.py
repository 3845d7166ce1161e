"""Which kind of node a name means, and a connection to it: commands ask both kinds the same questions."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from relup.diagnostics import RelupError
from relup.targets.python import client as python
from relup.targets.python.home import Home, base_folder

if TYPE_CHECKING:
    from relup.targets.beam.client import BeamClient
    from relup.targets.beam.where import Where

    Client: TypeAlias = python.Client | BeamClient


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    context.meta[f"relup.{option.name}"] = value


def beam_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that reach a BEAM node; they are kept in its context, for `connect`."""
    for name, metavar, words in (
        ("--base", "DIR", "BEAM: the release that runs, when it is not found."),
        ("--erl-args", "ARGS", "BEAM: arguments for the bridge, such as those of TLS distribution."),
        ("--cookie-file", "FILE", "BEAM: a file whose first line is the cookie."),
    ):
        command = click.option(name, metavar=metavar, help=words, expose_value=False, callback=_keep)(command)
    return command


def base() -> Path:
    """Return where this user's nodes have their homes."""
    return base_folder(os.environ)


def is_beam(node: str) -> bool:
    """Say whether a name means a BEAM node: it has a host, is a folder, or only a node of BEAM has it."""
    if "@" in node or "/" in node or node in (".", ".."):
        return True
    with suppress(PermissionError):  # somebody else's home is a Python node's too
        if not Home(base(), node).path.is_dir():
            return _runs_on_beam(node)
    return False


def _runs_on_beam(node: str) -> bool:
    from relup.targets.beam.running import running_nodes

    return any(running.name.partition("@")[0] == node for running in running_nodes())


def home_of(node: str) -> Home:
    """Return the folder in which is kept what was done on a node; who names it with its host has said which."""
    from relup.targets.beam.standing import beam_home, beam_home_of

    if "@" in node and "/" not in node:
        return beam_home(base(), node)
    if is_beam(node):
        return beam_home(base(), _where(node).node)
    home = Home(base(), node)
    return home if home.path.is_dir() else beam_home_of(base(), node) or home


@contextmanager
def connect(node: str) -> Iterator[Client]:
    """Connect to a node of either kind. Raises `Refused` when it is not there."""
    if not is_beam(node):
        with python.connect(base(), node) as client:
            yield client
        return
    from relup.targets.beam.client import beam_client

    given = _option("base")
    with beam_client(_where(node), base(), Path(given) if given else None) as beam:
        yield beam


def withdraw(node: str) -> bool:
    """End the upgrade that this process asked a node for, unless it has begun; say whether nothing was touched.

    One of a BEAM node is carried out by this process itself.
    """
    if not is_beam(node):
        with suppress(RelupError), python.connect(base(), node) as client:
            return bool(client.ask("withdraw"))
    return False


def _where(node: str) -> Where:
    from relup.targets.beam.locate import locate
    from relup.targets.beam.running import running_nodes

    file, args = _option("cookie_file"), _option("erl_args")
    return locate(
        node,
        os.environ,
        list(running_nodes()),
        cookie_file=Path(file) if file else None,
        erl_args=shlex.split(args or ""),
    )


def _option(name: str) -> str | None:
    found: str | None = click.get_current_context().meta.get(f"relup.{name}")
    return found
