"""The child specs that code changes of supervisors add, so that a downgrade takes them away again.

A supervisor whose code changes keeps every child that it knows (OTP's rule), so the way back over a window leaves the
specs behind that the way there added, without a process, and a later start of the supervisor's children would find
them. What a supervisor knew before each window is therefore remembered until the window has been taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from relup.runtime import Process
from relup.runtime.family import Family, limited


class AddedSpecs:
    """What the supervisors of one upgrade knew before each of its windows."""

    def __init__(self) -> None:
        self._known: dict[Process, list[frozenset[Any]]] = {}
        self._here: list[Process] = []
        """The supervisors that were noted in the open window."""

    def note(self, processes: Iterable[Process]) -> None:
        """Remember the children of those that are supervisors, before their code changes."""
        for process in processes:
            if isinstance(process.state, Family):
                self._known.setdefault(process, []).append(frozenset(process.state.children))
                self._here.append(process)

    def take_back(self, processes: Iterable[Process]) -> None:
        """Take away the specs that the last window which is not taken back yet added, unless they are in use."""
        for process in processes:
            if isinstance(process.state, Family) and (known := self._known.get(process)):
                process.state = limited(process.state, known.pop())

    def settle(self) -> None:
        """Keep what was noted in a window that is over."""
        self._here.clear()

    def forget(self) -> None:
        """Forget what was noted in a window that is rolled back: its journal has the families themselves."""
        for process in self._here:
            self._known[process].pop()
        self._here.clear()
