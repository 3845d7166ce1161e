"""What must hold of a script by itself, under the names that OTP gives to what does not.

OTP stops at the first fault; these checks yield all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relup.diagnostics import Diagnostic
from relup.model.instructions import (
    Apply,
    Instruction,
    Load,
    LoadObjectCode,
    PointOfNoReturn,
)
from relup.planner.names import keyword

Script = Sequence[Instruction]


def split(script: Script) -> tuple[list[Instruction], list[Instruction]]:
    """Return what stands before the (first) point of no return and what comes after it.

    Without one everything comes after. `load_object_code` counts as before wherever it was written.
    """
    marks = [n for n, i in enumerate(script) if isinstance(i, PointOfNoReturn)]
    cut = marks[0] if marks else 0
    rest = [i for i in script[cut:] if not isinstance(i, PointOfNoReturn)]
    fetched = [i for i in rest if isinstance(i, LoadObjectCode)]
    return [*script[:cut], *fetched], [i for i in rest if not isinstance(i, LoadObjectCode)]


def check_point_of_no_return(script: Script) -> Iterator[Diagnostic]:
    """Find a second point of no return, and what may not stand before the first."""
    marks = [n for n, i in enumerate(script) if isinstance(i, PointOfNoReturn)]
    for n in marks[1:]:
        message = "there is a second point_of_no_return"
        yield Diagnostic("too_many_point_of_no_return", message, script[n].location)
    for i in script[: marks[0]] if marks else ():
        if not isinstance(i, LoadObjectCode | Apply):
            message = f"{keyword(i)} stands before point_of_no_return, where only load_object_code and apply may"
            yield Diagnostic("bad_op_before_point_of_no_return", message, i.location)


def check_object_code(before: Script, after: Script) -> Iterator[Diagnostic]:
    """Find a `load` whose code nothing fetched."""
    fetched = {m for i in before if isinstance(i, LoadObjectCode) for m in i.modules}
    for i in after:
        if isinstance(i, Load) and i.module not in fetched:
            message = f"module {i.module!r} is loaded, but no load_object_code fetches it"
            yield Diagnostic("no_object_code", message, i.location)
