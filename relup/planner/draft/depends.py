"""Which dependencies a draft writes down: those of the import graph that matter for the order, and no more.

A module that needs another one's new version says so, unless a third already does on its way: `a` needs `b` and `b`
needs `c`, so `a` need not name `c`. Modules that need each other in a circle change together however they are written,
so a circle is closed once. What is deleted waits for those that used it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from relup.model.code import BeamModule, Code
from relup.planner.networks import nx
from relup.planner.resolution import imported


def needs(code: Code, module: str, among: Collection[str]) -> list[str]:
    """Return the modules of *among* that a module names, at import or later, each once, in the order of its text."""
    found: dict[str, None] = {}
    for entry in code.imports(module):
        found |= dict.fromkeys((entry.loads, imported(code, module, entry).module))
    if code.text(module) is None:
        beam = code.module(module)
        found |= dict.fromkeys(m for m, _, _ in beam.imports) if isinstance(beam, BeamModule) else {}
    return [m for m in found if m in among and m != module]


def reduced(needed: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the same order with as few dependencies as say it; each list in the order in which it was given."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(needed)
    graph.add_edges_from((m, d) for m, found in needed.items() for d in found if d in needed)
    condensed = nx.condensation(graph)
    circle_of: Mapping[str, int] = condensed.graph["mapping"]
    place = {m: n for n, m in enumerate(needed)}
    circles = {c: sorted(condensed.nodes[c]["members"], key=place.__getitem__) for c in condensed}
    kept: dict[str, list[str]] = {m: [] for m in needed}
    for members in circles.values():
        if len(members) > 1:
            for one, two in zip(members, [*members[1:], members[0]], strict=True):
                kept[one].append(two)
    for above, below in nx.transitive_reduction(condensed).edges:
        edges = ((m, d) for m in circles[above] for d in needed[m] if circle_of.get(d) == below)
        module, dependency = next(edges)
        kept[module].append(dependency)
    return {m: sorted(found, key=place.__getitem__) for m, found in kept.items()}


def dependencies_first(needed: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the modules so that what others need comes before them, as far as circles allow; else by name."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(sorted(needed))
    graph.add_edges_from((d, m) for m, found in needed.items() for d in found)
    condensed = nx.condensation(graph)
    first = {c: min(condensed.nodes[c]["members"]) for c in condensed}
    order = nx.lexicographical_topological_sort(condensed, first.__getitem__)
    return [m for c in order for m in sorted(condensed.nodes[c]["members"])]
