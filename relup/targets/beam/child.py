"""The bridge as a process: an `erl` that talks in frames with its parent, and ends when its parent does.

It is in a session of its own, so that Ctrl-C at a terminal reaches relup alone, which then closes the bridge in its
own time. Its pipe is what holds it: when relup ends, however it ends, the kernel closes the pipe, and the bridge
halts. What it prints is kept, the last of it, for the one case in which it matters: an Erlang that does not start.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from relup.diagnostics import Diagnostic, Refused
from relup.targets.beam.etf import BadTerm, decode, encode
from relup.targets.beam.pulse import Pulse
from relup.targets.beam.terms import Term
from relup.targets.beam.where import Where

Words: TypeAlias = Callable[[int, int], tuple[str, ...]]
"""The command of a child, of the numbers of the pipes for its answers and for the pulse."""
LIMIT = 2**28
"""The largest frame, in bytes; as in `relup_bridge.erl`."""
_KEPT = 2_000
_LAST_WORDS = 1.0
"""Seconds that a bridge has to end by itself, and what is left of its output to arrive."""
_HERE = Path(__file__).parent
_QUIET = ("-noinput", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-kernel", "logger_level", "none")
_APART = ("-hidden", "-dist_listen", "false", "-start_epmd", "false", "-kernel", "dist_auto_connect", "never")
_NO_RELEASES = ("-sasl", "releases_dir", '"/dev/null"')
"""A boot file with sasl starts a release handler, which would write into the `RELEASES` of the node."""
_COOKIE = ("-setcookie", "relup")
"""Not the node's. Without one, Erlang would write a `~/.erlang.cookie` when distribution starts."""
ALONE = (*_QUIET, *_APART, *_NO_RELEASES, *_COOKIE, "-pa", str(_HERE))
"""What an Erlang of relup's own is started with: it is nobody's neighbour, and finds relup's modules."""


@dataclass(slots=True)
class Child:
    """A bridge that runs, and the ends of its pipes."""

    process: Process
    frames: asyncio.StreamReader
    pulse: Pulse
    printed: bytearray = field(default_factory=bytearray)
    drained: asyncio.Task[None] | None = None

    def post(self, term: Term) -> None:
        """Send a frame when there is room for it. Raises `BadTerm` when it is none, or too large.

        That the bridge is gone is told by `hear`.
        """
        frame = encode(term)
        if len(frame) > LIMIT:
            raise BadTerm(f"a message of {len(frame):,} bytes; the bridge carries up to {LIMIT:,}")
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(len(frame).to_bytes(4) + frame)

    async def say(self, term: Term) -> None:
        """Send a frame, and wait until the pipe takes more."""
        self.post(term)
        assert self.process.stdin is not None
        with suppress(OSError):
            await self.process.stdin.drain()

    async def hear(self) -> Term:
        """Wait for the next frame. Raises `EOFError` when the bridge has ended, `BadTerm` when it talks nonsense."""
        size = int.from_bytes(await self.frames.readexactly(4))
        if size > LIMIT:
            raise BadTerm(f"a frame of {size:,} bytes")
        return decode(await self.frames.readexactly(size))

    async def last_words(self) -> str:
        """Return what the bridge printed last, and how it ended, in one line."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self.process.wait()
                if self.drained is not None:
                    await asyncio.shield(self.drained)
        text = " ".join(self.printed.decode("utf-8", "replace").split())[-300:]
        code = self.process.returncode
        how = "it closed its pipe" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}: {text}" if text else how


def command(where: Where, reply_fd: int, pulse_fd: int, patience: float) -> tuple[str, ...]:
    """Return the command of a bridge, which tells nobody the cookie, nor the node it goes to."""
    setup = ("-kernel", "net_setuptime", str(max(1, min(120, round(patience)))))
    last = (*where.erl_args, "-s", "relup_bridge", "main", str(reply_fd), str(pulse_fd))
    return (*where.erts.command, *ALONE, *setup, *last)


def running(where: Where, patience: float) -> AbstractAsyncContextManager[Child]:
    """Run a bridge for the length of the block, as `started` does."""
    return started(lambda reply, pulse: command(where, reply, pulse, patience), where.erts.environ)


@asynccontextmanager
async def started(words: Words, environ: Mapping[str, str], folder: Path | None = None) -> AsyncIterator[Child]:
    """Run an Erlang for the length of the block; it is gone when the block is left, however it is left.

    Raises `Refused` when the Erlang that was found cannot be started.
    """
    reading, replies = os.pipe()
    felt, beating = os.pipe()
    async with AsyncExitStack() as stack:
        pulse = Pulse(beating)
        stack.callback(pulse.close)
        frames = asyncio.StreamReader(limit=2**20)
        file = stack.enter_context(os.fdopen(reading, "rb", buffering=0))
        try:
            protocol = asyncio.StreamReaderProtocol(frames)
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
            stack.callback(transport.close)
            process = await _process(words(replies, felt), environ, (replies, felt), folder)
        finally:
            os.close(replies)
            os.close(felt)
        child = Child(process, frames, pulse)
        child.drained = asyncio.create_task(_drain(child))
        stack.push_async_callback(_end, child)
        yield child


async def _process(
    argv: tuple[str, ...], environ: Mapping[str, str], pipes: tuple[int, ...], folder: Path | None
) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env=dict(environ),
            cwd=folder,
            pass_fds=pipes,
            start_new_session=True,
        )
    except OSError as error:
        message = f"the Erlang at {argv[0]} cannot be started: {error.strerror or error}"
        raise Refused([Diagnostic("no_erl", message)]) from None


async def _drain(child: Child) -> None:
    """Keep the last of what is printed; read on, so that the bridge never waits for a reader."""
    assert child.process.stdout is not None
    while some := await child.process.stdout.read(2**16):
        child.printed += some
        del child.printed[:-_KEPT]


async def _end(child: Child) -> None:
    """Close the pipe, which ends the bridge, and kill it when it does not; leave no process, also when interrupted."""
    process = child.process
    try:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if child.drained is not None:
            child.drained.cancel()
            await asyncio.wait([child.drained])
