"""The children of a supervisor, as far as its text writes them out: what drafts start and end, and checks look for.

A supervisor has the children that its `init` makes, and those of its base when it inherits `init` or calls the base's.
Which child is which is known by its id alone: where one is computed, nothing can be said of any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from relup.model.code import Code
from relup.model.release import Release
from relup.planner.resolution import meanings, python_module
from relup.planner.roles import Role
from relup.syntax.callbacks import Started, started
from relup.syntax.outline import Class

Place: TypeAlias = tuple[str, str]
"""A class of the release: its module, and its qualified name."""


class Child(NamedTuple):
    """What a child spec says: its class in the release, the name of its process, whether it is forgotten at its end."""

    place: Place | None
    name: str | None
    temporary: bool

    def __str__(self) -> str:
        named = f" named {self.name!r}" if self.name else ""
        return f"{'.'.join(self.place) if self.place else 'a class that is not known'}{named}"


@dataclass(frozen=True, slots=True)
class Turnover:
    """The children that a supervisor gains, loses, and keeps under their ids with another class or name."""

    gained: Mapping[str, Child]
    lost: Mapping[str, Child]
    renewed: Mapping[str, tuple[Child, Child]]
    """What each was, and what it is to be."""

    def ending(self) -> Iterator[Child]:
        """Yield the children that end: those that are lost, and those that begin anew."""
        yield from self.lost.values()
        yield from (before for before, _ in self.renewed.values())

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost or self.renewed)


def turnover(before: Code, after: Code, old: Role, new: Role) -> Turnover | None:
    """Return how the children of a supervisor differ between two releases; None when the texts do not tell."""
    was, now = _children(before, old), _children(after, new)
    if was is None or now is None:
        return None
    both = {i: (was[i], now[i]) for i in now if i in was}
    return Turnover(
        {i: child for i, child in now.items() if i not in was},
        {i: child for i, child in was.items() if i not in now},
        {i: (then, to_come) for i, (then, to_come) in both.items() if _other(then, to_come)},
    )


def _other(then: Child, now: Child) -> bool:
    return then.name != now.name or (then.place is not None and now.place is not None and then.place != now.place)


def _children(code: Code, role: Role) -> Mapping[str, Child] | None:
    """Return the children of a supervisor by their ids, the nearest class's first."""
    found: dict[str, Child] = {}
    for module, cls in _making(role):
        for spec in cls.children:
            if spec.id is None:
                return None
            found.setdefault(spec.id, Child(started_class(code, module, spec.start), spec.name, spec.temporary))
    return found


def _making(role: Role) -> Iterator[tuple[str, Class]]:
    """Yield the classes whose `init` is called when the supervisor's is; a base's that is replaced is not."""
    for module, cls in role.classes:
        yield module, cls
        init = cls.methods.get("init")
        if init and not any(names == ("super",) or names[1:][-1:] == ("init",) for names in init.names):
            return


def started_class(code: Code, module: str, start: tuple[str, ...]) -> Place | None:
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
