"""A node's release handler: which release runs, which is permanent, and one upgrade at a time.

An upgrade is provisional until it is confirmed: a node that dies before boots the old permanent release. With
a deadline the node goes back by itself, along the way back that came with the plan; the client that asked for
the upgrade is not needed for that. It goes back earlier when a probe of the plan says no. (OTP: `release_handler`.)

Whether confirm or the way back comes first is decided in the loop of the node: `confirm` writes the record and gives
up the deadline without letting go of the loop, and the way back has taken the node before that, or is not taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from relup.diagnostics import Busy, Diagnostic, Refused, RelupError
from relup.executor import UNSAID, EffectFailed, Emit, Event, Limits, Options, Outcome, install
from relup.model.instructions import Verify
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.route import Route
from relup.model.windows import probes
from relup.runtime import Node
from relup.runtime.context import inside
from relup.targets.history import reasons
from relup.targets.python import preflight
from relup.targets.python.applications import make_known
from relup.targets.python.home import Home
from relup.targets.python.outcomes import history_entry
from relup.targets.python.probes import ask_each
from relup.targets.python.purging import purged
from relup.targets.python.threads import in_daemon_thread
from relup.targets.python.transaction import PythonTransaction
from relup.targets.python.watchdog import Watchdog
from relup.targets.records import Installed, Records

log = logging.getLogger("relup.node")
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

    def __init__(
        self, node: Node, home: Home, running: Release, records: Records, clocks: Clocks, *, watchdog: Watchdog
    ) -> None:
        """Handle the releases of *node*, which runs *running*."""
        self.node, self.running, self.watchdog = node, running, watchdog
        self.records = records
        self.deadline: Deadline | None = None
        self._home = home
        self._clocks = clocks
        self._owner: str | None = None
        self.number = records.number
        """The number of the upgrade that was begun last: each has one of its own, whoever asked for it."""
        self.begun: Mapping[str, Any] = {}
        """That upgrade, as the history has it."""
        self._recorded = records
        """The records when the node was last taken: what was taken back leaves none."""
        self._taken = self.number
        """The number of whoever holds the node; one who touches nothing leaves it to the next."""
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
        self._taken = self.number + 1
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
        await ask_each(self.node, self.watchdog, probes)

    @asynccontextmanager
    async def begin(self, relup: Relup, limits: Limits = UNSAID) -> AsyncIterator[PythonTransaction]:
        """Open a transaction on what runs now."""
        with inside(self.node):
            begun = partial(self._write_begin, relup)
            async with PythonTransaction(
                self.node, self.running, relup, self._decide, begun=begun, watchdog=self.watchdog, limits=limits
            ) as transaction:
                yield transaction

    @property
    def owner(self) -> str | None:
        """Who is upgrading the node now."""
        return self._owner

    def has_begun(self, owner: str) -> bool:
        """Say whether *owner* upgrades the node, and has touched it."""
        return self._owner == owner and self.number == self._taken

    def refuse_busy(self) -> None:
        """Raise `Busy` naming who is upgrading the node: what runs now may not run a moment later."""
        if self._finished:
            raise Refused([Diagnostic("stopping", f"node {self.node.name!r} is about to stop")])
        if self._owner:
            raise Busy([Diagnostic("busy", f"an upgrade is running on node {self.node.name!r}: {self._owner}")])

    def refuse_late(self, number: int | None, last: int) -> None:
        """Raise `Refused` for a request that was made when *number* was the *last* upgrade, if another one followed.

        What its maker saw is gone by then, even where the same release runs again: a controller that was lost, or
        stood still, must not carry out an old plan, or confirm what somebody else began.
        """
        self.refuse_busy()
        if number is not None and number != last:
            since = f"{self.begun.get('release')} → {self.begun.get('to')}, by {self.begun.get('who')}"
            message = (
                f"this request is late: it belongs to number {number}, and since then number {self.number} was begun "
                f"on node {self.node.name!r} ({since})"
            )
            raise Refused([Diagnostic("late_request", message, hint="look at the node, and ask again")])

    async def finish(self) -> None:
        """Begin no upgrade any more, and roll back the one that is running: the node is about to stop."""
        self._finished = True
        if self._upgrade:
            self._upgrade.cancel()
        await self._idle.wait()

    async def install(
        self,
        plan: Relup | Route,
        *,
        owner: str,
        emit: Emit,
        options: Options,
        confirm_within: float | None = None,
        number: int | None = None,
    ) -> Outcome:
        """Apply *plan*; with *confirm_within* seconds, go back unless `confirm` comes in time.

        *number* is that of the upgrade which was the last one when the plan was made: see `refuse_late`.
        """
        route = Route((plan,)) if isinstance(plan, Relup) else plan
        if confirm_within is not None:
            await self._refuse_without_way_back(route)
        self._refuse_unconfirmed(route)
        self.refuse_late(number, self.number)
        ended: list[Outcome] = []
        clock = self._clocks.monotonic
        try:
            outcome = await install(
                route, self, owner=owner, emit=emit, clock=clock, options=options, interrupted=ended.append
            )
        except RelupError:
            raise
        except asyncio.CancelledError:
            why = "the node is about to stop" if self._finished else "who asked for it has stopped it"
            stopped = Diagnostic("interrupted", f"the upgrade was interrupted: {why}")
            (outcome,) = ended or [Outcome("rolled_back", route.base.vsn, route.goal.vsn)]
            outcome = replace(outcome, diagnostics=(stopped, *outcome.diagnostics))
            if not self._finished:
                self._write_history(owner, route, outcome)
                raise
        if outcome.status == "ready":
            return outcome
        if outcome.status == "done":
            self._set_deadline(route, confirm_within)
        return self._write_history(owner, route, outcome)

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
        before, release = (self.records, self.running), Installed.of(goal)
        if release == self._recorded.current:
            self._record(self._recorded, goal)
        else:
            self._record(replace(self.records.running(release), number=self.number), goal)
        return lambda: self._record(*before)

    def _record(self, records: Records, running: Release) -> None:
        """Replace the record, and say what runs. Raises `OSError` for what only a record makes true.

        A disk that takes nothing keeps nobody from going back: a restart boots what is permanent, whatever ran.
        """
        try:
            self._home.write(records)
        except OSError as error:
            if records.permanent != self.records.permanent or not self._is_back(records.current):
                raise
            log.error("the release record could not be written, and tells of what ran before: %s", error)
        self.records, self.running = records, running
        for application in running.applications:
            make_known(self.node, application)

    def _is_back(self, release: Installed) -> bool:
        """Whether *release* is what is permanent, or what ran before the upgrade that is undone now."""
        return release in (self.records.permanent, self._recorded.current)

    # ── provisional until confirmed ────────────────────────────────────────────────────────────────────

    async def confirm(self, owner: str, number: int | None = None) -> dict[str, Any]:
        """Make the running release permanent and drop the old code that nobody uses any more.

        *number* is that of the upgrade that is to be confirmed: see `refuse_late`.

        Old code that is still in use stays and is named: OTP kills whoever uses it (`make_permanent`).
        """
        self.refuse_late(number, self.records.number)  # one that was taken back leaves to be confirmed what was there
        if self._went_back:
            raise Refused([self._went_back])
        was_provisional = self.records.provisional
        try:
            self._record(replace(self.records, permanent=self.records.current), self.running)
        except OSError as error:
            raise Refused([Diagnostic("record_not_written", f"the release record: {error}")]) from error
        self._cancel_deadline()
        if was_provisional:
            self._note_here("confirm", owner)
        lingering = await purged(self.node.code, lambda: self._owner is None)
        await self._sweep()
        return {"release": str(self.records.permanent), "was_provisional": was_provisional, "lingering": lingering}

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
            self._note_here("verify_failed", "the node", because=reasons(no.diagnostics))
        release = self.running
        while True:
            await self._idle.wait()
            try:
                outcome = await self.install(back, owner=owner, emit=_log, options=Options(asks_again=False))
            except Busy:
                continue
            except RelupError as error:
                log.error("%s: the way back was refused: %s", owner, error)
                self._note_here("expired", owner, because=reasons(error.diagnostics))
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
                        await ask_each(self.node, self.watchdog, asked)
                    except EffectFailed as no:
                        if self._holds == holds:  # else what it saw was the middle of an upgrade
                            return no
        except TimeoutError:
            return None

    def close(self) -> None:
        """Stop waiting for a confirmation."""
        self._cancel_deadline()

    # ── history ────────────────────────────────────────────────────────────────────────────────────────

    def history(self) -> list[dict[str, Any]]:
        """Return what was done on this node, what is not on disk yet included."""
        return self._home.history()

    def started(self, owner: str, found: Sequence[str]) -> None:
        """Record that the node came up, and what it *found* in its home."""
        self._note_here("start", owner, **({"found": [*found]} if found else {}))

    def _write_begin(self, relup: Relup) -> None:
        """Record that the first window is about to open: a node that dies in it leaves this as its last word.

        Raises `OSError`: what cannot be recorded is not begun, but for a way back.
        """
        entry = {"what": "begin", "number": self._taken, "who": self._owner}
        entry |= {"release": str(relup.base), "to": relup.goal.vsn, "direction": relup.direction}
        if self._is_back(Installed.of(relup.goal)):
            self._note(entry)
        else:
            self._home.append({"at": self._clocks.wall(), **entry})
        self.number, self.begun = self._taken, entry

    def _write_history(self, owner: str, route: Route, outcome: Outcome) -> Outcome:
        """Record how an upgrade ended, and return that with what keeps it from being recorded."""
        for diagnostic in outcome.diagnostics if outcome.status != "done" else ():
            log.warning("%s: %s", route, diagnostic)
        entry = history_entry(route, outcome, owner, Installed.of(self.running))
        if (error := self._note(entry | {"number": self.number})) is None:
            return outcome
        message = f"how it ended could not be written to the history, and will be with what comes next: {error}"
        unwritten = Diagnostic("history_not_written", message, severity="warning")
        return replace(outcome, diagnostics=(*outcome.diagnostics, unwritten))

    def _note_here(self, what: str, who: str, **more: Any) -> None:
        """Record what happened to the release that runs."""
        self._note({"what": what, "who": who, **Installed.of(self.running).entry(), **more})

    def _note(self, entry: Mapping[str, Any]) -> OSError | None:
        if error := self._home.note({"at": self._clocks.wall(), **entry}):
            log.error("the history could not be written: %s", error)
        return error


def _log(event: Event) -> None:
    log.info("going back: %s: %s", event.phase, event.message)
