"""What is decided comes to its end, and what leads back does, whoever wants the upgrade to end meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Stops:
    """Who wanted the task of an upgrade to end while it could not."""

    asked: asyncio.CancelledError | None = None
    again: bool = False
    """Whether somebody wanted it twice: then it ends where it stands, and nothing more is begun."""

    async def after(self, work: Coroutine[Any, Any, T]) -> T:
        """Do *work* to its end; return or raise what it does."""
        if self.asked and self.again:
            work.close()
            raise self.asked
        going = asyncio.get_running_loop().create_task(work)
        while not going.done():
            try:
                await asyncio.wait([going])
            except asyncio.CancelledError as error:
                if self.asked:
                    self.again = True
                    going.cancel()
                self.asked = error
        return going.result()
