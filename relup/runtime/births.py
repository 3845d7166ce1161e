"""The gate that new processes pass.

A process born while an upgrade changes its module would begin in the old version and end in the new one, unseen by
both. So while the gate is closed the start of such a process waits until the gate is open again. Two starts pass
nevertheless: what the upgrade itself starts (its context says so, see `exempt`), and what a process starts that the
upgrade is still draining, for that process could otherwise never come to its message boundary. The latter are in
`born`, for the upgrade to suspend them as well.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from relup.runtime.context import exempt_variable

if TYPE_CHECKING:
    from relup.runtime.process import Process


class Births:
    """The gate of one node."""

    __slots__ = ("_loop", "_modules", "_waiting", "born")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._modules: frozenset[str] = frozenset()
        self._waiting: dict[Future[bool], Process | None] = {}
        self.born: list[Process] = []
        """Processes of modules in scope that began while the gate was closed, oldest first; some may be dead."""

    @property
    def closed(self) -> bool:
        """Whether starts of some modules wait."""
        return bool(self._modules)

    def close(self, modules: Iterable[str]) -> None:
        """Let starts of processes of these modules wait from now on; adds to the modules of an earlier close."""
        if not self._modules:
            self.born.clear()
        self._modules |= frozenset(modules)

    def open(self) -> None:
        """Let all pass, those that wait in the order in which they came."""
        self._modules = frozenset()
        self.born.clear()
        self._release(list(self._waiting), admitted=False)

    def concerns(self, modules: Collection[str]) -> bool:
        """Say whether a process of these modules would be in scope."""
        return not self._modules.isdisjoint(modules)

    async def enter(self, modules: Collection[str], client: Process | None) -> None:
        """Wait for the gate, on behalf of *client*, before a process of these modules begins."""
        while self.concerns(modules) and not exempt_variable.get():
            future: Future[bool] = self._loop.create_future()
            self._waiting[future] = client
            if client is not None and client.node.drain is not None:
                client.node.drain.poke()
            try:
                admitted = await future
            finally:
                self._waiting.pop(future, None)
            if admitted:
                return

    def begun(self, process: Process) -> None:
        """Note a birth."""
        if self.concerns(process.modules):
            self.born.append(process)

    def admit(self, clients: Collection[Process]) -> None:
        """Let pass what these processes start, though the gate is closed."""
        self._release([f for f, client in self._waiting.items() if client in clients], admitted=True)

    def _release(self, futures: list[Future[bool]], *, admitted: bool) -> None:
        for future in futures:
            if not future.done():
                future.set_result(admitted)

    @contextmanager
    def exempt(self) -> Iterator[None]:
        """Let everything that this block starts pass the gate: for the upgrade itself."""
        token = exempt_variable.set(True)
        try:
            yield
        finally:
            exempt_variable.reset(token)
