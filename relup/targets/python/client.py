"""The other end of a node's control socket, for programs that are not the node.

Blocking, and without asyncio: a command asks one thing and waits. The node never depends on its client: an
upgrade that was begun ends by itself, whatever becomes of the connection.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic, InvalidInput, OperatorNeeded, Refused, RelupError
from relup.targets.beam.running import running_names
from relup.targets.python.home import Home
from relup.targets.python.wire import LIMIT, decode, encode, error_from_data, peer, short_address

OnEvent = Callable[[dict[str, Any]], None]


SILENCE = 60.0
"""Seconds without an answer after which a node counts as silent, when it is only looked at."""
_PATIENCE = {"status": SILENCE, "history": SILENCE, "shapes": SILENCE, "withdraw": 5.0}


class Client:
    """A connection to one node."""

    def __init__(self, name: str, connection: socket.socket) -> None:
        """Speak over *connection*, which `connect` opened."""
        self.name = name
        self._connection = connection
        self._lines = connection.makefile("rb")

    def ask(self, op: str, on_event: OnEvent | None = None, **fields: Any) -> Any:
        """Send a request and return its result, handing on the events before it.

        Raises the error that the node answers, and `InvalidInput` for a request that no node takes. When the node goes
        away without an answer: `OperatorNeeded` if it was asked to change something, else `Refused`.
        """
        line = encode({"op": op, **fields})
        if len(line) > LIMIT:
            message = f"this plan has {len(line):,} bytes, and a node takes up to {LIMIT:,}"
            raise InvalidInput([Diagnostic("plan_too_large", message, hint="apply a route hop by hop")])
        try:
            self._connection.settimeout(_PATIENCE.get(op))
            self._connection.sendall(line)
            return self._answer(on_event)
        except TimeoutError as error:
            message = f"node {self.name!r} has said nothing for {_PATIENCE[op]:g} s: none of its threads gets to run"
            hint = "code of C that keeps the interpreter's lock does that; `py-spy dump` or gdb show which"
            raise Refused([Diagnostic("silent_node", message, hint=hint)]) from error
        except (OSError, ValueError) as error:
            message = f"node {self.name!r} went away before it answered"
            if op not in ("apply", "confirm"):
                raise Refused([Diagnostic("connection_lost", message)]) from error
            hint = f"`relup status {self.name}` and `relup history {self.name}` tell what came of it"
            raise OperatorNeeded([Diagnostic("connection_lost", message, hint=hint)]) from error

    def _answer(self, on_event: OnEvent | None) -> Any:
        for line in self._lines:
            message = decode(line)
            match message:
                case {"event": event}:
                    if on_event:
                        on_event(event)
                case {"result": result}:
                    return result
                case {"error": error}:
                    raise error_from_data(error)
                case _:
                    raise ValueError(f"unknown answer {message}")
        raise ConnectionError("end of file")

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._connection.close()


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([process], [], [])
    finally:
        os.close(process)


@contextmanager
def connect(base: Path, name: str) -> Iterator[Client]:
    """Connect to the running node *name*. Raises `Refused` when it is not there or not this user's."""
    home = Home(base, name)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_address(home.socket) as address:
            connection.connect(address)
    except PermissionError as error:
        connection.close()
        raise Refused([Diagnostic("foreign_node", f"node {name!r} belongs to another user ({home.path})")]) from error
    except OSError as error:
        connection.close()
        raise Refused([_absent(base, name)]) from error
    if (server := peer(connection)[1]) not in (0, os.geteuid()) and os.geteuid() != 0:
        connection.close()
        message = f"what listens as node {name!r} belongs to uid {server}, not to you ({home.path})"
        raise Refused([Diagnostic("foreign_node", message)])
    client = Client(name, connection)
    try:
        yield client
    finally:
        client.close()


def node_names(base: Path) -> list[str]:
    """Return the names of this user's nodes that run now, sorted."""
    try:
        candidates = sorted(entry.name for entry in os.scandir(base) if entry.is_dir())
    except OSError:
        return []
    return [name for name in candidates if _answers(base, name)]


def _answers(base: Path, name: str) -> bool:
    """Say whether something listens in that folder; one that is no node's home is no node."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with short_address(Home(base, name).socket) as address:
                connection.connect(address)
        except (OSError, RelupError):
            return False
    return True


def _absent(base: Path, name: str) -> Diagnostic:
    running = ", ".join([*(n for n in node_names(base) if n != name), *running_names()])
    known = f"; running: {running}" if running else "; no node of this user runs"
    return Diagnostic("no_such_node", f"no node {name!r} runs here (looked in {base}){known}")
