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
    added: tuple[str, ...]
    """Fields of the new class that the old one does not have."""
    names: frozenset[str] | None
    """All fields of the new class; None when it takes any attribute."""
    slots: tuple[str, ...]
    """Fields of the new class that are slots."""
    has_dict: bool


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
    values.update(changes)
    absent = [n for n in plan.added if n not in values]
    if absent or changes:
        _complete(cls, values, absent, [n for n in changes if plan.names is not None and n not in plan.names])
    if issubclass(cls, tuple):
        made: New = cls._make(values[n] for n in cls._fields)  # type: ignore[attr-defined]  # _plan saw a NamedTuple
        return made
    new = object.__new__(cls)
    for name in plan.slots:
        if name in values:
            object.__setattr__(new, name, values.pop(name))
    if plan.has_dict:
        if plan.names is not None and len(values) + len(plan.slots) > len(plan.names):
            _drop_caches(cls, values, plan.names)
        new.__dict__.update(values)
    return new


def _values(old: Any, plan: _Plan) -> dict[str, Any]:
    if isinstance(old, dict):
        return dict(old)
    if isinstance(old, tuple):
        return dict(zip(plan.sources, old, strict=False))
    values: dict[str, Any] = dict(getattr(old, "__dict__", ()))
    for name in plan.sources:
        try:
            values[name] = object.__getattribute__(old, name)
        except AttributeError:
            continue  # a slot that was never set
    return values


def _complete(cls: type, values: dict[str, Any], absent: list[str], unknown: list[str]) -> None:
    """Fill the defaults of *absent* fields, or raise with every name that is wrong."""
    missing = []
    for name in absent:
        default = _default(cls, name)
        if default is MISSING:
            missing.append(name)
        else:
            values[name] = default
    if missing or unknown:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(unknown)}"] if unknown else []
        raise TypeError(f"migrate to {cls.__qualname__}: {'; '.join(parts)}")


def _default(cls: Any, name: str) -> Any:
    if issubclass(cls, tuple):
        return cls._field_defaults.get(name, MISSING)
    if not is_dataclass(cls):
        return MISSING
    field = cls.__dataclass_fields__[name]
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _drop_caches(cls: type, values: dict[str, Any], names: frozenset[str]) -> None:
    """Leave out what a cached_property of the old class computed: the new code may compute something else."""
    for name in [n for n in values if n not in names and isinstance(getattr(cls, n, None), cached_property)]:
        del values[name]


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
    slots, has_dict = tuple(_slots(cls)), _has_dict(cls)
    names = _fields(cls)
    if names is None and not has_dict:
        names = slots
    before = _fields(old) or tuple(_slots(old))
    return _Plan(
        sources=getattr(old, "_fields", None) or tuple(_slots(old)),
        dropped=() if names is None else tuple(n for n in before if n not in names),
        added=() if names is None else tuple(n for n in names if n not in before),
        names=None if names is None else frozenset(names),
        slots=slots,
        has_dict=has_dict,
    )


def _fields(cls: type) -> tuple[str, ...] | None:
    if issubclass(cls, tuple):
        return getattr(cls, "_fields", None)
    return tuple(f.name for f in fields(cls)) if is_dataclass(cls) else None


def _slots(cls: type) -> Iterator[str]:
    """Yield the slots of a class and its bases, as their attributes are called."""
    for base in reversed(cls.__mro__):
        declared = base.__dict__.get("__slots__", ())
        for name in (declared,) if isinstance(declared, str) else declared:
            if name not in ("__dict__", "__weakref__"):
                private = name.startswith("__") and not name.endswith("__")
                yield f"_{base.__name__.lstrip('_')}{name}" if private else name


def _has_dict(cls: type) -> bool:
    return bool(cls.__dictoffset__)
