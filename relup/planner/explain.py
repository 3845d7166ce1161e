"""How a plan came about, read off what its passes made.

Nothing here decides: the passes are those of `plan`, and reasons are found by looking at their result. Two
modules that stand one after the other in a component do so because the first depends on the second, or because
the order was free between them and a tie was broken. So a module has at most two reasons: the last one before it
that depends on it, and the tie with its neighbour when that is another. Modules in a circle count as one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import chain, groupby, pairwise
from operator import is_
from typing import Literal, TypeAlias

from relup.model.explanation import (
    After,
    Explanation,
    Free,
    Mark,
    OrderedComponent,
    OrderedModule,
    Pass,
    PassName,
    Reason,
    Tie,
)
from relup.model.instructions import (
    DeleteModule,
    Direction,
    Instruction,
    LoadObjectCode,
    ModuleInstruction,
    PointOfNoReturn,
    Update,
)
from relup.model.release import Release
from relup.planner.lower import is_static
from relup.planner.order import Component, Rank, circles, module_instructions, tie_breaks
from relup.planner.planning import planned
from relup.planner.translation import Stages

Script: TypeAlias = Sequence[Instruction]
Ties: TypeAlias = Mapping[str, tuple[int, int]]
Circles: TypeAlias = tuple[tuple[str, ...], ...]


def explain(
    base: Release,
    goal: Release,
    direction: Direction | None = None,
    rank: Rank | None = None,
    *,
    restart_emulator: bool = False,
    warnings_as_errors: bool = False,
) -> Explanation:
    """Return the plan from *base* to *goal*, and how it came about; the way back is explained by its own plan.

    Takes what `plan` takes, and raises what it raises.
    """
    options = {"restart_emulator": restart_emulator, "warnings_as_errors": warnings_as_errors}
    found = planned(base, goal, direction, rank, **options)
    return Explanation(
        relup=found.relup,
        sources=found.leg.sources,
        passes=tuple(_passes(found.leg.instructions(), found.stages)),
        components=tuple(_components(found.relup.direction, found.stages, rank)),
    )


# ── what each pass changed ─────────────────────────────────────────────────────────────────────────────


def _passes(written: Script, made: Stages) -> Iterator[Pass]:
    """Yield the script after each pass that changed it.

    Until components are lowered the point of no return is shown only where there is something before it.
    """
    point = next((i for i in written if isinstance(i, PointOfNoReturn)), None)
    head = (*made.before, point or PointOfNoReturn()) if made.before or point else ()
    ordered = chain.from_iterable(c if isinstance(c, tuple) else (c,) for c in made.ordered)
    scripts: dict[PassName, Script] = {
        "cut": (*head, *made.collected),
        "expand": (*head, *made.expanded),
        "order": (*head, *ordered),
        "lower": (*made.before, *made.fetched, PointOfNoReturn(), *made.lowered),
        "merge": made.script,
    }
    for (name, after), before in zip(scripts.items(), (written, *scripts.values()), strict=False):
        if len(before) != len(after) or not all(map(is_, before, after)):
            found = _pass(name, before, after)
            if found.gone or set(found.marks) != {"kept"}:
                yield found


def _pass(name: PassName, before: Script, after: Script) -> Pass:
    was = {key: n for n, key in enumerate(_keys(before))}
    now = [was.get(key) for key in _keys(after)]
    kept = [n for n in now if n is not None]
    still = _longest_rise(kept)
    marks: list[Mark] = ["new" if n is None else "kept" if n in still else "moved" for n in now]
    return Pass(name, tuple(after), tuple(marks), gone=len(before) - len(kept))


def _keys(script: Script) -> Iterator[tuple[Hashable, int]]:
    """Yield what makes each instruction the same one before and after a pass: passes hand on what they do not touch."""
    seen: dict[Hashable, int] = {}
    for i in script:
        key = _key(i)
        seen[key] = seen.get(key, 0) + 1
        yield key, seen[key]


def _key(i: Instruction) -> Hashable:
    match i:
        case PointOfNoReturn():
            return "point_of_no_return"
        case LoadObjectCode(application, _, modules):
            return (application, *modules)
        case _:
            return id(i)


def _longest_rise(numbers: Sequence[int]) -> set[int]:
    """Return as many of *numbers*, all different, as rise in the order given: the others are those that moved."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for n in numbers:
        length = bisect_left(ends, n)
        before[n] = ends[length - 1] if length else None
        ends[length : length + 1] = [n]
    found: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found


# ── why each module stands where it stands ─────────────────────────────────────────────────────────────


def _components(direction: Direction, made: Stages, rank: Rank | None) -> Iterator[OrderedComponent]:
    ties = tie_breaks(module_instructions(made.expanded), rank)
    places = _places_of_code(direction, made)
    for number, component in enumerate((c for c in made.ordered if isinstance(c, tuple)), start=1):
        rings = circles(component)
        first = min(component, key=lambda i: ties[i.module][1])
        modules = tuple(_modules(direction, component, rings, places, ties))
        yield OrderedComponent(number, first, modules, rings)


def _places_of_code(direction: Direction, made: Stages) -> Mapping[str, int]:
    """Return where each module whose code is loaded or removed stands among all of them, from 1."""
    fetched = {m for f in made.fetched for m in f.modules}
    components = (c if direction == "down" else tuple(reversed(c)) for c in made.ordered if isinstance(c, tuple))
    exchanged = (i.module for c in components for i in c if isinstance(i, DeleteModule) or i.module in fetched)
    return {module: n for n, module in enumerate(exchanged, start=1)}


def _modules(
    direction: Direction, component: Component, rings: Circles, places: Mapping[str, int], ties: Ties
) -> Iterator[OrderedModule]:
    ring = {m: n for n, members in enumerate(rings) for m in members}
    heads = {i.module: rings[ring[i.module]][0] if i.module in ring else i.module for i in component}
    reasons = dict(_reasons(component, heads, ties))
    for rank, i in enumerate(component, start=1):
        yield OrderedModule(
            instruction=i,
            rank=rank,
            loaded=places.get(i.module),
            code_change=_code_change(direction, i),
            reasons=reasons.get(i.module, ()),
            circle=ring.get(i.module),
        )


def _code_change(direction: Direction, i: ModuleInstruction) -> Literal["before", "after"] | None:
    match i:
        case Update() if i.changes_states:
            return "before" if direction == "down" and not is_static(i) else "after"
        case _:
            return None


def _reasons(component: Component, heads: Mapping[str, str], ties: Ties) -> Iterator[tuple[str, tuple[Reason, ...]]]:
    """Yield the reasons of each module that is the first of its circle; *heads* says which that is, alone or not."""
    last = {
        heads[d]: After(i.module, d, i.location)
        for i in component
        for d in i.depends
        if d in heads and heads[d] != heads[i.module]
    }
    blocks = [tuple(block) for _, block in groupby(heads, key=heads.__getitem__)]
    yield blocks[0][0], (Free(),)
    for before, block in pairwise(blocks):
        bound = last.get(block[0], Free())
        if isinstance(bound, After) and heads[bound.dependent] == before[0]:
            yield block[0], (bound,)
        else:
            yield block[0], (bound, _tie(before, block, ties))


def _tie(before: Sequence[str], block: Sequence[str], ties: Ties) -> Tie:
    first, second = min(before, key=ties.__getitem__), min(block, key=ties.__getitem__)
    return Tie(first, second, "rank" if ties[first][0] != ties[second][0] else "written")
