"""Long work in the event loop that nobody waits for: others have their turn in the midst of it."""

from __future__ import annotations

import asyncio
from time import perf_counter

SECONDS = 0.005
"""How long it may go on before others have their turn."""


class Courtesy:
    """Gives others their turn, when it is due."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        """Begin now."""
        self._since = perf_counter()

    async def turn(self) -> None:
        """Let others go on, when that is due."""
        if perf_counter() - self._since > SECONDS:
            await asyncio.sleep(0)
            self._since = perf_counter()
