"""Which fault makes sense at which point of a Python node, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.points import EVERYWHERE, USER
from tests.faults.pynode import EFFECT
from tests.faults.result import Moment, kind_of


@dataclass(frozen=True, slots=True)
class Fault:
    """What is known of a fault beforehand."""

    name: str
    ends_node: bool = False
    """Whether the node may end of it."""
    spoils_node: bool = False
    """Whether the node is of no use any more afterwards, because what struck cannot be taken back."""
    writes_fail: bool = False
    """Whether the history cannot be expected to know of it."""
    victims: tuple[str, ...] = ()
    """Processes that may be others afterwards, with nothing of what they had handled."""
    seconds: float = 10.0
    """How long a run may take with it."""
    options: tuple[str, ...] = ()
    """What the command is told besides."""


_LIMITS = ("--import-timeout", "1", "--code-change-timeout", "1")
KILLS = ("node killed", "os._exit", "segfault")
_KNOWN = {
    **{name: Fault(name, ends_node=True) for name in (*KILLS, "node is stopped", "sys.exit", "interrupts")},
    **{name: Fault(name, spoils_node=True, writes_fail=True) for name in ("fsync fails", "rename fails", "read-only")},
    **{name: Fault(name, writes_fail=True) for name in ("disk full", "no descriptors")},
    "a process dies": Fault("a process dies", victims=("s2",)),
    # without an option a call, and so the `init` of a child, may take as long as it likes
    **{name: Fault(name, options=_LIMITS) for name in ("endless loop", "hangs", "ignores cancelling")},
    "flood of messages": Fault("flood of messages", seconds=30.0),
}
RAISING = ("raises", "out of memory", "cancelled", "interrupts", "sys.exit", "recursion", "spoils, raises")
REPORTED = ("fails", "a bug")
LATER = ("hangs", "ignores cancelling")
STATES = ("spoils, raises", "returns None", "returns a class")
INSTEAD = ("returns None", "returns a class", "hangs", "ignores cancelling")


def fault(name: str) -> Fault:
    """Return what is known of a fault."""
    return _KNOWN.get(name, Fault(name))


def faults_at(point: str) -> list[str]:
    """Return the faults that can strike at a point, in the order of the table."""
    return [*EVERYWHERE, *EFFECT] if point.startswith("effect ") else list(USER)


def why_not(name: str, point: str, moment: Moment, *, same: bool) -> str | None:
    """Return why a fault is not tried at a point; None when it is. *same*: nothing happens before the next point."""
    kind = kind_of(point)
    raising = name in (*RAISING, *REPORTED)
    if same and moment == "after" and not raising and name not in INSTEAD:
        return "the same moment as before the next step"
    if kind == "call" and moment == "after" and (raising or name in ("endless loop", *LATER)):
        return "a call that failed has done nothing, by its own promise"
    if point.startswith("effect "):
        if kind in ("resume", "rollback") and raising:
            return "the target's own last word: what is raised there would be invented"
        return None
    if name in STATES and kind != "code_change":
        return "only a code_change is given a state, or returns one"
    if name in LATER and kind == "body":
        return "a module body awaits nothing"
    return None
