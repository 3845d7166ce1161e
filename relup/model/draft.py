"""An appup that was generated, with the reasons for each of its parts, for somebody to review."""

from __future__ import annotations

from dataclasses import dataclass

from relup.model.instructions import Instruction
from relup.model.shapes import LiveStates

TODO = "TODO"
"""How a comment begins that an engineer has to answer."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """One instruction, and what is said of it."""

    instruction: Instruction
    comments: tuple[str, ...] = ()

    def todos(self) -> int:
        """Return how many of the comments have to be answered."""
        return sum(c.lstrip("# ").startswith(TODO) for c in self.comments)


@dataclass(frozen=True, slots=True)
class LiveDraft:
    """What the live states of one server class say of its `code_change`."""

    live: LiveStates
    looked: tuple[str, ...] = ()
    """How many states were looked at, who was busy, and which forms there are."""
    findings: tuple[str, ...] = ()
    """How they do not fit the newer release; nothing when they do."""
    source: str | None = None
    """A `code_change` to review, as it would stand in the class; None where there is one, and where none is needed."""
    todos: tuple[str, ...] = ()
    """What has to be answered, for an appup."""
    answered: bool = False
    """Whether there is a `code_change` that mentions all that was found."""

    def said(self) -> tuple[str, ...]:
        """Return what is said of how they fit: nothing when they do, and of what is answered only how much there is."""
        if self.answered:
            return (f"they do not fit in {len(self.findings)} way(s), and its code_change mentions all of this",)
        return self.findings


@dataclass(frozen=True, slots=True)
class Draft:
    """What leads between two versions of one application."""

    application: str
    older: str
    newer: str
    up: tuple[Drafted, ...]
    down: tuple[Drafted, ...]
    comments: tuple[str, ...] = ()
    """What is said of the whole."""
    live: tuple[LiveDraft, ...] = ()
    """What live states say, where they were looked at."""

    def todos(self) -> int:
        """Return how many comments have to be answered."""
        whole = sum(c.startswith(TODO) for c in self.comments)
        return whole + sum(d.todos() for d in (*self.up, *self.down))
