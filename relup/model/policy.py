"""What a kind of node cannot carry out, refused while nothing has been touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.instructions import Instruction, RestartEmulator, RestartNewEmulator, SyncNodes
from relup.model.release import NodeKind

NOT_ON_THIS_NODE = "not_on_this_node"


def check_policy(script: Sequence[Instruction], kind: NodeKind) -> Iterator[Diagnostic]:
    """Find instructions that a Python node refuses; a BEAM node takes them all."""
    if kind == "beam":
        return
    for i in script:
        match i:
            case SyncNodes():
                message = "sync_nodes: a Python node stands alone, there are no nodes to wait for"
                hint = "leave it out, and apply the plan to the nodes one after another"
            case RestartEmulator():
                message = "restart_emulator: a Python node has no emulator, and restarting its process loses all state"
                hint = "use restart_application for what must start anew, or stop the node and start the new release"
            case RestartNewEmulator():
                message = "restart_new_emulator: a running Python process cannot change its interpreter"
                hint = "stop the node and start the new release under the new interpreter"
            case _:
                continue
        yield Diagnostic(NOT_ON_THIS_NODE, message, i.location, hint=hint)
