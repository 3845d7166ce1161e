"""Module-level state that goes over to another version of its module, by the same identity.

A new body makes its own `SESSIONS = {}`. To go on with the old one, every binding that leads to the new object must
lead to the kept one: the name in the new namespace, and wherever import statements copied it, in modules that were
loaded anew and in those that were not, through re-exports as well. Which bindings those are is known beforehand; which
object it is, only at the moment of the swap, since `COUNT += 1` makes another one each time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from relup.runtime.code.books import Books, package_of
from relup.runtime.code.errors import SwapError
from relup.runtime.code.rebinding import Importer, Origin, Question, find
from relup.runtime.code.source import Version
from relup.runtime.code.staged import Staged
from relup.runtime.code.writes import MISSING, Container, World

Names: TypeAlias = Mapping[str, Sequence[str]]
"""For each module, the names that are kept."""
Bound: TypeAlias = tuple[Container, str, object]
"""A namespace, a name, and what it means there; MISSING when nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """One name: the namespace whose value is kept, and every binding that is to lead to it."""

    module: str
    name: str
    source: Container
    targets: tuple[tuple[Container, str], ...]


class Carry:
    """The names that are kept when one set of versions takes the place of another."""

    def __init__(self, books: Books, staged: Staged, names: Names, *, back: bool) -> None:
        """Look for the bindings; *back* is from the new versions of *staged* to the old ones."""
        self._books, self._staged, self._names = books, staged, names
        source, target = (staged.versions, staged.previous) if back else (staged.previous, staged.versions)
        self._target = target
        world = staged.before if back else staged.world
        self._seen = frozenset(staged.real)
        leading = self._leading(world, None)
        self.kept = tuple(
            Kept(m, n, source[m].namespace, ((target[m].namespace, n), *leading.get(Origin(m, n), ())))
            for m, listed in names.items()
            for n in dict.fromkeys(listed)
        )

    def values(self) -> list[Bound]:
        """Return what is kept, as it is now."""
        return [(k.source, k.name, k.source.get(k.name, MISSING)) for k in self.kept]

    def bound(self) -> list[Bound]:
        """Return what every binding that leads to a kept name means now."""
        return [(space, key, space.get(key, MISSING)) for k in self.kept for space, key in k.targets]

    def check(self) -> None:
        """Raise SwapError for a name that the version to be left no longer has."""
        for k in self.kept:
            if k.name not in k.source:
                raise SwapError(f"{k.module} has no {k.name} any more, which is to be kept")

    def apply(self) -> list[Bound]:
        """Let every binding lead to what is kept; return what they meant before. Call it after the swap."""
        fresh = [n for n in list(self._staged.real) if n not in self._seen]
        later = self._leading(World(), fresh) if fresh else {}
        was: list[Bound] = []
        values = [k.source[k.name] for k in self.kept]
        for k, value in zip(self.kept, values, strict=True):
            for space, key in (*k.targets, *later.get(Origin(k.module, k.name), ())):
                was.append((space, key, space.get(key, MISSING)))
                space[key] = value
        return was

    def _leading(self, world: World, only: Collection[str] | None) -> dict[Origin, list[tuple[Container, str]]]:
        """Return the bindings that imports made in the world of the target versions, by where they originate."""
        modules = world.copy(self._staged.real)
        looked_at = modules if only is None else {n: modules[n] for n in only if n in modules}
        changing = frozenset(self._names)
        importers = [*self._books.importers(looked_at, world.copy(self._books.versions), changing), *self._own()]
        found = find(Question(world, modules, changing, frozenset(), _unknown), importers)
        leading: dict[Origin, list[tuple[Container, str]]] = {}
        for (_, key), rebinding in found.names.items():
            leading.setdefault(rebinding.origin, []).append((rebinding.importer.namespace, key))
        return leading

    def _own(self) -> Iterator[Importer]:
        """Return the modules that keep names: they may import each other's."""
        for name in self._names:
            version: Version = self._target[name]
            space = version.namespace
            reading = self._books.tables.of_version(version)
            yield Importer(name, version.source.path, package_of(name, space), space, *reading)


def _unknown(module: Any, name: str) -> Any:
    """Look nothing up: a lazy module would run code for it."""
    return MISSING


def put(bound: Sequence[Bound]) -> None:
    """Let names mean again what they meant; the first entry of a name is the one that counts."""
    for space, key, value in reversed(bound):
        if value is MISSING:
            space.pop(key, None)
        else:
            space[key] = value
