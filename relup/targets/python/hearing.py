"""What clients may take of a node: a few connections, and the memory of a few long requests.

Whoever may talk to a node may do worse to it than fill its memory, on purpose. By accident it must not happen: a
monitor that connects every second and never hangs up, a program that sends without an end, a client that was stopped
half way through a request. So connections are counted, and the one that has been silent longest makes room for a new
one; what was heard of unfinished requests is counted over all clients; and a request is looked at for how many values
it is before they are made, since `[[],[],…]` takes twenty times the memory of its text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from relup.diagnostics import Busy, Diagnostic, InvalidInput
from relup.targets.python.wire import LIMIT, decode

MOST = 64
"""How many clients are heard at once."""
HELD = 2 * LIMIT
"""Bytes of unfinished requests, of all clients together."""
VALUES = 2_000_000
"""How many values a request may be."""
CHUNK = 1 << 16

Task = asyncio.Task[None]


@dataclass(slots=True)
class Guests:
    """Who is connected, and what was heard of them."""

    tasks: dict[Task, None] = field(default_factory=dict)
    """Their conversations; who was silent longest comes first."""
    answering: set[Task] = field(default_factory=set)
    """The conversations in which a request is being answered."""
    held: int = 0
    """Bytes of unfinished requests."""

    def welcome(self, task: Task) -> None:
        """Take a client in, and hang up on the one that was silent longest when there are too many.

        Raises `Busy` when all of them wait for answers.
        """
        if len(self.tasks) >= MOST:
            silent = next((t for t in self.tasks if t not in self.answering and not t.cancelling()), None)
            if silent is None:
                raise Busy([Diagnostic("busy", f"{MOST} clients wait for answers of this node already")])
            silent.cancel()
            self.tasks.pop(silent)
        self.tasks[task] = None

    def heard(self, task: Task) -> None:
        """Note that a client has asked something, which is being answered now."""
        self.tasks[task] = self.tasks.pop(task, None)
        self.answering.add(task)

    def farewell(self, task: Task) -> None:
        """Forget a client."""
        self.tasks.pop(task, None)
        self.answering.discard(task)


@dataclass(slots=True)
class Ear:
    """The requests of one client, one a line."""

    reader: asyncio.StreamReader
    guests: Guests
    rest: bytearray = field(default_factory=bytearray)
    """What came after the last line."""

    async def line(self) -> bytes:
        """Return the next request, empty at the end.

        Raises `InvalidInput` for one that is too long, and `Busy` when all clients together have sent too much.
        """
        seen = 0
        while (end := self.rest.find(b"\n", seen)) < 0:
            seen = len(self.rest)
            if not (chunk := await self.reader.read(CHUNK)):
                return self._taken(seen)
            self.rest += chunk
            self.guests.held += len(chunk)
            self._bound()
        return self._taken(end + 1)

    def close(self) -> None:
        """Forget what was heard."""
        self._taken(len(self.rest))

    def _bound(self) -> None:
        if len(self.rest) > LIMIT + CHUNK:
            raise InvalidInput([Diagnostic("bad_request", f"a request is at most {LIMIT:,} bytes long")])
        if self.guests.held > HELD:
            message = f"the clients of this node have sent {HELD:,} bytes of requests that are not complete"
            raise Busy([Diagnostic("busy", message, hint="try again when the others are done")])

    def _taken(self, size: int) -> bytes:
        taken = bytes(memoryview(self.rest)[:size])
        self.rest = self.rest[size:] if size < len(self.rest) else bytearray()
        self.guests.held -= size
        return taken


def request_of(line: bytes) -> dict[str, Any]:
    """Return the request that a line is; raise `InvalidInput` when it is none."""
    values = sum(line.count(mark) for mark in (b",", b":", b"[", b"{"))
    if values > VALUES:
        raise InvalidInput([Diagnostic("bad_request", f"a request is at most {VALUES:,} values")])
    try:
        return decode(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput([Diagnostic("bad_request", f"not a request: {error}")]) from error
