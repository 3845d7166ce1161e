"""The children of a supervisor, as far as its text writes them out: what a draft asks about, and a check looks for.

A supervisor has the children that its `init` makes, and those of its base when it inherits `init` or calls the base's.
Which child is which is known by its id alone: where one is computed, nothing can be said of any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from relup.planner.roles import Role
from relup.syntax.outline import Class


@dataclass(frozen=True, slots=True)
class Child:
    """A child spec: the module that it is written in, its line, and the name of its class there."""

    id: str
    module: str
    line: int
    start: tuple[str, ...]
    """Empty where it is computed."""
    name: str | None
    """What its process is registered under; None where there is none, or it is computed."""


def children(role: Role) -> Mapping[str, Child] | None:
    """Return the children of a supervisor by their ids, the nearest class's first; None when an id is computed."""
    found: dict[str, Child] = {}
    for module, cls in _making(role):
        for spec in cls.children:
            if spec.id is None:
                return None
            found.setdefault(spec.id, Child(spec.id, module, spec.line, spec.start, spec.name))
    return found


def _making(role: Role) -> Iterator[tuple[str, Class]]:
    """Yield the classes whose `init` is called when the supervisor's is; a base's that is replaced is not."""
    for module, cls in role.classes:
        yield module, cls
        init = cls.methods.get("init")
        if init and not any(names == ("super",) or names[1:][-1:] == ("init",) for names in init.names):
            return
