"""Turn live instances of one class into instances of another, in place.

Whoever holds an instance goes on holding it: a state, a cache, a closure, a dictionary that has it as a key. So the
author's function makes a new instance beside the old one, and the old one takes its class and its attributes.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from inspect import iscoroutine
from typing import Any

from relup.diagnostics import Diagnostic, in_words
from relup.executor import EffectFailed
from relup.targets.python.passage import Turning
from relup.targets.python.snapshot import become


def turn(instances: Sequence[Any], turning: Turning) -> None:
    """Migrate *instances*, whose contents the journal has; this loop is part of the window.

    Raises `EffectFailed` for the first one that cannot be, with the rest untouched.
    """
    function, new = turning.function, turning.new
    for instance in instances:
        try:
            made = function(instance)
            if type(made) is not new:
                raise EffectFailed(_wrong(turning, made))
            if made is not instance:
                become(instance, made)
        except EffectFailed:
            raise
        except BaseException as error:
            raise EffectFailed(_failed(turning, instance, error)) from error


def migrated(turning: Turning, count: int, what: str) -> Diagnostic:
    """Say how many instances were, or will be, migrated."""
    message = f"instances: {count} of {turning.label} {what} by {turning.name}"
    return Diagnostic("instances", message, turning.location, "note")


def _failed(turning: Turning, instance: Any, error: BaseException) -> Diagnostic:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if len(frames) > 1 else ""
    which = "" if type(instance) is turning.old else ", which is of another class by then"
    message = f"{turning.name} failed for an instance of {turning.label}{which}: {in_words(error)}{place}"
    return Diagnostic("instances_failed", message, turning.location)


def _wrong(turning: Turning, made: Any) -> Diagnostic:
    if iscoroutine(made):
        made.close()
    found = f"a {type(made).__qualname__}"
    if type(made) is turning.old:
        found = f"a {turning.label} of the version that is left"
    elif made is None:
        found = "None"
    message = f"{turning.name} returned {found} for an instance of {turning.label}; it returns one of the other version"
    hint = "does it miss a return?" if made is None else "migrate(old, counterpart(type(old))) makes one"
    return Diagnostic("bad_return_value", message, turning.location, hint=hint)
