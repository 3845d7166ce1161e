"""Members of enums: each becomes the one of its name, and of those that are gone it is asked what they become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from relup.model.draft import TODO
from relup.model.shapes import Shape
from relup.model.shortened import shortened
from relup.planner.draft.live.fields import Finding, Given
from relup.planner.draft.live.kinds import Kind


def vanished(shape: Shape, before: Kind, after: Kind) -> Sequence[str]:
    """Return the members that are live and that the newer release has not; where no names were told, all may be."""
    live = shape.fields or before.members if shape.count else ()
    return [m for m in live if m not in after.members]


def missing(gone: Sequence[str], before: Kind, after: Kind, way: Literal["up", "down"]) -> Sequence[str]:
    """Return the members that one direction has to ask about: on the way down those that may have taken a place."""
    if way == "up" or not gone:
        return gone
    return [m for m in after.members if m not in before.members]


def told(gone: Sequence[str], before: Kind, after: Kind, goal: str) -> Iterator[Finding]:
    """Say which members go and which come."""
    for m in gone:
        words = f"? {m} of {after.name} is live, and gone in {goal}: is it {_candidates(before, after)}?"
        yield Finding(m, words, asks=True)
    rest = [m for m in before.members if m not in after.members and m not in gone]
    yield from (Finding(m, f"- {m} of {after.name} is gone in {goal}: nothing live is one") for m in rest)
    fresh = [m for m in after.members if m not in before.members and not gone]  # else the way down asks
    yield from (
        Finding(m, f"* {m} of {after.name} is new in {goal}: what is one by then does not go back") for m in fresh
    )


def by_name(kind: Kind, cls: str, var: str) -> str:
    """Return the member of *cls*, or several flags, with the names of *var*: their values may be others there."""
    return f"flags({var}, {cls})" if kind.enum == "flag" else f"{cls}[{var}.name]"


def asking(lacking: Sequence[str], of: Kind, to: Kind, vsn: str, *, argument: str, otherwise: str) -> Iterator[str]:
    """Yield the body of a function of *argument* that turns a member, and asks about those that are *lacking*."""
    yield "others = {"
    for m in lacking:
        words = f"{TODO}: {m} is not in {vsn}: is it {_candidates(of, to)}?"
        yield from Given(m, TODO, words).lines(f"{m!r}: {TODO}")
    yield "}"
    if to.enum == "flag":
        yield f"return {otherwise[:-1]}, others)"
    else:
        yield f"return others[{argument}.name] if {argument}.name in others else {otherwise}"


def _candidates(of: Kind, to: Kind) -> str:
    """Return what a member may be in the other release: what that has alone comes first."""
    return shortened(sorted(to.members, key=lambda m: m in of.members)).replace(", ", " or ") or "nothing"
