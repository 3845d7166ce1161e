"""What a search for old objects has looked through, so that nothing that is shared is looked through twice.

Servers share caches and registries. What leads to nothing is easy: it is clean. What leads to old objects is
remembered with the way from part to part down to them, as a graph that has nothing else in it, so that the next who
holds it is counted without reading an object again. Only old objects and what somebody else may hold as well are
remembered, and they are held themselves meanwhile: an identity says nothing about an object that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from sys import getrefcount
from typing import Any, Generic, TypeVar

from relup.targets.python.containers import identity
from relup.targets.python.reach import plain

W = TypeVar("W")
TURN = 4096
"""Objects that are remembered between two turns of others."""


@dataclass(slots=True, eq=False)
class Node(Generic[W]):
    """An old object, or one that leads to such: then *below* are the parts that do."""

    value: Any
    what: W | None = None
    below: list[Node[W]] = field(default_factory=list)
    kinds: tuple[str, ...] = ()
    """The kinds of holders for which it is counted."""


@dataclass(slots=True)
class Region(Generic[W]):
    """What one holder leads to and none before did."""

    kind: str
    above: dict[int, tuple[Any, int]]
    """Each object by its identity, with the identity of the one that led to it first."""
    more: dict[int, list[int]] = field(default_factory=dict)
    """Who else leads to it; of those that were known, everybody."""
    found: list[tuple[int, W]] = field(default_factory=list)
    known: dict[int, Node[W]] = field(default_factory=dict)
    """Objects that were known to lead to old ones, where it ends."""

    def owners(self, part: int) -> Iterator[int]:
        """Return who directly leads to a part."""
        if part in self.above:
            yield self.above[part][1]
        yield from self.more.get(part, ())

    def chain(self, part: int) -> list[Any]:
        """Return the objects that lead to a part, from the value of the holder on, without the part."""
        chain = []
        owner = next(self.owners(part), 0)
        while owner:
            value, owner = self.above[owner]
            chain.append(value)
        return chain[::-1]


class Looked(Generic[W]):
    """Everything that was looked through, by identities."""

    __slots__ = ("_clean", "_nodes", "_only_here")

    def __init__(self) -> None:
        self._clean: dict[int, Any] = {}
        self._nodes: dict[int, Node[W]] = {}
        self._only_here = next(getrefcount(o) for o, _ in [(object(), 0)]) + 1
        """References to an object of a region that has one owner."""

    def fresh(self, values: Sequence[Any]) -> dict[int, Any] | None:
        """Return, by identity, those of *values* that were not looked through; None where one leads to old objects."""
        found = dict(zip(map(identity, values), values, strict=True))
        if not self._nodes.keys().isdisjoint(found):
            return None
        for key in self._clean.keys() & found.keys():
            del found[key]
        return found

    def begin(self, kind: str, value: Any) -> tuple[Region[W], list[Any]]:
        """Return the region of a holder, and what is to be looked at in it."""
        region: Region[W] = Region(kind, {})
        return region, [value] if self.enter(region, value, 0) else []

    def enter(self, region: Region[W], part: Any, owner: int) -> bool:
        """Say whether *part* is to be looked at, and write down who leads to it if that may be of use."""
        key = identity(part)
        if (first := region.above.get(key)) is not None:
            if first[1] != owner:
                _add(region.more, key, owner)
            return False
        if key in self._clean:
            return False
        if (node := self._nodes.get(key)) is not None:
            region.known[key] = node
            _add(region.more, key, owner)
            return False
        if plain(part):
            return False
        region.above[key] = part, owner
        return True

    def note(self, kind: str, value: Any, what: W) -> bool:
        """Note an old object; say whether it was not yet counted for this kind of holder."""
        node = self._nodes.get(identity(value))
        if node is None:
            self._nodes[identity(value)] = Node(value, what, kinds=(kind,))
            return True
        if kind in node.kinds:
            return False
        node.kinds += (kind,)
        return True

    def remember_clean(self, values: Iterable[Any]) -> None:
        """Remember which of *values*, that lead to no old objects, somebody else may hold."""
        only_here = self._only_here
        self._clean.update((identity(value), value) for value in values if getrefcount(value) > only_here)

    def remember(self, region: Region[W]) -> Iterator[None]:
        """Remember what else somebody may hold of a region that was looked through; others may have a turn between."""
        leading: dict[int, Node[W]] = {}
        if region.found or region.known:
            yield from _leading(region, leading)
        only_here = self._only_here
        for number, (value, _) in enumerate(region.above.values()):
            node = leading.get(identity(value))
            if node is None:
                if getrefcount(value) > only_here:
                    self._clean[identity(value)] = value
            elif getrefcount(value) > only_here + 1:  # the node
                self._nodes[identity(value)] = node
            if number % TURN == TURN - 1:
                yield


def _leading(region: Region[W], leading: dict[int, Node[W]]) -> Iterator[None]:
    """Go up from what was found, and make the nodes of all that leads there."""
    for key, what in region.found:
        leading[key] = Node(region.above[key][0], what, kinds=(region.kind,))
    pending = [*leading.items(), *region.known.items()]
    for number, (key, node) in enumerate(pending):
        for owner in region.owners(key):
            if not owner:
                continue
            if owner not in leading:
                leading[owner] = Node(region.above[owner][0])
                pending.append((owner, leading[owner]))
            leading[owner].below.append(node)
        if number % TURN == TURN - 1:
            yield


def _add(owners: dict[int, list[int]], part: int, owner: int) -> None:
    known = owners.setdefault(part, [])
    if not known or known[-1] != owner:
        known.append(owner)


@dataclass(slots=True)
class Lead(Generic[W]):
    """What one kind of old object is reached by, below the objects where a region ends."""

    chain: list[Any]
    """The objects that lead to the first, with it, from such an object on."""
    fresh: int = 0
    """How many were not counted for this kind of holder before."""


def follow(region: Region[W]) -> tuple[dict[W, Lead[W]], int]:
    """Return what the known objects lead to where a region ends, and how many nodes it took; count it all."""
    above: dict[int, Node[W] | None] = {}
    found: dict[W, Lead[W]] = {}
    pending = list(region.known.values())
    above.update((identity(node), None) for node in pending)
    for node in pending:
        if node.what is not None:
            lead = found.get(node.what)
            if lead is None:
                lead = found[node.what] = Lead(_down(node, above))
            if region.kind not in node.kinds:
                node.kinds += (region.kind,)
                lead.fresh += 1
        for part in node.below:
            if identity(part) not in above:
                above[identity(part)] = node
                pending.append(part)
    return found, len(pending)


def _down(node: Node[W], above: dict[int, Node[W] | None]) -> list[Any]:
    chain = [node.value]
    while (owner := above[identity(node)]) is not None:
        node = owner
        chain.append(node.value)
    return chain[::-1]
