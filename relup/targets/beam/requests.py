"""What the agent is asked: one function for each of the requests that are made of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import TypeAlias

from relup.executor import Side
from relup.model.instructions import Apply, Call, CodeChange, Start, Stop, Suspension, Verify
from relup.model.release import Release
from relup.model.windows import Cut
from relup.targets.beam.configuration import Change, turned
from relup.targets.beam.files import Beam, consolidated_folder, ebin_of
from relup.targets.beam.terms import Atom, Term, characters
from relup.targets.beam.wire import to_node

Request: TypeAlias = tuple[Term, ...]
Limits: TypeAlias = Mapping[str, int]
"""Milliseconds by module."""
DEFAULT_LIMIT = 5_000
"""Milliseconds for a process to suspend, to change its state, or for a call (OTP's)."""
EVER = 2**31
"""Milliseconds for what may take as long as it likes; Erlang waits for no longer than 2**32 (`timeout_value`)."""


def sent(beam: Beam) -> Term:
    """Return code as the agent takes it."""
    return Atom(beam.module), characters(beam.path), beam.binary


def selecting(suspensions: Iterable[Suspension]) -> Request:
    """Find the processes of a window."""
    return Atom("select"), [Atom(s.module) for s in suspensions]


def limits_of(suspensions: Iterable[Suspension], said: float | None = None) -> dict[str, int]:
    """Return how long processes may take to suspend, and to change their states; in any case what is *said*, in s."""
    return {s.module: _milliseconds(s.timeout) if said is None else ceil(said * 1_000) for s in suspensions}


def suspending(limits: Limits) -> Request:
    """Let them stand still."""
    return Atom("suspend"), {Atom(m): ms for m, ms in limits.items()}


def loading(number: int, side: Side) -> Request:
    """Make one side of a window's code current."""
    return Atom("load"), number, _side(side)


def changing(change: CodeChange, number: int, towards: Side, limits: Limits) -> Request:
    """Let the processes change their states, to those of one side of a window."""
    changes = [
        (
            Atom(c.module),
            to_node(c.extra) if c.extra is not None else [],
            limits.get(c.module, DEFAULT_LIMIT),
            (Atom(c.migrate.module), Atom(c.migrate.function)) if c.migrate else Atom("itself"),
        )
        for c in change.changes
    ]
    return Atom("change_code"), number, _side(towards), Atom(change.mode), changes


def calling(cut: Cut, limit: int) -> Request | None:
    """Carry out a call, or the end or the new start of processes; None for what an agent does not do."""
    match cut:
        case Apply(Call(module, function, args)):
            return Atom("call"), (Atom(module), Atom(function), [to_node(a) for a in args]), limit
        case Stop(modules):
            return Atom("stop"), [Atom(m) for m in modules]
        case Start(modules):
            return Atom("start"), [Atom(m) for m in modules]
        case _:
            return None


def asking(probe: Verify) -> Term:
    """Ask one function whether all is well, and how long it may take to say so."""
    call = probe.call
    return (Atom(call.module), Atom(call.function), [to_node(a) for a in call.args]), limit_of(probe)


def limit_of(probe: Verify) -> int:
    """Return how many milliseconds a probe may take to answer."""
    return probe.timeout if isinstance(probe.timeout, int) else DEFAULT_LIMIT


def becoming(base: Release, goal: Release, changes: Sequence[Change]) -> Request:
    """Let the applications be those of *goal*: their names, folders and `.app` files, and the values that differ."""
    places = [*_added(base, goal), *_gone(base, goal)]
    return Atom("become"), [*_changing(base, goal)], [*_protocols(base, goal)], places, [*changes]


def configuring(base: Release, goal: Release, changes: Sequence[Change]) -> tuple[Request, Request] | None:
    """Have what applications of *goal* need before they begin, and no longer; None where that is nothing.

    Values that the goal has no more are taken away last, when nobody runs code that may ask for them.
    """
    there = [change for change in changes if change[-1]]
    added = [*_added(base, goal)]
    if not (there or added):
        return None
    return (Atom("configure"), added, there), (Atom("configure"), [*_gone(goal, base)], turned(there))


def _added(base: Release, goal: Release) -> Iterator[Term]:
    """Yield the applications that only *goal* has, and where they are."""
    for application in goal.applications:
        if base.application(application.name) is None and (ebin := ebin_of(application, goal)):
            yield Atom("there"), Atom(application.name), characters(ebin)


def _gone(base: Release, goal: Release) -> Iterator[Term]:
    """Yield the applications that only *base* has, last first."""
    for application in reversed(base.applications):
        if goal.application(application.name) is None:
            yield Atom("gone"), Atom(application.name), []


def _changing(base: Release, goal: Release) -> Iterator[Term]:
    for application in goal.applications:
        before, ebin = base.application(application.name), ebin_of(application, goal)
        if before and before.vsn != application.vsn and ebin:
            file = ebin / f"{application.name}.app"
            yield Atom(application.name), characters(ebin), file.read_bytes()


def _protocols(base: Release, goal: Release) -> Iterator[Term]:
    """Yield the folder of protocols with all that implements them: a mix release has it first in its path."""
    if (folder := consolidated_folder(goal)) and base.vsn != goal.vsn:
        yield characters(f"releases/{base.vsn}/{folder.name}"), characters(folder)


def _side(side: Side) -> Atom:
    return Atom("new" if side == "goal" else "old")


def _milliseconds(timeout: int | str) -> int:
    match timeout:
        case int():
            return timeout
        case "infinity":
            return EVER
        case _:
            return DEFAULT_LIMIT
