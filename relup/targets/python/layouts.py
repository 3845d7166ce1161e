"""Where instances of a class keep their attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import calcsize
from types import MemberDescriptorType
from typing import Any

from relup.runtime.migrate import dict_of

_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8
"""Flags of classes (`Py_TPFLAGS_…`): those of a class statement have the first, and never the second."""
_POINTER = calcsize("P")


def python_made(kind: type) -> bool:
    """Say whether a class was made by a class statement: to what its base has that adds slots, and nothing in C."""
    if kind.__flags__ & (_HEAP_TYPE | _IMMUTABLE_TYPE) != _HEAP_TYPE or kind.__base__ is None:
        return False
    own = sum(type(value) is MemberDescriptorType for value in vars(kind).values())
    return kind.__basicsize__ - kind.__base__.__basicsize__ <= (own + len(("__dict__", "__weakref__"))) * _POINTER


@dataclass(frozen=True, slots=True)
class Layout:
    """Where instances of a class keep their attributes: in a `__dict__`, in slots, or in both."""

    kind: type
    slots: Mapping[str, Any]
    """By name what reads and writes them, whatever a class that extends theirs makes of that name."""
    reader: Any
    """What reads the `__dict__`, whatever the class makes of that name; None when there is none."""
    is_all: bool
    """Whether there is nothing else in an instance, such as what a number or a tuple is beside its attributes."""

    @classmethod
    def of(cls, kind: type) -> Layout:
        """Return that of a class."""
        is_all = all(base is object or python_made(base) for base in kind.__mro__)
        bases = [base for base in reversed(kind.__mro__) if python_made(base)]
        slots = {
            name if name not in vars(kind) or vars(kind)[name] is member else f"{base.__qualname__}.{name}": member
            for base in bases
            for name, member in vars(base).items()
            if type(member) is MemberDescriptorType
        }
        return cls(kind, slots, dict_of(kind), is_all)

    def attributes(self, instance: Any) -> dict[str, Any]:
        """Return the `__dict__` of an instance, not a copy."""
        found: dict[str, Any] = {} if self.reader is None else self.reader.__get__(instance)
        return found

    def filled(self, instance: Any) -> dict[str, Any]:
        """Return what the slots hold, without asking `__getattr__` for the empty ones."""
        found = {}
        for name, member in self.slots.items():
            try:
                found[name] = member.__get__(instance)
            except AttributeError:
                continue
        return found
