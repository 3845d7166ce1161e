"""The exchange of code in an open window, with the names that are kept and the instances that are migrated.

Nothing is awaited between the first instance that is migrated and the last name that is bound, so nobody sees half of
it. What they held is written down before, in the journal of the window.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from relup.diagnostics import Diagnostic
from relup.executor import EffectFailed
from relup.model.windows import Window
from relup.runtime.code import CodeError
from relup.targets.python.journal import Entry, Held, Swapped
from relup.targets.python.migrating import having, keys_of, migrated, rekey, turn
from relup.targets.python.passage import Passage, Turning
from relup.targets.python.snapshot import Memory, Snapshot
from relup.targets.python.stage import Stage
from relup.targets.python.watchdog import Step


class Exchange:
    """What goes over in one window."""

    def __init__(
        self, stage: Stage, memory: Memory, journal: list[Entry], watched: Callable[[], AbstractContextManager[Step]]
    ) -> None:
        """Take what goes over from *stage*, and write down in *journal* what takes it back.

        Functions of others are called while they are *watched*.
        """
        self._watched = watched
        self._stage = stage
        self._memory = memory
        self._journal = journal
        self._migrated: dict[Turning, int] = {}
        self._holds_kept = False

    def begin(self) -> None:
        """Forget the window before."""
        self._migrated.clear()
        self._holds_kept = False

    def hold(self, instances: Collection[Any] = ()) -> None:
        """Write down what *instances* hold and, once in a window, what is to be kept, before anything changes it."""
        bound = [] if self._holds_kept else [b for carry in self._stage.carries() for b in carry.values()]
        self._holds_kept = True
        if bound or instances:
            self._journal.append(Held(self._memory.remember_instances(instances, [b[2] for b in bound]), bound))

    def exchange(self, window: Window, over: Passage, swap: Callable[[], None], back: Callable[[], None]) -> None:
        """Exchange code, and with it what goes over. Raises `EffectFailed`, with the journal saying how far it came."""
        carry, found = over.carry, self._stage.census.find([t.old for t in over.turnings])
        migrate = self._migration(over.turnings, found)
        if not over.upwards:
            migrate()
        try:
            if carry:
                carry.check()
            swap()
        except CodeError as error:
            raise EffectFailed(Diagnostic("load_failed", str(error), window.code[0].location)) from error
        self._journal.append(Swapped(back))
        if carry:
            self._journal.append(Held((), carry.apply()))
        if over.upwards:
            migrate()

    def _migration(self, turnings: Sequence[Turning], found: Mapping[type, Sequence[Any]]) -> Callable[[], None]:
        """Return what migrates the instances that were *found*, and whatever they are keys of; write both down."""
        keys: Snapshot = keys_of(self._stage.census.keyed()) if found else ()
        place = len(self._journal)
        self.hold([instance for instances in found.values() for instance in instances])

        def migrate() -> None:
            with self._watched() as step:
                rehashed = {id(i) for t in turnings for i in turn(found[t.old], t, step)}
            if stale := having(keys, rehashed):
                self._journal.insert(place, Held(stale))  # undone when the keys have their old hashes again
                rekey(stale, turnings)
            for t in turnings:
                self._migrated[t] = self._migrated.get(t, 0) + len(found[t.old])

        return migrate

    def finish(self, *, awaited: bool) -> list[Diagnostic]:
        """Return how many instances were migrated.

        When something was *awaited* since, old code that others were in the midst of may have made more of them.
        """
        turnings = tuple(self._migrated)
        found = self._stage.census.find([t.old for t in turnings]) if awaited else {}
        if any(found.values()):
            self._migration(turnings, found)()
        return [migrated(t, count, "migrated") for t, count in self._migrated.items()]
