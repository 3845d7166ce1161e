"""A path over several versions: hops that are planned one by one and applied as one upgrade."""

from __future__ import annotations

from dataclasses import dataclass

from relup.diagnostics import Diagnostic
from relup.model.instructions import Direction
from relup.model.release import Release
from relup.model.relup import Relup


@dataclass(frozen=True, slots=True)
class Route:
    """One upgrade in one hop or more: the goal of each is the base of the next.

    A plan between two releases is a route of one hop. `warnings` say why it is this route, and no other.
    """

    hops: tuple[Relup, ...]
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def base(self) -> Release:
        """The release that runs."""
        return self.hops[0].base

    @property
    def goal(self) -> Release:
        """The release that all hops together lead to."""
        return self.hops[-1].goal

    @property
    def direction(self) -> Direction:
        """Whether a hop goes up, or all of them go down."""
        return "up" if any(hop.direction == "up" for hop in self.hops) else "down"

    def back(self) -> Route | None:
        """Return the route from the goal back to the base, or None when a hop has no way back."""
        hops = [hop.back() for hop in reversed(self.hops)]
        known = tuple(hop for hop in hops if hop)
        return Route(known) if len(known) == len(hops) else None

    def __str__(self) -> str:
        return f"{self.base.name} {' → '.join((self.base.vsn, *(hop.goal.vsn for hop in self.hops)))}"
