"""The last touch: code is fetched once per application, and restarts of the emulator stand where they must."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.instructions import (
    DeleteModule,
    Direction,
    Instruction,
    LoadObjectCode,
    LowLevel,
    ModuleInstruction,
    RestartEmulator,
    RestartNewEmulator,
)
from relup.planner.lower import Homes

_RESTARTS = (RestartNewEmulator, RestartEmulator)


def check_versions(
    before: Sequence[Instruction], instructions: Sequence[ModuleInstruction], where: Homes
) -> Iterator[Diagnostic]:
    """Find code that is fetched from two versions of one application."""
    fetched: dict[str, str] = {}
    for i in before:
        if isinstance(i, LoadObjectCode):
            yield from _version(i, fetched, i.application, i.vsn)
    for i in instructions:
        home = where.get(i.module)
        if home and not isinstance(i, DeleteModule):
            yield from _version(i, fetched, home.name, home.vsn)


def _version(i: Instruction, fetched: dict[str, str], application: str, vsn: str) -> Iterator[Diagnostic]:
    other = fetched.setdefault(application, vsn)
    if other != vsn:
        message = f"code of application {application!r} is fetched from version {other} and from version {vsn}"
        yield Diagnostic("conflicting_versions", message, i.location)


def merge_object_code(before: Sequence[LowLevel]) -> tuple[LowLevel, ...]:
    """Fetch the code of each application once, before anything else.

    A module that several instructions fetch keeps its last place, as in OTP.
    """
    fetches: dict[str, list[LoadObjectCode]] = {}
    for i in before:
        if isinstance(i, LoadObjectCode):
            fetches.setdefault(i.application, []).append(i)
    rest = [i for i in before if not isinstance(i, LoadObjectCode)]
    return (*(_merged(same) for same in fetches.values()), *rest)


def _merged(fetches: Sequence[LoadObjectCode]) -> LoadObjectCode:
    first = fetches[0]
    return LoadObjectCode(first.application, first.vsn, _union(f.modules for f in fetches), location=first.location)


def _union(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    later: set[str] = set()
    kept: list[str] = []
    for names in reversed(list(lists)):
        kept += [m for m in reversed(names) if m not in later]
        later.update(names)
    return tuple(reversed(kept))


def place_restarts(
    direction: Direction, before: Sequence[LowLevel], after: Sequence[LowLevel]
) -> tuple[tuple[LowLevel, ...], tuple[LowLevel, ...]]:
    """Put one restart into the new emulator first on the way up, every other restart last."""
    new = next((i for i in after if isinstance(i, RestartNewEmulator)), None)
    last = next((i for i in after if isinstance(i, RestartEmulator)), None)
    rest = [i for i in after if not isinstance(i, _RESTARTS)] if new or last else after
    if new and direction == "up":
        before = (new, *before)
    elif new and not last:
        last = RestartEmulator(location=new.location)
    return tuple(before), (*rest, last) if last else tuple(rest)
