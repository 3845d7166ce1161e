"""An upgrade that restarts the node: OTP's own release handler carries it out, and all states are lost.

Nothing that relup has in a node could go on after a restart. So the release is put where the release handler looks for
one, with the plan as its relup file; it installs it, the node's `heart` starts the node again, and relup waits until
it is back and looks which release runs. What the release handler needs for that is asked of the node beforehand.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from relup.diagnostics import Diagnostic, Refused, RelupError, errors
from relup.document.erlang.otp_relup import not_in_otp, write_otp_relup
from relup.executor import Outcome
from relup.model.otp_relup import otp_relup
from relup.model.relup import Relup
from relup.model.route import Route
from relup.planner.emulator import losing_all, restarting
from relup.targets.beam import release_handler as otp
from relup.targets.beam.architecture import other_architecture
from relup.targets.beam.bridge import Bridge
from relup.targets.beam.connect import connect
from relup.targets.beam.deploy import put_beside
from relup.targets.beam.errors import BridgeError
from relup.targets.beam.files import with_code
from relup.targets.beam.where import Where
from relup.targets.durable import replace_file

BACK_WITHIN = 120.0
"""Seconds for the node to be back with a release that stays."""
_CONNECTING = 5.0
_PAUSE = 0.2


async def install_by_restart(
    bridge: Bridge, where: Where, route: Route, *, dry_run: bool, back_within: float = BACK_WITHIN
) -> Outcome:
    """Let the release handler of the node install a route, and wait until the node is back.

    Raises `Refused` with everything that speaks against it, with nothing touched but files of the new release.
    """
    said = tuple(losing_all(route))
    outcome = Outcome("done", route.base.vsn, route.goal.vsn, diagnostics=(*route.warnings, *said))
    if wrong := await _against(bridge, where, route):
        raise Refused(wrong)
    if dry_run:
        return Outcome("ready", outcome.base, outcome.goal, diagnostics=outcome.diagnostics)
    (hop,) = route.hops
    before = await otp.seen(bridge)
    await _unpack(bridge, where, hop)
    how, why = await otp.install(bridge, hop.goal.vsn)
    if how == "refused":
        raise Refused([Diagnostic("install_failed", f"release_handler does not install {hop.goal}: {why}")])
    found = _failed(hop, why)
    found += await _back(where, hop, before, back_within) if how == "restarting" else _in_between(hop)
    if any(errors(found)):
        outcome = replace(outcome, status="operator_needed")
    return replace(outcome, diagnostics=(*outcome.diagnostics, *found))


# ── beforehand ─────────────────────────────────────────────────────────────────────────────────────────


async def _against(bridge: Bridge, where: Where, route: Route) -> list[Diagnostic]:
    """Return everything that speaks against this restart."""
    why = await otp.unable(bridge, where, route.base)
    if len(route.hops) > 1:
        why.append("it installs one release after the other: apply the hops one by one")
    place = next(restarting(route)).location
    hint = "the deployment can start the new release instead: its states would be lost as well"
    cannot = [
        Diagnostic("restart_needed", f"only release_handler restarts a node, and {what}", place, hint=hint)
        for what in why
    ]
    other = await other_architecture(bridge, route.base, with_code(route.goal))
    return [*cannot, *errors(not_in_otp(otp_relup(route.hops[0]))), *other]


async def _unpack(bridge: Bridge, where: Where, hop: Relup) -> None:
    """Put the goal where the release handler finds it, with the plan as the relup file of the newer release."""
    assert where.release is not None, "a node whose folder is not known is refused"
    folder = where.release / "releases"
    script = otp_relup(hop)
    try:
        put_beside(where.release, hop.goal)
        replace_file(folder / script.vsn / "relup", write_otp_relup(script).encode())
    except OSError as error:
        message = f"{hop.goal} cannot be put where release_handler looks for it: {error.filename}: {error.strerror}"
        raise Refused([Diagnostic("install_failed", message)]) from error
    if why := await otp.make_known(bridge, folder, hop.base, hop.goal):
        raise Refused([Diagnostic("install_failed", f"release_handler does not take {hop.goal}: {why}")])


# ── afterwards ─────────────────────────────────────────────────────────────────────────────────────────


async def _back(where: Where, hop: Relup, before: otp.Seen, within: float) -> list[Diagnostic]:
    """Wait until the node is back with a release that stays; return what is wrong with that."""
    until, last = time.monotonic() + within, None
    while time.monotonic() < until:
        if found := await _look(where, until - time.monotonic()):
            last = found
            if found.life != before.life and found.is_up and "tmp_current" not in found.statuses.values():
                return [] if found.runs == hop.goal.vsn else [_other(f"the node runs {hop.base.name} {found.runs}")]
        await asyncio.sleep(_PAUSE)
    if last and last.life == before.life:
        return [_other(f"the node was to restart, and was not seen again within {within:g} s after that")]
    return [_other(f"the node did not come back within {within:g} s")]


def _other(what: str) -> Diagnostic:
    return Diagnostic("restart_failed", f"{what}, and its states are lost", hint="see the node's own log")


def _failed(hop: Relup, why: str) -> list[Diagnostic]:
    return [Diagnostic("install_failed", f"release_handler could not install {hop.goal}: {why}")] if why else []


def _in_between(hop: Relup) -> list[Diagnostic]:
    message = f"release_handler crashed as it installed {hop.goal}: the node goes on, and may be of either release"
    return [Diagnostic("restart_failed", message, hint="see the node's own log")]


async def _look(where: Where, within: float) -> otp.Seen | None:
    try:
        async with connect(where, timeout=_CONNECTING) as bridge:
            return await otp.started(bridge, within)
    except (RelupError, BridgeError):
        return None
