"""What was done in the open window, as the values that take it back.

The journal is kept beside the effects: an entry is written *before* its effect, so that a half-done effect is
undone too. States are remembered in batches, one entry for all processes of a module: an entry per process
would be most of the window.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

from relup.runtime import Process
from relup.runtime.code import Staged
from relup.targets.python.snapshot import Snapshot, restore

Changed: TypeAlias = tuple[Process, Any, Snapshot]
"""A process, its state before its `code_change`, and what that state held."""


@dataclass(frozen=True, slots=True)
class States:
    """The states of processes before their `code_change`."""

    changed: list[Changed] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Swapped:
    """Code that became current."""

    staged: Staged
    undone: bool
    """Whether the effect was itself an undo (of an earlier window)."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call that was made, and the one that takes it back."""

    take_back: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Decided:
    """A release that was recorded as the one that runs."""

    take_back: Callable[[], None]


Entry: TypeAlias = States | Swapped | Called | Decided


async def undo(entry: Entry) -> None:
    """Take one entry back."""
    match entry:
        case States(changed):
            for process, state, snapshot in reversed(changed):
                if snapshot:
                    restore(snapshot)
                process.state = state
        case Swapped(staged, undone=False):
            staged.undo()
        case Swapped(staged):
            staged.swap()
        case Called(call_back):
            await call_back()
        case Decided(take_back):
            take_back()
        case _:
            assert_never(entry)
