"""Asking epmd, Erlang's port mapper, whether a node is there before a bridge is started to it.

Erlang itself says `false` for every connection that does not come about. epmd tells apart a host that cannot be
found, one that is silent, one without nodes, and one without this node, in a millisecond and without a cookie. A
question is one byte; the answer is its own port and a line for each node, and the end of the connection.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from contextlib import suppress

from relup.diagnostics import Diagnostic, Refused

_NAMES = b"\x00\x01n"
_NODE = re.compile(r"name (\S+) at port (\d+)")
_LARGEST = 2**20
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)


class NoEpmd(Exception):
    """Something answers at the port of epmd, and is none."""


async def names(host: str, port: int) -> dict[str, int]:
    """Return the nodes that an epmd knows, each with its port. Raises `OSError`, or `NoEpmd` for a strange answer."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(_NAMES)
        answer = bytearray()
        while len(answer) < _LARGEST and (some := await reader.read(2**16)):
            answer += some
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if len(answer) < 4 or any(answer[:2]):  # its own port, which is another one behind a tunnel
        raise NoEpmd
    return {name: int(at) for name, at in _NODE.findall(answer[4:].decode("utf-8", "replace"))}


async def require_registered(name: str, host: str, port: int, timeout: float) -> int:  # noqa: ASYNC109
    """Return the port of node *name*; raise `Refused` with why there is none, at the latest after *timeout* seconds."""
    where = f"{host}, port {port}"
    try:
        async with asyncio.timeout(timeout):
            known = await names(host, port)
    except (socket.gaierror, UnicodeError):  # the latter for what cannot be a name, such as one with two dots
        hint = "is it spelled as the node spells it?"
        raise _refused("unknown_host", f"the host {host} of node {name} is not known here", hint) from None
    except TimeoutError:
        message = f"{host} did not answer within {timeout:g} s at port {port}, where its epmd would know of node {name}"
        raise _refused("unreachable_host", message, "a firewall, or a host that is down") from None
    except (ConnectionResetError, BrokenPipeError, NoEpmd):
        raise _no_epmd(name, f"what answers at {where} is no epmd") from None
    except OSError as error:
        if error.errno in _NO_WAY:
            message = f"there is no way to {host}, where epmd would know of node {name}: {error.strerror}"
            raise _refused("unreachable_host", message) from None
        raise _no_epmd(name, f"nothing answers at {where}") from None
    if name not in known:
        others = ", ".join(sorted(known)) or "none"
        raise _refused("no_such_node", f"no node {name} runs there; epmd knows at {where}: {others}")
    return known[name]


async def accepts(host: str, port: int, timeout: float) -> bool:  # noqa: ASYNC109
    """Say whether anybody accepts connections at a port."""
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # a time-out is one too
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _no_epmd(name: str, what: str) -> Refused:
    message = f"no node {name} is known: {what}, where Erlang's port mapper would be"
    return _refused("no_epmd", message, "no node runs there, or ERL_EPMD_PORT says another port")


def _refused(code: str, message: str, hint: str | None = None) -> Refused:
    return Refused([Diagnostic(code, message, hint=hint)])
