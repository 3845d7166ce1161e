"""Graphs in three languages: any name is harmless in each, nothing is drawn over anything, and nothing is by chance."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relup.model.graph import Edge, EdgeKind, Graph, Vertex
from relup.planner import version_graph
from relup.report.graph import dot, mermaid, svg
from relup.report.layout import COLUMN, LINE, Drawing, columns, fitted, laid_out
from tests.planner.versions import versions

ODD = (
    'a"b',
    "a\\",
    "a\\n",
    "a\nb",
    "[x]{y}(z)|<b>&amp;",
    "日本語",
    "%%{init: {}}%%",
    '"]; x --> y',
    "end",
    "\x00\ud800",
    "",
)
KINDS: tuple[EdgeKind, ...] = ("up", "down", "depends", "circle")
SVG = "{http://www.w3.org/2000/svg}"


def chain(names: tuple[str, ...]) -> Graph:
    """A graph with a line of these vertices, whose edges are labelled like their tails."""
    vertices = tuple(Vertex(name, name, ("note",), layer=n) for n, name in enumerate(names))
    edges = tuple(Edge(x, y, "up", label=x) for x, y in pairwise(names))
    return Graph("title", vertices, edges)


SMALL = Graph(
    "shop: versions",
    (Vertex("1", "1"), Vertex("2", "2", layer=1), Vertex("3", "3", ("new",), group=1)),
    (Edge("1", "2", "up", "up: fine"), Edge("2", "1", "down", "down: wrong", wrong="typo [x]")),
    ("change together", ""),
)


# ── Graphviz ───────────────────────────────────────────────────────────────────────────────────────────


def test_dot_is_what_graphviz_reads() -> None:
    assert (
        dot(SMALL)
        == """\
digraph "shop: versions" {
  graph [label="shop: versions", labelloc=t, fontname="monospace"]
  node [shape=box, style=rounded, fontname="monospace"]
  edge [fontname="monospace", fontsize=10]
  subgraph cluster_0 {
    label="change together"
    "1" [label="1"]
    "2" [label="2"]
  }
  "3" [label="3\\nnew"]
  "1" -> "2" [label="up: fine", color="#1a7f37"]
  "2" -> "1" [label="down: wrong", color="#cf222e", style="dashed", tooltip="typo [x]"]
}
"""
    )


@pytest.mark.parametrize("name", ODD)
def test_any_name_is_one_quoted_word_of_dot(name: str) -> None:
    text = dot(Graph("t", (Vertex(name, name),)))
    line = text.splitlines()[4]
    quoted = re.fullmatch(r'  "((?:[^"\\]|\\.)*)" \[label="((?:[^"\\]|\\.)*)"\]', line)
    assert quoted, line
    read = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], quoted[1]).replace("&amp;", "&")
    assert read == name.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert quoted[1] == quoted[2]


def test_different_names_stay_different_in_dot() -> None:
    assert len({dot(Graph("t", (Vertex(name, ""),))) for name in ODD}) == len(ODD)


# ── Mermaid ────────────────────────────────────────────────────────────────────────────────────────────


def test_mermaid_is_what_mermaid_reads() -> None:
    assert (
        mermaid(SMALL)
        == """\
---
title: "shop: versions"
---
flowchart TD
  subgraph g0["change together"]
    direction TB
    n0["1"]
    n1["2"]
  end
  n2["3<br/>new"]
  n0 -->|"up: fine"| n1
  n1 -.->|"down: wrong"| n0
"""
    )


@pytest.mark.parametrize("name", ODD)
def test_nothing_in_a_name_means_anything_to_mermaid(name: str) -> None:
    *_, line = mermaid(Graph(name, (Vertex(name, name),))).splitlines()
    inside = re.fullmatch(r'  n0\["(.*)"\]', line)
    assert inside, line
    assert not re.search(r'["\[\]{}|<>%`\\]', inside[1].replace("<br/>", ""))
    read = re.sub(r"#(\d+);", lambda m: chr(int(m[1])), inside[1].replace("<br/>", "\n"))
    assert read == name.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")


# ── SVG ────────────────────────────────────────────────────────────────────────────────────────────────


def texts(drawing: str, look: str) -> list[str | None]:
    return [t.text for t in ElementTree.fromstring(drawing).iter(f"{SVG}text") if t.get("class") == look]


def test_a_drawing_has_every_name_label_and_reason() -> None:
    drawing = svg(SMALL)
    root = ElementTree.fromstring(drawing)
    assert texts(drawing, "name") == ["1", "2", "3"]
    assert texts(drawing, "note") == ["new"]
    assert texts(drawing, "label") == ["change together", "up: fine", "down: wrong"]
    assert [t.text for t in root.iter(f"{SVG}title")] == [
        "shop: versions",
        "1 → 2\nup: fine",
        "2 → 1\ndown: wrong\ntypo [x]",
        "1",
        "2",
        "3\nnew",
    ]
    assert [p.get("class") for p in root.iter(f"{SVG}path") if p.get("marker-end")] == ["edge up", "edge wrong"]


def test_odd_names_are_drawn_as_they_are() -> None:
    names = texts(svg(chain(ODD)), "name")
    seen = [n.replace("\n", "⏎").replace("\x00", "\ufffd").replace("\ud800", "\ufffd") or None for n in ODD]
    assert names == seen


def test_long_names_are_shortened_in_the_middle_and_whole_in_the_tooltip() -> None:
    name = "shop." + "very." * 20 + "long.end"
    assert fitted(name).startswith("shop.very")
    assert fitted(name).endswith("long.end")
    assert columns(fitted(name)) <= 44
    assert columns(fitted("日" * 40)) <= 44
    drawing = svg(chain((name,)))
    assert f"<title>{name}\nnote</title>" in drawing
    assert texts(drawing, "name") == [fitted(name)]


def test_a_graph_without_anything_is_a_drawing_of_its_title() -> None:
    assert texts(svg(Graph("versions", (), (), ())), "title") == ["versions"]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    sizes = draw(st.lists(st.integers(1, 12), max_size=5))
    for group, size in enumerate(sizes):
        names = [f"{group}.{n}" for n in range(size)]
        layers = {name: draw(st.integers(0, 4)) for name in names}
        labels = {
            name: draw(st.sampled_from(["", "x", "a.long.module.name.that.takes.room", "日本"])) for name in names
        }
        vertices += (Vertex(n, labels[n] or n, ("note",) * (layers[n] % 3), group, layers[n]) for n in names)
        ends = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=15, unique=True))
        edges += (Edge(x, y, KINDS[len(y) % 4], labels[x]) for x, y in ends if layers[x] != layers[y])
    return Graph("t", tuple(vertices), tuple(edges), tuple(draw(st.sampled_from(["", "together"])) for _ in sizes))


def rectangles(drawing: Drawing) -> list[tuple[float, float, float, float]]:
    """What may not be drawn over: boxes, and the labels of lines."""
    boxes = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in drawing.boxes]
    labels = [
        (e.at[0], e.at[1] - LINE / 2, e.at[0] + columns(e.label) * COLUMN, e.at[1] + LINE / 2)
        for e in drawing.lines
        if e.label
    ]
    return boxes + labels


@settings(max_examples=80, deadline=None)
@given(graph=graphs())
def test_no_box_and_no_label_is_drawn_over_another(graph: Graph) -> None:
    drawing = laid_out(graph)
    found = rectangles(drawing)
    for one, two in combinations(found, 2):
        assert one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1], (one, two)
    for left, top, right, bottom in found:
        assert left >= -0.1
        assert top >= -0.1
        assert right <= drawing.width + 0.1
        assert bottom <= drawing.height + 0.1


@settings(max_examples=80, deadline=None)
@given(graph=graphs())
def test_lines_lead_from_box_to_box_and_through_none(graph: Graph) -> None:
    drawing = laid_out(graph)
    boxes = {b.vertex.name: b for b in drawing.boxes}
    for line in drawing.lines:
        for (x, y), name in ((line.points[0], line.edge.tail), (line.points[-1], line.edge.head)):
            box = boxes[name]
            assert box.x < x < box.x + box.width
            assert y == pytest.approx(box.y) or y == pytest.approx(box.y + box.height)
        for x, y in line.points[1:-1]:
            assert not any(b.x < x < b.x + b.width and b.y < y < b.y + b.height for b in drawing.boxes)
    ends = [point for line in drawing.lines for point in (line.points[0], line.points[-1])]
    assert len(ends) == len(set(ends))


def test_groups_are_set_in_lines_like_words() -> None:
    graph = Graph("t", tuple(Vertex(f"m{n}", f"m{n}", group=n) for n in range(60)), (), ("",) * 60)
    drawing = laid_out(graph)
    assert drawing.width <= 1200
    assert [(b.y, b.x) for b in drawing.boxes] == sorted((b.y, b.x) for b in drawing.boxes)


DRAW = """
from relup.planner import version_graph
from relup.report.graph import dot, mermaid, svg
from tests.planner.versions import versions
graph = version_graph(versions("1~2 2~3 1+3=two 3+4=wrong 3~5 5~4 8+9").values())
print(svg(graph), dot(graph), mermaid(graph))
"""


def test_a_drawing_is_the_same_in_every_process() -> None:
    made = {
        subprocess.run(
            [sys.executable, "-c", DRAW], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(made) == 1


def test_the_graph_of_versions_can_be_drawn_in_every_language() -> None:
    graph = version_graph(versions("1~2 2~3 3+4=wrong").values())
    assert texts(svg(graph), "name") == ["1", "2", "3", "4"]
    assert dot(graph).count(" -> ") == mermaid(graph).count("|") / 2 == 5
