"""What leads back to where an upgrade began, should everybody but the agent be gone.

The agent is told it with each request that makes it another: before that it leads back from what was, after it from
what is. It consists of groups of requests, the first to be done first. A group is a call, or a window, and is done or
taken back as a whole.

New traffic runs between windows, and between the hops of a route. So what was resumed is taken back by its downgrade,
and a hop that was made by all of its windows.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from relup.executor import EffectFailed, taking_back
from relup.model.naming import describe
from relup.model.relup import Relup
from relup.model.windows import Cut, Window, inverse
from relup.targets.beam.requests import (
    DEFAULT_LIMIT,
    Request,
    calling,
    changing,
    limits_of,
    loading,
    selecting,
    suspending,
)
from relup.targets.beam.terms import Atom, Term

Group: TypeAlias = list[Term]


@dataclass(slots=True)
class WayBack:
    """The way back of one upgrade, of one hop or more."""

    hops: int = 1
    """How many hops the route has."""
    windows: int = 0
    """How many windows the agent was told of so far; each has a number of its own."""
    _hop: list[Group] = field(default_factory=list)
    """Of the hop that is under way."""
    _made: list[tuple[Relup, list[Group]]] = field(default_factory=list)

    def begin(self) -> None:
        """Begin a hop, whatever became of the one before."""
        self._hop = []

    @property
    def is_over(self) -> bool:
        """Whether all hops are made, so that nothing leads back any more unless it is asked for."""
        return len(self._made) == self.hops

    def groups(self) -> list[Group]:
        """Return all of it, from here to where the upgrade began."""
        return [*self._hop, *(group for _, groups in reversed(self._made) for group in groups)]

    def without(self, group: Group) -> list[Group]:
        """Return what will be left of it when this is taken back."""
        groups = self.groups()
        with suppress(ValueError):
            groups.remove(group)
        return groups

    def add(self, group: Group) -> None:
        """Note what takes back what is done now."""
        self._hop.insert(0, group)

    def has_windows(self) -> bool:
        """Whether processes of this hop run its goal."""
        return any(len(group) > 1 for group in self._hop)

    def remove(self, group: Group) -> bool:
        """Note that this is taken back, whatever of the hop remains; say whether it was a part of it."""
        if group not in self._hop:
            return False
        self._hop.remove(group)
        return True

    def close(self, relup: Relup, group: Group) -> None:
        """Note that a hop is made, or another one taken back by it; *group* is the last that takes back this one."""
        if self._made and self._made[-1][0].base == relup.goal:
            self._made.pop()
        else:
            self._made.append((relup, [*self._hop, group]))
        self._hop = []


def back_from_call(cut: Cut, limit: int) -> Request:
    """Return what takes a call back; where nothing is known to, the request only says so, and fails."""
    try:
        back = calling(taking_back(cut), limit)
    except EffectFailed:
        back = None
    return back or (Atom("not_taken_back"), describe(cut).encode())


def back_from_window(window: Window, number: int, relup: Relup) -> Group:
    """Return the downgrade of a window that is resumed; where no appup says how, it only says so, and fails."""
    back, lost = inverse(window, relup.way_back or ())
    if lost:
        return [(Atom("not_taken_back"), f"the window of {', '.join(lost)}".encode())]
    limits = limits_of(back.suspensions)
    return [
        selecting(back.suspensions),
        suspending(limits),
        *(back_from_call(call, DEFAULT_LIMIT) for call in reversed(window.calls)),
        *(changing(change, number, "base", limits) for change in back.before),
        loading(number, "base"),
        *(changing(change, number, "base", limits) for change in back.after),
        Atom("verify"),
        (Atom("resume"), [], []),
    ]
