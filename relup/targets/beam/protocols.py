"""Protocols of Elixir that are consolidated otherwise in another release, though no appup says so.

A mix release runs each protocol in one file with all that implements it. So a new implementation changes a module of an
application that did not change, mostly one of Elixir's own, and the one that runs would not know of it. Such protocols
are loaded together with what implements them; they have no processes, and no state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from relup.diagnostics import Diagnostic
from relup.model.release import Release
from relup.model.shortened import shortened
from relup.model.windows import Window
from relup.targets.beam.files import Beam, consolidated_folder, read_beams


def protocols(base: Release, goal: Release, windows: Sequence[Window]) -> Mapping[int, Sequence[Beam]]:
    """Return what is to be loaded as well in windows, by their places in the sequence. Both releases have their code.

    Raises `Refused` for files that cannot be read.
    """
    listed = {c.module for w in windows for c in w.code}
    wanted = [m for m in _differing(base, goal) if m not in listed and goal.code.module(m)]
    found: dict[int, list[Beam]] = {}
    for module, beam in read_beams(goal, wanted).items():
        if (place := _place(module, windows)) is not None:
            found.setdefault(place, []).append(beam)
    return found


def _differing(base: Release, goal: Release) -> Iterator[str]:
    """Yield the protocols of both releases whose files differ."""
    old, new = consolidated_folder(base), consolidated_folder(goal)
    if old and new and old != new:
        for file in sorted(new.glob("*.beam")):
            before = old / file.name
            if before.is_file() and before.read_bytes() != file.read_bytes():
                yield file.stem


def _place(protocol: str, windows: Sequence[Window]) -> int | None:
    """Return the first window that has to do with what implements a protocol, else the last one that loads code."""
    last = None
    for place, window in enumerate(windows):
        if any(c.module.startswith(f"{protocol}.") for c in window.code):
            return place
        last = place if window.code else last
    return last


def loaded_as_well(found: Mapping[int, Sequence[Beam]]) -> Iterator[Diagnostic]:
    """Say which protocols are loaded beside what is planned."""
    if names := [beam.module for beams in found.values() for beam in beams]:
        message = f"{shortened(names)}: other modules implement them in the new release, so they are loaded as well"
        yield Diagnostic("protocols", message, severity="note")
