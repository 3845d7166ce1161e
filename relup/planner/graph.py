"""Graphs to look at: the versions of releases, and the order in which modules change.

What is connected is a group, and a group has layers, so that a drawing needs no search of its own. Whatever the
circles, vertices have an order (versions from old to new, modules dependents first), and an edge counts as
leading from the earlier to the later one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, permutations
from typing import get_args

from relup.diagnostics import Diagnostic
from relup.model.explanation import Explanation, OrderedComponent
from relup.model.graph import Edge, Graph, Vertex
from relup.model.instructions import (
    Advanced,
    Direction,
    Load,
    ModuleInstruction,
    Remove,
    Soft,
    StateFunction,
    SupervisorChange,
    Update,
)
from relup.model.release import Release
from relup.model.relup import Relup
from relup.planner.cost import hop_cost
from relup.planner.explain import explain
from relup.planner.names import keyword
from relup.planner.networks import nx
from relup.planner.ways import Way, Ways, direction_by_number

_WIDEST = 8
"""How many vertices stand beside each other; those beyond that get further layers."""


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────


def version_graph(releases: Iterable[Release]) -> Graph:
    """Return every version, with the ways between them and what they cost; of a wrong way, what is wrong.

    Raises InvalidInput when two releases are one version with different contents.
    """
    given = sorted(releases, key=lambda r: (r.name, r.kind, r.root))
    names = [name for name, _ in groupby(given, key=lambda r: (r.name, r.kind))]
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    for (name, kind), same in groupby(given, key=lambda r: (r.name, r.kind)):
        ways = Ways(same)
        full = {v: v if len(names) == 1 else f"{name} {v} ({kind})" for v in ways.releases}
        vertices += (Vertex(full[v], v if len(names) == 1 else f"{name} {v}") for v in ways.releases)
        edges += (_edge(full[way.start], full[way.end], way, ways.plan(way)) for way in _ways(ways))
    title = f"{names[0][0]}: versions" if len(names) == 1 else "versions"
    return _arranged(title, vertices, edges, lambda _: "")


def _ways(ways: Ways) -> Iterator[Way]:
    """Yield the ways; where there are both up and down, as between patterns, the one that the numbers suggest."""
    for start, end in permutations(ways.releases, 2):
        found = list(ways.between(start, end, get_args(Direction)))
        suggested = [way for way in found if way.direction == direction_by_number(start, end)]
        yield from suggested or found


def _edge(start: str, end: str, way: Way, found: Relup | tuple[Diagnostic, ...]) -> Edge:
    match found:
        case Relup():
            return Edge(start, end, way.direction, f"{way.direction}: {hop_cost(found)}")
        case problems:
            reason = "\n".join(map(str, problems))
            return Edge(start, end, way.direction, f"{way.direction}: wrong, {problems[0].code}", reason)


# ── modules ────────────────────────────────────────────────────────────────────────────────────────────


def dependency_graph(base: Release, goal: Release, direction: Direction | None = None) -> Graph:
    """Return the modules that change from *base* to *goal*, numbered as they are loaded, and what they depend on.

    Raises what `plan` raises.
    """
    made = explain(base, goal, direction)
    edges = [edge for component in made.components for edge in _dependencies(component)]
    title = f"{made.relup} ({made.relup.direction}): the order in which modules change"
    return _arranged(title, list(_modules(made)), edges, lambda group: "change together" if len(group) > 1 else "")


def _modules(made: Explanation) -> Iterator[Vertex]:
    """Yield the modules of every component, then those that a script loads by hand or as part of an application."""
    does = {m.instruction.module: _words(m.instruction) for c in made.components for m in c.modules}
    steps = [i for i in made.relup.script if isinstance(i, Load | Remove)]
    notes: dict[str, list[str]] = {module: [] for module in does}
    for number, i in enumerate(steps, start=1):
        words = does.get(i.module, "")
        is_its_own = words and isinstance(i, Remove) == (words == "delete_module")
        notes.setdefault(i.module, []).append(f"{number}: {words if is_its_own else keyword(i)}")
    return (Vertex(module, module, tuple(said)) for module, said in notes.items())


def _words(i: ModuleInstruction) -> str:
    match i:
        case Update(migrate=StateFunction(home, function)):
            return f"update, migrated by {home}:{function}"
        case Update(change=Soft()):
            return "update"
        case Update(change=Advanced()):
            return "update, advanced"
        case Update(change=SupervisorChange()):
            return "update, supervisor"
        case _:
            return keyword(i)


def _dependencies(component: OrderedComponent) -> Iterator[Edge]:
    circle = {m.instruction.module: m.circle for m in component.modules}
    for m in component.modules:
        module = m.instruction.module
        for other in dict.fromkeys(m.instruction.depends):
            if other != module:
                around = m.circle is not None and m.circle == circle[other]
                yield Edge(module, other, "circle" if around else "depends")


# ── what is connected, and in which order ──────────────────────────────────────────────────────────────


def _arranged(
    title: str, vertices: Sequence[Vertex], edges: Sequence[Edge], label: Callable[[Sequence[str]], str]
) -> Graph:
    """Return the graph with its groups and layers; *label* says what to call a group of these vertices."""
    place = {v.name: n for n, v in enumerate(vertices)}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(place)
    graph.add_edges_from((e.tail, e.head) if place[e.tail] < place[e.head] else (e.head, e.tail) for e in edges)
    connected = (sorted(group, key=place.__getitem__) for group in nx.weakly_connected_components(graph))
    groups = sorted(connected, key=lambda group: place[group[0]])
    layers = {name: (number, layer) for number, group in enumerate(groups) for name, layer in _layers(graph, group)}
    return Graph(
        title,
        tuple(replace(v, group=layers[v.name][0], layer=layers[v.name][1]) for v in vertices),
        tuple(edges),
        tuple(map(label, groups)),
    )


def _layers(graph: nx.DiGraph[str], group: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each member of *group* with its layer: below all that lead to it."""
    place = {name: n for n, name in enumerate(group)}
    layer = 0
    for generation in nx.topological_generations(graph.subgraph(group)):
        row = sorted(generation, key=place.__getitem__)
        for start in range(0, len(row), _WIDEST):
            yield from ((name, layer) for name in row[start : start + _WIDEST])
            layer += 1
