"""OTP's own relup file (relup(5)): every script that leads to one version of a release, and back from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from relup.diagnostics import Location
from relup.model.instructions import LowLevel
from relup.model.relup import Relup


@dataclass(frozen=True, slots=True)
class OtpScript:
    """The script between the version of a relup file and one other."""

    vsn: str
    """The other version: from which it leads up, or to which it leads down."""
    description: str
    instructions: tuple[LowLevel, ...]
    location: Location | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class OtpRelup:
    """What `release_handler` reads from `releases/<vsn>/relup`, and `systools:make_relup` writes."""

    vsn: str
    up: tuple[OtpScript, ...] = ()
    down: tuple[OtpScript, ...] = ()
    location: Location | None = field(default=None, compare=False, repr=False)


def otp_relup(relup: Relup) -> OtpRelup:
    """Return a plan as the relup file of its newer release, in which both of its scripts are."""
    up, down = (relup.script, relup.way_back) if relup.direction == "up" else (relup.way_back, relup.script)
    newer, older = (relup.goal, relup.base) if relup.direction == "up" else (relup.base, relup.goal)
    return OtpRelup(newer.vsn, _scripts(older.vsn, up), _scripts(older.vsn, down))


def _scripts(vsn: str, script: tuple[LowLevel, ...] | None) -> tuple[OtpScript, ...]:
    return () if script is None else (OtpScript(vsn, "", script),)
