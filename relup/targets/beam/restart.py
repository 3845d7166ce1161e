"""An upgrade that restarts the node: OTP's own release handler carries it out, and all states are lost.

Nothing that relup has in a node could go on after a restart. So the release is put where the release handler looks for
one, with the plan as its relup file; it installs it, the node's `heart` starts the node again, and relup waits until
it is back and looks which release runs. What the release handler needs for that is asked of the node beforehand.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, Refused, RelupError
from relup.document.erlang.otp_relup import not_in_otp, write_otp_relup
from relup.executor import Outcome, Status
from relup.model.otp_relup import otp_relup
from relup.model.relup import Relup
from relup.model.route import Route
from relup.planner.emulator import losing_all, restarting
from relup.targets.beam.asking import evaluate
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.connect import connect
from relup.targets.beam.deploy import put_beside
from relup.targets.beam.errors import BridgeError, Raised
from relup.targets.beam.standing import file_of
from relup.targets.beam.terms import text
from relup.targets.beam.where import Where
from relup.targets.durable import replace_file

BACK_WITHIN = 120.0
"""Seconds for the node to be back with a release that stays."""
_INSTALLING = 600.0
_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class _Seen:
    """A node, as its release handler sees it."""

    pid: str
    statuses: dict[str, str]
    """Of each release: permanent, current, old, unpacked, tmp_current."""
    is_up: bool


async def install_by_restart(bridge: Bridge, where: Where, route: Route, *, dry_run: bool) -> Outcome:
    """Let the release handler of the node install a route, and wait until the node is back.

    Raises `Refused` with everything that speaks against it, with nothing touched but files of the new release.
    """
    said = tuple(losing_all(route))
    outcome = Outcome("done", route.base.vsn, route.goal.vsn, diagnostics=(*route.warnings, *said))
    await _require_able(bridge, where, route)
    if lost := [d for d in not_in_otp(otp_relup(route.hops[0])) if d.severity == "error"]:
        raise Refused(lost)
    if dry_run:
        return Outcome("ready", outcome.base, outcome.goal, diagnostics=outcome.diagnostics)
    (hop,) = route.hops
    before = await _seen(bridge)
    await _unpack(bridge, where, hop)
    failed = await _install(bridge, hop)
    if failed:
        raise Refused([Diagnostic("install_failed", f"release_handler does not install {hop.goal}: {failed}")])
    status, found = await _back(where, hop, before)
    return Outcome(status, outcome.base, outcome.goal, diagnostics=(*outcome.diagnostics, *found))


# ── beforehand ─────────────────────────────────────────────────────────────────────────────────────────


async def _require_able(bridge: Bridge, where: Where, route: Route) -> None:
    has_handler, has_heart, root, start = await evaluate(bridge, _ABLE)
    wrong = list[str]()
    if len(route.hops) > 1:
        wrong.append("it installs one release after the other: apply the hops one by one")
    if not has_handler:
        wrong.append("it does not run: sasl is not started")
    if not has_heart:
        wrong.append("the node runs without heart (`-heart`), so nobody would start it again")
    if where.release is None or not (where.release / "releases" / "start_erl.data").is_file():
        wrong.append("the folder of the node's release is not on this machine")
    elif text(root) != str(where.release):
        wrong.append(f"it looks for releases in {text(root)}, and {where.release} is the node's")
    if not text(start):
        wrong.append("there is no program that starts a release by the name of its data file (bin/start, or start_prg)")
    if wrong:
        place = next(restarting(route)).location
        hint = "the deployment can start the new release instead: its states would be lost as well"
        raise Refused(
            Diagnostic("restart_needed", f"only release_handler restarts a node, and {why}", place, hint=hint)
            for why in wrong
        )


async def _unpack(bridge: Bridge, where: Where, hop: Relup) -> None:
    """Put the goal where the release handler finds it, with the plan as its relup file, and let it know."""
    goal = hop.goal
    assert where.release is not None
    folder = where.release / "releases"
    try:
        put_beside(where.release, goal)
        replace_file(folder / goal.vsn / "relup", write_otp_relup(otp_relup(hop)).encode())
    except OSError as error:
        message = f"{goal} cannot be put where release_handler looks for it: {error.filename}: {error.strerror}"
        raise Refused([Diagnostic("install_failed", message)]) from error
    rel = folder / goal.vsn / Path(file_of(goal)).name
    base_rel = folder / hop.base.vsn / Path(file_of(hop.base)).name
    bindings = {name: _characters(value) for name, value in {"Rel": rel, "Base": base_rel, "Dir": folder}.items()}
    known = await evaluate(bridge, _KNOWN, {**bindings, "Vsn": _characters(goal.vsn)}, within=_INSTALLING)
    if known != "ok":
        raise Refused([Diagnostic("install_failed", f"release_handler does not take {goal}: {text(known)}")])


async def _install(bridge: Bridge, hop: Relup) -> str | None:
    """Begin the installation; return in words why it did not, None when it did or the node is gone."""
    try:
        answer = await evaluate(bridge, _INSTALL, {"Vsn": _characters(hop.goal.vsn)}, within=_INSTALLING)
    except Raised as error:
        return error.in_words
    except BridgeError:
        return None
    return None if answer == "ok" else text(answer)


# ── afterwards ─────────────────────────────────────────────────────────────────────────────────────────


async def _back(where: Where, hop: Relup, before: _Seen) -> tuple[Status, list[Diagnostic]]:
    """Wait until the node is back with a release that stays; return what that is, and what is to be said of it."""
    until, seen = time.monotonic() + BACK_WITHIN, None
    while time.monotonic() < until:
        seen = await _look(where)
        if seen and seen.pid != before.pid and seen.is_up:
            if seen.statuses.get(hop.goal.vsn) in ("current", "permanent"):
                return "done", []
            if not any(s in ("current", "tmp_current") for s in seen.statuses.values()):
                break
        await asyncio.sleep(_PAUSE)
    if seen is None:
        message = f"the node did not come back within {BACK_WITHIN:g} s"
    else:
        message = f"the node runs {hop.base.name} {_runs(seen)}, and lost its states in the restart"
    return "operator_needed", [Diagnostic("restart_failed", message, hint="see the node's own log")]


def _runs(seen: _Seen) -> str:
    return next((v for status in ("current", "permanent") for v, s in seen.statuses.items() if s == status), "?")


async def _look(where: Where) -> _Seen | None:
    try:
        async with connect(where, timeout=5.0) as bridge:
            return await _seen(bridge)
    except (RelupError, BridgeError):
        return None


async def _seen(bridge: Bridge) -> _Seen:
    pid, releases, up = await evaluate(bridge, _SEEN)
    return _Seen(text(pid), {text(vsn): str(status) for vsn, status in releases}, up is True)


def _characters(value: Path | str) -> list[int]:
    return [*map(ord, str(value))]


_ABLE = """
    Start = case application:get_env(sasl, start_prg) of
        {ok, Given} when is_list(Given) -> Given;
        _ -> filename:join([code:root_dir(), "bin", "start"])
    end,
    {whereis(release_handler) =/= undefined, whereis(heart) =/= undefined, code:root_dir(),
        case filelib:is_regular(Start) of true -> Start; false -> "" end}.
"""
_KNOWN = """
    Again = fun() ->
        supervisor:terminate_child(sasl_sup, release_handler), supervisor:restart_child(sasl_sup, release_handler) end,
    case filelib:is_regular(filename:join(Dir, "RELEASES")) of
        true -> ok;
        false -> ok = release_handler:create_RELEASES(code:root_dir(), Dir, Base, []), Again()
    end,
    Words = fun(Reason) -> unicode:characters_to_binary(io_lib:format("~0tp", [Reason])) end,
    Set = case [S || {_, V, _, S} <- release_handler:which_releases(), V =:= Vsn] of
        [] -> release_handler:set_unpacked(Rel, []);
        [_] -> {ok, Vsn}
    end,
    case Set of
        {ok, _} -> case release_handler:check_install_release(Vsn) of {ok, _, _} -> ok; {error, R} -> Words(R) end;
        {error, R} -> Words(R)
    end.
"""
_INSTALL = """
    case release_handler:install_release(Vsn) of
        {error, R} -> unicode:characters_to_binary(io_lib:format("~0tp", [R]));
        Begun when element(1, Begun) =:= ok; element(1, Begun) =:= continue_after_restart -> ok
    end.
"""
_SEEN = """
    {os:getpid(), [{V, S} || {_, V, _, S} <- release_handler:which_releases()],
        element(1, init:get_status()) =:= started}.
"""
