"""What a `code_change` needs to turn values of the old classes into values of the new ones.

An instance of an old class cannot become one of the new class: `__class__ =` needs equal layouts, and even where it is
allowed new fields stay absent. Calling the new class runs `__init__` and `__post_init__` again, with side effects and
checks that a state in service has long been through. So a new instance is made beside the old one, field by field, and
the old one stays as it was: it is what a rollback puts back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cached_property
from types import GetSetDescriptorType, MemberDescriptorType, SimpleNamespace
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

New = TypeVar("New")
_READERS = (GetSetDescriptorType, MemberDescriptorType)
"""What reads the `__dict__` of instances: of classes written in Python, and in C."""


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
    aliases: Mapping[str, str]
    """What fields are called where instances are made, when that is another name."""
    has_dict: bool
    computed: frozenset[str]
    """What the new class has as a property and not as a field."""
    is_tuple: bool
    is_error: bool
    is_attrs: bool


_plans: Final[WeakKeyDictionary[type, WeakKeyDictionary[type, _Plan]]] = WeakKeyDictionary()
"""A memo of a pure function and no state: entries go with their classes."""


def migrate(old: Any, cls: type[New], /, **changes: Any) -> New:
    """Return a *cls* with the attributes of *old*, then *changes*, then the defaults of fields that *old* has not.

    Works for dataclasses and attrs classes (frozen or not, with slots or not), NamedTuples, exceptions and plain
    classes; *old* may also be a dict. It is shallow: what the attributes refer to is shared. None of their code runs:
    no `__init__`, no `__post_init__`, no converter. Attributes that *cls* has no field for are left out when they were
    fields of the old class. A private field `_x` of an attrs class may be given as `x`, as when one is made.
    Raises TypeError with all names that are missing or unknown, and for what cannot be made from its attributes.
    """
    plan = _plan(type(old), cls)
    values = _values(old, plan)
    for name in plan.dropped:
        values.pop(name, None)
    if changes or plan.needed:
        given = {plan.aliases.get(n, n): v for n, v in changes.items()} if plan.aliases else changes
        values.update(given)
        _check(cls, plan, values, given)
    for name in plan.defaults:
        if name not in values:
            values[name] = _attrs_default(cls, name, values) if plan.is_attrs else _default(cls, name)
    if plan.is_tuple:
        made: New = cls._make(values[n] for n in cls._fields)  # type: ignore[attr-defined]  # a NamedTuple
        return made
    if plan.is_error:
        return _like_error(_made(cls, plan, values, BaseException), old)
    return _made(cls, plan, values)


def _check(cls: type, plan: _Plan, values: dict[str, Any], changes: dict[str, Any]) -> None:
    missing = [n for n in plan.needed if n not in values]
    unknown = [n for n in changes if plan.names is not None and n not in plan.names]
    computed = [n for n in changes if n in plan.computed] if plan.computed else ()
    if missing or unknown or computed:
        parts = (("missing", missing), ("unknown", unknown), ("computed by a property", computed))
        complaint = "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)
        raise TypeError(f"migrate to {cls.__qualname__}: {complaint}")


_COMPUTED = (property, cached_property)


def _like_error(new: New, old: Any) -> New:
    """Give an exception what C code keeps in it: its arguments, and where it came from."""
    if isinstance(old, BaseException):
        for name in ("args", "__cause__", "__context__", "__suppress_context__", "__traceback__"):
            setattr(new, name, getattr(old, name))
    return new


def _made(cls: type[New], plan: _Plan, values: dict[str, Any], base: type = object) -> New:
    """Return the instance; fields are set one by one, which keeps instances compact, the rest goes to the dict."""
    make: Any = base.__new__
    new: New = make(cls)
    put = object.__setattr__
    rest = len(values)
    for name in plan.fields:
        if name in values:
            put(new, name, values[name])
            rest -= 1
    if rest and plan.has_dict:
        known = frozenset(plan.fields)
        more = {n: v for n, v in values.items() if n not in known}
        new.__dict__.update({n: v for n, v in more.items() if not isinstance(getattr(cls, n, None), _COMPUTED)})
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


def _attrs(cls: type) -> tuple[Any, ...]:
    """Return the fields of an attrs class, which says so itself: attrs need not be installed."""
    return tuple(getattr(cls, "__attrs_attrs__", ()))


def _attrs_default(cls: type, name: str, values: Mapping[str, Any]) -> Any:
    field = next(a for a in _attrs(cls) if a.name == name)
    factory = getattr(field.default, "factory", None)
    if factory is None:
        return field.default
    return factory(SimpleNamespace(**values)) if field.default.takes_self else factory()


def _plan(old: type, cls: type) -> _Plan:
    if not isinstance(cls, type):
        raise TypeError(f"migrate(old, cls) makes an instance of a class, and {cls!r:.60} is none")
    memo = _plans.get(old)
    if memo is None:
        memo = _plans[old] = WeakKeyDictionary()
    plan = memo.get(cls)
    if plan is None:
        plan = memo[cls] = _make_plan(old, cls)
    return plan


def _make_plan(old: type, cls: type) -> _Plan:
    _check_kind(old, cls)
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
        aliases={a.name.lstrip("_"): a.name for a in _attrs(cls) if a.name.startswith("_")}
        | {a.alias: a.name for a in _attrs(cls) if getattr(a, "alias", a.name) != a.name},
        has_dict=has_dict,
        computed=frozenset(_computed(cls)) if names is None else frozenset(),
        is_tuple=hasattr(cls, "_fields"),
        is_attrs=bool(_attrs(cls)),
        is_error=issubclass(cls, BaseException),
    )


def _check_kind(old: type, cls: type) -> None:
    """Raise TypeError for a class whose instances are not made of attributes."""
    name = f"migrate to {cls.__qualname__}"
    if issubclass(old, type):
        raise TypeError(f"{name}: it is given an instance of the old class, not a class")
    if issubclass(cls, Enum):
        raise TypeError(f"{name}: members of an enum are made once, by the enum: take {cls.__qualname__}[old.name]")
    if base := next((b for b in _CONTENTS if issubclass(cls, b)), None):
        if not hasattr(cls, "_fields"):
            raise TypeError(f"{name}: a {base.__name__} is what it contains: make it with {cls.__qualname__}(old)")
    elif not issubclass(cls, BaseException):
        object.__new__(cls)  # raises TypeError for abstract classes, and for those built on other things in C


_CONTENTS = (dict, list, set, frozenset, tuple, deque, str, bytes, bytearray, int, float, complex)


def _computed(cls: type) -> Iterator[str]:
    return (n for base in cls.__mro__ for n, v in vars(base).items() if isinstance(v, _COMPUTED))


def _with_default(cls: Any) -> frozenset[str]:
    if _attrs(cls):
        return frozenset(a.name for a in _attrs(cls) if repr(a.default) != "NOTHING")
    if not is_dataclass(cls):
        return frozenset(getattr(cls, "_field_defaults", ()))
    return frozenset(f.name for f in fields(cls) if not (f.default is MISSING and f.default_factory is MISSING))


def _fields(cls: type) -> tuple[str, ...] | None:
    if issubclass(cls, tuple):
        return getattr(cls, "_fields", None)
    if _attrs(cls):
        return tuple(a.name for a in _attrs(cls))
    return tuple(f.name for f in fields(cls)) if is_dataclass(cls) else None


def slots_of(cls: type) -> Iterator[str]:
    """Yield the slots of a class and its bases, as their attributes are called."""
    for base in reversed(cls.__mro__):
        declared = base.__dict__.get("__slots__", ())
        for name in (declared,) if isinstance(declared, str) else declared:
            if name not in ("__dict__", "__weakref__"):
                private = name.startswith("__") and not name.endswith("__")
                yield f"_{base.__name__.lstrip('_')}{name}" if private else name


def dict_of(cls: type) -> Any:
    """Return what reads the `__dict__` of instances, whatever a class makes of that name; None when they have none."""
    found = (vars(base).get("__dict__") for base in cls.__mro__)
    return next((reader for reader in found if type(reader) in _READERS), None)


def _has_dict(cls: type) -> bool:
    return bool(cls.__dictoffset__)
