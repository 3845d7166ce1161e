"""What goes wrong with the processes of a window, as Diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relup.diagnostics import Diagnostic, Location, in_words
from relup.model.instructions import ModuleChange
from relup.runtime import Process, suspension
from relup.targets.python.blame import place_of
from relup.targets.python.stacks import in_a_line
from relup.targets.python.watchdog import Overrun


def stuck(
    found: suspension.Stuck, deadlines: Mapping[Process, float | None], places: Mapping[str, Location | None]
) -> Diagnostic:
    """Say who did not suspend in time."""
    process = found.process
    place = next((places[m] for m in process.modules if m in places), None)
    message = f"{process.label} did not suspend within {deadlines[process]:.3g} s: it is in {found.function}"
    return Diagnostic("suspend_timeout", message, place)


def changed_not(process: Process, part: ModuleChange, error: BaseException) -> Diagnostic:
    """Say why a `code_change` failed, and where it stood when it did not come back."""
    what = f"code_change of {part.module!r}"
    if isinstance(error, TimeoutError | Overrun):
        return Diagnostic("code_change_timeout", f"{what} {overdue(error)}, in {process.label}", part.location)
    message = f"{what} failed in {process.label}: {in_words(error)}{place_of(error)}"
    return Diagnostic("code_change_failed", message, part.location)


def overdue(error: BaseException) -> str:
    """Return what is to be said of code that did not come back, and where it stood."""
    if isinstance(error, Overrun):
        return f"{error} and was interrupted: it was at {in_a_line(error.stack)}"
    return str(error) or in_words(error)


def no_state(process: Process, part: ModuleChange, value: object) -> Diagnostic:
    """Say that what a `code_change` returned is no state."""
    what = "None" if value is None else f"a {type(value).__name__}"
    message = f"code_change of {part.module!r} returned {what} for {process.label}; it returns the new state"
    return Diagnostic(
        "bad_return_value", message, part.location, hint="does it miss a return?" if value is None else None
    )


def deaths(selected: Sequence[Process]) -> list[Diagnostic]:
    """Say who died in the window."""
    message = "{} died in the window: its state is lost; what replaces it starts at the version that runs after it"
    return [Diagnostic("died_in_window", message.format(p.label), severity="warning") for p in selected if not p.alive]
