"""What a kind of node cannot carry out, refused while nothing has been touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.instructions import (
    CodeChange,
    Instruction,
    Load,
    LoadModule,
    RestartEmulator,
    RestartNewEmulator,
    SyncNodes,
    Update,
)
from relup.model.release import NodeKind

NOT_ON_THIS_NODE = "not_on_this_node"


_MIGRATE = "migrate: the servers of {!r} have a `code_change` of their own, as every server of a Python node does"


def check_policy(script: Sequence[Instruction], kind: NodeKind) -> Iterator[Diagnostic]:
    """Find what a kind of node cannot carry out."""
    yield from _on_beam(script) if kind == "beam" else _on_python(script)


def _on_beam(script: Sequence[Instruction]) -> Iterator[Diagnostic]:
    """A BEAM node takes every instruction, but what goes over with the code of a Python module means nothing there."""
    for i in script:
        match i:
            case Update(module, keep=keep, instances=instances) | LoadModule(module, keep=keep, instances=instances):
                pass
            case Load(module, keep=keep, instances=instances):
                pass
            case _:
                continue
        if keep:
            message = f"keep: module {module!r} of a BEAM node has no variables of its own that could be kept"
            hint = "what is kept in a process, ETS or persistent_term stays as it is; leave `keep` out"
            yield Diagnostic(NOT_ON_THIS_NODE, message, i.location, hint=hint)
        if instances:
            message = f"instances: module {module!r} of a BEAM node has no classes"
            hint = "terms and structs are part of a state: turn them into new ones in `code_change`"
            yield Diagnostic(NOT_ON_THIS_NODE, message, i.location, hint=hint)


def _on_python(script: Sequence[Instruction]) -> Iterator[Diagnostic]:
    for i in script:
        match i:
            case SyncNodes():
                message = "sync_nodes: a Python node stands alone, there are no nodes to wait for"
                hint = "leave it out, and apply the plan to the nodes one after another"
            case RestartEmulator():
                message = "restart_emulator: a Python node has no emulator, and restarting its process loses all state"
                hint = "use restart_application for what must start anew, or stop the node and start the new release"
            case Update(migrate=migrate) if migrate:
                message = _MIGRATE.format(i.module)
                hint = "write `code_change` in its class, or in a class that extends it, and say `change: advanced`"
            case CodeChange(changes=changes) if migrated := [c.module for c in changes if c.migrate]:
                message, hint = _MIGRATE.format(migrated[0]), "plan again"
            case RestartNewEmulator():
                message = "restart_new_emulator: a running Python process cannot change its interpreter"
                hint = "stop the node and start the new release under the new interpreter"
            case _:
                continue
        yield Diagnostic(NOT_ON_THIS_NODE, message, i.location, hint=hint)
