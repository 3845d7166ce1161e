"""What instructions are called, which modules they name, and what a misspelt name was meant to be.

A name that belongs to no application of either release is a slip of the pen: OTP finds it when the code is
read on the node, if at all. It is found here, where the line of the appup is still known. On BEAM, Elixir's
`Counter` is short for the module `Elixir.Counter`; which of both is meant depends on the release alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import assert_never

from relup.diagnostics import Diagnostic, Severity
from relup.model.instructions import (
    AddApplication,
    AddModule,
    Apply,
    Call,
    CodeChange,
    DeleteModule,
    Instruction,
    Load,
    LoadModule,
    LoadObjectCode,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RemoveApplication,
    RestartApplication,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Start,
    StateFunction,
    Stop,
    Suspend,
    SyncNodes,
    Update,
    Verify,
)
from relup.model.release import NodeKind

_MOST_CANDIDATES = 1_000
"""Comparing a name with more candidates than this would take longer than the plan itself."""


def keyword(instruction: object) -> str:
    """Return the name that an appup gives to an instruction, as OTP spells it."""
    name = type(instruction).__name__
    return "purge" if name == "PurgeModules" else re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def did_you_mean(name: str, candidates: Collection[str], but: Collection[str] = ()) -> str | None:
    """Return the hint that names the nearest candidate *but* some, or None when nothing is near."""
    if len(candidates) > _MOST_CANDIDATES:
        return None
    near = get_close_matches(name, sorted(set(candidates).difference(but)), n=1)
    return f"did you mean {near[0]!r}?" if near else None


def modules_of(instruction: Instruction) -> tuple[str, ...]:
    """Return the modules that an instruction names, without those it depends on or calls."""
    match instruction:
        case Update() | LoadModule() | AddModule() | DeleteModule() | Load() | Remove():
            return (instruction.module,)
        case LoadObjectCode() | PurgeModules() | Resume() | Stop() | Start():
            return instruction.modules
        case Suspend(suspensions):
            return tuple(s.module for s in suspensions)
        case CodeChange(_, changes):
            return tuple(c.module for c in changes)
        case AddApplication() | RemoveApplication() | RestartApplication():
            return ()
        case Apply() | Verify() | SyncNodes() | PointOfNoReturn() | RestartNewEmulator() | RestartEmulator():
            return ()
        case _:
            assert_never(instruction)


def check_names(script: Sequence[Instruction], known: Collection[str], kind: NodeKind) -> Iterator[Diagnostic]:
    """Find modules that are named and belong to no application, before or after; OTP plans them all the same.

    What a high-level instruction loads must belong to the release to come, which is checked with the translation.
    """
    severity: Severity = "warning" if kind == "beam" else "error"
    for instruction in script:
        if isinstance(instruction, Update | LoadModule | AddModule):
            continue
        for module in modules_of(instruction):
            if module not in known:
                yield replace(no_such_module(instruction, module, known), severity=severity)


def no_such_module(instruction: Instruction, module: str, known: Collection[str]) -> Diagnostic:
    """Say that no application has *module*."""
    return Diagnostic(
        "no_such_module",
        f"{keyword(instruction)} names module {module!r}, which no application of the release has",
        instruction.location,
        hint=did_you_mean(module, known),
    )


def with_elixir_names(instruction: Instruction, known: Collection[str]) -> Instruction:
    """Write `Elixir.Counter` for `Counter` wherever the release has only the former."""

    def full(name: str) -> str:
        return f"Elixir.{name}" if name not in known and f"Elixir.{name}" in known else name

    def every(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(full, names))

    def call(of: Call) -> Call:
        return replace(of, module=full(of.module))

    def function(of: StateFunction | None) -> StateFunction | None:
        return replace(of, module=full(of.module)) if of else None

    match instruction:
        case Update():
            module, depends = full(instruction.module), every(instruction.depends)
            return replace(instruction, module=module, depends=depends, migrate=function(instruction.migrate))
        case LoadModule() | AddModule() | DeleteModule():
            return replace(instruction, module=full(instruction.module), depends=every(instruction.depends))
        case Load() | Remove():
            return replace(instruction, module=full(instruction.module))
        case LoadObjectCode() | PurgeModules() | Resume() | Stop() | Start():
            return replace(instruction, modules=every(instruction.modules))
        case Suspend(suspensions):
            return replace(instruction, modules=tuple(replace(s, module=full(s.module)) for s in suspensions))
        case CodeChange(_, changes):
            named = (replace(c, module=full(c.module), migrate=function(c.migrate)) for c in changes)
            return replace(instruction, changes=tuple(named))
        case Apply(to, undo):
            return replace(instruction, call=call(to), undo=call(undo) if undo else None)
        case Verify(to):
            return replace(instruction, call=call(to))
        case SyncNodes(_, Call() as nodes):
            return replace(instruction, nodes=call(nodes))
        case SyncNodes() | AddApplication() | RemoveApplication() | RestartApplication():
            return instruction
        case PointOfNoReturn() | RestartNewEmulator() | RestartEmulator():
            return instruction
        case _:
            assert_never(instruction)
