"""What was done in the open window, as the values that take it back.

The journal is kept beside the effects. States are remembered *before* they change, so that a change which stops
half way is undone too, and in batches, one entry for all processes of a module: an entry per process would be
most of the window.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, assert_never

from relup.diagnostics import Diagnostic, in_words
from relup.executor import EffectFailed
from relup.runtime import Process
from relup.runtime.code.keeping import Bound, put
from relup.targets.python.snapshot import Snapshot, restore
from relup.targets.python.snapshot import changed as spoilt

Changed: TypeAlias = tuple[Process, Any, Snapshot]
"""A process, its state before its `code_change`, and what that state held."""


@dataclass(slots=True)
class States:
    """The states of processes before their `code_change`."""

    changed: list[Changed] = field(default_factory=list)
    settled: int = 0
    """How many of them hold only what was changed in place since."""

    def settle(self) -> None:
        """Keep of each snapshot only the containers that hold something else by now."""
        for n in range(self.settled, len(self.changed)):
            process, state, snapshot = self.changed[n]
            if snapshot:
                self.changed[n] = process, state, spoilt(snapshot)
        self.settled = len(self.changed)


@dataclass(frozen=True, slots=True)
class Held:
    """What values that are no state of a process held: names that are kept, and instances that are migrated.

    Any `code_change` may write there, an `async def` one while it is awaited as well, and nobody can tell its writes
    from those of others: all of them are put back.
    """

    snapshot: Snapshot
    bound: Sequence[Bound] = ()
    """What names meant."""


@dataclass(frozen=True, slots=True)
class Swapped:
    """Code that was made current, or current again."""

    swap_back: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Called:
    """A call that was made."""

    take_back: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Decided:
    """A release that was recorded as the one that runs."""

    forget: Callable[[], None]


Entry: TypeAlias = States | Held | Swapped | Called | Decided


async def undo(entry: Entry) -> list[Diagnostic]:
    """Take one entry back; return what could not be, and go on with the rest whatever it is."""
    match entry:
        case States(changed):
            return list(_put_back(changed))
        case Held(snapshot, bound):
            return [
                *_attempt("what instances held", partial(restore, snapshot)),
                *_attempt("a name", partial(put, bound)),
            ]
        case Swapped(swap_back):
            return _attempt("the code", swap_back)
        case Decided(forget):
            return _attempt("the release record", forget)
        case Called(take_back):
            try:
                await take_back()
            except EffectFailed as error:
                return list(error.diagnostics)
            return []
        case _:
            assert_never(entry)


def _put_back(changed: list[Changed]) -> Iterator[Diagnostic]:
    """Give every process its old state, and the state its old contents; this loop is part of the window."""
    for process, state, snapshot in reversed(changed):
        process.state = state
        if snapshot and (changed_in_place := spoilt(snapshot)):
            try:
                restore(changed_in_place)
            except Exception as error:
                yield _fault(f"the state of {process.label}", error)


def _attempt(what: str, action: Callable[[], None]) -> list[Diagnostic]:
    try:
        action()
    except Exception as error:
        return [_fault(what, error)]
    return []


def _fault(what: str, error: Exception) -> Diagnostic:
    return Diagnostic("undo_failed", f"{what} could not be put back: {in_words(error)}")
