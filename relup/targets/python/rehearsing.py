"""A rehearsal on a Python node: the script of an upgrade, and its inverse, on all real states in a fork of the node.

What the copy says of each step is heard here, and what became of it is judged: who hangs or dies says where it stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from signal import SIGBUS, SIGSEGV, Signals
from typing import Any

from relup.diagnostics import Diagnostic, in_words
from relup.executor.rehearsal import Failure, Rehearsal, verdict_of
from relup.model.windows import Segment
from relup.targets.python import forked
from relup.targets.python.cut_off import shared_memory
from relup.targets.python.forked import Ended, Place, Say
from relup.targets.python.outcomes import module_from_data
from relup.targets.python.script import Script
from relup.targets.python.stacks import of_the_program
from relup.targets.python.trial import Trial
from relup.targets.python.wire import diagnostic_from_data


async def rehearse(script: Script, parts: Sequence[Segment]) -> Rehearsal:
    """Rehearse a script on the states that there are now; the node stands still for the fork alone."""

    async def work(say: Say, place: Place) -> None:
        await Trial(script, parts, say, place).run()

    if why := forked.room():
        return _not_begun(why)
    shares = any(True for _ in shared_memory())
    try:
        ended = await forked.in_child(work, script.stage.namespaces())
    except OSError as error:
        return _not_begun(in_words(error))
    return _judged(script, ended, shares=shares)


def _not_begun(why: str) -> Rehearsal:
    found = Diagnostic("not_rehearsable", f"the node could not be copied: {why}", severity="warning")
    return Rehearsal("not_rehearsable", 0.0, 0.0, 0.0, failures=(Failure(found, ""),))


def _judged(script: Script, ended: Ended, *, shares: bool) -> Rehearsal:
    """Return what the child said, and what became of it."""
    said = [(key, value) for line in ended.said for key, value in line.items()]
    failures = [
        Failure(diagnostic_from_data(line["failure"]), line["traceback"]) for line in ended.said if "failure" in line
    ]
    notes = [diagnostic_from_data(v) for k, v in said if k == "note"]
    if not any(key == "end" for key, _ in said) and not failures:
        failures.append(_death(script, said, ended, shares=shares))
    same: dict[str, int] = next((v for k, v in said if k == "same"), {})
    found = (module_from_data(v) for k, v in said if k == "module")
    modules = tuple(replace(m, same=same.get(m.module)) if m.way == "back" else m for m in found)
    window = sum(m.milliseconds for m in modules if m.way == "there") + sum(
        v for k, v in said if k in ("load", "beside")
    )
    milliseconds = ended.seconds * 1000
    return Rehearsal(verdict_of(failures), ended.stall, milliseconds, window, modules, tuple(failures), tuple(notes))


def _death(script: Script, said: Sequence[tuple[str, Any]], ended: Ended, *, shares: bool) -> Failure:
    """Say in whose `code_change` the child hung or died, and whether that says anything."""
    begun = [diagnostic_from_data(v) for k, v in said if k == "begin"]
    process = next((p for p in script.node.processes.values() if p.pid == ended.at), None)
    what, place = (begun[-1].message, begun[-1].location) if begun else ("the rehearsal", None)
    what += f" in {process.label}" if process else ""
    unfit, own = "", ended.at == Place.OWN_WORK
    stack = ended.stack if own else of_the_program(ended.stack, forked.__file__)
    if broken := next((v for k, v in said if k == "broken"), ""):
        unfit = "the rehearsal broke"
    elif own and ended.status == forked.NO_MEMORY:
        unfit = f"the rehearsal itself takes more than {ended.memory >> 20} MB beside what the node has"
    elif own and ended.status == forked.BROKEN:
        unfit = "the copy could not say how it went" if begun else "the copy could not be cut off from the node"
    elif ended.hung and own:
        unfit = "the rehearsal takes too long, or says too much"
    elif ended.hung:
        unfit = f"does not come back in a copy of the node, where no other thread is{_innermost(stack)}"
    elif ended.status is None:
        unfit = "the copy ended, and somebody else has taken its exit code"
    elif -ended.status in forked.ENDED_BY_OTHERS:
        unfit = f"the copy was ended by {Signals(-ended.status).name}"
    elif shares and ended.status in (-SIGSEGV, -SIGBUS):
        unfit = "the copy died, perhaps of writing to memory that the node shares with others"
    if unfit:
        return Failure(Diagnostic("not_rehearsable", f"{what}: {unfit}", place, "warning"), broken or stack)
    assert ended.status is not None
    how = f"by {Signals(-ended.status).name}" if ended.status < 0 else f"with exit code {ended.status}"
    return Failure(Diagnostic("code_change_failed", f"{what} ends the node: {how}", place), stack)


def _innermost(stack: str) -> str:
    lines = [line.strip() for line in stack.splitlines() if line.strip().startswith("File ")]
    return f": it is at {lines[0]}" if lines else ""
