"""The functions of `migrate`: a slip of the pen would be found when everybody stands still, so it is looked for here.

A function is asked of the newer release in both directions, for it alone knows both states; only where a module is said
to be `static` the code that comes is asked, on the way down too.
"""

from __future__ import annotations

from collections.abc import Iterator

from relup.diagnostics import Diagnostic
from relup.model.code import BeamModule
from relup.model.instructions import CodeChange, Instruction, StateFunction, Update
from relup.model.release import Release
from relup.planner.legs import Leg
from relup.planner.lint.table import finding
from relup.planner.lower import is_static
from relup.planner.names import did_you_mean, no_such_module

_ARITY = 3


def check_migrations(leg: Leg) -> Iterator[Diagnostic]:
    """Find functions that no module of the release has which is to have them; only BEAM nodes have `migrate`."""
    if leg.after.kind != "beam":
        return
    newer = leg.after if leg.direction == "up" else leg.before
    for i in leg.instructions():
        match i:
            case Update(migrate=StateFunction() as function):
                yield from _check(i, function, leg.after if is_static(i) else newer)
            case CodeChange(changes=changes):
                yield from (d for c in changes if c.migrate for d in _check(i, c.migrate, newer))
            case _:
                pass


def _check(i: Instruction, function: StateFunction, release: Release) -> Iterator[Diagnostic]:
    known = {m for a in release.applications for m in a.modules}
    if function.module not in known:
        yield no_such_module(i, function.module, known)
        return
    module = release.code.module(function.module)
    if isinstance(module, BeamModule) and (function.function, _ARITY) not in module.exports:
        name = f"{function.module}:{function.function}/{_ARITY}"
        message = f"migrate: {name} is not exported by {module.path} of {release}"
        yield finding("no_such_function", message, i.location, _hint(module, function.function))


def _hint(module: BeamModule, function: str) -> str:
    others = sorted(arity for name, arity in module.exports if name == function)
    if others:
        return f"{function}/{others[0]} is: let it take three arguments, OldVsn, State and Extra"
    return did_you_mean(function, {f for f, arity in module.exports if arity == _ARITY}) or (
        "export it: it takes OldVsn, State and Extra, and returns {ok, NewState}"
    )
