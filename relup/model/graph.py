"""A graph to be drawn: what is in it, and where it belongs; how it looks is the reporter's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

EdgeKind: TypeAlias = Literal["up", "down", "depends", "circle"]
"""A plan in one direction; or a dependency, in a circle or in none."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """A version, or a module."""

    name: str
    """No other vertex of the graph has it."""
    label: str
    notes: tuple[str, ...] = ()
    """What is said of it, one line each."""
    group: int = 0
    """Which of the graph's groups it belongs to."""
    layer: int = 0
    """Its place in the group, from the top: edges join different layers only."""


@dataclass(frozen=True, slots=True)
class Edge:
    """From one vertex to another."""

    tail: str
    head: str
    kind: EdgeKind
    label: str = ""
    wrong: str | None = None
    """Why it cannot be taken."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Vertices and edges, in the order in which they are to be read."""

    title: str
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...] = ()
    groups: tuple[str, ...] = ("",)
    """The label of each group; no edge joins two of them. What has no label has no frame either."""
