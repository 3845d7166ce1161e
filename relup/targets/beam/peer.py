"""An Erlang beside the node, started from the new release, in which copies of states are changed.

It has the pipes that a bridge has, and nothing else: it is not distributed, knows no node and no cookie, and ends with
its pipe. One thing is asked of it at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from relup.model.release import Release
from relup.targets.beam.child import ALONE, Child, started
from relup.targets.beam.erts import find_erts, own_erts
from relup.targets.beam.etf import BadTerm
from relup.targets.beam.terms import Term
from relup.targets.beam.where import Erts

BROKEN = 99
"""The exit code of one that failed by itself; as in `relup_peer.erl`."""
BOOTING = 15.0
ANSWERING = 30.0
"""Seconds for what takes none of the program's code."""
_SCHEDULERS = ("+S", "2:2")
"""One for a code_change that never returns, and one for whoever ends it."""


class PeerLost(Exception):
    """It ended, or does not answer; *status* is its exit code, negative for a signal, or None when it still runs."""

    def __init__(self, status: int | None, last_words: str) -> None:
        self.status = status
        self.last_words = last_words
        super().__init__(status, last_words)


@dataclass(frozen=True, slots=True)
class Peer:
    """One that runs."""

    _child: Child

    async def ready(self) -> str:
        """Wait until it runs; return its OTP release."""
        match await self._hear(BOOTING):
            case ("ready", bytes(release)):
                return release.decode()
            case other:
                raise PeerLost(None, f"it began with {other!r}"[:200])

    async def ask(self, *request: Term, within: float = ANSWERING) -> Term:
        """Ask it, and wait for the answer. Raises `PeerLost`."""
        await self._child.say(request if len(request) > 1 else request[0])
        return await self._hear(within)

    async def _hear(self, within: float) -> Term:
        try:
            async with asyncio.timeout(within):
                return await self._child.hear()
        except TimeoutError:
            raise PeerLost(None, f"it does not answer within {within:g} s") from None
        except BadTerm as error:
            raise PeerLost(None, f"it said what cannot be understood: {error}") from None
        except EOFError:
            words = await self._child.last_words()
            raise PeerLost(self._child.process.returncode, words) from None


@asynccontextmanager
async def peer(release: Release, otherwise: Erts) -> AsyncIterator[Peer]:
    """Start one from the Erlang of *release*, or from another one where it has none, for the length of the block.

    Raises `Refused` when it cannot be started.
    """
    root = Path(release.root)
    erts = find_erts(root, otherwise.environ, None) if own_erts(root) else otherwise

    def command(reply: int, pulse: int) -> tuple[str, ...]:
        return (*erts.command, *_SCHEDULERS, *ALONE, "-s", "relup_peer", "main", str(reply), str(pulse))

    async with started(command, erts.environ, Path("/")) as child:
        yield Peer(child)
