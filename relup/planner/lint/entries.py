"""What can be said of each list of an appup by itself, without any release.

Two instructions for one module are an error of OTP's where both are high-level. Low-level ones, and a mixture, it
takes as they are: the last one counts, and the ones before it cost a version that somebody still runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.appup import Appup
from relup.model.instructions import (
    AddModule,
    DeleteModule,
    Instruction,
    Load,
    LoadModule,
    ModuleInstruction,
    Remove,
    Update,
)
from relup.model.pairs import check_pairs
from relup.model.release import NodeKind
from relup.planner.check import check_object_code, check_point_of_no_return, split
from relup.planner.lint.table import finding
from relup.planner.names import keyword
from relup.planner.order import check_twice, module_instructions
from relup.planner.syntax import check_syntax


def check_entries(appup: Appup) -> Iterator[Diagnostic]:
    """Find what is wrong with each list that is written out."""
    for entry in (*appup.up, *appup.down):
        if not isinstance(entry.instructions, str):
            yield from check_script(entry.instructions)


def check_script(script: Sequence[Instruction]) -> Iterator[Diagnostic]:
    """Find what is wrong with one list: what OTP would say of it, and modules that are loaded twice."""
    malformed = [d for i in script for d in check_syntax(i)]
    if malformed:
        yield from malformed
        return
    before, after = split(script)
    yield from check_point_of_no_return(script)
    yield from check_object_code(before, after)
    yield from check_pairs(after)
    yield from check_twice(module_instructions(script))
    yield from check_mixture(script, "python")


def check_mixture(script: Sequence[Instruction], kind: NodeKind) -> Iterator[Diagnostic]:
    """Find modules with two instructions of which one at least is low-level; OTP plans them all the same."""
    if not any(isinstance(i, Load | Remove) for i in script):
        return
    first: dict[str, Instruction] = {}
    for i in script:
        if not isinstance(i, Update | LoadModule | AddModule | DeleteModule | Load | Remove):
            continue
        other = first.get(i.module)
        first.setdefault(i.module, i)
        if other is None or (isinstance(i, ModuleInstruction) and isinstance(other, ModuleInstruction)):
            continue
        where = f" in line {other.location.line}" if other.location else ""
        if _removes(i) != _removes(other):
            message = f"{keyword(i)}: module {i.module!r} has another instruction too, {keyword(other)}{where}"
            yield finding(
                "loaded_and_removed",
                message,
                i.location,
                "keep the one that is meant",
                "warning" if kind == "beam" else None,
            )
        else:
            message = f"{keyword(i)}: module {i.module!r} is loaded already, by {keyword(other)}{where}"
            yield finding("loaded_twice", message, i.location, "keep one of them")


def _removes(i: Instruction) -> bool:
    return isinstance(i, DeleteModule | Remove)
