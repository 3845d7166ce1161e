"""Plans and outcomes as lines of text: the same on a terminal, in a pipe and in a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from relup.diagnostics import Diagnostic
from relup.executor import Outcome
from relup.executor.rehearsal import Rehearsal
from relup.model.instructions import Load, LowLevel, Remove
from relup.model.naming import describe, describe_change
from relup.model.relup import Relup
from relup.model.shortened import shortened
from relup.model.windows import Segment, Window, segments

VERDICTS = {
    "ready": "ready: everything that can be checked beforehand holds; nothing was touched",
    "ready_unrehearsed": "ready, but for the rehearsal, which could not be done; nothing was touched",
    "refused": "refused: nothing was touched",
    "failed_rehearsal": "refused: the rehearsal failed, nothing was touched",
    "done": "done: every process runs {goal}",
    "rolled_back": "rolled back: every process runs {base} with the state it had",
    "migrated_back": "rolled back: every process runs {base}; what is noted above could not be as it was",
    "operator_needed": "in between: an operator is needed",
}

_MANY = 20
"""How many modules may be loaded in a row, a line for each."""
LOSSES = ("migrated_down", "state_lost", "died_in_window", "not_written_down")
"""What keeps a rolled back upgrade from having put every state back."""


def plan_lines(relup: Relup) -> Iterator[str]:
    """Describe a plan: its windows and what cuts them, the script, and what should be known beforehand."""
    yield f"{relup} ({relup.direction})"
    yield ""
    parts = segments(relup.script)
    for number, part in enumerate(parts, start=1):
        yield from _part_lines(number, part)
    if not parts:
        yield "  nothing to do but the change of version"
    yield ""
    yield "script"
    yield from _script_lines(relup.script)
    yield from _diagnostic_lines(relup.warnings)


def _script_lines(script: Sequence[LowLevel]) -> Iterator[str]:
    """Yield a numbered line for each instruction, and one for many modules that are loaded one after the other."""
    number = 1
    for bare, group in groupby(script, lambda i: isinstance(i, Load) and not (i.keep or i.instances)):
        run = list(group)
        if bare and len(run) > _MANY:
            names = shortened([i.module for i in run if isinstance(i, Load)])
            yield f"{number:4}  to {number + len(run) - 1}: load {names}"
        else:
            yield from (f"{n:4}  {describe(i)}" for n, i in enumerate(run, start=number))
        number += len(run)


def _part_lines(number: int, part: Segment) -> Iterator[str]:
    match part:
        case Window():
            yield f"{number:3}. window"
            loads = [c for c in part.code if isinstance(c, Load)]
            rows = {
                "suspends": [s.module for s in part.suspensions],
                "loads": [c.module for c in loads],
                "removes": [c.module for c in part.code if isinstance(c, Remove)],
                "keeps": [f"{c.module}.{name}" for c in loads for name in c.keep],
                "instances": [f"{c.module}.{m.cls}" for c in loads for m in c.instances],
                "code_change": [describe_change(c) for c in part.changes()],
                "calls": [describe(c).removeprefix("apply ") for c in part.calls],
                "verifies": [describe(p).removeprefix("verify ") for p in part.asks],
            }
            for what, names in rows.items():
                if names:
                    yield f"       {what:12} {shortened(names)}"
        case _:
            yield f"{number:3}. {describe(part)}   (needs running processes: cuts the window)"


def outcome_lines(outcome: Outcome, known: Sequence[Diagnostic] = ()) -> Iterator[str]:
    """Describe how an upgrade ended, and how long its windows were; what is *known* was said with the plan."""
    yield from _diagnostic_lines([d for d in outcome.diagnostics if d not in known])
    for rehearsal in outcome.rehearsals:
        yield from _rehearsal_lines(rehearsal, whole=outcome.status in ("ready", "refused"))
    for number, window in enumerate(outcome.windows, start=1):
        length = f"{window.milliseconds:.1f} ms" if outcome.status != "ready" else "not opened"
        back = ", going back" if window.going_back else ""
        yield f"window {number}: {window.processes} process(es), {len(window.modules)} module(s), {length}{back}"
    yield VERDICTS[_verdict(outcome)].format(goal=outcome.goal, base=outcome.base)


def _verdict(outcome: Outcome) -> str:
    if outcome.status == "rolled_back" and any(d.code in LOSSES for d in outcome.diagnostics):
        return "migrated_back"
    if outcome.status == "refused" and any(r.verdict == "failed" for r in outcome.rehearsals):
        return "failed_rehearsal"
    if outcome.status == "ready" and any(r.verdict == "not_rehearsable" for r in outcome.rehearsals):
        return "ready_unrehearsed"
    return outcome.status


def _rehearsal_lines(rehearsal: Rehearsal, *, whole: bool) -> Iterator[str]:
    """Describe a rehearsal; *whole*, or in one line."""
    states = sum(m.processes for m in rehearsal.modules if m.way == "there")
    well = "went well" if states else "had nothing to try"
    verdict = {"ok": well, "failed": "failed", "not_rehearsable": "could not be done"}[rehearsal.verdict]
    stood = f", which stood still for {rehearsal.stall:.1f} ms" if rehearsal.stall else ""
    took = f"{rehearsal.milliseconds:.0f} ms in a copy of the node{stood}"
    window = f"; predicted window {rehearsal.window:.1f} ms" if rehearsal.verdict == "ok" else ""
    yield f"rehearsal of {states} state(s) {verdict}: {took}{window}"
    for m in rehearsal.modules if whole else ():
        well = f"{m.processes - m.failed} of {m.processes} well"
        more = ", changes in place what it is given" if m.mutates else ""
        more += "" if m.same is None else f"; {m.same} of {m.processes} as before"
        took = f"{m.milliseconds:.1f} ms, at most {m.longest:.2f} ms ({m.slowest})" if m.slowest else "0 ms"
        yield f"  {m.module} {m.way}: {well}, {took}; {', '.join(m.types) or 'no state'}, {m.size:,} bytes{more}"
        for sample in m.samples:
            same = "" if sample.lines else "; the same"
            yield f"    {sample.process}: {sample.milliseconds:.2f} ms, {sample.size:,} bytes{same}"
            yield from (f"      {line}" for line in sample.lines)
    for failure in rehearsal.failures if whole else ():
        yield from (f"    {line}" for line in failure.traceback.rstrip().splitlines())


def _diagnostic_lines(diagnostics: Sequence[Diagnostic]) -> Iterator[str]:
    for diagnostic in diagnostics:
        yield str(diagnostic)
