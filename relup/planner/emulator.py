"""What a change of the emulator itself asks for, as `systools:make_relup` does.

A relup never names the version of ERTS: the releases do. Where they differ the node restarts into the new
emulator before anything else. A release handler from before R15 cannot do that first, so an upgrade from one
(its sasl is older than 2.2, compared as text, as OTP compares it) restarts at the end instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.instructions import Instruction, LowLevel, RestartEmulator, RestartNewEmulator
from relup.model.naming import describe
from relup.model.release import Release
from relup.model.route import Route

_SASL_OF_R15 = "2.2"


def restarts(newer: Release, older: Release) -> Iterator[RestartNewEmulator]:
    """Yield the restart that releases with different emulators need."""
    if newer.erts != older.erts:
        yield RestartNewEmulator(location=newer.location)


def check_emulator(base: Release, goal: Release) -> Iterator[Diagnostic]:
    """Find releases that OTP cannot upgrade, and warn of a new emulator."""
    for release in (base, goal) if base.kind == goal.kind == "beam" else ():
        if not release.application("sasl"):
            message = f"{release} has no application sasl, so the node has no release handler"
            yield Diagnostic("missing_sasl", message, release.location, hint="add sasl to the release")
    if base.erts != goal.erts:
        message = f"ERTS changes from {base.erts} to {goal.erts}: the node restarts and every state is lost"
        yield Diagnostic("erts_vsn_changed", message, goal.location, "warning")


def check_restart(older: Release, up: Sequence[Instruction]) -> Iterator[Diagnostic]:
    """Warn when the restart that *up* begins with has to come last, whether the appups or ERTS ask for it."""
    restart = next((i for i in up if isinstance(i, RestartNewEmulator)), None)
    if restart and is_before_r15(older):
        message = f"{older} has a sasl from before R15: the emulator restarts last, and runs new code before that"
        hint = "compile the new code with the old emulator"
        yield Diagnostic("pre_R15_emulator_upgrade", message, restart.location, "warning", hint)


def is_before_r15(older: Release) -> bool:
    """Say whether *older* has a release handler that can only restart the emulator at the end."""
    sasl = older.application("sasl")
    return sasl is not None and sasl.vsn < _SASL_OF_R15


def restarting_last(script: Sequence[LowLevel]) -> tuple[LowLevel, ...]:
    """Return *script* with its restart into the new emulator as its last instruction."""
    match script:
        case [RestartNewEmulator() as new, *rest]:
            first = next((n for n, i in enumerate(rest) if isinstance(i, RestartEmulator)), None)
            return (*(i for n, i in enumerate(rest) if n != first), new)
        case _:
            return tuple(script)


def restarting(route: Route) -> Iterator[RestartNewEmulator | RestartEmulator]:
    """Yield the instructions of a route that restart the node."""
    for hop in route.hops:
        yield from (i for i in hop.script if isinstance(i, RestartNewEmulator | RestartEmulator))


def losing_all(route: Route) -> Iterator[Diagnostic]:
    """Warn of what the restarts of a route on a BEAM node come to, which only OTP's release handler carries out."""
    for instruction in restarting(route) if route.goal.kind == "beam" else ():
        message = f"{describe(instruction)}: release_handler restarts the node, and every state in it is lost"
        yield Diagnostic("state_lost", message, instruction.location, "warning")
