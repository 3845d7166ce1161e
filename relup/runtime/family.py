"""The state of a supervisor, as a value that code changes can be made on and taken back.

Ordinary work replaces single children in place, for a supervisor may have a hundred thousand of them. A code change
makes another family and leaves this one alone, so a rollback is putting this one back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from relup.runtime.children import ChildSpec, ChildType, Strategy, SupervisorSpec, completed
from relup.runtime.code import CodeServer
from relup.runtime.pid import Pid


@dataclass(frozen=True, slots=True)
class Child:
    """A child: its spec, and its process if it has one."""

    spec: ChildSpec
    pid: Pid | None = None
    restarting: bool = False
    """Whether a restart failed and is tried again."""


class ChildInfo(NamedTuple):
    """One line of `which_children`; a child without a process has None (OTP's `undefined`)."""

    id: Any
    child: Pid | Literal["restarting"] | None
    type: ChildType
    modules: tuple[str, ...]


@dataclass(slots=True)
class Family:
    """A supervisor's flags, and its children in the order in which they start."""

    args: Any
    strategy: Strategy
    intensity: int
    period: float
    children: dict[Any, Child] = field(default_factory=dict)
    ids: dict[Pid, Any] = field(default_factory=dict)
    restarts: tuple[float, ...] = ()
    """When the last restarts were (time of the loop)."""

    def put(self, child: Child) -> None:
        """Add *child*, or replace the one with its id."""
        before = self.children.get(child.spec.id)
        if before is not None and before.pid is not None:
            del self.ids[before.pid]
        self.children[child.spec.id] = child
        if child.pid is not None:
            self.ids[child.pid] = child.spec.id

    def drop(self, name: Any) -> None:
        """Remove the child with that id."""
        child = self.children.pop(name)
        if child.pid is not None:
            del self.ids[child.pid]

    def ended(self, child: Child) -> None:
        """Note that the process of *child* is gone: a temporary child goes with it."""
        if child.spec.restart == "temporary":
            self.drop(child.spec.id)
        else:
            self.put(replace(child, pid=None, restarting=False))

    def after(self, name: Any) -> list[Child]:
        """Return the children that start after that one."""
        children = list(self.children.values())
        return children[list(self.children).index(name) + 1 :]

    def info(self) -> list[ChildInfo]:
        """Return what `which_children` tells, in the order in which children start."""
        return [
            ChildInfo(c.spec.id, "restarting" if c.restarting else c.pid, c.spec.type or "worker", c.spec.modules or ())
            for c in self.children.values()
        ]

    def count(self) -> dict[str, int]:
        """Return what `count_children` tells."""
        children = self.children.values()
        supervisors = sum(c.spec.type == "supervisor" for c in children)
        return {
            "specs": len(children),
            "active": sum(c.pid is not None for c in children),
            "supervisors": supervisors,
            "workers": len(children) - supervisors,
        }


def founded(args: Any, spec: SupervisorSpec, code: CodeServer) -> Family:
    """Return the family of *spec*, before any child is started."""
    family = Family(args, spec.strategy, spec.intensity, spec.period)
    for child in _completed(spec.children, code):
        family.put(Child(child))
    return family


def changed(family: Family, spec: SupervisorSpec, code: CodeServer) -> Family:
    """Return the family after its supervisor's `init` was read again (OTP's rule).

    Children whose ids are known keep their processes and get the new specs; new ones are added and not started; those
    that the new `init` does not name are kept, after the others, and so are their processes.
    """
    new = founded(family.args, spec, code)
    new.restarts = family.restarts
    for name, child in family.children.items():
        known = new.children.get(name)
        new.put(child if known is None else replace(child, spec=known.spec))
    return new


def limited(family: Family, ids: Collection[Any]) -> Family:
    """Return the family without those children that have no process and none of *ids*.

    A code change that is taken back by another one leaves the specs behind that it added: OTP's rule keeps them.
    """
    kept = {n: c for n, c in family.children.items() if n in ids or c.pid is not None or c.restarting}
    return family if len(kept) == len(family.children) else replace(family, children=kept)


def _completed(children: Iterable[ChildSpec], code: CodeServer) -> list[ChildSpec]:
    return [completed(c, c.start if not isinstance(c.start, type) else code.reference(c.start)) for c in children]
