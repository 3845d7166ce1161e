"""Graphs of versions and of modules: what is in them, and the layers by which they are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.model.graph import Edge, Graph
from relup.model.instructions import (
    AddModule,
    Advanced,
    DeleteModule,
    Instruction,
    Load,
    LoadModule,
    LoadObjectCode,
    PointOfNoReturn,
    RestartApplication,
    SupervisorChange,
    Update,
)
from relup.model.release import Release
from relup.planner import dependency_graph, version_graph
from tests.planner.build import app, appup, release
from tests.planner.versions import versions


def edges(graph: Graph) -> list[tuple[str, str, str]]:
    return [(e.tail, e.head, e.label) for e in graph.edges]


def layers(graph: Graph) -> dict[str, tuple[int, int]]:
    return {v.name: (v.group, v.layer) for v in graph.vertices}


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────


def test_versions_stand_from_old_to_new_with_the_cost_of_every_way() -> None:
    graph = version_graph(versions("1.9~1.10=two 1.10+2=call 1.9+2").values())
    assert (graph.title, layers(graph)) == ("shop: versions", {"1.9": (0, 0), "1.10": (0, 1), "2": (0, 2)})
    assert edges(graph) == [
        ("1.9", "1.10", "up: 2 module(s) suspended"),
        ("1.9", "2", "up: 1 lossy step(s), 1 module(s) suspended"),
        ("1.10", "1.9", "down: 2 module(s) suspended"),
        ("1.10", "2", "up: 2 lossy step(s)"),
    ]


def test_a_wrong_way_says_what_is_wrong() -> None:
    (edge,) = version_graph(versions("1+2=wrong").values()).edges
    assert (edge.kind, edge.label) == ("up", "up: wrong, changed_not_loaded")
    assert edge.wrong == (
        "shop.appup.yaml:10:3: module 'till' of 'shop' changed, and no instruction loads it "
        "(update or load_module) [changed_not_loaded]"
    )


def test_versions_without_a_way_between_them_are_groups() -> None:
    graph = version_graph(versions("1+2 5+6", "9").values())
    assert layers(graph) == {"1": (0, 0), "2": (0, 1), "5": (1, 0), "6": (1, 1), "9": (2, 0)}
    assert graph.groups == ("", "", "")


def test_where_no_application_changes_the_numbers_say_what_is_up() -> None:
    one = versions("", "1")["1"]
    graph = version_graph([replace(one, vsn="1.10"), one])
    assert edges(graph) == [("1", "1.10", "up: nothing suspended"), ("1.10", "1", "down: nothing suspended")]


def test_of_two_ways_in_one_pair_the_numbers_say_which_is_drawn() -> None:
    graph = version_graph(versions("1+2 1-2 2+1 2-1=load 3+1").values())
    assert edges(graph) == [
        ("1", "2", "up: 1 module(s) suspended"),
        ("2", "1", "down: nothing suspended"),
        ("3", "1", "up: 1 lossy step(s), 1 module(s) suspended"),
    ]


def test_releases_of_several_names_and_kinds_stand_side_by_side() -> None:
    known = versions("1+2")
    graph = version_graph([*known.values(), replace(known["1"], name="chat"), replace(known["1"], kind="beam")])
    assert (graph.title, [v.label for v in graph.vertices]) == ("versions", ["chat 1", "shop 1", "shop 1", "shop 2"])
    assert edges(graph) == [("shop 1 (python)", "shop 2 (python)", "up: 1 lossy step(s), 1 module(s) suspended")]


def test_no_release_is_a_graph_too() -> None:
    assert version_graph([]) == Graph("versions", (), (), ())


def test_the_order_in_which_releases_are_given_does_not_matter() -> None:
    known = list(versions("1~2 2~3 1+3=two 3+4=wrong").values())
    assert version_graph(reversed(known)) == version_graph(known)


def test_one_version_with_two_contents_cannot_be_drawn() -> None:
    one, other = versions("1+2")["2"], versions("1+2=two")["2"]
    with pytest.raises(InvalidInput, match="ambiguous_release"):
        version_graph([one, replace(other, root="/else")])


# ── modules ────────────────────────────────────────────────────────────────────────────────────────────


def pair(*instructions: Instruction, old: str = "", new: str = "") -> tuple[Release, Release]:
    """Two releases; both have the modules a to e, and each those that are named."""
    before, after = ({m: f"{n}{m}" for m in [*"abcde", *more.split()]} for n, more in ((1, old), (2, new)))
    up = [*instructions, *(LoadModule(m) for m in "abcde" if m not in named(instructions))]
    return release("1", app("1", before)), release("2", app("2", after, appup=appup({"1": up}, {})))


def named(instructions: tuple[Instruction, ...]) -> set[str]:
    if any(isinstance(i, RestartApplication) for i in instructions):
        return set("abcde")
    return {i.module for i in instructions if isinstance(i, Update | LoadModule | AddModule | DeleteModule | Load)}


def test_modules_have_what_is_done_to_them_and_when_they_are_loaded() -> None:
    base, goal = pair(
        Update("a", Advanced({}), depends=("b", "n")),
        Update("b", SupervisorChange()),
        Update("c"),
        AddModule("n"),
        DeleteModule("o"),
        old="o",
        new="n",
    )
    graph = dependency_graph(base, goal)
    assert graph.title == "shop 1 → 2 (up): the order in which modules change"
    assert [(v.name, v.notes, v.group, v.layer) for v in graph.vertices] == [
        ("a", ("3: update, advanced",), 0, 0),
        ("b", ("2: update, supervisor",), 0, 1),
        ("n", ("1: add_module",), 0, 1),
        ("c", ("4: update",), 1, 0),
        ("o", ("5: delete_module",), 2, 0),
        ("d", ("6: load_module",), 3, 0),
        ("e", ("7: load_module",), 4, 0),
    ]
    assert graph.groups == ("change together", "", "", "", "")
    assert graph.edges == (Edge("a", "b", "depends"), Edge("a", "n", "depends"))


def test_modules_in_a_circle_are_told() -> None:
    circle = [Update("a", depends=("b",)), Update("b", depends=("c", "b")), Update("c", depends=("a", "d"))]
    graph = dependency_graph(*pair(*circle, Update("d")))
    assert [(e.tail, e.head, e.kind) for e in graph.edges] == [
        ("a", "b", "circle"),
        ("b", "c", "circle"),
        ("c", "a", "circle"),
        ("c", "d", "depends"),
    ]
    assert list(layers(graph).items())[:4] == [("a", (0, 0)), ("b", (0, 1)), ("c", (0, 2)), ("d", (0, 3))]


def test_what_a_restarted_application_removes_and_adds_is_one_vertex() -> None:
    graph = dependency_graph(*pair(RestartApplication("shop")))
    assert [v.notes for v in graph.vertices][:2] == [("1: remove", "6: add_module"), ("2: remove", "7: add_module")]


def test_modules_that_a_script_loads_by_hand_are_in_it() -> None:
    script = [LoadObjectCode("shop", "2", ("a",)), PointOfNoReturn(), Load("a")]
    graph = dependency_graph(*pair(*script))
    assert ("a", ("1: load",)) in [(v.name, v.notes) for v in graph.vertices]


def test_a_plan_that_cannot_be_made_cannot_be_drawn() -> None:
    with pytest.raises(InvalidInput, match="undef_module"):
        dependency_graph(*pair(Update("a", depends=("z",))))


@st.composite
def dependencies(draw: st.DrawFn) -> list[Instruction]:
    names = [f"m{n}" for n in range(draw(st.integers(1, 25)))]
    targets = st.lists(st.sampled_from(names), max_size=3, unique=True)
    return [Update(name, depends=tuple(draw(targets))) for name in names]


@settings(max_examples=60, deadline=None)
@given(up=dependencies())
def test_edges_join_different_layers_of_one_group_and_layers_are_narrow(up: list[Instruction]) -> None:
    files = [i.module for i in up if isinstance(i, Update)]
    base = release("1", app("1", dict.fromkeys(files, "old")))
    goal = release("2", app("2", dict.fromkeys(files, "new"), appup=appup({"1": up}, {})))
    graph = dependency_graph(base, goal)
    places = layers(graph)
    for e in graph.edges:
        assert places[e.tail][0] == places[e.head][0]
        assert places[e.tail][1] != places[e.head][1]
        assert e.kind == "circle" or places[e.tail] < places[e.head]
    assert max(list(places.values()).count(place) for place in places.values()) <= 8
    assert sorted(int(v.notes[0].partition(":")[0]) for v in graph.vertices) == list(range(1, len(files) + 1))
