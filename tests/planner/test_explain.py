"""How a plan came about: what each pass changed, and for each module a reason that is true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.model.explanation import (
    After,
    Explanation,
    Free,
    OrderedComponent,
    OrderedModule,
    Pass,
    Reason,
    Source,
    Tie,
)
from relup.model.instructions import (
    AddApplication,
    AddModule,
    Advanced,
    Apply,
    Call,
    CodeChange,
    DeleteModule,
    Direction,
    Instruction,
    Load,
    LoadModule,
    LoadObjectCode,
    ModuleInstruction,
    PointOfNoReturn,
    Remove,
    RemoveApplication,
    RestartEmulator,
    RestartNewEmulator,
    Resume,
    Soft,
    SupervisorChange,
    Suspend,
    Suspension,
    Update,
)
from relup.model.release import Release
from relup.planner import plan
from relup.planner.explain import explain
from relup.planner.order import Rank
from tests.planner.build import Listed, app, appup, at, beam, release

MODULES = tuple("abcdefgh")


def releases(up: Listed, down: Listed = ()) -> tuple[Release, Release]:
    """Releases of which nobody knows the files, so that every script is complete."""
    older, newer = (replace(app(vsn, dict.fromkeys(MODULES, "")), fingerprints={}) for vsn in "12")
    return release("1", older), release("2", replace(newer, appup=appup({"1": up}, {"1": down})))


def update(module: str, *depends: str, **rest: Any) -> Update:
    return Update(module, rest.pop("change", Advanced()), depends, location=at(ord(module) - ord("a") + 11), **rest)


def load(module: str, *depends: str) -> LoadModule:
    return LoadModule(module, depends, location=at(ord(module) - ord("a") + 11))


def explained(*instructions: Instruction, direction: Direction = "up", rank: Rank | None = None) -> Explanation:
    old, new = releases(instructions, instructions)
    return explain(old, new, "up", rank) if direction == "up" else explain(new, old, "down", rank)


# ── the order of modules ───────────────────────────────────────────────────────────────────────────────

Row = tuple[str, int, int, tuple[Reason, ...]]
REASONS: dict[str, tuple[Sequence[Instruction], Rank | None, list[list[Row]]]] = {
    "each alone": (
        [load("a"), update("b")],
        None,
        [[("a", 1, 1, (Free(),))], [("b", 1, 2, (Free(),))]],
    ),
    "a chain follows its dependencies": (
        [load("a"), load("b", "a"), load("c", "b")],
        None,
        [[("c", 1, 3, (Free(),)), ("b", 2, 2, (After("c", "b"),)), ("a", 3, 1, (After("b", "a"),))]],
    ),
    "what is free between neighbours is as written, after the last that depends on it": (
        [load("a", "c", "b"), load("b"), load("c")],
        None,
        [
            [
                ("a", 1, 3, (Free(),)),
                ("b", 2, 2, (After("a", "b"),)),
                ("c", 3, 1, (After("a", "c"), Tie("b", "c", "written"))),
            ]
        ],
    ),
    "a rank breaks ties before what was written does": (
        [load("a", "c", "b"), load("b"), load("c")],
        {"c": 0},
        [
            [
                ("a", 1, 3, (Free(),)),
                ("c", 2, 2, (After("a", "c"),)),
                ("b", 3, 1, (After("a", "b"), Tie("c", "b", "rank"))),
            ]
        ],
    ),
    "two that nothing depends on stand as written": (
        [load("a", "c"), load("b", "c"), load("c")],
        None,
        [
            [
                ("a", 1, 3, (Free(),)),
                ("b", 2, 2, (Free(), Tie("a", "b", "written"))),
                ("c", 3, 1, (After("b", "c"),)),
            ]
        ],
    ),
    "a circle is kept as written, and counts as one": (
        [load("a"), load("b", "c"), load("c", "b", "a"), load("d", "c")],
        None,
        [[("d", 1, 4, (Free(),)), ("b", 2, 3, (After("d", "c"),)), ("c", 3, 2, ()), ("a", 4, 1, (After("c", "a"),))]],
    ),
    "a module that depends on itself is alone": ([load("a", "a")], None, [[("a", 1, 1, (Free(),))]]),
    "a circle stands where the lowest of its ranks puts it": (
        [load("a", "b", "e"), load("b", "a"), load("c", "d", "e"), load("d", "c"), load("e")],
        {"b": 1, "d": 0},
        [
            [
                ("c", 1, 5, (Free(),)),
                ("d", 2, 4, ()),
                ("a", 3, 3, (Free(), Tie("d", "b", "rank"))),
                ("b", 4, 2, ()),
                ("e", 5, 1, (After("a", "e"),)),
            ]
        ],
    ),
    "another circle stands after the first as it was written": (
        [load("a", "b", "e"), load("b", "a"), load("c", "d", "e"), load("d", "c"), load("e")],
        None,
        [
            [
                ("a", 1, 5, (Free(),)),
                ("b", 2, 4, ()),
                ("c", 3, 3, (Free(), Tie("a", "c", "written"))),
                ("d", 4, 2, ()),
                ("e", 5, 1, (After("c", "e"),)),
            ]
        ],
    ),
}


def rows(component: OrderedComponent) -> list[Row]:
    return [(m.instruction.module, m.rank, m.loaded, m.reasons) for m in component.modules]


@pytest.mark.parametrize(("given", "rank", "expected"), REASONS.values(), ids=REASONS.keys())
def test_each_module_has_its_reasons(
    given: Sequence[Instruction], rank: Rank | None, expected: list[list[Row]]
) -> None:
    assert [rows(c) for c in explained(*given, rank=rank).components] == expected


def test_a_reason_knows_the_line_of_its_dependency() -> None:
    (component,) = explained(load("b"), load("a", "b")).components
    (reason,) = component.modules[1].reasons
    assert reason == After("a", "b")
    assert isinstance(reason, After)
    assert reason.location == at(11)


def test_a_component_knows_its_first_instruction_and_its_circles() -> None:
    given = (load("h"), load("c", "b"), load("b", "c"), load("a", "b"), load("d", "e"), load("e", "d", "c"))
    one, two = explained(*given).components
    assert [(c.number, c.first.module) for c in (one, two)] == [(1, "h"), (2, "c")]
    assert (one.circles, two.circles) == ((), (("d", "e"), ("c", "b")))
    assert [(m.instruction.module, m.circle) for m in two.modules] == [
        ("a", None),
        ("d", 0),
        ("e", 0),
        ("c", 1),
        ("b", 1),
    ]


CHANGES: dict[str, tuple[Instruction, str | None, str | None]] = {
    "dynamic": (update("a"), "after", "before"),
    "static": (update("a", mod_type="static"), "after", "after"),
    "supervisor": (update("a", change=SupervisorChange()), "after", "after"),
    "soft": (update("a", change=Soft()), None, None),
    "no process": (load("a"), None, None),
}


@pytest.mark.parametrize(("given", "up", "down"), CHANGES.values(), ids=CHANGES.keys())
def test_states_change_on_the_side_of_the_loads_that_the_module_asks_for(
    given: Instruction, up: str | None, down: str | None
) -> None:
    sides = [explained(given, direction=d).components[0].modules[0].code_change for d in ("up", "down")]  # type: ignore[arg-type]
    assert sides == [up, down]


def test_down_loads_in_the_order_of_suspension() -> None:
    (component,) = explained(update("a", "b"), update("b", "c"), load("c"), direction="down").components
    assert [(m.instruction.module, m.rank, m.loaded) for m in component.modules] == [
        ("a", 1, 1),
        ("b", 2, 2),
        ("c", 3, 3),
    ]


# ── what passes changed ────────────────────────────────────────────────────────────────────────────────

POINT = PointOfNoReturn()
FETCH = LoadObjectCode("shop", "2", ("a",), location=at(31))
CALL = Apply(Call("m", "f"), Call("m", "g"))
LAST = RestartEmulator(location=at(32))

PASSES: dict[str, tuple[Sequence[Instruction], dict[str, tuple[str, int]]]] = {
    "nothing": ((), {"lower": ("+", 0)}),
    "no pass but the one that lowers": ((update("a"),), {"lower": ("++++++", 1)}),
    "what depends on each other is put together": (
        (load("a", "c"), load("b"), load("c")),
        {"order": (" ~ ", 0), "lower": ("++++++", 3), "merge": ("+    ", 2)},
    ),
    "a script by hand is left as it is": (
        (FETCH, POINT, Suspend((Suspension("a"),)), Load("a"), Resume(("a",))),
        {},
    ),
    "code to be read stands before": (
        (CALL, Load("a"), FETCH),
        {"cut": ("~+  ", 0)},
    ),
}


def signs(found: Pass) -> tuple[str, int]:
    return "".join({"new": "+", "moved": "~", "kept": " "}[m] for m in found.marks), found.gone


@pytest.mark.parametrize(("given", "expected"), PASSES.values(), ids=PASSES.keys())
def test_passes_that_changed_something_say_what(
    given: Sequence[Instruction], expected: dict[str, tuple[str, int]]
) -> None:
    assert {p.name: signs(p) for p in explained(*given).passes} == expected


def test_applications_become_their_modules_and_say_why_they_take_part() -> None:
    old, new = releases([load("a")], "inverse")
    fresh, gone = app("7", {"fresh": ""}, "fresh"), app("5", {"gone": ""}, "gone")
    found = explain(release("1", *old.applications, gone), release("2", *new.applications, fresh))
    assert found.sources == (
        Source("fresh", "new", (AddApplication("fresh"),)),
        Source("shop", "entry", (load("a"),)),
        Source("gone", "gone", (RemoveApplication("gone"),)),
    )
    assert [s.location for s in found.sources] == [fresh.location, at(10), gone.location]
    expanded = found.passes[0]
    assert (expanded.name, *signs(expanded)) == ("expand", "++ ++++", 2)
    back = explain(found.relup.goal, found.relup.base)
    assert [(s.application, s.origin) for s in back.sources] == [
        ("gone", "new"),
        ("shop", "inverse"),
        ("fresh", "gone"),
    ]


@pytest.mark.parametrize(("direction", "first", "last"), [("up", True, False), ("down", False, True)])
def test_a_restart_says_where_it_comes_from_and_where_it_went(direction: str, first: bool, last: bool) -> None:
    old, new = releases([load("a")], [load("a")])
    base, goal = beam("1", *old.applications, erts="13.1"), beam("2", *new.applications, erts="14.0")
    found = explain(base, goal) if direction == "up" else explain(goal, base)
    assert found.sources[0] == Source(None, "erts", (RestartNewEmulator(),))
    merged = found.passes[-1]
    assert merged.name == "merge"
    assert (isinstance(merged.script[0], RestartNewEmulator), isinstance(merged.script[-1], RestartEmulator)) == (
        first,
        last,
    )
    assert explain(base, goal, restart_emulator=True).sources[-1] == Source(None, "asked", (RestartEmulator(),))


def test_it_raises_what_the_plan_raises() -> None:
    with pytest.raises(InvalidInput) as error:
        explained(update("a", "nobody"), LAST)
    assert {d.code for d in error.value.diagnostics} == {"undef_module", "not_on_this_node"}
    with pytest.raises(InvalidInput, match="irreversible"):
        explain(*releases([Apply(Call("m", "f"))]), warnings_as_errors=True)


# ── every reason is true ───────────────────────────────────────────────────────────────────────────────


@st.composite
def scripts(draw: st.DrawFn) -> list[Instruction]:
    """Instructions for some modules, that depend on each other anyhow, with calls between them."""
    names = draw(st.lists(st.sampled_from(MODULES), unique=True, min_size=1))
    found: list[Instruction] = []
    for name in names:
        depends = tuple(draw(st.lists(st.sampled_from(names), max_size=2)))
        change = draw(st.sampled_from([Soft(), Advanced(), SupervisorChange()]))
        found.append(
            draw(
                st.sampled_from(
                    [
                        Update(name, change, depends, draw(st.sampled_from(["static", "dynamic"]))),
                        LoadModule(name, depends),
                        AddModule(name, depends),
                        DeleteModule(name, depends),
                    ]
                )
            )
        )
    for n in draw(st.lists(st.integers(0, len(found)), max_size=2)):
        found.insert(n, draw(st.sampled_from([CALL, AddApplication("extra"), FETCH])))
    return found


ranks = st.none() | st.dictionaries(st.sampled_from(MODULES), st.integers(0, 5))


@settings(max_examples=150, deadline=None)
@given(script=scripts(), direction=st.sampled_from(["up", "down"]), rank=ranks)
def test_ranks_and_reasons_are_those_of_the_plan(
    script: list[Instruction], direction: Direction, rank: Rank | None
) -> None:
    down = [replace(i, vsn="1") if isinstance(i, LoadObjectCode) else i for i in script]
    base, goal = (release(r.vsn, *r.applications, app("1", {}, "extra")) for r in releases(script, down))
    ends = (base, goal) if direction == "up" else (goal, base)
    found = explain(*ends, direction, rank)
    assert found.relup == plan(*ends, direction, rank)
    assert list(untrue(found, script, rank or {})) == []
    assert list(unlike(found)) == []


def untrue(found: Explanation, script: list[Instruction], rank: Rank) -> Iterator[str]:
    """Yield every claim about the order of modules that the graph, the appup or the plan does not bear out."""
    modules = [i for i in script if isinstance(i, ModuleInstruction)]
    graph: nx.DiGraph[str] = nx.DiGraph([(i.module, d) for i in modules for d in i.depends])
    graph.add_nodes_from(i.module for i in modules)
    written = {i.module: n for n, i in enumerate(modules)}
    together = [{m.instruction.module for m in c.modules} for c in found.components]
    if sorted(map(sorted, together)) != sorted(map(sorted, nx.weakly_connected_components(graph))):
        yield f"components {together}"
    for component in found.components:
        yield from untrue_order(component, graph, written, rank)
    every = sorted((m.loaded, m.instruction.module) for c in found.components for m in c.modules)
    code = [i.module for i in found.relup.script if isinstance(i, Load | Remove)]
    if list(enumerate(code, start=1)) != every:
        yield f"loaded {every}, not {code}"
    suspended = [[s.module for s in i.modules] for i in found.relup.script if isinstance(i, Suspend)]
    if suspended != [u for c in found.components if (u := updated(c))]:
        yield f"suspended {suspended}"
    resumed = [list(i.modules) for i in found.relup.script if isinstance(i, Resume)]
    if resumed != [s[::-1] for s in suspended]:
        yield f"resumed {resumed}"
    yield from untrue_changes(found)


def updated(component: OrderedComponent) -> list[str]:
    in_order = sorted(component.modules, key=lambda m: m.rank)
    return [m.instruction.module for m in in_order if isinstance(m.instruction, Update)]


def untrue_changes(found: Explanation) -> Iterator[str]:
    script = found.relup.script
    changed = {c.module: n for n, i in enumerate(script) if isinstance(i, CodeChange) for c in i.changes}
    loads = {i.module: n for n, i in enumerate(script) if isinstance(i, Load | Remove)}
    for component in found.components:
        places = [loads[m.instruction.module] for m in component.modules]
        for m in component.modules:
            n = changed.get(m.instruction.module)
            side = None if n is None else "before" if n < min(places) else "after" if n > max(places) else "between"
            if m.code_change != side:
                yield f"code_change of {m.instruction.module} is {side} the loads, not {m.code_change}"


def untrue_order(
    component: OrderedComponent, graph: nx.DiGraph[str], written: dict[str, int], rank: Rank
) -> Iterator[str]:
    names = [m.instruction.module for m in component.modules]
    if component.first.module != min(names, key=written.__getitem__):
        yield f"first {component.first}"
    strong = [tuple(c) for c in nx.strongly_connected_components(graph.subgraph(names)) if len(c) > 1]
    if sorted(map(sorted, component.circles)) != sorted(map(sorted, strong)):
        yield f"circles {component.circles}"
    for circle in component.circles:
        if list(circle) != sorted(circle, key=written.__getitem__) or circle not in windows(names, len(circle)):
            yield f"circle {circle} does not stand as written in {names}"
    blocks = list(in_blocks(component))
    for n, (first, circle) in enumerate(blocks):
        yield from untrue_reasons(first, circle, blocks[:n], graph, written, rank)


def windows(names: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(names[n : n + size]) for n in range(len(names)))


def in_blocks(component: OrderedComponent) -> Iterator[tuple[OrderedModule, tuple[str, ...]]]:
    """Yield each module that has reasons, with its circle; the others are of the circle that came before."""
    for m in component.modules:
        circle = component.circles[m.circle] if m.circle is not None else (m.instruction.module,)
        if m.instruction.module == circle[0]:
            yield m, circle
        elif m.reasons:
            raise AssertionError(f"{m} is not the first of {circle} and has reasons")


def untrue_reasons(
    module: OrderedModule,
    circle: tuple[str, ...],
    before: list[tuple[OrderedModule, tuple[str, ...]]],
    graph: nx.DiGraph[str],
    written: dict[str, int],
    rank: Rank,
) -> Iterator[str]:
    earlier = [m for _, c in before for m in c]
    dependents = [m for m in earlier if any(d in circle for d in graph.successors(m))]
    neighbour = before[-1][1] if before else ()
    match module.reasons:
        case (Free(), *rest):
            if {m for d in circle for m in graph.predecessors(d)} - set(circle):
                yield f"{module} is not free"
        case (After(dependent, on), *rest):
            if not dependents or dependent != dependents[-1] or on not in circle or not graph.has_edge(dependent, on):
                yield f"{module}: {dependent} is not the last that depends on it"
        case _:
            rest = []
            yield f"{module} has no reason"
    match rest:
        case []:
            if before and not set(neighbour) & set(dependents[-1:]):
                yield f"{module}: nothing is said of {neighbour}"
        case [Tie(first, second, by)]:
            if first not in neighbour or second not in circle:
                yield f"{module}: {first} and {second} are no neighbours"
            if nx.has_path(graph, first, second) or nx.has_path(graph, second, first):
                yield f"{module}: {first} and {second} depend on each other"
            keys = [(rank.get(m, len(rank)) if rank else 0, written[m]) for m in (first, second)]
            if keys[0] > keys[1] or by != ("written" if keys[0][0] == keys[1][0] else "rank"):
                yield f"{module}: {first} is not before {second} as {by}"
        case _:
            yield f"{module} has too many reasons"


def unlike(found: Explanation) -> Iterator[str]:
    """Yield every pass whose marks do not lead from the script before it to its own."""
    scripts = [tuple(i for s in found.sources for i in s.instructions), *(p.script for p in found.passes)]
    if scripts[-1] != found.relup.script:
        yield f"the last pass ends in {scripts[-1]}"
    for (before, after), one in zip(pairwise(scripts), found.passes, strict=True):
        kept = [i for i, mark in zip(after, one.marks, strict=True) if mark == "kept"]
        rest = iter(before)
        if not all(any(i == other for other in rest) for i in kept):
            yield f"{one.name}: {kept} do not stand in this order in {before}"
        if len(before) - one.gone != len(after) - one.marks.count("new"):
            yield f"{one.name}: {len(before)} - {one.gone} + {one.marks.count('new')} is not {len(after)}"
        if one.gone == 0 and set(one.marks) == {"kept"}:
            yield f"{one.name} changed nothing"
