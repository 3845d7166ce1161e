"""The instructions of one direction from those of the other (`instructions: inverse`).

Reading the list backwards is nearly right. Two things it gets wrong: modules that depend on each other are
ordered by direction anyway, so a component keeps its order and only its place is mirrored; and a child
that was deleted comes back with its supervisor's specs, so it can only be restarted after they were read
again. What cannot be derived is an error that says why, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, assert_never

from relup.diagnostics import Diagnostic
from relup.model.instructions import (
    AddApplication,
    AddModule,
    ApplicationType,
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
    Stop,
    SupervisorChange,
    Suspend,
    SyncNodes,
    Update,
    Verify,
)
from relup.model.inverses import natural_inverse
from relup.planner.names import keyword
from relup.planner.order import grouped

Types: TypeAlias = Mapping[str, ApplicationType]
Found: TypeAlias = Instruction | Diagnostic


@dataclass(frozen=True, slots=True)
class _List:
    """What the inverse of one instruction depends on beside itself: the rest of its list."""

    types: Types
    """How applications start in the release that the inverse leads to."""
    reads_specs: bool
    """Whether a supervisor of the list reads its child specs again."""
    terminated: frozenset[str]
    """Children that the list itself terminates, so that restarting them is no birth."""

    def terminates(self, supervisor: Any, child: Any) -> bool:
        """Say whether the list terminates that child of that supervisor."""
        return repr((supervisor, child)) in self.terminated


def inverse(instructions: Sequence[Instruction], types: Types) -> Iterator[Found]:
    """Yield the instructions that lead back, and a Diagnostic for each that has no inverse.

    *types* says how applications start in the release that they lead to.
    """
    around = _List(types, any(_reads_specs(i) for i in instructions), frozenset(_terminated(instructions)))
    groups = [g if isinstance(g, tuple) else (g,) for g in grouped(instructions)]
    found = [f for group in reversed(groups) for i in group for f in _inverse(i, around)]
    yield from _restarts_last(found)


def _inverse(i: Instruction, around: _List) -> Iterator[Found]:
    match i:
        case Update(instances=(_, *_)) | LoadModule(instances=(_, *_)):
            yield _none(i, f"what turns {_classes(i)} of {i.module!r} back is not known", _TURN_BACK)
        case Update() | LoadModule() | RestartApplication() | SyncNodes() | RestartEmulator() | RestartNewEmulator():
            yield i
        case AddModule(module, depends):
            yield DeleteModule(module, depends, location=i.location)
        case DeleteModule(module, depends):
            yield AddModule(module, depends, location=i.location)
        case AddApplication(application):
            yield RemoveApplication(application, location=i.location)
        case RemoveApplication(application):
            yield AddApplication(application, around.types.get(application, "permanent"), location=i.location)
        case Apply(call, undo):
            back = (undo,) if undo else _taken_back(call, around)
            if back is None:
                yield _none(i, f"nothing is known to take back {call.module}:{call.function}", "give it an `undo`")
            yield from (replace(i, call=c, undo=call if undo else None) for c in back or ())
        case Verify():
            pass  # it changes nothing, and what it asks of one version need not be true of the other
        case Load() | Remove() | PurgeModules() | Suspend() | Resume() | CodeChange() | Stop() | Start():
            yield _none(i, "a low-level instruction is tied to its place in the list", _WRITE)
        case LoadObjectCode() | PointOfNoReturn():
            yield _none(i, "a low-level instruction is tied to its place in the list", _WRITE)
        case _:
            assert_never(i)


_WRITE = "write this list out, or use high-level instructions in the other one"


_TURN_BACK = (
    "write this list out, with `instances` that name for each class a function of the newer version which is given "
    "one of its own and returns one of the older: migrate(new, counterpart(type(new)))"
)


def _classes(i: Update | LoadModule) -> str:
    return f"instances of {', '.join(m.cls for m in i.instances)}"


def _none(i: Instruction, why: str, hint: str) -> Diagnostic:
    return Diagnostic("no_inverse", f"{keyword(i)} has no inverse: {why}", i.location, hint=hint)


def _taken_back(call: Call, around: _List) -> tuple[Call, ...] | None:
    match call.module, call.function, tuple(call.args):
        case "application", "stop", (str(name),) if name in around.types:
            return (Call("application", "start", (name, around.types[name])),)
        case "supervisor", "restart_child", (top, child) if around.reads_specs and not around.terminates(top, child):
            return _end(top, child)
        case "supervisor", "start_child", (top, spec):
            child = _child_id(spec)
            return None if child is None else _end(top, child)
        case "supervisor", "delete_child", _:
            return () if around.reads_specs else None
        case _:
            back = natural_inverse(call)
            return None if back is None else (back,)


def _end(supervisor: Any, child: Any) -> tuple[Call, Call]:
    of = (supervisor, child)
    return Call("supervisor", "terminate_child", of), Call("supervisor", "delete_child", of)


def _child_id(spec: Any) -> Any:
    """Return the id in a child spec, a map or an old tuple; None for a list: arguments, of a `simple_one_for_one`."""
    match spec:
        case {"id": child} | {"tuple": [child, *_]}:
            return child
        case _:
            return None


def _reads_specs(i: Instruction) -> bool:
    return isinstance(i, Update) and isinstance(i.change, SupervisorChange)


def _terminated(instructions: Sequence[Instruction]) -> Iterator[str]:
    for i in instructions:
        match i:
            case Apply(Call("supervisor", "terminate_child", (top, child))):
                yield repr((top, child))
            case _:
                pass


def _restarts_last(found: Sequence[Found]) -> Iterator[Found]:
    """Let children restart after the last supervisor has read its specs again."""
    last = max((n for n, f in enumerate(found) if not isinstance(f, Diagnostic) and _reads_specs(f)), default=-1)
    yield from (f for f in found[: last + 1] if not _is_restart(f))
    yield from (f for f in found[: last + 1] if _is_restart(f))
    yield from found[last + 1 :]


def _is_restart(f: Found) -> bool:
    match f:
        case Apply(Call("supervisor", "restart_child")):
            return True
        case _:
            return False
