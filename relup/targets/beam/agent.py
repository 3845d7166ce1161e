"""The agent in the node: brought there for one upgrade, asked, and gone after it.

It is a module of Erlang, compiled beforehand, for a node need not have a compiler; a node whose Erlang is older than
the oldest one that can read it is not sent anything, because a beam that it cannot read would be told in its log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import resources

from relup.diagnostics import Busy, Diagnostic, Refused
from relup.targets.beam.asking import evaluate, system_info
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.errors import BridgeError, Gone
from relup.targets.beam.terms import Atom, Term

NAME = "relup_agent"
OLDEST = 25
"""The oldest OTP that the agent is made for."""
LEASE = 3_000
"""Milliseconds of silence after which the agent takes everything back and ends."""
BEATS = 6
"""Heartbeats in a lease."""
PURGING = 60.0
"""Seconds for the node to look through its processes for the agent's code."""
_FREE = "(fun W() -> whereis(relup_agent) =:= undefined orelse receive after 1 -> W() end end)()."
"""Waits until nobody has the agent's name: who takes its code away has it last."""
_GONE = "(fun W() -> erlang:module_loaded(relup_agent) andalso receive after 1 -> W() end end)(), " + _FREE
"""Waits until the agent's code is gone, too."""
PATIENCE = 3_600.0
"""Seconds for an answer of the agent, which has time limits of its own for each step."""


class Agent:
    """The agent, while it is in the node."""

    def __init__(self, bridge: Bridge, confirm_within: float | None = None, windows: int | None = None) -> None:
        """Speak to the agent of a node; *windows*: how many it knows already, as one that waits for a deadline does."""
        self.bridge = bridge
        self.confirm_within = confirm_within
        self.windows = windows or 0
        self.stays = windows is not None
        """Whether it stays in the node when the block ends, until the upgrade is confirmed or goes back."""

    async def ask(self, *request: Term) -> Term:
        """Ask the agent, and return its answer. Raises `BridgeError` when it is gone, or the connection is."""
        what = request if len(request) > 1 else request[0]
        match await self.bridge.request(NAME, what, timeout=PATIENCE):
            case ("not_yours", bytes(holder)):
                raise Gone(
                    "the agent of this upgrade", None, f"it took it back; now {holder.decode()} upgrades the node"
                )
            case answer:
                return answer

    async def done(self, back: Sequence[Term], asked: Sequence[Term]) -> None:
        """Let it carry out *back* by itself unless it is dismissed in time; where there is no deadline it may go.

        It does so earlier when one of those functions says no that are *asked* whether all is well.
        """
        self.stays = self.confirm_within is not None
        if self.confirm_within is not None:
            await self.ask(Atom("provisional"), round(self.confirm_within * 1_000), list(back), list(asked))


@asynccontextmanager
async def agent(bridge: Bridge, owner: str, confirm_within: float | None = None) -> AsyncIterator[Agent]:
    """Bring the agent to the node for the length of the block, for *owner*.

    Raises `Busy` naming who upgrades the node now, and `Refused` for a node that cannot have it.
    """
    await _require_fitting(bridge)
    holder = await bridge.call("erlang", "whereis", [Atom(NAME)])
    is_leaving = holder != "undefined" and not await bridge.call("erlang", "module_loaded", [Atom(NAME)])
    if is_leaving:
        await evaluate(bridge, _FREE, within=PURGING)
    if is_leaving or holder == "undefined":
        await _load(bridge)
    found = await _begun(bridge, owner, confirm_within)
    await bridge.heartbeat(NAME, LEASE // BEATS)
    try:
        yield found
    finally:
        await (_leave(found) if found.stays else dismiss(bridge))


async def _begun(bridge: Bridge, owner: str, confirm_within: float | None) -> Agent:
    match await bridge.call(NAME, "start", [owner.encode(), bridge.pid, LEASE]):
        case ("ok", _):
            return Agent(bridge, confirm_within)
        case ("busy", (bytes(holder), False)):
            raise _busy(bridge, holder)
        case ("busy", (_, True)):
            return await _adopted(bridge, owner)
        case other:
            raise _refused(bridge, other)


async def _adopted(bridge: Bridge, owner: str) -> Agent:
    """Take over the agent of an upgrade that would go back by itself: its deadline waits for as long."""
    match await bridge.request(NAME, (Atom("adopt"), owner.encode(), bridge.pid, LEASE)):
        case ("ok", int(windows)):
            return Agent(bridge, windows=windows)
        case ("busy", bytes(holder)):
            raise _busy(bridge, holder)
        case other:
            raise _refused(bridge, other)


def _busy(bridge: Bridge, holder: bytes) -> Busy:
    return Busy([Diagnostic("busy", f"an upgrade is running on node {bridge.node!r}: {holder.decode()}")])


def _refused(bridge: Bridge, answer: Term) -> Refused:
    return Refused([Diagnostic("agent_refused", f"the agent does not run on {bridge.node}: {answer!r}"[:300])])


async def _leave(found: Agent) -> None:
    """Leave it alone in the node, to wait for its deadline; when the connection is gone it does so by itself."""
    with suppress(BridgeError):
        await found.ask(Atom("give_back"))
        await found.bridge.heartbeat(NAME, 0)


async def _require_fitting(bridge: Bridge) -> None:
    number = await system_info(bridge, "otp_release")
    if not number.isdecimal() or int(number) < OLDEST:
        message = f"node {bridge.node} runs OTP {number}; the agent is for OTP {OLDEST} and newer, nothing was sent"
        raise Refused([Diagnostic("otp_too_old", message)])


async def _load(bridge: Bridge) -> None:
    beam = resources.files("relup.targets.beam").joinpath(f"{NAME}.beam").read_bytes()
    match await bridge.call("code", "load_binary", [Atom(NAME), list(b"relup"), beam]):
        case ("module", _):
            pass
        case other:
            raise Refused([Diagnostic("agent_refused", f"node {bridge.node} does not load the agent: {other!r}"[:300])])


async def dismiss(bridge: Bridge) -> None:
    """End the agent, and wait until its code is gone too; when the connection is lost it ends by itself."""
    with suppress(BridgeError):
        await bridge.heartbeat(NAME, 0)
        await Agent(bridge).ask(Atom("finish"))
        await evaluate(bridge, _GONE, within=PURGING)
