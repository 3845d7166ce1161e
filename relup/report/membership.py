"""Which modules each window changes, and why: those that differ in a row, those that do not one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.model.membership import Member, Members
from relup.model.shortened import shortened

_ROWS = {"changed": "changed", "new": "new", "gone": "gone", "comments": "comments only"}
_MOST = 40
"""How many unchanged modules are named one by one."""


def members_lines(members: Members) -> Iterator[str]:
    """Say of each window which modules it changes and why; nothing when it changes none."""
    for number, window in enumerate(members, start=1):
        if window:
            yield ""
            yield f"modules of window {number}"
            yield from _window_lines(window)


def _window_lines(window: Sequence[Member]) -> Iterator[str]:
    for difference, label in _ROWS.items():
        names = [m.module for m in window if m.difference == difference]
        if names:
            yield f"  {label:14} {shortened(names)}"
    same = [m for m in window if m.difference == "same"]
    for m in same[:_MOST]:
        yield f"  {'unchanged':14} {m.module}: {_why(m)}"
    if len(same) > _MOST:
        yield f"  {'unchanged':14} and {len(same) - _MOST:,} more"


def _why(member: Member) -> str:
    if member.because is None:
        return "loaded because the appup says so; it keeps nothing of the others"
    found = member.because
    return f"evaluates {found.name} of {found.of} when it is imported ({found.path}:{found.line})"
