"""The plan: one ordered script from a base release to a goal release, and the script back."""

from __future__ import annotations

from dataclasses import dataclass

from relup.diagnostics import Diagnostic
from relup.model.instructions import Direction, LowLevel
from relup.model.release import Release


@dataclass(frozen=True, slots=True)
class Relup:
    """All that is applied: compares with `==`, round-trips through JSON, renders as an OTP `relup` term.

    `base` and `goal` carry the fingerprints of their modules, so that a target can refuse a plan whose
    base is not what runs, or whose files changed since. `way_back` is None when the appups have no entry
    for the opposite direction: then the upgrade can be rolled back, but not downgraded.
    """

    direction: Direction
    base: Release
    goal: Release
    script: tuple[LowLevel, ...]
    way_back: tuple[LowLevel, ...] | None = None
    warnings: tuple[Diagnostic, ...] = ()

    def back(self) -> Relup | None:
        """Return the plan from the goal back to the base, or None when there is no way back."""
        if self.way_back is None:
            return None
        opposite: Direction = "down" if self.direction == "up" else "up"
        return Relup(opposite, self.goal, self.base, self.way_back, self.script)

    def __str__(self) -> str:
        return f"{self.base.name} {self.base.vsn} → {self.goal.vsn}"
