"""From the instructions of appups to one low-level script (`systools_rc:translate_scripts/4`).

A row of passes, each a function from values to values:

    collect    the scripts of all applications become one, cut in two at the point of no return
    expand     instructions about applications become instructions about modules
    order      modules that depend on each other form components (order.py)
    lower      each component becomes suspend, load, code_change, resume
    merge      one load_object_code per application; restarts of the emulator go to their place

The checks run over what the passes see, before the first pass that relies on them; `translate` raises once,
with everything found. Time grows with the number of instructions and dependencies, not with their square.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from relup.diagnostics import Diagnostic, InvalidInput
from relup.model.instructions import (
    Apply,
    Direction,
    Instruction,
    LoadObjectCode,
    LowLevel,
    ModuleInstruction,
    PointOfNoReturn,
    Resume,
    Verify,
)
from relup.model.pairs import check_pairs
from relup.model.release import Application
from relup.planner.applications import by_name, check_applications, expand
from relup.planner.check import check_object_code, check_point_of_no_return, split
from relup.planner.collection import uncollected
from relup.planner.lower import check_homes, component_script, homes, object_code, staying
from relup.planner.merge import check_versions, merge_object_code, place_restarts
from relup.planner.order import Component, Expanded, Rank, check_graph, grouped, module_instructions
from relup.planner.syntax import check_syntax

Scripts: TypeAlias = Sequence[Sequence[Instruction]]
Before: TypeAlias = tuple[LoadObjectCode | Apply, ...]


@dataclass(frozen=True, slots=True)
class Stages:
    """The script as each pass left it: how a plan came about. `script` is the plan's."""

    before: Before
    """What was written before the point of no return."""
    collected: tuple[Instruction, ...]
    expanded: tuple[Expanded, ...]
    ordered: tuple[Component | LowLevel, ...]
    fetched: tuple[LoadObjectCode, ...]
    lowered: tuple[LowLevel, ...]
    script: tuple[LowLevel, ...]


@uncollected
def translate(
    direction: Direction,
    scripts: Scripts,
    applications: Sequence[Application],
    pre_applications: Sequence[Application],
    rank: Rank | None = None,
) -> tuple[LowLevel, ...]:
    """Return the low-level script that carries out *scripts*, one for each application.

    *applications* are those of the release to come, *pre_applications* those of the release that runs.
    *rank* breaks ties between modules that do not depend on each other, the lower the earlier.
    Raises InvalidInput with everything that is wrong with the scripts.
    """
    problems = tuple(check(scripts, applications, pre_applications))
    if problems:
        raise InvalidInput(problems)
    return stages(direction, scripts, applications, pre_applications, rank).script


def check(
    scripts: Scripts, applications: Sequence[Application], pre_applications: Sequence[Application]
) -> Iterator[Diagnostic]:
    """Find everything that keeps *scripts* from being translated."""
    malformed = [d for script in scripts for i in script for d in check_syntax(i)]
    if malformed:
        yield from malformed
        return
    for script in scripts:
        yield from check_point_of_no_return(script)
    before, after = _collect(scripts)
    posterior, prior, where = by_name(applications), by_name(pre_applications), homes(applications)
    others = [i for i in after if not isinstance(i, ModuleInstruction)]
    yield from check_object_code(before, others)
    yield from check_pairs(others)
    yield from check_applications(others, posterior, prior)
    instructions = module_instructions(expand(after, posterior, prior))
    yield from check_graph(instructions)
    yield from check_homes(instructions, where)
    yield from check_versions(before, instructions, where)


def stages(
    direction: Direction,
    scripts: Scripts,
    applications: Sequence[Application],
    pre_applications: Sequence[Application],
    rank: Rank | None = None,
) -> Stages:
    """Run every pass over scripts in which `check` found nothing, and return what each of them made."""
    before, collected = _collect(scripts)
    where = homes(applications)
    expanded = tuple(expand(collected, by_name(applications), by_name(pre_applications)))
    ordered = tuple(grouped(expanded, rank))
    kept = staying(module_instructions(expanded), applications, pre_applications)
    fetched = tuple(f for c in ordered if isinstance(c, tuple) for f in object_code(c, where, kept))
    lowered = _asked_before_resume(_lower(direction, ordered, kept))
    first, last = place_restarts(direction, merge_object_code((*before, *fetched)), lowered)
    script = (*first, PointOfNoReturn(), *last)
    return Stages(before, collected, expanded, ordered, fetched, lowered, script)


def _collect(scripts: Scripts) -> tuple[Before, tuple[Instruction, ...]]:
    halves = [split(script) for script in scripts]
    before = (i for b, _ in halves for i in b if isinstance(i, LoadObjectCode | Apply))
    return tuple(before), tuple(i for _, a in halves for i in a)


def _asked_before_resume(script: Iterable[LowLevel]) -> tuple[LowLevel, ...]:
    """Let the script say what the window does: who is asked after a component is asked before that goes on."""
    found: list[LowLevel] = []
    for step in script:
        late = isinstance(step, Verify) and found and isinstance(found[-1], Resume)
        found.insert(len(found) - 1 if late else len(found), step)
    return tuple(found)


def _lower(direction: Direction, ordered: Sequence[Component | LowLevel], kept: Collection[str]) -> Iterator[LowLevel]:
    for step in ordered:
        if isinstance(step, tuple):
            yield from component_script(direction, step, kept)
        else:
            yield step
