"""What a plan does that cannot be taken back, and what it loses on purpose: warnings, not errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.instructions import Apply, Call, Instruction, RestartApplication
from relup.model.inverses import natural_inverse


def advise(script: Sequence[Instruction]) -> Iterator[Diagnostic]:
    """Warn of calls that nothing takes back, and of state that is thrown away."""
    for i in script:
        match i:
            case RestartApplication(name):
                message = f"restart_application: the state of every process of {name!r} is lost"
                hint = "update its modules to keep it"
                yield Diagnostic("state_lost", message, i.location, "warning", hint)
            case Apply(call, undo):
                yield from _lost_child(i, call)
                if undo is None and natural_inverse(call) is None:
                    message = f"apply: nothing takes {call.module}:{call.function} back if the upgrade fails after it"
                    hint = "give it an `undo`"
                    yield Diagnostic("irreversible", message, i.location, "warning", hint)
            case _:
                pass


def _lost_child(i: Apply, call: Call) -> Iterator[Diagnostic]:
    if (call.module.removeprefix("Elixir.").lower(), call.function) == ("supervisor", "terminate_child"):
        child = repr(call.args[1]) if len(call.args) > 1 else "a child"
        message = f"apply: terminate_child ends {child} and its state is lost"
        yield Diagnostic("state_lost", message, i.location, "warning")
