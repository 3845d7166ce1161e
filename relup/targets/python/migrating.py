"""Turn live instances of one class into instances of another, in place.

Whoever holds an instance goes on holding it: a state, a cache, a closure, a dictionary that has it as a key. So the
author's function makes a new instance beside the old one, and the old one takes its class and its attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from inspect import iscoroutine
from typing import Any

from relup.diagnostics import Diagnostic, in_words
from relup.executor import EffectFailed
from relup.runtime.code.instances import base_of, hashed
from relup.targets.python.blame import place_of
from relup.targets.python.failing import overdue
from relup.targets.python.passage import Turning
from relup.targets.python.snapshot import Snapshot, becoming
from relup.targets.python.watchdog import Overrun, Step


def turn(instances: Sequence[Any], turning: Turning, step: Step) -> list[Any]:
    """Migrate *instances*, whose contents the journal has, and return those whose hash is another one now.

    This loop is part of the window. Raises `EffectFailed` for the first one that cannot be, with the rest untouched.
    """
    function, new, become = turning.function, turning.new, becoming(turning.new)
    hashes = [_hash(i) for i in instances] if hashed(turning.old) or hashed(new) else ()
    for number, instance in enumerate(instances, start=1):
        step.at = number
        try:
            made = function(instance)
            if type(made) is not new:
                raise EffectFailed(_wrong(turning, made))
            if made is not instance:
                become(instance, made)
        except EffectFailed:
            raise
        except BaseException as error:
            step.at = None
            why = step.overran() if step.overrun else error
            raise EffectFailed(_failed(turning, instance, why)) from error
    step.at = None
    return [i for i, before in zip(instances, hashes, strict=False) if before != _hash(i)]


def _hash(instance: Any) -> int | None:
    try:
        return hash(instance)
    except Exception:
        return None


def keys_of(holders: Sequence[Any]) -> Snapshot:
    """Return the entries of dictionaries and sets, for one whose keys have other hashes cannot say them any more."""
    return tuple([(h, _entries(h), _put_in_again) for h in holders])


def _entries(holder: Any) -> list[Any]:
    """Return what is really in it: a class may show less of itself than it holds, as dictionaries of lists do."""
    base: Any = base_of(type(holder))
    return list(base.items(holder) if issubclass(base, dict) else base.__iter__(holder))


def having(keys: Snapshot, rehashed: Collection[int]) -> Snapshot:
    """Return those among which some of *rehashed* are, by their identities."""
    if not rehashed:
        return ()
    return tuple([k for k in keys if any(id(e[0] if issubclass(type(k[0]), dict) else e) in rehashed for e in k[1])])


def rekey(keys: Snapshot, turnings: Sequence[Turning]) -> None:
    """Put every entry in again, in its order. Raises `EffectFailed` for a frozenset, and where two are equal by now."""
    for holder, held, put_back in keys:
        which = ", ".join(t.label for t in turnings)
        base: Any = base_of(type(holder))
        if base is frozenset:
            message = f"instances: one of {which} is in a frozenset and its hash changes: it would not be found there"
            hint = "let the new class compute __hash__ from what the old one did"
            raise EffectFailed(Diagnostic("hash_changed", message, turnings[0].location, hint=hint))
        put_back(holder, held)
        if base.__len__(holder) != len(held):
            message = f"instances: two of {which} are equal by now, and each was a key of one {type(holder).__name__}"
            raise EffectFailed(Diagnostic("hash_changed", message, turnings[0].location))


def _put_in_again(holder: Any, held: list[Any]) -> None:
    base: Any = base_of(type(holder))
    if issubclass(base, dict):
        base.clear(holder)
        for key, value in held:
            base.__setitem__(holder, key, value)
    elif base is set:
        set.clear(holder)
        set.update(holder, held)


def migrated(turning: Turning, count: int, what: str) -> Diagnostic:
    """Say how many instances were, or will be, migrated."""
    message = f"instances: {count} of {turning.label} {what} by {turning.name}"
    return Diagnostic("instances", message, turning.location, "note")


def _failed(turning: Turning, instance: Any, error: BaseException) -> Diagnostic:
    which = "" if type(instance) is turning.old else ", which is of another class by then"
    why = overdue(error) if isinstance(error, Overrun) else f"{in_words(error)}{place_of(error)}"
    message = f"{turning.name} failed for an instance of {turning.label}{which}: {why}"
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
