"""An appup without `inverse`: every list as instructions, for readers that derive nothing (OTP).

A plan derives an inverse for the one version it leads to. Here there is none, so the list to invert is the one
whose version is written the same way, and how applications start is not known: they start as permanent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from relup.diagnostics import Diagnostic, InvalidInput
from relup.model.appup import Appup, Entry
from relup.planner.inverse import inverse


def written_out(appup: Appup) -> Appup:
    """Return *appup* with every derived list written out; raise `InvalidInput` for what has no inverse."""
    problems: list[Diagnostic] = []
    up = tuple(_entry(e, appup.down, problems) for e in appup.up)
    down = tuple(_entry(e, appup.up, problems) for e in appup.down)
    if problems:
        raise InvalidInput(problems)
    return replace(appup, up=up, down=down)


def _entry(entry: Entry, opposite: Sequence[Entry], problems: list[Diagnostic]) -> Entry:
    if entry.instructions != "inverse":
        return entry
    other = next((e for e in opposite if e.version == entry.version), None)
    if other is None or other.instructions == "inverse":
        message = f"there is nothing to invert for {entry.version.text}: the other list has no instructions for it"
        problems.append(Diagnostic("no_inverse", message, entry.location, hint="write one of the two lists out"))
        return entry
    found = tuple(inverse(other.instructions, {}))
    problems += [f for f in found if isinstance(f, Diagnostic)]
    return replace(entry, instructions=tuple(f for f in found if not isinstance(f, Diagnostic)))
