"""The environments of applications in one upgrade: the goal's come before anything else, and go back after all else.

So new code finds the values that it was written for, in its `code_change` as in its first message, and an application
that is added is started with them. OTP does the same, and leaves them there when the upgrade fails.
"""

from __future__ import annotations

from dataclasses import dataclass

from relup.targets.beam.agent import Agent
from relup.targets.beam.requests import Request
from relup.targets.beam.saying import misunderstood
from relup.targets.beam.terms import Atom
from relup.targets.beam.way_back import WayBack


@dataclass(slots=True)
class Environments:
    """The values that a hop changes."""

    requests: tuple[Request, Request] | None = None
    """What has them, and what takes that back; None where there are none."""
    _are_there: bool = False

    async def have(self, agent: Agent, way_back: WayBack) -> None:
        """Let the node have them, once. Raises `BridgeError` when it cannot be asked, else `EffectFailed`."""
        if self.requests and not self._are_there:
            there, back = self.requests
            answer = await agent.ask(Atom("leading_back"), there, [[back], *way_back.groups()])
            if answer != "ok":
                raise misunderstood(answer)
            way_back.add([back])
            self._are_there = True

    async def take_back(self, agent: Agent, way_back: WayBack) -> None:
        """Let the node have what it had, unless processes stay at the goal. Raises `BridgeError`.

        Where the hop was made, and nobody heard of it, whoever is left in the node does that.
        """
        if self.requests and self._are_there and not way_back.has_windows():
            back = self.requests[1]
            if way_back.remove([back]):
                await agent.ask(Atom("leading_back"), back, way_back.groups())
                self._are_there = False
