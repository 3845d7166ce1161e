"""Where a script opens and closes its windows.

OTP's script suspends, changes and resumes one component after another, so a late failure meets early
components that already run. Neighbouring components are therefore fused into one window: suspend all, load
all, change all, verify, commit, resume all. Only an instruction that needs running processes cuts it: a call
that a script makes between a `suspend` and its `resume` needs none, or it would not stand there.

A `code_change` stands before the load of its module (the new code takes its own state back, on the way
down) or after it; fusing keeps that, and keeps the order of the script within each step of the window. Where a function
of another module changes the states, that module's load counts too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from relup.model.instructions import (
    Apply,
    CodeChange,
    Direction,
    Load,
    LoadObjectCode,
    LowLevel,
    ModuleChange,
    PointOfNoReturn,
    PurgeModules,
    Remove,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Start,
    Stop,
    Suspend,
    Suspension,
    SyncNodes,
    Verify,
)

Code: TypeAlias = Load | Remove
Cut: TypeAlias = Apply | Start | Stop | SyncNodes | RestartNewEmulator | RestartEmulator


@dataclass(frozen=True, slots=True)
class Window:
    """Instructions that take effect together while the processes they concern stand still."""

    suspensions: tuple[Suspension, ...] = ()
    before: tuple[CodeChange, ...] = ()
    code: tuple[Code, ...] = ()
    after: tuple[CodeChange, ...] = ()
    calls: tuple[Apply, ...] = ()
    asks: tuple[Verify, ...] = ()
    """What is asked last, before anybody goes on."""
    purges: tuple[str, ...] = ()

    def modules(self) -> tuple[str, ...]:
        """Return the modules whose code it changes, in the order of the script."""
        return tuple(c.module for c in self.code)

    def changes(self) -> tuple[ModuleChange, ...]:
        """Return every state change that it makes."""
        return tuple(c for change in (*self.before, *self.after) for c in change.changes)


Segment: TypeAlias = Window | Cut


def split(script: Sequence[LowLevel]) -> tuple[tuple[LowLevel, ...], tuple[LowLevel, ...]]:
    """Return what stands before `point_of_no_return`, and what comes after; all of it when there is none."""
    for n, instruction in enumerate(script):
        if isinstance(instruction, PointOfNoReturn):
            return tuple(script[:n]), tuple(script[n + 1 :])
    return (), tuple(script)


def probes(script: Sequence[LowLevel]) -> tuple[Verify, ...]:
    """Return what *script* asks, in its order."""
    return tuple(step for step in script if isinstance(step, Verify))


def segments(script: Sequence[LowLevel]) -> tuple[Segment, ...]:
    """Return the windows of *script* and what cuts them.

    What stands before the point of no return is carried out first, while everything still runs (as in OTP).
    """
    first, rest = split(script)
    early = (i for i in first if isinstance(i, Apply | RestartNewEmulator))
    return (*early, *_segments(rest))


def _segments(steps: Sequence[LowLevel]) -> Iterator[Segment]:
    inside: list[LowLevel] = []
    held: set[str] = set()
    for step in steps:
        match step:
            case Suspend(suspensions):
                held.update(s.module for s in suspensions)
                inside.append(step)
            case Resume(modules):
                held.difference_update(modules)
                inside.append(step)
            case Apply(window=window) if window == "inside" or held:
                inside.append(step)
            case Apply() | Start() | Stop() | SyncNodes() | RestartNewEmulator() | RestartEmulator():
                yield from _window(inside)
                inside = []
                yield step
            case _:
                inside.append(step)
    yield from _window(inside)


def _window(steps: Sequence[LowLevel]) -> Iterator[Window]:
    load_ahead = {s.module for s in steps if isinstance(s, Load | Remove)}
    suspensions: list[Suspension] = []
    before: list[CodeChange] = []
    code: list[Code] = []
    after: list[CodeChange] = []
    calls: list[Apply] = []
    asks: list[Verify] = []
    purges: list[str] = []
    for step in steps:
        match step:
            case Suspend(modules):
                suspensions += modules
            case Load(module) | Remove(module):
                load_ahead.discard(module)
                code.append(step)
            case CodeChange(mode, changes):
                before += _change(mode, [c for c in changes if _is_ahead(c, load_ahead)])
                after += _change(mode, [c for c in changes if not _is_ahead(c, load_ahead)])
            case PurgeModules(modules):
                purges += modules
            case Apply():
                calls.append(step)
            case Verify():
                asks.append(step)
            case Resume() | PointOfNoReturn() | LoadObjectCode():
                pass
            case Start() | Stop() | SyncNodes() | RestartNewEmulator() | RestartEmulator():
                raise AssertionError(f"{step} cuts a window and cannot stand in one")
            case _:
                assert_never(step)
    window = Window(
        tuple(suspensions), tuple(before), tuple(code), tuple(after), tuple(calls), tuple(asks), tuple(purges)
    )
    if window != Window():
        yield window


def inverse(window: Window, way_back: Sequence[LowLevel]) -> tuple[Window, tuple[str, ...]]:
    """Return the downgrade of *window* alone, and the modules of which *way_back* leaves something new.

    Needed when a later window fails after this one was resumed: new messages were handled since, so the
    old states are no longer true and the new ones are migrated down.
    """
    back = [s for s in segments(way_back) if isinstance(s, Window)]
    before = {c.module: (change.mode, c) for w in back for change in w.before for c in change.changes}
    after = {c.module: (change.mode, c) for w in back for change in w.after for c in change.changes}
    loads = {c.module: c for w in back for c in w.code if isinstance(c, Load)}
    changed = [c.module for c in reversed(window.changes())]
    kept_new = [c.module for c in window.code if isinstance(c, Load) and _left_new(c, loads.get(c.module))]
    concerned = dict.fromkeys((*changed, *(s.module for s in reversed(window.suspensions))))
    return (
        Window(
            suspensions=window.suspensions,
            before=tuple(CodeChange(mode, (c,)) for mode, c in (before[m] for m in concerned if m in before)),
            code=tuple(_carrying_back(c, loads.get(c.module)) for c in reversed(window.code)),
            after=tuple(CodeChange(mode, (c,)) for mode, c in (after[m] for m in concerned if m in after)),
        ),
        tuple(dict.fromkeys((*(m for m in changed if m not in before and m not in after), *kept_new))),
    )


def _carrying_back(code: Code, back: Load | None) -> Code:
    """Return what exchanges the code of a module, with what the way back carries over where the way there did."""
    if not isinstance(code, Load):
        return code
    return replace(code, keep=back.keep if back else (), instances=back.instances if back else ())


def _left_new(there: Load, back: Load | None) -> bool:
    """Say whether instances that the way there migrates would stay of the new class."""
    turned = {m.cls for m in back.instances} if back else frozenset()
    return any(m.cls not in turned for m in there.instances)


def _is_ahead(change: ModuleChange, load_ahead: Collection[str]) -> bool:
    """Say whether code that takes part in the change is loaded after it."""
    return change.module in load_ahead or (change.migrate is not None and change.migrate.module in load_ahead)


def _change(mode: Direction, changes: Sequence[ModuleChange]) -> tuple[CodeChange, ...]:
    return (CodeChange(mode, tuple(changes)),) if changes else ()
