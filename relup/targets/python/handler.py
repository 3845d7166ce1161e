"""A node's release handler: which release runs, which is permanent, and one upgrade at a time.

An upgrade is provisional until it is confirmed: a node that dies before boots the old permanent release. With
a deadline the node goes back by itself, along the way back that came with the plan; the client that asked for
the upgrade is not needed for that. It goes back earlier when a probe of the plan says no. (OTP: `release_handler`.)

Whether confirm or the way back comes first is decided in the loop of the node: `confirm` writes the record and gives
up the deadline without letting go of the loop, and the way back has taken the node before that, or is not taken.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any

from relup.diagnostics import Busy, Diagnostic, Refused, RelupError
from relup.document.route import route_to_data
from relup.executor import EffectFailed, Emit, Event, Options, Outcome, install
from relup.model.instructions import Verify
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.route import Route
from relup.model.windows import probes
from relup.runtime import Node
from relup.runtime.code.running import Lingerer
from relup.runtime.context import inside
from relup.targets.python import preflight
from relup.targets.python.applications import make_known
from relup.targets.python.home import Home, Installed, Records
from relup.targets.python.outcomes import history_entry
from relup.targets.python.probes import ask_each
from relup.targets.python.threads import in_daemon_thread
from relup.targets.python.transaction import PythonTransaction

log = logging.getLogger("relup.node")
_UNNAMED = "somebody who uses code that was purged before, and cannot be named"
TIMES = 10
"""How often probes are asked again in the time for a confirmation."""
LEAST_PAUSE = 1.0
"""Seconds between two times that they are asked, at least."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks of a node, in seconds: `monotonic` measures, `wall` dates the history."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an unconfirmed upgrade goes back by itself."""

    at: float
    task: asyncio.Task[None]


class ReleaseHandler:
    """The upgrades of one running node; it is the executor's target."""

    def __init__(self, node: Node, home: Home, running: Release, records: Records, clocks: Clocks) -> None:
        """Handle the releases of *node*, which runs *running*."""
        self.node = node
        self.running = running
        self.records = records
        self.deadline: Deadline | None = None
        self._home = home
        self._clocks = clocks
        self._owner: str | None = None
        self._recorded = records
        """The records when the node was last taken: the releases in the middle of a route leave none."""
        self._went_back: Diagnostic | None = None
        """Why the node went back by itself, until it is upgraded again: whoever confirms then comes too late."""
        self._holds = 0
        """How often the node was taken."""
        self._upgrade: asyncio.Task[Any] | None = None
        self._finished = False
        self._idle = asyncio.Event()
        self._idle.set()

    # ── one upgrade at a time ──────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def hold(self, owner: str) -> AsyncIterator[None]:
        """Take the node for *owner*; raise `Busy` naming the one who has it."""
        self.refuse_busy()
        self._owner, self._upgrade, self._recorded = owner, asyncio.current_task(), self.records
        self._idle.clear()
        self._holds += 1
        try:
            yield
        finally:
            self._owner = self._upgrade = None
            self._idle.set()

    async def inspect(self, relup: Relup) -> Sequence[Diagnostic]:
        """Find files of a later hop that are gone, changed, or no Python."""
        return await in_daemon_thread(preflight.inspect, relup)

    async def ask_again(self, probes: Sequence[Verify]) -> None:
        """Ask what the plan says is to be asked, while everybody runs."""
        await ask_each(self.node, probes)

    @asynccontextmanager
    async def begin(self, relup: Relup) -> AsyncIterator[PythonTransaction]:
        """Open a transaction on what runs now."""
        with inside(self.node):
            begun = partial(self._write_begin, relup)
            async with PythonTransaction(self.node, self.running, relup, self._decide, begun) as transaction:
                yield transaction

    @property
    def owner(self) -> str | None:
        """Who is upgrading the node now."""
        return self._owner

    def refuse_busy(self) -> None:
        """Raise `Busy` naming who is upgrading the node: what runs now may not run a moment later."""
        if self._finished:
            raise Refused([Diagnostic("stopping", f"node {self.node.name!r} is about to stop")])
        if self._owner:
            raise Busy([Diagnostic("busy", f"an upgrade is running on node {self.node.name!r}: {self._owner}")])

    async def finish(self) -> None:
        """Begin no upgrade any more, and roll back the one that is running: the node is about to stop."""
        self._finished = True
        if self._upgrade:
            self._upgrade.cancel()
        await self._idle.wait()

    async def install(
        self, plan: Relup | Route, *, owner: str, emit: Emit, options: Options, confirm_within: float | None = None
    ) -> Outcome:
        """Apply *plan*; with *confirm_within* seconds, go back unless `confirm` comes in time."""
        route = Route((plan,)) if isinstance(plan, Relup) else plan
        if confirm_within is not None:
            await self._refuse_without_way_back(route)
        self._refuse_unconfirmed(route)
        ended: list[Outcome] = []
        clock = self._clocks.monotonic
        try:
            outcome = await install(
                route, self, owner=owner, emit=emit, clock=clock, options=options, interrupted=ended.append
            )
        except RelupError:
            raise
        except asyncio.CancelledError:
            stopped = Diagnostic("interrupted", "the upgrade was interrupted: the node is about to stop")
            (outcome,) = ended or [Outcome("rolled_back", route.base.vsn, route.goal.vsn)]
            outcome = replace(outcome, diagnostics=(stopped, *outcome.diagnostics))
            if not self._finished:
                self._write_history(owner, route, outcome)
                raise
        if outcome.status == "ready":
            return outcome
        if outcome.status == "done":
            self._set_deadline(route, confirm_within)
        self._write_history(owner, route, outcome)
        return outcome

    async def _refuse_without_way_back(self, route: Route) -> None:
        """Refuse what could not go back by itself when nobody confirms it."""
        back = route.back()
        if back is None:
            message = f"{route} has no way back, so it cannot be taken back when nobody confirms it"
            raise Refused([Diagnostic("no_way_back", message, hint="write the down entries of its appups")])
        if found := [d for hop in back.hops for d in await self.inspect(hop)]:
            raise Refused(found)

    def _refuse_unconfirmed(self, route: Route) -> None:
        """Refuse to build on an upgrade that may still go back by itself."""
        if self.deadline and route.direction == "up":
            message = f"{self.running} is not confirmed yet and may go back by itself"
            raise Refused([Diagnostic("unconfirmed", message, hint="confirm it or downgrade first")])

    def _decide(self, goal: Release) -> Callable[[], None]:
        """Make *goal* the release that runs, durably; a restart boots the permanent one until `confirm`."""
        before = self.records, self.running
        self._record(self._recorded.running(Installed.of(goal)), goal)
        return lambda: self._record(*before)

    def _record(self, records: Records, running: Release) -> None:
        self._home.write(records)
        self.records, self.running = records, running
        for application in running.applications:
            make_known(self.node, application)

    # ── provisional until confirmed ────────────────────────────────────────────────────────────────────

    async def confirm(self, owner: str) -> dict[str, Any]:
        """Make the running release permanent and drop the old code that nobody uses any more.

        Old code that is still in use stays and is named: OTP kills whoever uses it (`make_permanent`).
        """
        self.refuse_busy()
        if self._went_back:
            raise Refused([self._went_back])
        was_provisional = self.records.provisional
        try:
            self._record(replace(self.records, permanent=self.records.current), self.running)
        except OSError as error:
            raise Refused([Diagnostic("record_not_written", f"the release record: {error}")]) from error
        self._cancel_deadline()
        if was_provisional:
            self._append({"what": "confirm", "who": owner, "release": str(self.records.permanent)})
        purged_before = await self._buried()
        lingering = await self._purge()
        await self._sweep()
        return {
            "release": str(self.records.permanent),
            "was_provisional": was_provisional,
            "lingering": [
                *(f"{module}: {who}" for module, users in lingering.items() for who in users),
                *(
                    f"{module}: somebody who uses code that was purged before, and cannot be named"
                    for module in purged_before
                ),
            ],
        }

    async def _sweep(self) -> None:
        """Remove what was unpacked for upgrades that did not come to stay; what cannot be removed stays."""
        if self._owner:
            return
        try:
            gone = await in_daemon_thread(self._home.sweep, self.records)
        except OSError as error:
            log.warning("releases that nobody needs could not be removed: %s", error)
        else:
            if gone:
                log.info("removed releases that nobody needs: %s", ", ".join(gone))

    async def _buried(self) -> tuple[str, ...]:
        """Return the modules of which somebody still uses code that was purged by earlier upgrades."""
        if not self.node.code.buried():
            return ()
        await in_daemon_thread(gc.collect)  # what only waits for the collector is used by nobody
        return self.node.code.buried()

    async def _purge(self) -> dict[str, list[Lingerer]]:
        """Purge old code that nobody uses; return who uses the rest. The heap is searched while the loop goes on."""
        code, modules = self.node.code, sorted(self.node.code.old)
        users: dict[str, list[Lingerer]] = {}
        if await in_daemon_thread(code.lingering_in_each):
            await in_daemon_thread(gc.collect)  # what only waits for the collector uses nothing
            found = await in_daemon_thread(code.lingering_in_each)
            users = {m: found[m] for m in modules if m in found}
        if not self._owner:
            code.purge([m for m in modules if m not in users])
        return users

    def _set_deadline(self, route: Route, seconds: float | None) -> None:
        self._cancel_deadline()
        self._went_back = None
        if seconds is not None and (back := route.back()):
            expires = self._expire(back, seconds, probes(route.hops[-1].script))
            task = asyncio.get_running_loop().create_task(expires, name="relup confirm deadline")
            self.deadline = Deadline(self._clocks.monotonic() + seconds, task)

    def _cancel_deadline(self) -> None:
        if self.deadline and self.deadline.task is not asyncio.current_task():
            self.deadline.task.cancel()
        self.deadline = None

    async def _expire(self, back: Route, seconds: float, asked: Sequence[Verify]) -> None:
        """Go back when nobody has confirmed in time, or a probe says no; wait for whoever holds the node just then."""
        owner = f"the confirm deadline of {seconds:g} s"
        if no := await self._says_no(seconds, asked):
            owner = "a failing verify"
            log.error("going back: %s", no)
            self._append({"what": "verify_failed", "who": "the node", "release": str(self.running), "error": str(no)})
        release = self.running
        while True:
            await self._idle.wait()
            try:
                outcome = await self.install(back, owner=owner, emit=_log, options=Options(asks_again=False))
            except Busy:
                continue
            except RelupError as error:
                log.error("%s: the way back was refused: %s", owner, error)
                self._append({"what": "expired", "who": owner, "release": str(self.running), "error": str(error)})
            else:
                log.log(logging.INFO if outcome.status == "done" else logging.ERROR, "%s: %s", owner, outcome)
                if outcome.status == "done":
                    message = f"the node went back from {release} to {self.running} by itself: {no or owner}"
                    self._went_back = Diagnostic("too_late", message)
            self.deadline = None
            return

    async def _says_no(self, seconds: float, asked: Sequence[Verify]) -> EffectFailed | None:
        """Ask again and again for so many *seconds*; return what said no, or None when the time is over."""
        pause = max(LEAST_PAUSE, seconds / TIMES) if asked else seconds
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await asyncio.sleep(pause)
                    await self._idle.wait()
                    holds = self._holds
                    try:
                        await ask_each(self.node, asked)
                    except EffectFailed as no:
                        if self._holds == holds:  # else what it saw was the middle of an upgrade
                            return no
        except TimeoutError:
            return None

    def close(self) -> None:
        """Stop waiting for a confirmation."""
        self._cancel_deadline()

    # ── history ────────────────────────────────────────────────────────────────────────────────────────

    def started(self, owner: str) -> None:
        """Record that the node came up."""
        self._append({"what": "start", "who": owner, "release": str(self.running)})

    def _write_begin(self, relup: Relup) -> None:
        """Record that the first window is about to open: a node that dies in it leaves this as its last word."""
        self._append({"what": "begin", "who": self._owner, "release": str(relup.base), "to": relup.goal.vsn})

    def _write_history(self, owner: str, route: Route, outcome: Outcome) -> None:
        plan = json.dumps(route_to_data(route), sort_keys=True, default=str).encode()
        digest = sha256(plan).hexdigest()[:16]
        self._append(history_entry(route, outcome, owner, str(self.running)) | {"plan": digest})

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            self._home.append({"at": self._clocks.wall(), **entry})
        except OSError as error:
            log.error("the history could not be written: %s", error)


def _log(event: Event) -> None:
    log.info("going back: %s: %s", event.phase, event.message)
