"""Graphs as text for Graphviz and Mermaid, and as drawings that need neither.

Names are whatever people call things, so each format has one function that makes any text harmless in it. The
same graph gives the same text, character by character: drawings can be committed and compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from unicodedata import category
from xml.sax.saxutils import escape

from relup.model.graph import Edge, EdgeKind, Graph, Vertex
from relup.report.layout import COLUMN, LINE, PAD, Box, Drawing, Frame, Line, columns, laid_out

_COLOURS: Mapping[str, tuple[str, str]] = {
    "up": ("#1a7f37", "#3fb950"),
    "down": ("#0969da", "#58a6ff"),
    "depends": ("#59636e", "#9198a1"),
    "circle": ("#bc4c00", "#db6d28"),
    "wrong": ("#cf222e", "#f85149"),
}
"""Of lines: on white, and on black."""
_MARGIN = 16.0


def _readable(text: str) -> str:
    """Return *text* with a mark for each character that no document can hold or no reader can see."""
    return "".join("\ufffd" if category(c) in ("Cc", "Cs", "Cn") and c != "\n" else c for c in text)


def _look(edge: Edge) -> str:
    return "wrong" if edge.wrong else edge.kind


def _grouped(graph: Graph) -> Iterator[tuple[str, list[Vertex]]]:
    members: list[list[Vertex]] = [[] for _ in graph.groups]
    for v in graph.vertices:
        members[v.group].append(v)
    return zip(graph.groups, members, strict=True)


# ── Graphviz ───────────────────────────────────────────────────────────────────────────────────────────


def dot(graph: Graph) -> str:
    """Return *graph* in Graphviz's language."""
    return "\n".join(_dot(graph)) + "\n"


def _dot(graph: Graph) -> Iterator[str]:
    yield f"digraph {_quoted(graph.title)} {{"
    yield f'  graph [label={_quoted(graph.title)}, labelloc=t, fontname="monospace"]'
    yield '  node [shape=box, style=rounded, fontname="monospace"]'
    yield '  edge [fontname="monospace", fontsize=10]'
    for number, (label, members) in enumerate(_grouped(graph)):
        if label:
            yield f"  subgraph cluster_{number} {{"
            yield f"    label={_quoted(label)}"
        indent = "    " if label else "  "
        for v in members:
            lines = "\n".join((v.label, *v.notes))
            yield f"{indent}{_quoted(v.name)} [label={_quoted(lines)}]"
        if label:
            yield "  }"
    for e in graph.edges:
        style = "dashed" if e.wrong else ""
        given = {"label": e.label, "color": _COLOURS[_look(e)][0], "style": style, "tooltip": e.wrong}
        fields = ", ".join(f"{k}={_quoted(v)}" for k, v in given.items() if v)
        yield f"  {_quoted(e.tail)} -> {_quoted(e.head)} [{fields}]"
    yield "}"


def _quoted(text: str) -> str:
    """Return a quoted ID or label of Graphviz."""
    for character, written in {"\\": "\\\\", '"': '\\"', "\n": "\\n", "&": "&amp;"}.items():
        text = text.replace(character, written)
    return f'"{_readable(text)}"'


# ── Mermaid ────────────────────────────────────────────────────────────────────────────────────────────

_ARROWS: Mapping[EdgeKind, str] = {"up": "-->", "down": "-->", "depends": "-->", "circle": "==>"}


def mermaid(graph: Graph) -> str:
    """Return *graph* in Mermaid's language."""
    return "\n".join(_mermaid(graph)) + "\n"


def _mermaid(graph: Graph) -> Iterator[str]:
    ids = {v.name: f"n{number}" for number, v in enumerate(graph.vertices)}
    yield from ("---", f"title: {json.dumps(_readable(graph.title), ensure_ascii=False)}", "---", "flowchart TD")
    for number, (label, members) in enumerate(_grouped(graph)):
        if label:
            yield f'  subgraph g{number}["{_entities(label)}"]'
            yield "    direction TB"
        for v in members:
            yield f'{"    " if label else "  "}{ids[v.name]}["{_entities(chr(10).join((v.label, *v.notes)))}"]'
        if label:
            yield "  end"
    for e in graph.edges:
        label = f'|"{_entities(e.label)}"|' if e.label else ""
        yield f"  {ids[e.tail]} {'-.->' if e.wrong else _ARROWS[e.kind]}{label} {ids[e.head]}"


def _entities(text: str) -> str:
    """Return text for between Mermaid's quotes: whatever may mean something to it is written by its number."""
    coded = re.sub(r"[^\w\n .,:/()→-]", lambda found: f"#{ord(found[0])};", _readable(text))
    return coded.replace("\n", "<br/>")


# ── SVG ────────────────────────────────────────────────────────────────────────────────────────────────


def svg(graph: Graph) -> str:
    """Return *graph* as a drawing that needs nothing else, for light and for dark surroundings."""
    return "\n".join(_svg(graph, laid_out(graph))) + "\n"


def _svg(graph: Graph, drawing: Drawing) -> Iterator[str]:
    title = _readable(graph.title).replace("\n", " ")
    head = LINE + PAD
    width = max(drawing.width, columns(title) * COLUMN) + 2 * _MARGIN
    height = drawing.height + head + 2 * _MARGIN
    size = f'width="{_px(width)}" height="{_px(height)}" viewBox="0 0 {_px(width)} {_px(height)}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" class="relup" role="img" {size}>'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>{_style()}</style>"
    yield f"<defs>{''.join(map(_marker, _COLOURS))}</defs>"
    yield '<rect class="paper" width="100%" height="100%"/>'
    yield f'<text class="title" x="{_px(_MARGIN)}" y="{_px(_MARGIN + LINE / 2)}">{escape(title)}</text>'
    yield f'<g transform="translate({_px(_MARGIN)} {_px(_MARGIN + head)})">'
    yield from map(_frame, drawing.frames)
    yield from map(_line, drawing.lines)
    yield from map(_box, drawing.boxes)
    yield "</g>"
    yield "</svg>"


def _style() -> str:
    """Return the colours: of everything on white, then what is different on black."""
    light, dark = (
        "".join(
            f".relup .{name}{{stroke:{colours[n]}}}.relup .{name}-head{{fill:{colours[n]}}}"
            for name, colours in _COLOURS.items()
        )
        for n in (0, 1)
    )
    return (
        ".relup text{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1f2328;"
        "dominant-baseline:central;white-space:pre}"
        ".relup .title,.relup .name{font-weight:bold}.relup .note,.relup .label{fill:#59636e}"
        ".relup .paper{fill:#ffffff}.relup .box{fill:#f6f8fa;stroke:#818b98}"
        ".relup .frame{fill:none;stroke:#818b98;stroke-dasharray:2 3}.relup path.edge{fill:none;stroke-width:1.4}"
        f".relup path.wrong{{stroke-dasharray:5 4}}{light}"
        "@media (prefers-color-scheme:dark){.relup text{fill:#e6edf3}.relup .note,.relup .label{fill:#9198a1}"
        f".relup .paper{{fill:#0d1117}}.relup .box{{fill:#151b23;stroke:#656c76}}{dark}}}"
    )


def _marker(name: str) -> str:
    return (
        f'<marker id="relup-{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'orient="auto"><path class="{name}-head" d="M0 1 10 5 0 9z"/></marker>'
    )


def _frame(frame: Frame) -> str:
    place = f'x="{_px(frame.x)}" y="{_px(frame.y)}" width="{_px(frame.width)}" height="{_px(frame.height)}"'
    return f'<rect class="frame" rx="8" {place}/>' + _text("label", frame.x + PAD, frame.y + PAD, frame.label)


def _line(line: Line) -> str:
    (x, y), *_ = line.points
    path = f"M{_px(x)} {_px(y)}"
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(line.points)):
        middle = (y0 + y1) / 2
        is_curve = number % 2 == 0
        curve = f"C{_px(x0)} {_px(middle)} {_px(x1)} {_px(middle)} {_px(x1)} {_px(y1)}"
        path += curve if is_curve else f"V{_px(y1)}"
    look, edge = _look(line.edge), line.edge
    said = [f"{edge.tail} → {edge.head}", *filter(None, (edge.label, edge.wrong))]
    label = _text("label", *line.at, line.label) if line.label else ""
    return f'<g>{_tooltip(said)}<path class="edge {look}" marker-end="url(#relup-{look})" d="{path}"/>{label}</g>'


def _box(box: Box) -> str:
    place = f'x="{_px(box.x)}" y="{_px(box.y)}" width="{_px(box.width)}" height="{_px(box.height)}"'
    first = box.y + box.height / 2 - (len(box.lines) - 1) * LINE / 2
    texts = "".join(
        _text("note" if n else "name", box.x + PAD, first + n * LINE, text) for n, text in enumerate(box.lines)
    )
    said = (box.vertex.label, *box.vertex.notes)
    return f'<g>{_tooltip(said)}<rect class="box" rx="5" {place}/>{texts}</g>'


def _text(look: str, x: float, y: float, text: str) -> str:
    return f'<text class="{look}" x="{_px(x)}" y="{_px(y)}">{escape(_readable(text))}</text>'


def _tooltip(lines: Iterable[str]) -> str:
    return f"<title>{escape(_readable(chr(10).join(lines)))}</title>"


def _px(number: float) -> str:
    """Return a number of pixels, to a tenth."""
    return f"{round(number, 1) + 0.0:g}"
