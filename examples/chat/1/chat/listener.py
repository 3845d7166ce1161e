"""Accepts connections. The socket is its state, so it stays open through upgrades."""

import asyncio
from typing import Any

from chat.connection import Connection
from relup.runtime import GenServer, Reply


class Listener(GenServer):
    async def init(self, args: Any) -> asyncio.Server:
        node = self.node
        server = await asyncio.get_running_loop().create_server(lambda: Connection(node), args["host"], args["port"])
        print(f"listening on {args['host']}:{server.sockets[0].getsockname()[1]}", flush=True)
        return server

    def handle_call(self, request: Any, caller: object, server: asyncio.Server) -> Reply:
        return Reply(server.sockets[0].getsockname()[1], server)

    def terminate(self, reason: object, server: asyncio.Server) -> None:
        server.close()
