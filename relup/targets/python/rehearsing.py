"""A rehearsal on a Python node: the script of an upgrade, and its inverse, on all real states in a fork of the node.

What the copy says of each step is heard here, and what became of it is judged: who hangs or dies says where it stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from signal import Signals
from typing import Any

from relup.diagnostics import Diagnostic
from relup.executor.rehearsal import Failure, Rehearsal, Verdict
from relup.model.windows import Segment
from relup.targets.python import forked
from relup.targets.python.forked import Ended, Place, Say
from relup.targets.python.outcomes import module_from_data
from relup.targets.python.trial import Script, Trial
from relup.targets.python.wire import diagnostic_from_data


async def rehearse(script: Script, parts: Sequence[Segment]) -> Rehearsal:
    """Rehearse a script on the states that there are now; the node stands still for the fork alone."""

    async def work(say: Say, place: Place) -> None:
        await Trial(script, parts, say, place).run()

    return _judged(script, await forked.in_child(work, script.patience))


def _judged(script: Script, ended: Ended) -> Rehearsal:
    """Return what the child said, and what became of it."""
    said = [(key, value) for line in ended.said for key, value in line.items()]
    failures = [
        Failure(diagnostic_from_data(line["failure"]), line["traceback"]) for line in ended.said if "failure" in line
    ]
    notes = [diagnostic_from_data(v) for k, v in said if k == "note"]
    if not any(key == "end" for key, _ in said) and not failures:
        failures.append(_death(script, said, ended))
    verdict: Verdict = "ok"
    if failures:
        unfit = all(f.diagnostic.code == "not_rehearsable" for f in failures)
        verdict = "not_rehearsable" if unfit else "failed"
    same: dict[str, int] = next((v for k, v in said if k == "same"), {})
    found = (module_from_data(v) for k, v in said if k == "module")
    modules = tuple(replace(m, same=same.get(m.module)) if m.way == "back" else m for m in found)
    window = sum(m.milliseconds for m in modules if m.way == "there") + sum(v for k, v in said if k == "load")
    return Rehearsal(verdict, ended.stall, ended.seconds * 1000, window, modules, tuple(failures), tuple(notes))


def _death(script: Script, said: Sequence[tuple[str, Any]], ended: Ended) -> Failure:
    """Say in whose `code_change` the child hung or died."""
    begun = [diagnostic_from_data(v) for k, v in said if k == "begin"]
    what, place = (begun[-1].message, begun[-1].location) if begun else ("the rehearsal", None)
    process = next((p for p in script.node.processes.values() if p.pid == ended.at), None)
    who = f" in {process.label}" if process else ""
    if broken := next((v for k, v in said if k == "broken"), ""):
        return Failure(Diagnostic("not_rehearsable", f"{what}{who}: the rehearsal broke", place, "warning"), broken)
    if ended.status is None:
        where = _innermost(ended.stack)
        message = f"{what}{who} does not come back in a copy of the node, where no other thread is{where}"
        return Failure(Diagnostic("not_rehearsable", message, place, "warning"), ended.stack)
    return Failure(
        Diagnostic("code_change_failed", f"{what}{who} ends the node: {_how(ended.status)}", place), ended.stack
    )


def _how(status: int) -> str:
    return f"by {Signals(-status).name}" if status < 0 else f"with exit code {status}"


def _innermost(stack: str) -> str:
    lines = [line.strip() for line in stack.splitlines() if line.strip().startswith("File ")]
    return f": it is at {lines[0]}" if lines else ""
