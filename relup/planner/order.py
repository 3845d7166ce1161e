"""In which order modules that depend on each other change.

Instructions whose modules are connected by `depends`, in whatever direction, form a component and take
effect together, at the place of the first one written. Inside it dependents come before what they depend
on; modules that depend on each other in a circle stay together, as written (OTP allows cycles). Where this
leaves a choice OTP's order is that of a hash table and changes from run to run; here it is the order in
which the instructions were written, or the caller's `rank`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, overload

from relup.diagnostics import Diagnostic
from relup.model.instructions import (
    ApplicationInstruction,
    Instruction,
    LowLevel,
    ModuleInstruction,
)
from relup.planner.names import did_you_mean, keyword
from relup.planner.networks import nx

Rank: TypeAlias = Mapping[str, int]
Expanded: TypeAlias = ModuleInstruction | LowLevel
"""An instruction after those about applications were replaced."""
Component: TypeAlias = tuple[ModuleInstruction, ...]
"""Instructions that take effect together, dependents first."""


def module_instructions(script: Iterable[Instruction]) -> list[ModuleInstruction]:
    """Return the instructions that may depend on each other, in the order written."""
    return [i for i in script if isinstance(i, ModuleInstruction)]


def check_twice(instructions: Sequence[ModuleInstruction]) -> Iterator[Diagnostic]:
    """Find modules with two instructions."""
    first: dict[str, ModuleInstruction] = {}
    for i in instructions:
        other = first.get(i.module)
        if other is None:
            first[i.module] = i
        else:
            where = f", after {keyword(other)} at {other.location}" if other.location else ""
            message = f"module {i.module!r} has a second instruction, {keyword(i)}{where}"
            yield Diagnostic("muldef_module", message, i.location, hint="keep one of them")


def check_graph(instructions: Sequence[ModuleInstruction]) -> Iterator[Diagnostic]:
    """Find modules with two instructions, and dependencies on modules that have none."""
    yield from check_twice(instructions)
    first = {i.module: i for i in instructions}
    for i in instructions:
        for name in i.depends:
            if name not in first:
                yield Diagnostic(
                    "undef_module",
                    f"module {i.module!r} depends on {name!r}, which has no instruction",
                    i.location,
                    hint=did_you_mean(name, first, but=(i.module, *i.depends))
                    or "leave it out of `depends`, or load it too",
                )


@overload
def grouped(script: Sequence[Expanded], rank: Rank | None = None) -> Iterator[Component | LowLevel]: ...
@overload
def grouped(
    script: Sequence[Instruction], rank: Rank | None = None
) -> Iterator[Component | LowLevel | ApplicationInstruction]: ...
def grouped(
    script: Sequence[Instruction], rank: Rank | None = None
) -> Iterator[Component | LowLevel | ApplicationInstruction]:
    """Replace the first instruction of each component by the component, and drop its others.

    What `check_graph` finds wrong is left out.
    """
    first = _components(module_instructions(script), rank)
    for i in script:
        if not isinstance(i, ModuleInstruction):
            yield i
        elif i.module in first:
            yield first.pop(i.module)


def tie_breaks(written: Iterable[ModuleInstruction], rank: Rank | None) -> dict[str, tuple[int, int]]:
    """Return what decides between modules that do not depend on each other: the lower comes first."""
    return {i.module: (rank.get(i.module, len(rank)) if rank else 0, n) for n, i in enumerate(written)}


def circles(component: Component) -> tuple[tuple[str, ...], ...]:
    """Return the modules that depend on each other in a circle, for each circle, as they stand in *component*."""
    place = {i.module: n for n, i in enumerate(component)}
    edges = [(i.module, d) for i in component for d in i.depends if d in place]
    if all(place[m] <= place[d] for m, d in edges):
        return ()
    found: nx.DiGraph[str] = nx.DiGraph(edges)
    joined = (sorted(c, key=place.__getitem__) for c in nx.strongly_connected_components(found) if len(c) > 1)
    return tuple(sorted(map(tuple, joined), key=lambda c: place[c[0]]))


def _components(instructions: Sequence[ModuleInstruction], rank: Rank | None) -> dict[str, Component]:
    """Return the components, each under the module that was written first.

    They are ordered one by one in one small graph: a graph as large as the script would be most of the memory
    of a plan, and the time to walk it would grow faster than the script.
    """
    by_module: dict[str, ModuleInstruction] = {}
    for i in instructions:
        by_module.setdefault(i.module, i)
    if not any(i.depends for i in instructions):
        return {i.module: (i,) for i in by_module.values()}
    connected = nx.utils.UnionFind(by_module)
    for i in instructions:
        if i.depends:
            connected.union(i.module, *(d for d in i.depends if d in by_module))
    members: dict[str, list[ModuleInstruction]] = {}
    for i in by_module.values():
        members.setdefault(connected[i.module], []).append(i)
    graph: nx.DiGraph[str] = nx.DiGraph()
    return {written[0].module: tuple(_ordered(graph, written, rank)) for written in members.values()}


def _ordered(
    graph: nx.DiGraph[str], written: Sequence[ModuleInstruction], rank: Rank | None
) -> Iterable[ModuleInstruction]:
    """Return the instructions of one component, dependents first; *graph* is only room to work in."""
    if len(written) == 1:
        return written
    by_module = {i.module: i for i in written}
    tie = tie_breaks(written, rank)
    graph.clear()
    graph.add_edges_from((i.module, d) for i in written for d in i.depends if d in by_module and d != i.module)
    try:
        return [by_module[m] for m in nx.lexicographical_topological_sort(graph, tie.__getitem__)]
    except nx.NetworkXUnfeasible:
        return [by_module[m] for m in _around_circles(graph, tie)]


def _around_circles(graph: nx.DiGraph[str], tie: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Yield modules dependents first; those that depend on each other in a circle together, as written."""
    condensed = nx.condensation(graph)
    members: dict[int, set[str]] = {circle: condensed.nodes[circle]["members"] for circle in condensed}
    earliest = {circle: min(tie[m] for m in members[circle]) for circle in members}
    for circle in nx.lexicographical_topological_sort(condensed, earliest.__getitem__):
        yield from sorted(members[circle], key=lambda m: tie[m][1])
