"""Whether the way down takes back what the way up does, as far as two lists of one version can be compared.

A list need not be the mirror of the other: a module may be updated softly in both, an `apply` may tell somebody of the
upgrade and nobody of the downgrade. What is compared is what is left behind: code that only one list loads, states that
only one list changes, children and applications that one list starts and the other never ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from relup.diagnostics import Diagnostic
from relup.model.appup import Appup, Entry
from relup.model.instructions import (
    AddApplication,
    AddModule,
    Apply,
    Call,
    CodeChange,
    DeleteModule,
    Direction,
    Instruction,
    Load,
    LoadModule,
    Remove,
    RemoveApplication,
    RestartApplication,
    RestartEmulator,
    RestartNewEmulator,
    Update,
)
from relup.model.shortened import shortened
from relup.planner.lint.table import finding

State: TypeAlias = Literal["runs", "ended"]
_CALLS: Mapping[tuple[str, str], State] = {
    ("supervisor", "start_child"): "runs",
    ("supervisor", "restart_child"): "runs",
    ("supervisor", "terminate_child"): "ended",
    ("application", "start"): "runs",
    ("application", "stop"): "ended",
}
_OPPOSITE: Mapping[State, str] = {"runs": "ends", "ended": "starts"}


@dataclass(frozen=True, slots=True)
class _Effects:
    """What one list leaves behind."""

    loaded: Mapping[str, Instruction]
    deleted: Mapping[str, None]
    changed: Mapping[str, None]
    """Modules whose states change, in the order of the list."""
    calls: Mapping[str, State]
    """What became, last, of each child and application that a call names."""
    whole: bool
    """Whether applications or the node are restarted, so that modules need not be named."""


def check_inverses(appup: Appup) -> Iterator[Diagnostic]:
    """Compare each list with the one of the other direction for the same version."""
    others = {e.version: e for e in reversed(appup.down)}
    for entry in appup.up:
        other = others.get(entry.version)
        if other and not isinstance(entry.instructions, str) and not isinstance(other.instructions, str):
            up, down = _effects(entry.instructions), _effects(other.instructions)
            yield from _compare("up", up, down, other)
            yield from _compare("down", down, up, entry)


def _compare(direction: Direction, these: _Effects, those: _Effects, other: Entry) -> Iterator[Diagnostic]:
    """Find what *those*, of the entry *other*, do not take back of *these*; an empty list takes back nothing."""
    back: Direction = "down" if direction == "up" else "up"
    missing = [*_code(these, those), *_states(these, those), *_called(these, those)]
    if missing and not other.instructions:
        message = f"the {back} list for {other.version.text} is empty, and the {direction} list is not"
        yield finding("not_inverse", message, other.location, "write it out, or say `instructions: inverse`")
        return
    for what, remedy in missing:
        message = f"the {back} list for {other.version.text} does not take back what the {direction} list does: {what}"
        yield finding("not_inverse", message, other.location, remedy)


def _code(these: _Effects, those: _Effects) -> Iterator[tuple[str, str]]:
    if those.whole or these.whole:
        return
    added = [m for m, i in these.loaded.items() if isinstance(i, AddModule) and m not in those.deleted]
    dealt = those.loaded.keys() | those.deleted.keys()  # a load_module of a new module is taken back by a delete_module
    loaded = [m for m, i in these.loaded.items() if not isinstance(i, AddModule) and m not in dealt]
    deleted = [m for m in these.deleted if m not in those.loaded]
    yield from _told(added, "added", "delete_module")
    yield from _told(loaded, "loaded", "update or load_module")
    yield from _told(deleted, "deleted", "add_module")


def _states(these: _Effects, those: _Effects) -> Iterator[tuple[str, str]]:
    changed = [m for m in these.changed if m in those.loaded and m not in those.changed]
    yield from _told(changed, "advanced", "update with the same `change`")


def _told(modules: Sequence[str], what: str, remedy: str) -> Iterator[tuple[str, str]]:
    """Say once what becomes of modules that the other list leaves as they are."""
    if modules:
        yield f"{shortened(modules)} {'is' if len(modules) == 1 else 'are'} {what}", f"{remedy}: {shortened(modules)}"


def _called(these: _Effects, those: _Effects) -> Iterator[tuple[str, str]]:
    if those.whole:
        return
    for name, state in these.calls.items():
        if those.calls.get(name, state) == state:
            yield f"{name} is {'started' if state == 'runs' else 'ended'}", f"apply what {_OPPOSITE[state]} it"


def _effects(script: Sequence[Instruction]) -> _Effects:
    loaded: dict[str, Instruction] = {}
    deleted: dict[str, None] = {}
    changed: dict[str, None] = {}
    calls: dict[str, State] = {}
    for i in script:
        match i:
            case Update(module):
                loaded[module] = i
                changed |= {module: None} if i.changes_states else {}
            case LoadModule(module) | AddModule(module) | Load(module):
                loaded[module] = i
            case DeleteModule(module) | Remove(module):
                deleted[module] = None
            case CodeChange(_, changes):
                changed |= {c.module: None for c in changes}
            case Apply(call) if found := _named(call):
                name, state = found
                if calls.pop(name, state) == state:  # else it was ended and started again: it runs as it ran
                    calls[name] = state
            case _:
                pass
    return _Effects(loaded, deleted, changed, calls, any(map(_restarts, script)))


def _named(call: Call) -> tuple[str, State] | None:
    """Return what a call starts or ends, None for other calls, and for children that only the call itself knows."""
    state = _CALLS.get((call.module, call.function))
    match call.module, call.function, tuple(call.args):
        case _, "start_child", (top, {"id": child}):
            return (f"child {child!r} of {top!r}", state) if state else None
        case "supervisor", "restart_child" | "terminate_child", (top, child):
            return (f"child {child!r} of {top!r}", state) if state else None
        case "application", _, (str(name), *_):
            return (f"application {name!r}", state) if state else None
        case _:
            return None


def _restarts(i: Instruction) -> bool:
    match i:
        case RestartApplication() | RestartEmulator() | RestartNewEmulator() | AddApplication() | RemoveApplication():
            return True
        case _:
            return False
