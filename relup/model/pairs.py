"""What belongs together in a script: suspend and resume, stop and start, a code_change and its suspend.

The planner checks it of what people write, and a node of the plans it is given, which may have been edited. The
tags are OTP's. `code_change_not_suspended` is too, but its pattern matches no instruction, so OTP never reports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from relup.diagnostics import Diagnostic, Location
from relup.model.instructions import CodeChange, Instruction, Resume, Start, Stop, Suspend


def check_pairs(script: Sequence[Instruction]) -> Iterator[Diagnostic]:
    """Find a suspend without resume, a stop without start, and what has no counterpart the other way."""
    suspended = {s.module: s.location or i.location for i in script if isinstance(i, Suspend) for s in i.modules}
    resumed = {m: i.location for i in script if isinstance(i, Resume) for m in i.modules}
    changed = {c.module: c.location or i.location for i in script if isinstance(i, CodeChange) for c in i.changes}
    stopped = {m: i.location for i in script if isinstance(i, Stop) for m in i.modules}
    started = {m: i.location for i in script if isinstance(i, Start) for m in i.modules}
    yield from _without("suspended_not_resumed", suspended, resumed, "is suspended and never resumed")
    yield from _without("resumed_not_suspended", resumed, suspended, "is resumed and was not suspended")
    yield from _without("code_change_not_suspended", changed, suspended, "changes its state without being suspended")
    yield from _without("start_not_stop", started, stopped, "is started and was not stopped")
    yield from _without("stop_not_start", stopped, started, "is stopped and never started")


def _without(
    code: str, these: Mapping[str, Location | None], those: Mapping[str, Location | None], what: str
) -> Iterator[Diagnostic]:
    for module, location in these.items():
        if module not in those:
            yield Diagnostic(code, f"module {module!r} {what}", location)
