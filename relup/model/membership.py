"""Why each module is in the set that a window changes: what an upgrade takes along, and for whose sake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Difference: TypeAlias = Literal["changed", "comments", "new", "gone", "same"]
"""How the text of a module differs between two releases; `comments` is in comments, layout and docstrings only."""


@dataclass(frozen=True, slots=True)
class Dependant:
    """A module that must change with a set: where, and by which name, it uses which module of the set early."""

    module: str
    path: str
    line: int
    name: str
    of: str


@dataclass(frozen=True, slots=True)
class Member:
    """A module that a window loads or removes."""

    module: str
    difference: Difference
    because: Dependant | None = None
    """What it uses early of a module that differs: it would keep old objects."""


Members: TypeAlias = tuple[tuple[Member, ...], ...]
"""The members of each window."""
