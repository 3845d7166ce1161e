"""Who is who in a node: processes by pid and by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from relup.runtime.errors import AlreadyStarted, NoProcess
from relup.runtime.pid import Pid

if TYPE_CHECKING:
    from relup.runtime.process import Process

Server: TypeAlias = Pid | str
"""How a process is addressed: by its pid or its registered name."""


class Registry:
    """The living processes of one node, the oldest first, those in `init` among them."""

    __slots__ = ("_last", "_names", "_processes", "addresses", "names", "processes")

    def __init__(self) -> None:
        self._last = 0
        self._processes: dict[Pid, Process] = {}
        self._names: dict[str, Pid] = {}
        self.addresses: Final[dict[Server, Process]] = {}
        """Both in one, for every message looks its receiver up."""
        self.processes = MappingProxyType(self._processes)
        self.names = MappingProxyType(self._names)

    def next_pid(self) -> Pid:
        """Return a pid that was never used."""
        self._last += 1
        return Pid(self._last)

    def check_free(self, name: str | None) -> None:
        """Raise AlreadyStarted when the name is taken."""
        if name is not None and name in self._names:
            raise AlreadyStarted(name, self._names[name])

    def find(self, server: Server) -> Process:
        """Return a process by pid or name; raises NoProcess."""
        process = self.addresses.get(server)
        if process is None:
            raise NoProcess(server)
        return process

    def add(self, process: Process) -> None:
        """Register a process by its pid, and its name if it has one."""
        self._processes[process.pid] = self.addresses[process.pid] = process
        if process.name is not None:
            self._names[process.name] = process.pid
            self.addresses[process.name] = process

    def remove(self, process: Process) -> None:
        """Drop a process and its name."""
        del self._processes[process.pid]
        del self.addresses[process.pid]
        if process.name is not None:
            del self._names[process.name]
            del self.addresses[process.name]
