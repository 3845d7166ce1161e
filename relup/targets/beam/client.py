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

from relup.diagnostics import Diagnostic, InvalidInput, Refused, RelupError
from relup.document.route import route_from_data
from relup.executor import Event, Options, Outcome, install
from relup.model.instructions import SyncNodes
from relup.model.naming import describe
from relup.model.release import Release
from relup.model.route import Route
from relup.planner.emulator import restarting
from relup.targets.beam.after_loss import found_after_loss
from relup.targets.beam.agent import PATIENCE, dismiss
from relup.targets.beam.asking import applications, booted, evaluate
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.connect import connect
from relup.targets.beam.deploy import make_permanent
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.erts import start_erl
from relup.targets.beam.looking import look
from relup.targets.beam.release_handler import read_again
from relup.targets.beam.restart import install_by_restart
from relup.targets.beam.standing import beam_home, file_of, standing
from relup.targets.beam.target import BeamNode
from relup.targets.beam.terms import Atom, text
from relup.targets.beam.where import Where
from relup.targets.python.home import Installed, Records
from relup.targets.python.outcomes import history_entry, outcome_to_data
from relup.targets.trust import refuse_unsafe

OnEvent = Callable[[dict[str, Any]], None]


class BeamClient:
    """A connection to one node."""

    def __init__(self, runner: asyncio.Runner, bridge: Bridge, where: Where, base: Path, given: Path | None) -> None:
        self.name = where.node
        self._runner = runner
        self._bridge = bridge
        self._where = where
        self._home = beam_home(base, where.node)
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
                return self._home.history()
            case "confirm":
                return await self._confirm()
            case "evaluate":
                return await self._evaluate(fields["source"])
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
        """Return what is known of the node's releases: what runs says the node, what boots say its files."""
        current = Installed(running.name, running.vsn, file_of(running))
        known = self._home.records()
        if known is not None and known.installed[-1] == current:
            known = replace(known, current=current)  # who began that upgrade may not have lived to see its end
        elif known is not None and known.current == current and current in known.installed:
            known = replace(known, installed=known.installed[: known.installed.index(current) + 1])  # or that it failed
        else:
            known = Records(current, current, (current,))
        root = self._where.release
        boots = (start_erl(root)[1] if root else "") or (await booted(self._bridge))[1]
        return replace(known, permanent=next((i for i in known.installed if i.vsn == boots), known.permanent))

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

    async def _apply(self, on_event: OnEvent | None, plan: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        route = route_from_data(plan)
        refuse_unsafe([hop.goal for hop in route.hops], *self._owners())
        within: float | None = options["confirm"]
        if wrong := [*_beyond(route), *(_no_deadline(route) if within is not None else ())]:
            raise Refused(wrong)
        running = await self._running()
        if any(restarting(route)):
            return await self._restart(route, running, dry_run=options["dry_run"])
        if await self._goes_back_in() is not None:
            if route.direction == "up":
                message = f"{running} is not confirmed yet and may go back by itself"
                raise Refused([Diagnostic("unconfirmed", message, hint="confirm it or downgrade first")])
            if not options["dry_run"]:
                await dismiss(self._bridge)
        records = await self._recorded(running)
        chosen = Options(options["dry_run"], options["allow_irreversible"], options["strict"])

        def emit(event: Event) -> None:
            if on_event:
                on_event({"phase": event.phase, "message": event.message})

        owner, target = _owner(), BeamNode(self._bridge, len(route.hops), within)
        if not chosen.dry_run:
            self._intend(records, route.goal)
        try:
            outcome = await install(
                route,
                target,
                owner=owner,
                emit=emit,
                clock=time.monotonic,
                options=chosen,
                interrupted=lambda outcome: self._write(records, route, outcome, owner),
            )
        except RelupError:
            if not chosen.dry_run:
                self._home.write(records)
            raise
        outcome = replace(outcome, diagnostics=(*outcome.diagnostics, *target.notes))
        if self._bridge.is_lost or any(d.code == "process_gone" for d in outcome.diagnostics):
            outcome = await found_after_loss(self._where, route, outcome)
        if outcome.status != "ready":
            goal = route.hops[-1].goal
            if outcome.status == "done":
                records = records.running(Installed(goal.name, goal.vsn, file_of(goal)))
            self._write(records, route, outcome, owner)
        return outcome_to_data(outcome)

    async def _restart(self, route: Route, running: Release, *, dry_run: bool) -> dict[str, Any]:
        """Let OTP's release handler upgrade the node, which restarts it."""
        records = await self._recorded(running)
        outcome = await install_by_restart(self._bridge, self._where, route, dry_run=dry_run)
        if outcome.status == "done":
            goal = route.goal
            records = records.running(Installed(goal.name, goal.vsn, file_of(goal)))
        if not dry_run:
            self._write(records, route, outcome, _owner())
        return outcome_to_data(outcome)

    def _intend(self, records: Records, goal: Release) -> None:
        """Let the goal be known, so that whoever comes after a loss finds its files."""
        wanted = Installed(goal.name, goal.vsn, file_of(goal))
        self._home.create()
        self._home.write(replace(records, installed=(*(i for i in records.installed if i != wanted), wanted)))

    def _write(self, records: Records, route: Route, outcome: Outcome, owner: str) -> None:
        self._home.create()
        self._home.write(records)
        entry = history_entry(route, outcome, owner, str(records.current))
        self._home.append({"at": time.time(), **entry})

    async def _confirm(self) -> dict[str, Any]:
        """Let a restart boot what runs, and drop the old code that nobody's stack stands in."""
        running = await self._running()
        was = await self._recorded(running)
        if was.provisional:
            await self._let_boot(running)
        if await self._goes_back_in() is not None:
            await dismiss(self._bridge)
        if (now := await self._running()) != running:
            await self._let_boot(now)
            raise Refused([Diagnostic("too_late", f"the node went back to {now} by itself: its time was over")])
        records = replace(was, permanent=was.current)
        self._home.create()
        self._home.write(records)
        if was.provisional:
            self._home.append(
                {"at": time.time(), "what": "confirm", "who": _owner(), "release": str(records.permanent)}
            )
        modules = [Atom(m) for a in running.applications for m in a.modules]
        left = await evaluate(self._bridge, _PURGE, {"Modules": modules})
        lingering = [f"{module}: {text(pid)}" for module, pids in left for pid in pids]
        return {"release": str(records.permanent), "was_provisional": was.provisional, "lingering": lingering}

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

    async def _evaluate(self, source: str) -> dict[str, str | None]:
        """Evaluate Elixir where the node has it, else Erlang, and return what its shell would show."""
        elixir = await self._bridge.call("code", "is_loaded", [Atom("Elixir.Code")])
        text_of_it = _ELIXIR if elixir else _ERLANG
        how, shown = await evaluate(self._bridge, text_of_it, {"Source": source.encode()}, within=PATIENCE)
        if how != "ok":
            raise InvalidInput([Diagnostic("evaluation_failed", text(shown))])
        return {"output": "", "value": text(shown)}

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


_ELIXIR = """
    try 'Elixir.Code':eval_string(Source) of {Value, _} -> {ok, 'Elixir.Kernel':inspect(Value)}
    catch Class:Reason:Stack -> {failed, 'Elixir.Exception':format_banner(Class, Reason, Stack)} end.
"""
_ERLANG = """
    Text = string:trim(string:trim(unicode:characters_to_list(Source)), trailing, "."),
    Fail = fun({_, Module, Reason}) -> throw({unread, Module:format_error(Reason)}) end,
    Show = fun(Format, Term) -> unicode:characters_to_binary(io_lib:format(Format, Term)) end,
    try
        Tokens = case erl_scan:string(Text ++ " .") of {ok, Ts, _} -> Ts; {error, Scanned, _} -> Fail(Scanned) end,
        Parsed = case erl_parse:parse_exprs(Tokens) of {ok, Es} -> Es; {error, Read} -> Fail(Read) end,
        {value, Value, _} = erl_eval:exprs(Parsed, []),
        {ok, Show("~tp", [Value])}
    catch
        throw:{unread, Said} -> {failed, Show("~ts", [Said])};
        Class:Reason -> {failed, Show("~ts: ~0tp", [Class, Reason])}
    end.
"""
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
