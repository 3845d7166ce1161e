"""What a rule looks at: one way between two releases, in the order in which it happens, and the code of both.

What stands between two calls happens together, whatever its order: the modules of a window come at once. So a rule
needs the number of the window in which a module changes, and which code runs when a call is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from relup.diagnostics import Location
from relup.model.code import NoCode
from relup.model.instructions import (
    AddModule,
    Apply,
    Call,
    DeleteModule,
    Instruction,
    Load,
    LoadModule,
    Remove,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Start,
    Stop,
    Suspend,
    SyncNodes,
    Update,
    Verify,
)
from relup.planner.applications import by_name, expand
from relup.planner.check import split
from relup.planner.legs import Leg
from relup.planner.lint.classes import Classes
from relup.planner.lower import staying
from relup.planner.order import grouped, module_instructions
from relup.planner.sameness import only_comments
from relup.syntax.difference import Difference, difference


@dataclass(frozen=True, slots=True)
class Made:
    """A call, and when it is made: after the modules of the windows before `window`, or with it inside of it."""

    apply: Apply | Verify
    window: int
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """One way between two releases whose code is known."""

    leg: Leg
    before: Classes
    after: Classes
    windows: Mapping[str, int]
    """In which window each module changes; the last one counts."""
    loads: Mapping[str, Instruction]
    """What loads each module; an update that leaves its code as it is loads none."""
    removes: Mapping[str, Instruction]
    calls: tuple[Made, ...]
    stops: tuple[tuple[Stop, int], ...]

    @property
    def newer(self) -> Classes:
        """The release whose appups say what to do: its code knows both versions of a state."""
        return self.after if self.leg.direction == "up" else self.before

    @property
    def older(self) -> Classes:
        """The other one."""
        return self.before if self.leg.direction == "up" else self.after

    def updates(self) -> Iterator[Update]:
        """Yield the updates, in the order of the script."""
        return (i for i in self.loads.values() if isinstance(i, Update))

    def runs_new(self, module: str, call: Made) -> bool:
        """Say whether the module's new code runs when a call is made."""
        window = self.windows.get(module)
        return window is not None and (window < call.window or (call.inside and window == call.window))

    def differs(self, module: str) -> bool:
        """Say whether a module that both releases have does something else in the one to come."""
        before, after = self.before.release.code, self.after.release.code
        both = before.text(module) is not None and after.text(module) is not None
        return both and not only_comments(before, after, module)

    def difference(self, module: str) -> Difference:
        """Return how the classes of a module differ in the newer release from those in the older one."""
        before, after = self.older.text(module), self.newer.text(module)
        return Difference() if before == after else difference(before, after)


def scene(leg: Leg) -> Scene | None:
    """Return what rules look at; None when nothing is known of a release's code, or when the node starts anew."""
    if leg.faults or any(isinstance(r.code, NoCode) for r in (leg.before, leg.after)):
        return None
    if any(isinstance(i, RestartEmulator | RestartNewEmulator) for i in leg.instructions()):
        return None
    return _Walk(leg).scene()


class _Walk:
    """The walk over a script that numbers its windows."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.window = 0
        self.held: set[str] = set()
        self.windows: dict[str, int] = {}
        self.loads: dict[str, Instruction] = {}
        self.removes: dict[str, Instruction] = {}
        self.calls: list[Made] = []
        self.stops: list[tuple[Stop, int]] = []

    def scene(self) -> Scene:
        halves = [split(script) for script in self.leg.scripts()]
        self.calls += [Made(i, 0) for early, _ in halves for i in early if isinstance(i, Apply)]
        late = [i for _, script in halves for i in script]
        after, before = self.leg.after.applications, self.leg.before.applications
        expanded = tuple(expand(late, by_name(after), by_name(before)))
        kept = staying(module_instructions(expanded), after, before)
        for step in grouped(expanded):
            for i in step if isinstance(step, tuple) else (step,):
                if not (isinstance(i, Update) and i.module in kept):
                    self.take(i)
        return Scene(
            self.leg,
            Classes(self.leg.before),
            Classes(self.leg.after),
            self.windows,
            self.loads,
            self.removes,
            tuple(self.calls),
            tuple(self.stops),
        )

    def take(self, i: Instruction) -> None:
        match i:
            case Update(module) | LoadModule(module) | AddModule(module) | Load(module):
                self.windows[module] = self.window
                self.loads[module] = i
            case DeleteModule(module) | Remove(module):
                self.windows[module] = self.window
                self.removes[module] = i
            case Suspend(suspensions):
                self.held.update(s.module for s in suspensions)
            case Resume(modules):
                self.held.difference_update(modules)
            case Apply(window=window) if window == "inside" or self.held:
                self.calls.append(Made(i, self.window, inside=True))
            case Verify():
                self.calls.append(Made(i, self.window, inside=True))
            case Apply():
                self.window += 1
                self.calls.append(Made(i, self.window))
            case Stop():
                self.window += 1
                self.stops.append((i, self.window))
            case Start() | SyncNodes():
                self.window += 1
            case _:
                pass


def called(script: tuple[Made, ...], function: str) -> Iterator[tuple[Made, Call]]:
    """Yield the calls of a function of the supervisor module, with when they are made."""
    for made in script:
        if made.apply.call.module == "supervisor" and made.apply.call.function == function:
            yield made, made.apply.call


def where(classes: Classes, module: str, line: int) -> Location | None:
    """Return a line of a module's file."""
    found = classes.release.code.module(module)
    return Location(found.path, line, 1) if found else None
