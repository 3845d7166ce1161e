"""A state for people, as much of it as can be read in one look.

What an upgrade does wrong it does to some part of a state, and a text that is cut at a length loses parts in the middle
of which it is cut. So a state that is too long is told by its elements: fewer and fewer of each container, each whole.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from reprlib import Repr
from typing import Any

BUDGET = 600
"""Characters of a state that are told."""
_COUNTS = (50, 20, 10, 6, 3)
"""Elements of each container that are tried to be told."""


class _Elements(Repr):
    """Takes dataclasses for the containers that they are."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = count
        self.maxstring = self.maxother = self.maxlong = 20 * count
        self.maxlevel = max(count, 4)

    def repr_instance(self, x: Any, level: int) -> str:
        """Return a dataclass by its fields."""
        if not is_dataclass(x) or level <= 0:
            return super().repr_instance(x, level)
        told = [f for f in fields(x) if f.repr and hasattr(x, f.name)]
        most = max(self._count, 10)  # each has another meaning, so few of them can be left out
        parts = [f"{f.name}={self.repr1(getattr(x, f.name), level - 1)}" for f in told[:most]]
        more = ["..."] if len(told) > most else []
        return f"{type(x).__qualname__}({', '.join(parts + more)})"


def told_state(state: Any) -> str:
    """Return a state in at most about `BUDGET` characters, cut between its elements."""
    text = ""
    for count in _COUNTS:
        text = _Elements(count).repr(state)
        if len(text) <= BUDGET:
            break
    return text if len(text) <= BUDGET else f"{text[:BUDGET]}..."
