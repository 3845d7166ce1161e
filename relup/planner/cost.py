"""What a hop costs, so that routes can be compared.

A user of the node feels a restart most: all its state is gone. Then what throws some state away or cannot be
taken back. Then how much stands still. Then how often. None of these outweighs the one before it, however
many there are, so costs are compared field by field and never added up to one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relup.model.instructions import Apply, LowLevel, RestartEmulator, RestartNewEmulator, Stop, Suspend
from relup.model.relup import Relup
from relup.model.route import Route
from relup.planner.advice import advise


@dataclass(frozen=True, slots=True, order=True)
class Cost:
    """Compares field by field, in this order; the cost of a route is the sum of its hops'."""

    restarts: int = 0
    """Restarts of the emulator: all state of the node is lost."""
    lossy: int = 0
    """Steps that lose state or that nothing takes back; a hop without a way back is one more."""
    suspended: int = 0
    """Modules whose processes stand still for a while, in each hop."""
    hops: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.restarts + other.restarts,
            self.lossy + other.lossy,
            self.suspended + other.suspended,
            self.hops + other.hops,
        )

    def __radd__(self, nothing: int) -> Cost:
        """Return itself: `sum` and Dijkstra's algorithm start at 0."""
        return self

    def __str__(self) -> str:
        """Say it in words, without the number of hops, which whoever sees the route sees."""
        counts = {
            "{} restart(s)": self.restarts,
            "{} lossy step(s)": self.lossy,
            "{} module(s) suspended": self.suspended,
        }
        return ", ".join(words.format(count) for words, count in counts.items() if count) or "nothing suspended"


def route_cost(route: Route) -> Cost:
    """Return the cost of a whole route."""
    return sum((hop_cost(hop) for hop in route.hops), Cost())


def hop_cost(hop: Relup) -> Cost:
    """Return what it costs to apply *hop*."""
    return Cost(
        restarts=sum(isinstance(i, RestartNewEmulator | RestartEmulator) for i in hop.script),
        lossy=_lossy(hop.script) + (hop.way_back is None),
        suspended=len({s.module for i in hop.script if isinstance(i, Suspend) for s in i.modules}),
        hops=1,
    )


def _lossy(script: Sequence[LowLevel]) -> int:
    """Count what is warned of, and what ends processes: an application that is removed or restarted is stopped."""
    ended = sum(isinstance(i, Stop) or _stops_application(i) for i in script)
    return ended + sum(1 for _ in advise(script))


def _stops_application(i: LowLevel) -> bool:
    return isinstance(i, Apply) and (i.call.module, i.call.function) == ("application", "stop")
