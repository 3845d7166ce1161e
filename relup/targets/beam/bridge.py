"""A connection to a live node, through a hidden node of relup's own: calls, requests, and what the node says by itself.

Erlang's distribution is not written again here. A child process, the bridge, is a real Erlang node: hidden, unnamed
(the node gives it a name), listening to nobody. Its cookie comes over its pipe and is in no argument list,
environment or file. Everything that is asked has a deadline, and the loss of the node or of the bridge ends all that
waits.

Answers are matched by number, so any number of questions may wait at once. What `send`, `request` and `heartbeat` say
to processes is said in the order in which it was asked for; calls are each on their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from relup.diagnostics import Diagnostic
from relup.targets.beam import child
from relup.targets.beam.child import Child
from relup.targets.beam.errors import BridgeError, Gone, Lost, Raised, Unanswered
from relup.targets.beam.etf import BadTerm
from relup.targets.beam.handshake import own_name
from relup.targets.beam.terms import Atom, Opaque, Term
from relup.targets.beam.where import Where


@dataclass(frozen=True, slots=True)
class Message:
    """What a process of the node sent to the bridge without being asked."""

    term: Term


@dataclass(frozen=True, slots=True)
class Down:
    """The node or the bridge is gone: the last event."""

    diagnostic: Diagnostic


Event: TypeAlias = Message | Down


class Bridge:
    """A connection to a node, for as long as the block of `connect` lasts."""

    def __init__(self, where: Where, process: Child) -> None:
        self.node = where.node
        self.erts = where.erts
        self.otp_release = ""
        """The OTP of the bridge, such as "25"; the node's own has to be asked of it."""
        self.pid = Opaque("pid", b"")
        """Whom the node's processes see as the sender of requests and heartbeats; what they send here is an event."""
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._child = process
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Term]] = {}
        self._lost: Diagnostic | None = None

    async def call(self, module: str, function: str, args: Sequence[Term] = (), *, timeout: float = 5.0) -> Term:  # noqa: ASYNC109
        """Call a function on the node, in a process of its own, and return its value (`erpc:call`).

        Raises `Raised`, `Unanswered` after *timeout* seconds (the function goes on), or `Lost`.
        """
        what = (Atom("call"), Atom(module), Atom(function), list(args))
        return await self._ask(what, f"{module}:{function}/{len(args)}", timeout)

    async def request(self, name: str, term: Term, *, timeout: float = 5.0) -> Term:  # noqa: ASYNC109
        """Ask a registered process as `gen_server:call` does, and return its reply.

        It is monitored for as long, so that its death is an answer. Raises `Gone`, `Unanswered` or `Lost`.
        """
        return await self._ask((Atom("request"), Atom(name), term), f"the process {name}", timeout)

    async def read_code(self, code: Term, *, timeout: float = 5.0) -> Term:  # noqa: ASYNC109
        """Let the bridge itself, not the node, read a module as one that loads it does; return `ok`, or the reason.

        *code* is its name, its file, and what is in that. Raises `Unanswered`, or `Lost` where it ends the bridge.
        """
        return await self._ask((Atom("read_code"), code), "the bridge", timeout)

    async def send(self, name: str, term: Term) -> None:
        """Send a message to a registered process. Nobody learns whether it is there. Raises `Lost`."""
        self._require_connection()
        await self._child.say((0, (Atom("send"), Atom(name), term)))

    async def heartbeat(self, name: str, milliseconds: int) -> None:
        """Let `{heartbeat, Pid}` be sent to a registered process steadily, the first at once; 0 ends it.

        A thread of this process and the bridge do it by themselves, also while everything else here is busy; who
        stops this process stops it too.
        """
        await self._ask((Atom("heartbeat"), Atom(name)), "the bridge", 5.0)
        self._child.pulse.every(milliseconds / 1_000 or None)

    @property
    def is_lost(self) -> bool:
        """Whether the node went away, or the bridge to it."""
        return self._lost is not None

    # ── how ──────────────────────────────────────────────────────────────────────────────────────────────

    async def ready(self) -> None:
        """Wait until the bridge runs."""
        match await self._child.hear():
            case ("ready", bytes(release)):
                self.otp_release = release.decode()
            case other:
                raise BadTerm(f"a bridge that begins with {other!r}")

    async def last_words(self) -> str:
        """Return what the bridge printed last, and how it ended."""
        return await self._child.last_words()

    async def join(self, where: Where, timeout: float) -> Term:  # noqa: ASYNC109
        """Connect with the node; return None, or the reasons against it and the same in words."""
        me = Atom(own_name(where))
        what = (Atom("connect"), Atom(where.node), me, Atom(where.domain), Atom(where.cookie))
        match await self._answer(what, where.node, timeout):
            case ("ok", Opaque() as pid):
                self.pid = pid
                return None
            case ("failed", list(reasons), bytes(words)):
                return reasons, words.decode()
            case other:
                raise BadTerm(f"a bridge that answers {other!r}")

    async def listen(self) -> None:
        """Hand out what comes, until the bridge ends, or nobody listens any more; then end all that waits."""
        try:
            while True:
                self._take(await self._child.hear())
        except EOFError:
            self._end("bridge_ended", f"the bridge to {self.node} ended ({await self._child.last_words()})")
        except BadTerm as error:
            self._end("bridge_ended", f"the bridge to {self.node} said what cannot be understood: {error}")
        except BaseException:  # cancelled, or interrupted in this very task
            self._end("given_up", f"the connection to {self.node} was given up here")
            raise

    def _take(self, frame: Term) -> None:
        match frame:
            case ("reply", number, answer):
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    future.set_result(answer)
            case ("event", term):
                self.events.put_nowait(Message(term))
            case ("nodedown", _):
                self._node_down()
            case _:
                raise BadTerm(f"{frame!r}"[:200])

    def _node_down(self) -> Diagnostic:
        return self._end("node_down", f"the connection to {self.node} is lost: it ended, or cannot be reached any more")

    def _end(self, code: str, message: str) -> Diagnostic:
        if self._lost is None:
            self._lost = Diagnostic(code, message)
            self.events.put_nowait(Down(self._lost))
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Lost(self._lost))
        return self._lost

    def _require_connection(self) -> None:
        if self._lost is not None:
            raise Lost(self._lost)

    async def _ask(self, what: Term, whom: str, timeout: float) -> Term:  # noqa: ASYNC109
        match await self._answer(what, whom, timeout):
            case ("ok", value):
                return value
            case ("raised", str(kind), reason, bytes(words), bytes(stack)):
                raise Raised(whom, str(kind), reason, words.decode(), stack.decode())
            case ("gone", "noconnection", _):
                raise Lost(self._node_down())
            case ("gone", reason, bytes(words)):
                raise Gone(whom, reason, words.decode())
            case ("too_large", int(size)):
                message = f"{whom} answered with {size:,} bytes; the bridge carries up to {child.LIMIT:,}"
                raise BridgeError(Diagnostic("answer_too_large", message))
            case other:
                raise BadTerm(f"a bridge that answers {other!r}"[:200])

    async def _answer(self, what: Term, whom: str, timeout: float) -> Term:  # noqa: ASYNC109
        """Ask the bridge and wait; when nobody waits any more, tell it."""
        self._require_connection()
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                await self._child.say((number, what))
                return await future
        except TimeoutError:
            raise Unanswered(whom, timeout) from None
        finally:
            del self._waiting[number]
            if not future.done() or future.cancelled():
                self._child.post((number, Atom("cancel")))
            else:
                future.exception()  # seen, also when the time was over in the same moment
