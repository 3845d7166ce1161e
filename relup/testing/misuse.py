"""What a test says by mistake, told in a sentence before anything is done with it.

Annotations are read by type checkers, and tests are rarely checked by one. What is of another type would be found
somewhere inside of relup, where a traceback says nothing of the argument; so it is looked at where it is given.
"""

from __future__ import annotations

from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput
from relup.executor import Limits
from relup.targets.python.components import short


def needed(fits: bool, what: str, given: object) -> None:
    """Raise `InvalidInput` with *what* is needed instead of what was *given*, unless that *fits*."""
    __tracebackhide__ = True
    if not fits:
        raise InvalidInput([Diagnostic("bad_argument", f"{what}, not {short(given)}")])


def name_and_home_needed(name: object, home: object) -> None:
    """Raise `InvalidInput` unless a node can be called so, and live there."""
    __tracebackhide__ = True
    needed(isinstance(name, str | None), "the name of a node is a text", name)
    needed(isinstance(home, str | Path | None), "home is a path", home)


def timeout_needed(timeout: object) -> None:
    """Raise `InvalidInput` for a time-out that is none."""
    __tracebackhide__ = True
    needed(isinstance(timeout, int | float | None), "a timeout is a number of seconds, or None for no limit", timeout)


def limits_needed(limits: object) -> None:
    """Raise `InvalidInput` for limits that are none."""
    __tracebackhide__ = True
    needed(isinstance(limits, Limits), "limits are those of relup.executor, as Limits(window=0.5)", limits)


def version_needed(vsn: object) -> None:
    """Raise `InvalidInput` for a version that is none: 1 and 1.10 are numbers."""
    __tracebackhide__ = True
    needed(isinstance(vsn, str | None), "a version is a text, as '1'", vsn)


def function_needed(what: str, function: object) -> None:
    """Raise `InvalidInput` for what is given as the argument *what*, and cannot be called."""
    __tracebackhide__ = True
    needed(function is None or callable(function), f"{what} is a function", function)
