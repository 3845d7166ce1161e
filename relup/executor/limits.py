"""How long an upgrade may hold others up, and what is done when somebody does not come to stand still.

A process that is busy when a window opens keeps everybody else of the window waiting. Whoever serves users would
rather give up soon, let all go on, and try again a little later, than let requests queue behind one slow process: it
is how schema migrations take their locks. So there are limits for each step and for the whole window, and a number of
new tries. Where nothing is said, what the appup says holds, and else OTP's five seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

FIRST_PAUSE = 0.5
"""Seconds that all go on before the second try; twice as many before each one after it."""
LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one upgrade, in seconds; None where nothing is said."""

    suspend: float | None = None
    """For each process to suspend, whatever the appup says."""
    code_change: float | None = None
    """For each `code_change` and each call, whatever the appup says."""
    window: float | None = None
    """From the first process that is suspended to the last that is resumed."""
    retries: int = 0
    """How often a window is opened anew after somebody did not suspend in time."""
    imports: float | None = None
    """For the bodies of a window's new modules, which run before it while everybody goes on."""

    def pauses(self) -> Iterator[float]:
        """Yield how long all go on before each new try."""
        for number in range(self.retries):
            yield min(FIRST_PAUSE * 2**number, LONGEST_PAUSE)

    def going_back(self) -> Limits:
        """Return the limits of a way back: a window of it that is given up would leave the node in between."""
        return replace(self, window=None)


UNSAID: Final = Limits()
"""What holds where nobody says anything."""
