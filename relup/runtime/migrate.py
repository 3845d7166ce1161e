"""What a `code_change` needs to turn values of the old classes into values of the new ones.

An instance of an old class cannot become one of the new class: `__class__ =` needs equal layouts, and even where it is
allowed new fields stay absent. Calling the new class runs `__init__` and `__post_init__` again, with side effects and
checks that a state in service has long been through. So a new instance is made beside the old one, field by field, and
the old one stays as it was: it is what a rollback puts back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

New = TypeVar("New")


@dataclass(frozen=True, slots=True)
class Down:
    """What `code_change` gets as `old_vsn` on the way down: the newer version, whose state it turns back."""

    vsn: str | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """How instances of one class become instances of another; names only, so that it keeps neither class alive."""

    sources: tuple[str, ...]
    """Slots of the old class."""
    dropped: tuple[str, ...]
    """Fields of the old class that the new one does not have."""
    needed: tuple[str, ...]
    """Fields of the new class that the old one does not have, without a default."""
    defaults: tuple[str, ...]
    """Those with one."""
    names: frozenset[str] | None
    """All fields of the new class; None when it takes any attribute."""
    fields: tuple[str, ...]
    """Fields and slots of the new class."""
    has_dict: bool
    is_tuple: bool


_plans: Final[WeakKeyDictionary[type, WeakKeyDictionary[type, _Plan]]] = WeakKeyDictionary()
"""A memo of a pure function and no state: entries go with their classes."""


def migrate(old: Any, cls: type[New], /, **changes: Any) -> New:
    """Return a *cls* with the attributes of *old*, then *changes*, then the defaults of fields that *old* has not.

    Works for dataclasses (frozen or not, with slots or not), NamedTuples and plain classes; *old* may also be a dict.
    It is shallow: what the attributes refer to is shared. Attributes that *cls* has no field for are left out when they
    were fields of the old class. Raises TypeError with all names that are missing or unknown.
    """
    plan = _plan(type(old), cls)
    values = _values(old, plan)
    for name in plan.dropped:
        values.pop(name, None)
    if changes or plan.needed:
        values.update(changes)
        _check(cls, plan, values, changes)
    for name in plan.defaults:
        if name not in values:
            values[name] = _default(cls, name)
    if plan.is_tuple:
        made: New = cls._make(values[n] for n in cls._fields)  # type: ignore[attr-defined]  # a NamedTuple
        return made
    return _made(cls, plan, values)


def _check(cls: type, plan: _Plan, values: dict[str, Any], changes: dict[str, Any]) -> None:
    missing = [n for n in plan.needed if n not in values]
    unknown = [n for n in changes if plan.names is not None and n not in plan.names]
    if missing or unknown:
        parts = (("missing", missing), ("unknown", unknown))
        complaint = "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)
        raise TypeError(f"migrate to {cls.__qualname__}: {complaint}")


def _made(cls: type[New], plan: _Plan, values: dict[str, Any]) -> New:
    """Return the instance; fields are set one by one, which keeps instances compact, the rest goes to the dict."""
    new = object.__new__(cls)
    put = object.__setattr__
    rest = len(values)
    for name in plan.fields:
        if name in values:
            put(new, name, values[name])
            rest -= 1
    if rest and plan.has_dict:
        known = frozenset(plan.fields)
        more = {n: v for n, v in values.items() if n not in known}
        new.__dict__.update({n: v for n, v in more.items() if not isinstance(getattr(cls, n, None), cached_property)})
    return new


def _values(old: Any, plan: _Plan) -> dict[str, Any]:
    if isinstance(old, dict):
        return {n: v for n, v in old.items() if plan.names is None or n in plan.names}
    if isinstance(old, tuple):
        return dict(zip(plan.sources, old, strict=False))
    values: dict[str, Any] = dict(getattr(old, "__dict__", ()))
    for name in plan.sources:
        try:
            values[name] = object.__getattribute__(old, name)
        except AttributeError:
            continue  # a slot that was never set
    return values


def _default(cls: Any, name: str) -> Any:
    """Return a new default of a field that has one, read from the class so that the memo need not keep it."""
    fields_of = getattr(cls, "__dataclass_fields__", None)
    if fields_of is None:
        return cls._field_defaults[name]
    field = fields_of[name]
    return field.default if field.default is not MISSING else field.default_factory()


def _plan(old: type, cls: type) -> _Plan:
    memo = _plans.get(old)
    if memo is None:
        memo = _plans[old] = WeakKeyDictionary()
    plan = memo.get(cls)
    if plan is None:
        plan = memo[cls] = _make_plan(old, cls)
    return plan


def _make_plan(old: type, cls: type) -> _Plan:
    if not hasattr(cls, "_fields"):
        object.__new__(cls)  # raises TypeError for abstract classes, and for those built on list, dict, Exception …
    slots, has_dict = tuple(slots_of(cls)), _has_dict(cls)
    names = _fields(cls)
    if names is None and not has_dict:
        names = slots
    before = _fields(old) or tuple(slots_of(old))
    added = () if names is None else tuple(n for n in names if n not in before)
    defaults = _with_default(cls)
    return _Plan(
        sources=getattr(old, "_fields", None) or tuple(slots_of(old)),
        dropped=() if names is None else tuple(n for n in before if n not in names),
        needed=tuple(n for n in added if n not in defaults),
        defaults=tuple(n for n in added if n in defaults),
        names=None if names is None else frozenset(names),
        fields=tuple(dict.fromkeys((*(names or ()), *slots))),
        has_dict=has_dict,
        is_tuple=hasattr(cls, "_fields"),
    )


def _with_default(cls: Any) -> frozenset[str]:
    if not is_dataclass(cls):
        return frozenset(getattr(cls, "_field_defaults", ()))
    return frozenset(f.name for f in fields(cls) if not (f.default is MISSING and f.default_factory is MISSING))


def _fields(cls: type) -> tuple[str, ...] | None:
    if issubclass(cls, tuple):
        return getattr(cls, "_fields", None)
    return tuple(f.name for f in fields(cls)) if is_dataclass(cls) else None


def slots_of(cls: type) -> Iterator[str]:
    """Yield the slots of a class and its bases, as their attributes are called."""
    for base in reversed(cls.__mro__):
        declared = base.__dict__.get("__slots__", ())
        for name in (declared,) if isinstance(declared, str) else declared:
            if name not in ("__dict__", "__weakref__"):
                private = name.startswith("__") and not name.endswith("__")
                yield f"_{base.__name__.lstrip('_')}{name}" if private else name


def _has_dict(cls: type) -> bool:
    return bool(cls.__dictoffset__)
