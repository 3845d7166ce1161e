"""A proxy before a node's socket that knows the lines which pass, and does harm at one of them."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from relup.targets.python.wire import short_address
from tests.faults.result import Strike
from tests.faults.station import NAME, Command, Station

FAULTS = ("connection cut", "half open", "controller killed", "sent twice", "late", "junk before it")
JUNK = b'{"op": "apply", \xff\x00 [[[\n'


@dataclass(slots=True)
class Proxy:
    """One connection from a command to a node, line by line."""

    listener: socket.socket
    node: Path
    strike: Strike | None
    lines: list[str] = field(default_factory=list)
    """The direction of each line that passed."""
    held: bytes | None = None
    """A request that has not arrived yet."""
    struck: bool = False
    ends: list[socket.socket] = field(default_factory=list)
    rests: dict[socket.socket, bytes] = field(default_factory=dict)
    deaf: bool = False

    def pump(self, command: Command, seconds: float) -> bool:
        """Pass lines on until the command has ended; say whether it has."""
        for _ in range(int(seconds / 0.05)):
            if command.ended(0):
                return True
            if self.deaf and self.struck:
                return False
            ready, _, _ = select.select([self.listener, *self.ends], [], [], 0.05)
            for end in ready:
                if end is self.listener:
                    self._open()
                elif end in self.ends:
                    self._pass(end, command)
        return command.ended(0)

    def _open(self) -> None:
        client, _ = self.listener.accept()
        node = _connected(self.node)
        self.ends = [client, node]
        self.rests = {client: b"", node: b""}

    def _pass(self, end: socket.socket, command: Command) -> None:
        other = self.ends[1] if end is self.ends[0] else self.ends[0]
        with suppress(OSError):
            data = end.recv(1 << 20)
            if data:
                *lines, self.rests[end] = (self.rests[end] + data).split(b"\n")
                direction = "request" if end is self.ends[0] else "answer"
                for line in lines:
                    self._line(line + b"\n", other, command, direction)
                return
        self.close()

    def _line(self, line: bytes, to: socket.socket, command: Command, direction: str) -> None:
        number = len(self.lines)
        self.lines.append(direction)
        strike = self.strike
        if strike is None or strike.number != number or self.struck:
            if self.ends and not self.deaf:
                to.sendall(line)
            return
        self.struck = True
        match strike.fault, strike.moment:
            case "half open", _:
                self.deaf = True
            case "connection cut", "before":
                self.close()
            case "connection cut", "during":
                to.sendall(line[: len(line) // 2])
                self.close()
            case "connection cut", _:
                to.sendall(line)
                self.close()
            case "controller killed", "before":
                command.kill()
                self.close()
            case "controller killed", _:
                to.sendall(line)
                command.kill()
                self.close()
            case "sent twice", _:
                to.sendall(line * 2)
            case "late", _:
                self.held = line
                command.kill()
                self.close()
            case "junk before it", _:
                to.sendall(JUNK + line)

    def close(self) -> None:
        """Cut the connection."""
        for end in self.ends:
            end.close()
        self.ends = []


def deliver(node: Path, line: bytes) -> bytes:
    """Let a request arrive now; return the answer."""
    with _connected(node) as connection:
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            return next((a for a in answers if b'"event"' not in a[:10]), b"")


def _connected(node: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_address(node) as address:
        connection.connect(address)
    return connection


@contextmanager
def proxied(station: Station, strike: Strike | None) -> Iterator[tuple[Proxy, Path]]:
    """Put a proxy before the node; yield it, and the base under which a command finds it."""
    base = station.folder / "proxied"
    (base / NAME).mkdir(parents=True, exist_ok=True)
    place = base / NAME / "control.sock"
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with short_address(place) as address:
            listener.bind(address)
        listener.listen(1)
        proxy = Proxy(listener, station.base / NAME / "control.sock", strike)
        try:
            yield proxy, base
        finally:
            proxy.close()
