"""One line of words for an instruction, in OTP's names: for plans, events and errors alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from relup.model.instructions import (
    AddApplication,
    AddModule,
    Advanced,
    Apply,
    Call,
    Change,
    CodeChange,
    DeleteModule,
    Instruction,
    Load,
    LoadModule,
    LoadObjectCode,
    ModuleChange,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RemoveApplication,
    RestartApplication,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Soft,
    Start,
    StateFunction,
    Stop,
    SupervisorChange,
    Suspend,
    SyncNodes,
    Update,
    Verify,
)
from relup.model.shortened import shortened


def describe(instruction: Instruction) -> str:
    """Return *instruction* as a person would read it in a plan."""
    match instruction:
        case Update(module, change, depends):
            how = _migrated(instruction.migrate) if instruction.migrate else _change(change)
            return f"update {module} {how}{_depends(depends)}{_carried(instruction)}"
        case LoadModule(module, depends):
            return f"load_module {module}{_depends(depends)}{_carried(instruction)}"
        case AddModule(module, depends):
            return f"add_module {module}{_depends(depends)}"
        case DeleteModule(module, depends):
            return f"delete_module {module}{_depends(depends)}"
        case AddApplication(application, how):
            return f"add_application {application} {how}"
        case RemoveApplication(application):
            return f"remove_application {application}"
        case RestartApplication(application):
            return f"restart_application {application}"
        case LoadObjectCode(application, vsn, modules):
            return f"load_object_code {application} {vsn}: {shortened(modules)}"
        case PointOfNoReturn():
            return "point_of_no_return"
        case Load(module):
            return f"load {module}{_carried(instruction)}"
        case Remove(module):
            return f"remove {module}"
        case PurgeModules(modules):
            return f"purge {shortened(modules)}"
        case Suspend(suspensions):
            return f"suspend {shortened(tuple(s.module for s in suspensions))}"
        case Resume(modules):
            return f"resume {shortened(modules)}"
        case CodeChange(mode, changes):
            return f"code_change {mode} {shortened(tuple(map(describe_change, changes)))}"
        case Stop(modules):
            return f"stop {shortened(modules)}"
        case Start(modules):
            return f"start {shortened(modules)}"
        case SyncNodes(id=name):
            return f"sync_nodes {name}"
        case Apply(call):
            return f"apply {describe_call(call)}"
        case Verify(call):
            return f"verify {describe_call(call)}"
        case RestartNewEmulator():
            return "restart_new_emulator"
        case RestartEmulator():
            return "restart_emulator"
        case _:
            assert_never(instruction)


def _change(change: Change) -> str:
    match change:
        case Soft():
            return "soft"
        case Advanced():
            return "advanced"
        case SupervisorChange():
            return "supervisor"
        case _:
            assert_never(change)


def _depends(modules: Sequence[str]) -> str:
    return f", depends on {shortened(modules)}" if modules else ""


def _carried(i: Update | LoadModule | Load) -> str:
    keeps = f", keeps {shortened(i.keep)}" if i.keep else ""
    return keeps + (f", migrates instances of {shortened(tuple(m.cls for m in i.instances))}" if i.instances else "")


def _migrated(by: StateFunction) -> str:
    return f"migrated by {by.module}:{by.function}"


def describe_change(change: ModuleChange) -> str:
    """Return the module whose states change, and by what if not by its own `code_change`."""
    return f"{change.module} {_migrated(change.migrate)}" if change.migrate else change.module


def describe_call(call: Call) -> str:
    """Return a call as `module:function(arguments)`."""
    return f"{call.module}:{call.function}({', '.join(map(repr, call.args))})"
