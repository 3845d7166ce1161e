"""What a plan does that cannot be taken back, and what it loses on purpose: warnings, not errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.instructions import Apply, Call, Instruction, Load, LoadModule, RestartApplication, Update
from relup.model.inverses import natural_inverse


def advise(script: Sequence[Instruction]) -> Iterator[Diagnostic]:
    """Warn of calls that nothing takes back, and of state that is thrown away."""
    settled = {repr(i.call.args) for i in script if isinstance(i, Apply) and _settles(i.call)}
    for i in script:
        match i:
            case RestartApplication(name):
                message = f"restart_application: the state of every process of {name!r} is lost"
                hint = "update its modules to keep it"
                yield Diagnostic("state_lost", message, i.location, "warning", hint)
            case Apply(call, undo):
                yield from _lost_child(i, call, meant=repr(call.args) in settled)
                if undo is None and natural_inverse(call) is None:
                    message = f"apply: nothing takes {call.module}:{call.function} back if the upgrade fails after it"
                    hint = "give it an `undo`"
                    yield Diagnostic("irreversible", message, i.location, "warning", hint)
            case _:
                pass


def advise_back(up: Sequence[Instruction], down: Sequence[Instruction]) -> Iterator[Diagnostic]:
    """Warn of what goes over with a module's code on the way *up* and is left behind on the way *down*."""
    back = {i.module: i for i in down if isinstance(i, Update | LoadModule | Load)}
    for i in up:
        if not isinstance(i, Update | LoadModule | Load) or i.module not in back:
            continue
        way_back = back[i.module]
        if starts_anew := [name for name in i.keep if name not in way_back.keep]:
            message = f"keep: on the way down {', '.join(starts_anew)} of {i.module!r} is what the old body makes, anew"
            hint = "let the down list keep it too"
            yield Diagnostic("not_kept_down", message, way_back.location or i.location, "warning", hint)
        turned = {m.cls for m in way_back.instances}
        if stays := [m.cls for m in i.instances if m.cls not in turned]:
            message = f"instances: on the way down those of {', '.join(stays)} of {i.module!r} stay of the newer class"
            hint = "give the down list `instances` too, unless its code_change makes old ones of them all"
            yield Diagnostic("not_migrated_down", message, way_back.location or i.location, "warning", hint)


def _lost_child(i: Apply, call: Call, *, meant: bool) -> Iterator[Diagnostic]:
    """Warn of a child that ends; where it is deleted too, or started again, that is *meant*."""
    if _of_supervisor(call, "terminate_child"):
        child = repr(call.args[1]) if len(call.args) > 1 else "a child"
        message = f"apply: terminate_child ends {child} and its state is lost"
        yield Diagnostic("state_lost", message, i.location, "note" if meant else "warning")


def _settles(call: Call) -> bool:
    return _of_supervisor(call, "delete_child") or _of_supervisor(call, "restart_child")


def _of_supervisor(call: Call, function: str) -> bool:
    return (call.module.removeprefix("Elixir.").lower(), call.function) == ("supervisor", function)
