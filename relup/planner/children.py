"""The children of a supervisor, as far as its text writes them out: what drafts start and end, and checks look for.

A supervisor has the children that its `init` makes, and those of its base when it inherits `init` or calls the base's.
Which child is which is known by its id alone: where one is computed, nothing can be said of any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from relup.model.code import Code
from relup.model.release import Release
from relup.planner.resolution import meanings, python_module
from relup.planner.roles import Role
from relup.syntax.callbacks import Started, started
from relup.syntax.outline import Class


@dataclass(frozen=True, slots=True)
class Turnover:
    """The ids of the children that a supervisor gains, loses, and keeps with another class."""

    gained: tuple[str, ...]
    lost: tuple[str, ...]
    renewed: Mapping[str, tuple[str, str]]
    """The class before, and the one to come."""


def turnover(before: Code, after: Code, old: Role, new: Role) -> Turnover | None:
    """Return how the children of a supervisor differ between two releases; None when an id is computed."""
    was, now = _children(before, old), _children(after, new)
    if was is None or now is None:
        return None
    both = ((i, was[i], now[i]) for i in now if i in was)
    return Turnover(
        tuple(i for i in now if i not in was),
        tuple(i for i in was if i not in now),
        {i: (then, to_come) for i, then, to_come in both if then and to_come and then != to_come},
    )


def _children(code: Code, role: Role) -> Mapping[str, str | None] | None:
    """Return the classes of a supervisor's children by their ids, the nearest class's first."""
    found: dict[str, str | None] = {}
    for module, cls in _making(role):
        for spec in cls.children:
            if spec.id is None:
                return None
            found.setdefault(spec.id, ".".join(place) if (place := started_class(code, module, spec.start)) else None)
    return found


def _making(role: Role) -> Iterator[tuple[str, Class]]:
    """Yield the classes whose `init` is called when the supervisor's is; a base's that is replaced is not."""
    for module, cls in role.classes:
        yield module, cls
        init = cls.methods.get("init")
        if init and not any(names == ("super",) or names[1:][-1:] == ("init",) for names in init.names):
            return


def started_class(code: Code, module: str, start: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the class of the release that a dotted name in a module means: its module, and its qualified name."""
    here = python_module(code, module)
    for step in meanings(code, here, start) if here and start else ():
        there = python_module(code, step.module)
        if there and ".".join(step.names) in there.outline.classes:
            return step.module, ".".join(step.names)
    return None


def processes(release: Release, modules: Collection[str]) -> Iterator[tuple[str, str, Started]]:
    """Yield module and class of the processes that a release's texts start, of those that *modules* define, and how."""
    for name in (m for a in release.applications for m in a.modules):
        text = release.code.text(name) or b""
        for process in started(text) if b"ChildSpec" in text or b"start_link" in text else ():
            place = started_class(release.code, name, process.start)
            if place and place[0] in modules:
                yield *place, process


def registered(release: Release, module: str, name: str) -> tuple[str, ...]:
    """Return the names of a class's processes; empty when one has none, or none that is written out."""
    names = [p.name for _, cls, p in processes(release, (module,)) if cls == name]
    return tuple(dict.fromkeys(n for n in names if n)) if all(names) else ()


def unnamed(supervisor: str) -> str:
    """Return what stands for the name of a supervisor's process where no text says it."""
    return f"NAME_OF_{supervisor.upper()}"
