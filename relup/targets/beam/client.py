"""A connection to a BEAM node that is asked what a Python node is asked, and answers with the same data.

Commands do not know which kind of node they speak to. A Python node answers over its socket; here the questions are
answered by this process, through a bridge, and what is to be remembered is kept on this machine.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic, Refused, RelupError
from relup.document.route import route_from_data
from relup.executor import Event, Options, Outcome, install
from relup.model.instructions import SyncNodes
from relup.model.naming import describe
from relup.model.release import Release
from relup.model.route import Route
from relup.planner.emulator import restarting
from relup.targets.beam.after_loss import found_after_loss
from relup.targets.beam.agent import NAME, agent
from relup.targets.beam.asking import applications, booted, evaluate
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.connect import connect
from relup.targets.beam.deploy import boot_record, make_permanent
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.erts import start_erl
from relup.targets.beam.looking import look
from relup.targets.beam.preparing import check_running
from relup.targets.beam.release_handler import read_again
from relup.targets.beam.remembered import Remembered, installed
from relup.targets.beam.restart import install_by_restart
from relup.targets.beam.shell import evaluated
from relup.targets.beam.standing import beam_home, file_of, standing
from relup.targets.beam.target import BeamNode
from relup.targets.beam.terms import Atom, characters, text
from relup.targets.beam.where import Where
from relup.targets.limits import limits_from_data
from relup.targets.python.outcomes import outcome_to_data
from relup.targets.records import Installed, Records
from relup.targets.release_files import refuse_unsafe

PATIENCE = 2.0
"""Seconds for those who merely look at a node, until what is done with it is noted here."""
OnEvent = Callable[[dict[str, Any]], None]


class BeamClient:
    """A connection to one node."""

    def __init__(self, runner: asyncio.Runner, bridge: Bridge, where: Where, base: Path, given: Path | None) -> None:
        self.name = where.node
        self._runner = runner
        self._bridge = bridge
        self._where = where
        self._home = beam_home(base, where.node)
        self._remembered = Remembered(self._home)
        self._given = given
        self._standing: tuple[Mapping[str, str], Release] | None = None

    def ask(self, op: str, on_event: OnEvent | None = None, **fields: Any) -> Any:
        """Answer a request as a Python node does. Raises what it raises."""
        try:
            return self._runner.run(self._answer(op, on_event, fields))
        except BridgeError as error:
            raise Refused([error.diagnostic]) from error

    async def _answer(self, op: str, on_event: OnEvent | None, fields: Mapping[str, Any]) -> Any:
        match op:
            case "releases":
                return await self._releases()
            case "apply":
                return await self._apply(on_event, **fields)
            case "status":
                return await self._status()
            case "history":
                await self._recorded(await self._running())
                return self._home.history()
            case "confirm":
                return await self._confirm(fields.get("number"))
            case "evaluate":
                output, value = await evaluated(self._bridge, fields["source"])
                return {"output": output, "value": value}
            case "stop":
                return await self._stop()
            case _:
                raise ValueError(f"unknown request {op}")

    async def _running(self) -> Release:
        """Return what runs; its files are read again only when the node has come to run something else."""
        versions = await applications(self._bridge)
        if self._standing is None or self._standing[0] != versions:
            self._standing = versions, standing(self._where, self._home, versions, self._given)
        return self._standing[1]

    async def _recorded(self, running: Release) -> Records:
        """Return what is known of the node's releases: what runs says the node, what boots say its files.

        What became of it while nobody was there is written down, unless somebody is at it, or it runs something else.
        """
        with self._home.noting() as alone:
            return await self._found(running, notes=alone)

    async def _found(self, running: Release, *, notes: bool) -> Records:
        current = installed(running)
        known = self._home.records()
        # who began an upgrade may not have lived to see its end, or that it failed
        last, known = known, known.running(current) if known is not None else Records.first(current)
        root = self._where.release
        boots = (start_erl(root)[1] if root else "") or (await booted(self._bridge))[1]
        found = replace(known, permanent=next((i for i in known.installed if i.vsn == boots), known.permanent))
        if last is None or not notes or await self._running() != running:
            return found
        if last.current != current == last.permanent == found.permanent:
            self._note_back(last.current, found)
        elif last.intended is not None and not await self._is_held():
            self._note_lost(last.intended, found)
        return found

    async def _is_held(self) -> bool:
        """Whether somebody upgrades the node just now."""
        agent_there = await self._bridge.call("erlang", "whereis", [Atom(NAME)]) != "undefined"
        return agent_there and await self._goes_back_in() is None

    def _note_lost(self, intended: Installed, now: Records) -> None:
        """Write down what became of an upgrade whose controller did not live to do so."""
        became = "was made" if now.current == intended else "was not made, or was taken back"
        why = f"whoever upgraded it to {intended} was lost: that {became}"
        self._remembered.happened(now, {"what": "lost", "who": "the node", **now.current.entry(), "error": why})

    def _note_back(self, left: Installed, now: Records) -> None:
        """Write down that the node went back, which nobody was there to see."""
        why = f"{left} was not confirmed: its time was over, a verify said no, or the node started anew"
        self._remembered.happened(now, {"what": "went_back", "who": "the node", **now.current.entry(), "error": why})

    async def _goes_back_in(self) -> float | None:
        """Return in how many seconds the node goes back unless the upgrade is confirmed; None when it does not."""
        left = await evaluate(self._bridge, _DEADLINE)
        return max(0.0, left / 1_000) if isinstance(left, int) else None

    async def _releases(self) -> dict[str, Any]:
        running = await self._running()
        records = await self._recorded(running)
        return {**asdict(records), "applications": {a.name: a.vsn for a in running.applications}, "drift": []}

    def _owners(self) -> tuple[int, ...]:
        """Return who owns the release that the node runs: they decide what the node runs already."""
        root = self._where.release
        return (root.stat().st_uid,) if root and root.is_dir() else ()

    # ── upgrades ───────────────────────────────────────────────────────────────────────────────────────

    async def _apply(
        self, on_event: OnEvent | None, plan: Any, options: Mapping[str, Any], number: int | None = None
    ) -> dict[str, Any]:
        route = route_from_data(plan)
        refuse_unsafe([hop.goal for hop in route.hops], *self._owners())
        within: float | None = options["confirm"]
        if wrong := [*_beyond(route), *(_no_deadline(route) if within is not None else ())]:
            raise Refused(wrong)
        check_running(running := await self._running(), route.base)
        if any(restarting(route)):
            return await self._restart(route, running, dry_run=options["dry_run"])
        if await self._goes_back_in() is not None and route.direction == "up":
            message = f"{running} is not confirmed yet and may go back by itself"
            raise Refused([Diagnostic("unconfirmed", message, hint="confirm it or downgrade first")])
        records = await self._recorded(running)
        limits = limits_from_data(options.get("limits"))
        before = self._home.records()
        chosen = Options(
            options["dry_run"],
            options["allow_irreversible"],
            options["strict"],
            rehearse=options.get("rehearse") is True,
            limits=limits,
        )

        def emit(event: Event) -> None:
            if on_event:
                on_event({"phase": event.phase, "message": event.message})

        def interrupted(stopped: Outcome) -> None:
            self._remembered.ended(records, route, stopped, owner)

        owner, target = _owner(), BeamNode(self._bridge, len(route.hops), within)
        if not chosen.dry_run:
            self._home.create()
        with self._home.noting(PATIENCE) as alone:
            notes = alone and not chosen.dry_run  # who is not alone is told by the agent who else is at it
            if notes:
                self._remembered.intend(records, route)
            try:
                outcome = await install(
                    route,
                    target,
                    owner=owner,
                    emit=emit,
                    clock=time.monotonic,
                    options=chosen,
                    interrupted=interrupted,
                )
            except RelupError:
                if notes:
                    self._remembered.happened(before or records, None)  # which may be what somebody else intends
                raise
            outcome = replace(outcome, diagnostics=(*outcome.diagnostics, *target.notes))
            if self._bridge.is_lost or any(d.code == "process_gone" for d in outcome.diagnostics):
                outcome = await found_after_loss(self._where, route, outcome)
            if not chosen.dry_run:
                outcome = self._remembered.ended(records, route, outcome, owner)
            return outcome_to_data(outcome)

    async def _restart(self, route: Route, running: Release, *, dry_run: bool) -> dict[str, Any]:
        """Let OTP's release handler upgrade the node, which restarts it."""
        records = await self._recorded(running)
        with self._home.noting(PATIENCE):
            outcome = await install_by_restart(self._bridge, self._where, route, dry_run=dry_run)
            if not dry_run:
                outcome = self._remembered.ended(records, route, outcome, _owner())
            return outcome_to_data(outcome)

    async def _confirm(self, number: int | None = None) -> dict[str, Any]:
        """Let a restart boot what runs, and drop the old code that nobody's stack stands in.

        The agent is the lock, and waits for its deadline again when this process is lost in between; but not when what
        the next boot starts is on record by then, which alone decides whether the upgrade is confirmed.
        """
        if number is not None:
            message = f"{self.name} is a BEAM node, whose upgrades have no numbers"
            raise Refused([Diagnostic("no_number", message, hint="confirm it without --number")])
        with self._home.noting(PATIENCE):
            return await self._confirmed(await self._running())

    async def _confirmed(self, running: Release) -> dict[str, Any]:
        was = await self._found(running, notes=True)
        if (told := self._home.history()) and told[-1]["what"] == "went_back":
            raise Refused([Diagnostic("too_late", f"the node went back to {running}: {told[-1]['error']}")])
        try:
            async with agent(self._bridge, _owner()) as held:
                await self._refuse_late(running)
                if was.provisional:
                    if self._where.release is not None:
                        record, says = boot_record(self._where.release, running)
                        await held.ask(Atom("confirming"), characters(record), says)
                    await self._let_boot(running)
                await held.ask(Atom("decided"))
                held.stays = False
        except BridgeError:
            await self._refuse_late(running)
            raise
        records = replace(was, permanent=was.current)
        confirmed = {"what": "confirm", "who": _owner(), **records.permanent.entry()}
        self._remembered.happened(records, confirmed if was.provisional else None)
        modules = [Atom(m) for a in running.applications for m in a.modules]
        left = await evaluate(self._bridge, _PURGE, {"Modules": modules})
        lingering = [f"{module}: {text(pid)}" for module, pids in left for pid in pids]
        return {"release": str(records.permanent), "was_provisional": was.provisional, "lingering": lingering}

    async def _refuse_late(self, running: Release) -> None:
        """Refuse to confirm what does not run any more."""
        if (now := await self._running()) != running:
            await self._let_boot(now)
            message = f"the node went back to {now} by itself: its time was over, or a verify said no, as its log says"
            raise Refused([Diagnostic("too_late", message)])

    async def _let_boot(self, release: Release) -> None:
        """Let the next boot start *release*, and OTP's release handler know of it. Raises `Refused`."""
        root = make_permanent(self._where.release, release)
        await read_again(self._bridge, root / "releases", release.vsn)

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────

    async def _status(self) -> dict[str, Any]:
        running = await self._running()
        records = await self._recorded(running)
        seen = await look(self._bridge, running)
        return {
            "node": self.name,
            **seen,
            "release": {"name": running.name, "vsn": running.vsn, "root": file_of(running)},
            "permanent": asdict(records.permanent),
            "provisional": records.provisional,
            "goes_back_in": await self._goes_back_in(),
            "releases": [asdict(kept) | {"status": status} for kept, status in records.statuses()],
            "applications": [{"name": a.name, "vsn": a.vsn} for a in running.applications],
        }

    async def _stop(self) -> dict[str, Any]:
        pid = int(text(await self._bridge.call("os", "getpid")))
        await self._bridge.call("init", "stop")
        return {"pid": pid}


def _beyond(route: Route) -> Iterator[Diagnostic]:
    """Find what only OTP's own release handler carries out, together with other nodes."""
    for instruction in (i for hop in route.hops for i in hop.script):
        if isinstance(instruction, SyncNodes):
            message = f"{describe(instruction)}: only OTP's release_handler carries that out"
            hint = "`relup plan OLD NEW --format otp -o relup` writes the file for it"
            yield Diagnostic("not_on_this_node", message, instruction.location, hint=hint)


def _no_deadline(route: Route) -> Iterator[Diagnostic]:
    """Find why a route could not be taken back by the node alone."""
    if any(restarting(route)):
        message = f"{route} restarts the node, so nothing in it could take it back when nobody confirms it"
        yield Diagnostic("no_way_back", message, hint="apply it without --confirm")
    elif route.back() is None:
        message = f"{route} has no way back, so it cannot be taken back when nobody confirms it"
        yield Diagnostic("no_way_back", message, hint="write the down entries of its appups")


def _owner() -> str:
    return f"{os.environ.get('USER') or os.geteuid()} (process {os.getpid()} on {os.uname().nodename})"


_PURGE = """
    [{M, [pid_to_list(P) || P <- processes(), erlang:check_process_code(P, M)]} || M <- Modules,
        erlang:check_old_code(M), not code:soft_purge(M)].
"""
_DEADLINE = """
    case whereis(relup_agent) of
        undefined -> none;
        Agent ->
            case proplists:get_value(deadline, element(2, process_info(Agent, dictionary))) of
                undefined -> none;
                At -> At - erlang:monotonic_time(millisecond)
            end
    end.
"""


@contextmanager
def beam_client(where: Where, base: Path, given: Path | None = None, timeout: float = 10.0) -> Iterator[BeamClient]:
    """Connect to a node for the length of the block. Raises `Refused` with why it cannot be reached."""
    with asyncio.Runner() as runner:
        connection = connect(where, timeout=timeout)
        bridge = runner.run(connection.__aenter__())
        try:
            yield BeamClient(runner, bridge, where, base, given)
        finally:
            runner.run(connection.__aexit__(None, None, None))
