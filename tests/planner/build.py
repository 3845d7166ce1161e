"""Releases in a few words, for tests of the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from relup.diagnostics import InvalidInput, Location, Refused
from relup.model.appup import Appup, Entry, Inverse, VersionPattern
from relup.model.instructions import Instruction
from relup.model.release import Application, Release
from relup.planner import plan

Listed = Sequence[Instruction] | Inverse


def at(line: int, file: str = "shop.appup.yaml") -> Location:
    return Location(file, line, 3)


def entries(given: Mapping[str, Listed], start: int) -> tuple[Entry, ...]:
    lines = count(start, 10)
    return tuple(
        Entry(VersionPattern(vsn.removeprefix("re:"), vsn.startswith("re:")), _listed(listed), at(next(lines)))
        for vsn, listed in given.items()
    )


def _listed(listed: Listed) -> tuple[Instruction, ...] | Inverse:
    return listed if isinstance(listed, str) else tuple(listed)


def appup(up: Mapping[str, Listed], down: Mapping[str, Listed], vsn: str = "2", name: str = "shop") -> Appup:
    """Entries up are written at lines 10, 20, …, entries down at lines 110, 120, …"""
    return Appup(name, vsn, entries(up, 10), entries(down, 110), at(1, f"{name}.appup.yaml"))


def app(vsn: str, files: Mapping[str, str], name: str = "shop", **rest: Any) -> Application:
    return Application(
        name, vsn, tuple(sorted(files)), fingerprints=files, location=Location(f"{vsn}/release.yaml", 4, 5), **rest
    )


def release(vsn: str, *applications: Application, **rest: Any) -> Release:
    return Release("shop", vsn, applications, **rest)


def beam(vsn: str, *applications: Application, sasl: str = "4.2", **rest: Any) -> Release:
    """A release of a BEAM node, which needs sasl."""
    return release(vsn, Application("sasl", sasl), *applications, kind="beam", **{"erts": "13.1", **rest})


def codes(base: Release, goal: Release, **rest: Any) -> list[tuple[str, int | None]]:
    """The code and line of everything that keeps the plan from being made."""
    try:
        plan(base, goal, **rest)
    except InvalidInput as error:
        return [(d.code, d.location.line if d.location else None) for d in error.diagnostics]
    return []


def refused(base: Release, goal: Release) -> Refused:
    try:
        plan(base, goal)
    except Refused as refusal:
        return refusal
    raise AssertionError("the plan was made")
