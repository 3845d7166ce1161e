"""A live BEAM node as a target: an agent in it for the length of one upgrade."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from relup.diagnostics import Diagnostic, RelupError
from relup.executor import UNSAID, EffectFailed, Limits
from relup.model.instructions import Load, Verify
from relup.model.relup import Relup
from relup.targets.beam.agent import Agent, agent
from relup.targets.beam.architecture import other_architecture
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.files import read_beams, with_code
from relup.targets.beam.requests import asking
from relup.targets.beam.saying import RUNNING, said_no
from relup.targets.beam.terms import Atom, Term
from relup.targets.beam.transaction import BeamTransaction
from relup.targets.beam.way_back import WayBack


class BeamNode:
    """The executor's target; implements `Target`."""

    def __init__(self, bridge: Bridge, hops: int = 1, confirm_within: float | None = None) -> None:
        """Upgrade the node at the other end of *bridge* by a route of so many *hops*.

        After *confirm_within* seconds it goes back by itself unless it is confirmed.
        """
        self.bridge = bridge
        self._confirm_within = confirm_within
        self._agent: Agent | None = None
        self._way_back = WayBack(hops)
        self._asked: list[Term] = []
        self.notes: list[Diagnostic] = []
        """What is to be said though all is done."""

    @asynccontextmanager
    async def hold(self, owner: str) -> AsyncIterator[None]:
        """Bring the agent, which is the lock: raises `Busy` naming who has one there."""
        async with agent(self.bridge, owner, self._confirm_within) as self._agent:
            self._way_back.windows = self._agent.windows
            yield
            if self._way_back.is_over:
                with suppress(BridgeError):  # it takes back by itself what nobody can confirm
                    await self._done(self._agent)

    async def _done(self, agent: Agent) -> None:
        """Give up the way back, or leave it to the agent until the upgrade is confirmed."""
        if self._confirm_within is None and self._asked:
            await agent.ask(Atom("resume"), [], [Atom("decided")])
        await agent.done(self._way_back.groups(), self._asked)

    async def ask_again(self, probes: Sequence[Verify]) -> None:
        """Ask what the plan says is to be asked, while everybody runs; the agent asks it too until it is confirmed."""
        assert self._agent is not None, "a target is held until nobody asks any more"
        try:
            answers = [await self._agent.ask(Atom("ask"), *asking(probe)) for probe in probes]
        except BridgeError as error:
            raise EffectFailed(error.diagnostic) from error
        if said := [said_no(p, a, RUNNING) for p, a in zip(probes, answers, strict=True) if a != "ok"]:
            raise EffectFailed(*said)
        self._asked = [asking(probe) for probe in probes]

    async def inspect(self, relup: Relup) -> Sequence[Diagnostic]:
        """Find files of a later hop that are gone, changed, or for another machine."""
        try:
            goal = with_code(relup.goal)
            read_beams(goal, [i.module for i in relup.script if isinstance(i, Load)])
        except RelupError as error:
            return error.diagnostics
        return await other_architecture(self.bridge, relup.base, goal)

    @asynccontextmanager
    async def begin(self, relup: Relup, limits: Limits = UNSAID) -> AsyncIterator[BeamTransaction]:
        """Open a transaction."""
        assert self._agent is not None, "a target is held before a transaction begins"
        async with BeamTransaction(self._agent, relup, self._way_back, limits) as transaction:
            yield transaction
        self.notes += transaction.notes
