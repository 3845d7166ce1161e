"""The node's ear: a Unix socket in a folder that only its user can enter.

The folder's mode keeps strangers out, and the kernel's word on who is at the other end is asked as well: only
the node's own user and root are answered. An upgrade, once begun, belongs to the node: it ends the same way
whether its client reads on, hangs up, or dies. Before the first process is touched whoever asked for it may withdraw
it; to hang up is not to say that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from relup.diagnostics import Diagnostic, InvalidInput, OperatorNeeded, Refused, RelupError
from relup.document.route import route_from_data
from relup.executor import Event, Options
from relup.model.route import Route
from relup.targets.limits import limits_from_data
from relup.targets.python.handler import ReleaseHandler
from relup.targets.python.hearing import CHUNK, Ear, Guests, request_of
from relup.targets.python.home import Home
from relup.targets.python.look import check_bootable, evaluate, new_namespace, releases, status
from relup.targets.python.outcomes import outcome_to_data
from relup.targets.python.shapes import shapes
from relup.targets.python.standing_in import StandIn
from relup.targets.python.threads import in_daemon_thread
from relup.targets.python.wire import encode, error_to_data, peer, short_address
from relup.targets.release_files import refuse_unsafe

log = logging.getLogger("relup.node")

LAST_WORDS = 2.0
"""Seconds that clients have to read their answers when the node stops."""
Send = Callable[[dict[str, Any]], None]


class Control:
    """The control socket of one running node."""

    def __init__(self, handler: ReleaseHandler, home: Home, stop: Callable[[str], None]) -> None:
        """Answer for *handler*; *stop* asks the node to end."""
        self._handler = handler
        self._home = home
        self._stop = stop
        self._server: asyncio.Server | None = None
        self._guests = Guests()
        self._stand_in = StandIn(handler, home)
        self._upgrades: dict[asyncio.Task[Any], str] = {}

    async def open(self) -> None:
        """Begin to listen. A socket that a dead node left is replaced."""
        with contextlib.suppress(FileNotFoundError):
            self._home.socket.unlink()
        with short_address(self._home.socket) as address:
            self._server = await asyncio.start_unix_server(self._converse, address, limit=CHUNK)
        self._home.socket.chmod(stat.S_IRUSR | stat.S_IWUSR)
        self._stand_in.open(self._server)
        self._handler.watchdog.on_held = self._stand_in.held

    async def close(self) -> None:
        """Stop listening, let upgrades end and their answers go out, and hang up on everybody else."""
        self._stand_in.close()
        if self._server:
            self._server.close()
        await self._handler.finish()
        if self._upgrades:
            await asyncio.wait([*self._upgrades])
        for task in self._guests.tasks.keys() - self._guests.answering:
            task.cancel()
        if self._guests.tasks:
            _, late = await asyncio.wait([*self._guests.tasks], timeout=LAST_WORDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self._home.socket.unlink()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ear, namespace = Ear(reader, self._guests), new_namespace(self._handler.node)
        try:
            owner = _owner(writer)
            self._guests.welcome(task)
            while line := await ear.line():
                self._guests.heard(task)
                await self._answer(line, owner, namespace, writer)
                await writer.drain()
                self._guests.answering.discard(task)
                if not self._listens():
                    break
        except OSError:
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        except RelupError as error:
            _send(writer, {"error": error_to_data(error)})
        finally:
            ear.close()
            self._guests.farewell(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _listens(self) -> bool:
        return self._server is not None and self._server.is_serving()

    async def _answer(self, line: bytes, owner: str, namespace: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        def send(message: dict[str, Any]) -> None:
            _send(writer, message)

        try:
            request = request_of(line)
            if request.get("op") == "apply":
                self._stand_in.waiting.add(writer)
            send({"result": await self._dispatch(request, owner, namespace, send)})
        except RelupError as error:
            send({"error": error_to_data(error)})
        except Exception as error:
            log.exception("a request could not be answered")
            message = f"the node could not answer: {type(error).__name__}: {error}"
            send({"error": error_to_data(OperatorNeeded([Diagnostic("internal_error", message)]))})
        finally:
            self._stand_in.waiting.discard(writer)

    async def _dispatch(self, request: dict[str, Any], owner: str, namespace: dict[str, Any], send: Send) -> Any:
        match request:
            case {"op": "status"}:
                return await status(self._handler)
            case {"op": "releases"}:
                self._handler.refuse_busy()
                return await releases(self._handler)
            case {"op": "history"}:
                return self._handler.history()
            case {"op": "shapes", "names": list(names)} if all(isinstance(n, str) for n in names):
                return await shapes(self._handler, names)
            case {"op": "apply", "plan": dict(plan), "options": dict(options)}:
                chosen = _Options.read(options, request.get("number"))
                return await asyncio.shield(self._begin(route_from_data(plan), chosen, owner, send))
            case {"op": "withdraw"}:
                return await self._withdraw(owner)
            case {"op": "confirm"}:
                number = _number(request.get("number"))
                self._handler.refuse_late(number, self._handler.records.number)
                await check_bootable(self._handler)
                return await self._handler.confirm(owner, number)
            case {"op": "evaluate", "source": str(source)}:
                return await evaluate(source, self._handler.node, namespace)
            case {"op": "stop"}:
                self._stop(owner)
                return {"pid": os.getpid()}
            case _:
                raise InvalidInput([Diagnostic("bad_request", f"not a request: {sorted(request)!r:.200}")])

    def _begin(self, route: Route, options: _Options, owner: str, send: Send) -> asyncio.Task[Any]:
        """Start an upgrade as a task of its own, so that it outlives this conversation."""
        task = asyncio.get_running_loop().create_task(self._apply(route, options, owner, send), name="relup upgrade")
        self._upgrades[task] = owner
        task.add_done_callback(self._upgrades.pop)
        return task

    async def _withdraw(self, owner: str) -> bool:
        """End what a client asked for, unless it has begun; say whether it is ended, with nothing touched."""
        own = [task for task, who in self._upgrades.items() if who == owner]
        if not own or self._handler.has_begun(owner):
            return False
        before = self._handler.number
        for task in own:
            task.cancel()
        await asyncio.wait(own)
        return before == self._handler.number

    async def _apply(self, route: Route, options: _Options, owner: str, send: Send) -> dict[str, Any]:
        def emit(event: Event) -> None:
            send({"event": asdict(event)})

        self._handler.refuse_busy()
        await in_daemon_thread(refuse_unsafe, [hop.goal for hop in route.hops])
        outcome = await self._handler.install(
            route,
            owner=owner,
            emit=emit,
            options=options.install,
            confirm_within=options.confirm,
            number=options.number,
        )
        return {**outcome_to_data(outcome), "number": self._handler.number}


@dataclass(frozen=True, slots=True)
class _Options:
    """How a client wants an upgrade to be carried out."""

    install: Options
    confirm: float | None
    number: int | None
    """The upgrade that was the last one when the plan was made."""

    @classmethod
    def read(cls, data: dict[str, Any], number: Any) -> _Options:
        """Return the options that a request names. Raises `InvalidInput` for others."""
        match data:
            case {
                "dry_run": bool(dry_run),
                "allow_irreversible": bool(allowed),
                "strict": bool(strict),
                "confirm": int() | float() | None as within,
            }:
                if within is None or 0 < within < float("inf"):
                    limits = limits_from_data(data.get("limits"))
                    chosen = Options(
                        dry_run=dry_run,
                        allow_irreversible=allowed,
                        strict=strict,
                        rehearse=data.get("rehearse") is True,
                        limits=limits,
                    )
                    return cls(chosen, within, _number(number))
            case _:
                pass
        raise InvalidInput([Diagnostic("bad_request", f"these are no options of an upgrade: {data!r:.200}")])


def _number(given: Any) -> int | None:
    """Return the number of an upgrade that a request names, if it does. Raises `InvalidInput` for what is none."""
    if given is None or (isinstance(given, int) and not isinstance(given, bool)):
        return given
    raise InvalidInput([Diagnostic("bad_request", f"this is no number of an upgrade: {given!r:.100}")])


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    if not writer.is_closing():
        writer.write(encode(message))


def _owner(writer: asyncio.StreamWriter) -> str:
    """Return who is at the other end. Raises `Refused` unless it is this node's user or root."""
    pid, uid = peer(writer.get_extra_info("socket"))
    if uid not in (0, os.geteuid()):
        raise Refused([Diagnostic("foreign_node", f"this node belongs to uid {os.geteuid()}, not to uid {uid}")])
    return f"uid {uid} (pid {pid})"
