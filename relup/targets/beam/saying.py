"""What the agent in a BEAM node answers, as Diagnostics: who it was, where it stood, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from relup.diagnostics import Diagnostic, Location
from relup.executor import EffectFailed
from relup.model.instructions import StateFunction, Suspension, Verify
from relup.model.naming import describe
from relup.model.shortened import shortened
from relup.targets.beam.requests import limit_of
from relup.targets.beam.terms import Term

STANDING_STILL = "while its processes stood still"
RUNNING = "when its processes ran again"
_TOO_LONG = "a process that is suspended answers no call: read what it holds with sys:get_state, or give it a `timeout`"


def process(found: Term) -> str:
    """Return a process in words, as the agent describes it."""
    match found:
        case (_, bytes(name), _):
            return name.decode("utf-8", "replace")
        case _:
            return str(found)


def function(found: Term) -> str:
    """Return where a process stood."""
    match found:
        case (_, _, (module, function, arity)):
            return f"{module}:{function}/{arity}"
        case _:
            return "?"


def busy(who: Term, place: Location | None) -> Diagnostic:
    """Say who did not suspend in time."""
    message = f"{process(who)} did not suspend in time: it is in {function(who)}"
    return Diagnostic("suspend_timeout", message, place)


def unreachable(who: Term, place: Location | None) -> Diagnostic:
    """Say who cannot be suspended."""
    message = f"{process(who)} runs code that changes and takes no system messages: it cannot be suspended, nor changed"
    hint = f"it is in {function(who)}; it has to end first, or handle them (sys:handle_system_msg/6)"
    return Diagnostic("unreachable_process", message, place, hint=hint)


def outside(who: Iterable[Term], place: Location | None) -> Diagnostic:
    """Say who was found although no tree shows it."""
    names = shortened([process(w) for w in who])
    message = f"{names}: in no supervision tree that can be followed, found by what they were started to run"
    return Diagnostic("outside_trees", message, place, "note")


def unseen(who: Iterable[Term], place: Location | None) -> Diagnostic:
    """Say who may be a server of code that changes, and is not changed."""
    names = shortened([process(w) for w in who])
    message = f"{names}: may be servers of code that changes, by enter_loop; neither a tree nor their start says so"
    hint = "they go on with their states as they are: name their module in the `modules` of a child spec"
    return Diagnostic("unseen_server", message, place, "warning", hint=hint)


def holders(who: Iterable[Term], place: Location | None) -> Diagnostic:
    """Say who holds functions that go on in code that is replaced."""
    names = shortened([process(w) for w in who])
    message = f"{names}: hold functions of code that is replaced; they go on in it, and fail once it is purged"
    hint = "a function with a name, &Module.name/arity or {Module, name, args}, goes on in the new code"
    return Diagnostic("old_functions_held", message, place, "note", hint=hint)


def silent_ones(who: Iterable[Term]) -> Diagnostic:
    """Say which supervisors and event managers do not answer."""
    names = shortened([f"{process(w)} in {function(w)}" for w in who])
    message = f"supervisors or event managers do not answer, so their children or handlers are not known: {names}"
    return Diagnostic("supervisor_silent", message)


def unfit(reason: Term, module: Term, who: Iterable[Term], place: Location | None) -> Diagnostic:
    """Say why a module cannot be made ready."""
    name = str(module)
    match reason:
        case "not_purged":
            users = shortened([process(w) for w in who])
            return Diagnostic("not_purged", f"old code of {name!r} is still in use, by {users}", place)
        case "sticky":
            return Diagnostic("sticky_directory", f"{name!r} is of OTP's own, which a running node keeps", place)
        case "on_load":
            message = f"{name!r} has an -on_load function: it cannot be loaded together with others, nor taken back"
            return Diagnostic("on_load", message, place, hint="restart the node for it, or move it to a module apart")
        case "no_old_code":
            message = f"the node's own file of {name!r} is gone or holds other code: it could not be taken back"
            return Diagnostic("no_old_code", message, place)
        case _:
            return Diagnostic("bad_code", f"module {name!r} cannot be loaded: {words(reason)}", place)


def what_changes(module: str, by: StateFunction | None) -> str:
    """Return what was to change the states of a module's processes."""
    return f"{by.module}:{by.function}, which migrates {module}," if by else f"code_change of {module}"


def raised(what: str, who: Term, reason: Term, place: Location | None) -> Diagnostic:
    """Say for whom *what* changes states failed; an agent has no code_change but the function that it is given."""
    message = f"{what} for {process(who)}: {words(reason)}"
    unsaid = "{badfun,[]}" in message and "Elixir.Agent.Server" in message
    hint = (
        "an agent calls what extra says: change: {advanced: {tuple: [Elixir.Module, function, []]}}" if unsaid else None
    )
    return Diagnostic("code_change_failed", message, place, hint=hint)


def nobody(suspension: Suspension) -> Diagnostic:
    """Say that a function which migrates states would find none."""
    message = f"migrate: no process runs {suspension.module!r}, so there is no state that could change"
    hint = "processes are found by the modules of their child specs, and by what they were started to run"
    return Diagnostic("nobody_to_migrate", message, suspension.location, "note", hint)


def deaths(who: Iterable[Term], what: str) -> Iterator[Diagnostic]:
    """Say who is gone."""
    return (Diagnostic("died_in_window", f"{process(p)} {what}: its state is lost", severity="warning") for p in who)


def config_change_failed(why: Term) -> Diagnostic:
    """Say that applications run in other environments than they know."""
    message = f"applications were not all told what changed in their environments: {words(why)}"
    return Diagnostic("config_change_failed", message, severity="warning")


def words(reason: Term) -> str:
    """Return a reason as the agent put it."""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def said_no(probe: Verify, answer: Term, when: str) -> Diagnostic:
    """Say what a probe said when it did not say yes."""
    hint = None
    match answer:
        case ("failed", reason):
            said = f"said no: {words(reason)}"
        case _:
            said = f"did not answer within {limit_of(probe) / 1000:g} s"
            hint = _TOO_LONG if when == STANDING_STILL else None
    return Diagnostic("verify_failed", f"{describe(probe)} {said}, {when}", probe.location, hint=hint)


def misunderstood(answer: Term) -> EffectFailed:
    """Return what an answer that nobody knows means."""
    return EffectFailed(Diagnostic("agent_misunderstood", f"the agent answered {answer!r}"[:300]))
