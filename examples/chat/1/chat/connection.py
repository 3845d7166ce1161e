"""The bytes of one client: lines become messages to its session, in order, whatever the session is doing.

This module is the same in both releases: the transport and its protocol are not part of what changes.
"""

import asyncio
from typing import Any

from chat import session
from relup.runtime import ChildSpec, Node, Pid
from relup.runtime.supervisor import start_child


class Connection(asyncio.Protocol):
    def __init__(self, node: Node) -> None:
        self.node = node
        self.pid: Pid | None = None
        self.early: list[Any] = []
        self.rest = b""

    def connection_made(self, transport: Any) -> None:
        self.task = asyncio.get_running_loop().create_task(self.open(transport))

    async def open(self, transport: Any) -> None:
        name = "%s:%d" % transport.get_extra_info("peername")[:2]
        spec = ChildSpec(name, session.Session, {"transport": transport, "name": name}, restart="temporary")
        self.pid = await start_child("sessions", spec)
        for message in self.early:
            self.node.send(self.pid, message)

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.tell(("line", line.decode(errors="replace").rstrip("\r")))

    def connection_lost(self, error: Exception | None) -> None:
        self.tell(("closed",))

    def tell(self, message: Any) -> None:
        if self.pid is None:
            self.early.append(message)
        else:
            self.node.send(self.pid, message)
