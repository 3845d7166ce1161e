"""Answering at the control socket for an event loop that does not turn.

Whoever asks a node that is held up must not be left to wait, least of all by what holds it up. So the watchdog's thread
lets those in who come meanwhile: it says how the node stands, and what holds it up, since when and where. Anything that
would have to be done in the loop is refused with that. Whoever waits for the end of an upgrade is told too and, once
what the upgrade was at has been interrupted in vain, gets the answer that it has failed: when it is undone, nobody
knows, because that is when the code which does not end has ended.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import suppress
from typing import Any

from relup.diagnostics import Diagnostic, OperatorNeeded, Refused, RelupError
from relup.targets.python.handler import ReleaseHandler
from relup.targets.python.hearing import request_of
from relup.targets.python.home import Home
from relup.targets.python.look import standing
from relup.targets.python.watchdog import Held
from relup.targets.python.wire import encode, error_to_data, peer

PATIENCE = 10.0
"""Seconds that somebody who was let in may be silent."""
MOST = 16
"""How many are answered at the same time."""
LONGEST = 65_536
"""Bytes of a request: what needs more is refused anyway."""


class StandIn:
    """Answers for one node."""

    def __init__(self, handler: ReleaseHandler, home: Home) -> None:
        self._handler = handler
        self._home = home
        self._door: socket.socket | None = None
        self._places = threading.Semaphore(MOST)
        self._held: Held | None = None
        self._told: dict[asyncio.StreamWriter, float] = {}
        self.waiting: set[asyncio.StreamWriter] = set()
        """Those who wait for the end of an upgrade."""

    def open(self, server: asyncio.Server) -> None:
        """Stand in at the socket of *server* from now on."""
        self._door = socket.socket(fileno=os.dup(server.sockets[0].fileno()))
        self._door.setblocking(False)

    def close(self) -> None:
        """Stand in no more."""
        if self._door is not None:
            self._door.close()
            self._door = None

    def held(self, held: Held) -> None:
        """Do what is due while the loop does not turn; called again and again, in the watchdog's thread."""
        self._held = held
        for writer in list(self.waiting):
            self._tell(writer, held)
        door = self._door
        while door is not None and self._places.acquire(blocking=False):
            try:
                guest, _ = door.accept()
            except OSError:  # nobody is there, or the door was closed just now
                self._places.release()
                return
            threading.Thread(target=self._converse, args=(guest,), name="relup stand-in", daemon=True).start()

    # ── those who wait ─────────────────────────────────────────────────────────────────────────────────

    def _tell(self, writer: asyncio.StreamWriter, held: Held) -> None:
        """Say once that the upgrade is held up, and once that it has failed."""
        if held.failed:
            self.waiting.discard(writer)
            hint = (
                f"everybody stands still, and all is undone as soon as that ends; it may be ended with the node: "
                f"kill -9 {os.getpid()}, and `relup start` boots {self._handler.records.permanent}"
            )
            error = OperatorNeeded([Diagnostic("held_up", str(held), hint=hint)])
            _write(writer, {"error": error_to_data(error)})
        elif held.what and self._told.get(writer) != held.since:
            self._told = {w: since for w, since in self._told.items() if w in self.waiting} | {writer: held.since}
            _write(writer, {"event": {"phase": "held_up", "message": str(held), "at": held.since}})

    # ── those who come ─────────────────────────────────────────────────────────────────────────────────

    def _converse(self, guest: socket.socket) -> None:
        try:
            with guest, suppress(OSError):
                guest.settimeout(PATIENCE)
                _, uid = peer(guest)
                with guest.makefile("rb") as lines:
                    while uid in (0, os.geteuid()) and (line := lines.readline(LONGEST)):
                        guest.sendall(encode(self._answer(line)))
        finally:
            self._places.release()

    def _answer(self, line: bytes) -> dict[str, Any]:
        held = self._held
        assert held is not None, "nobody is let in before"
        try:
            match request_of(line):
                case {"op": "status"}:
                    return {"result": {**standing(self._handler), "drift": [], "held_up": str(held)}}
                case {"op": "history"}:
                    return {"result": self._home.history()}
                case _:
                    message = f"node {self._handler.node.name!r} can do nothing now: {held}"
                    hint = f"wait until that ends, or end the node with it: kill -9 {os.getpid()}"
                    raise Refused([Diagnostic("held_up", message, hint=hint)])
        except RelupError as error:
            return {"error": error_to_data(error)}


def _write(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Write past the loop, which does not write; not into the middle of what it has not written yet."""
    if not writer.is_closing() and not writer.transport.get_write_buffer_size():
        with suppress(OSError):
            os.write(writer.get_extra_info("socket").fileno(), encode(message))
