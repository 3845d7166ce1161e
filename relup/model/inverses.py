"""How a call is taken back: the author's `undo`, or the inverse that OTP's own functions have by nature."""

from __future__ import annotations

from typing import assert_never

from relup.model.instructions import (
    Apply,
    Call,
    RestartEmulator,
    RestartNewEmulator,
    Start,
    Stop,
    SyncNodes,
)
from relup.model.windows import Cut


def natural_inverse(call: Call) -> Call | None:
    """Return the call that takes *call* back, for functions of OTP whose inverse is known; else None."""
    match call.module, call.function, tuple(call.args):
        case "application", "start", (name, *_):
            return Call("application", "stop", (name,))
        case "application", "stop", (name, *_):
            return Call("application", "start", (name,))
        case "application", "load", (name, *_):
            return Call("application", "unload", (name,))
        case "application", "unload", (name, *_):
            return Call("application", "load", (name,))
        case "supervisor", "restart_child", (supervisor, child):
            return Call("supervisor", "terminate_child", (supervisor, child))
        case "supervisor", "terminate_child", (supervisor, child):
            return Call("supervisor", "restart_child", (supervisor, child))
        case "supervisor", "delete_child", (supervisor, child):
            return Call("supervisor", "restore_child", (supervisor, child))
        case "supervisor", "restore_child", (supervisor, child):
            return Call("supervisor", "delete_child", (supervisor, child))
        case _:
            return None


def inverse_of(cut: Cut) -> Cut | None:
    """Return the instruction that takes *cut* back, or None when nothing is known to."""
    match cut:
        case Apply(call, undo):
            back = undo or natural_inverse(call)
            return Apply(back, undo=call, location=cut.location) if back else None
        case Start(modules):
            return Stop(modules, location=cut.location)
        case Stop(modules):
            return Start(modules, location=cut.location)
        case SyncNodes() | RestartNewEmulator() | RestartEmulator():
            return None
        case _:
            assert_never(cut)
