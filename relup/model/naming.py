"""One line of words for an instruction, in OTP's names: for plans, events and errors alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from relup.model.instructions import (
    Apply,
    Call,
    CodeChange,
    Load,
    LoadObjectCode,
    LowLevel,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Start,
    Stop,
    Suspend,
    SyncNodes,
)


def describe(instruction: LowLevel) -> str:
    """Return *instruction* as a person would read it in a plan."""
    match instruction:
        case LoadObjectCode(application, vsn, modules):
            return f"load_object_code {application} {vsn}: {shortened(modules)}"
        case PointOfNoReturn():
            return "point_of_no_return"
        case Load(module):
            return f"load {module}"
        case Remove(module):
            return f"remove {module}"
        case PurgeModules(modules):
            return f"purge {shortened(modules)}"
        case Suspend(suspensions):
            return f"suspend {shortened(tuple(s.module for s in suspensions))}"
        case Resume(modules):
            return f"resume {shortened(modules)}"
        case CodeChange(mode, changes):
            return f"code_change {mode} {shortened(tuple(c.module for c in changes))}"
        case Stop(modules):
            return f"stop {shortened(modules)}"
        case Start(modules):
            return f"start {shortened(modules)}"
        case SyncNodes(id=name):
            return f"sync_nodes {name}"
        case Apply(call):
            return f"apply {describe_call(call)}"
        case RestartNewEmulator():
            return "restart_new_emulator"
        case RestartEmulator():
            return "restart_emulator"
        case _:
            assert_never(instruction)


def describe_call(call: Call) -> str:
    """Return a call as `module:function(arguments)`."""
    return f"{call.module}:{call.function}({', '.join(map(repr, call.args))})"


def shortened(names: Sequence[str], most: int = 8) -> str:
    """Return the names, or the first of them and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
