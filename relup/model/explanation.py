"""How a plan came about: the script after each pass, and why each module stands where it stands.

These are facts, in the order of the script; the words for them are the reporter's. A reason names what it rests
on, a dependency and its line or a tie and what broke it, so that it can be checked against the appup.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from relup.diagnostics import Location
from relup.model.instructions import Instruction, ModuleInstruction
from relup.model.relup import Relup

Origin: TypeAlias = Literal["entry", "inverse", "new", "gone", "erts", "asked"]
"""An appup's list, or the inverse of its other one; else an application that is new or gone, or a restart."""
Mark: TypeAlias = Literal["kept", "new", "moved"]
PassName: TypeAlias = Literal["cut", "expand", "order", "lower", "merge"]


@dataclass(frozen=True, slots=True)
class Source:
    """A script that takes part in a plan, and where it comes from."""

    application: str | None
    """None when no application asked for it."""
    origin: Origin
    instructions: tuple[Instruction, ...]
    location: Location | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pass:
    """The script after a pass that changed it."""

    name: PassName
    script: tuple[Instruction, ...]
    marks: tuple[Mark, ...]
    """What happened to each instruction of the script."""
    gone: int
    """How many instructions the pass left out or replaced."""


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing depends on the module, or on any of its circle but themselves: it may stand first."""


@dataclass(frozen=True, slots=True)
class After:
    """`dependent`, the last before it that depends on the module, or on one of its circle: `on`."""

    dependent: str
    on: str
    location: Location | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tie:
    """Neither depends on the other, directly or not: `first` was written first, or has the lower rank."""

    first: str
    second: str
    by: Literal["written", "rank"]


Reason: TypeAlias = Free | After | Tie


@dataclass(frozen=True, slots=True)
class OrderedModule:
    """Where one module stands in its component, and why."""

    instruction: ModuleInstruction
    rank: int
    """From 1, dependents first: the order in which processes are suspended."""
    loaded: int | None
    """From 1, over all components: the order in which code is loaded and removed; None for code that stays."""
    code_change: Literal["before", "after"] | None
    """On which side of the component's loads its states change; None when they do not."""
    reasons: tuple[Reason, ...]
    """None for those that follow the first of a circle: they stand as written."""
    circle: int | None = None
    """Which of the component's circles it belongs to."""


@dataclass(frozen=True, slots=True)
class OrderedComponent:
    """Modules that depend on each other, directly or not, and take effect together."""

    number: int
    """From 1, in the order of the script."""
    first: ModuleInstruction
    """The first that was written: the component stands at its place."""
    modules: tuple[OrderedModule, ...]
    circles: tuple[tuple[str, ...], ...] = ()
    """Modules that depend on each other in a circle."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan, and how it came about."""

    relup: Relup
    sources: tuple[Source, ...]
    passes: tuple[Pass, ...]
    components: tuple[OrderedComponent, ...]
