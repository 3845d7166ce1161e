"""Where the boxes and lines of a drawing stand, in pixels.

Layers are rows. A line that crosses a row takes a place in it, as narrow as a line or as wide as its label, so
that nothing is drawn over anything else: lines bend and cross only between rows. Groups are laid out one by one
and then set like words, in lines as long as the page is wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TypeAlias
from unicodedata import category, east_asian_width

from relup.model.graph import Edge, Graph, Vertex
from relup.report.rows import Spot, rows_of

Point: TypeAlias = tuple[float, float]

COLUMN, LINE, PAD = 7.25, 18.0, 11.0
"""The width of a character, the height of a line of text, and the room around it."""
_PAGE, _APART = 1_200.0, 26.0
_BETWEEN_ROWS, _BETWEEN_LABELS, _BETWEEN_PORTS = 38.0, 22.0, 16.0
_MOST_COLUMNS = 44


@dataclass(frozen=True, slots=True)
class Box:
    """A vertex with its text."""

    vertex: Vertex
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """An edge, from tail to head: a curve between rows, then straight through a row, and so on."""

    edge: Edge
    points: tuple[Point, ...]
    label: str
    at: Point
    """Where the label begins, in the middle of its height."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The room that a group takes, and what it is called."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that is drawn, between (0, 0) and (width, height)."""

    width: float
    height: float
    frames: tuple[Frame, ...] = ()
    boxes: tuple[Box, ...] = ()
    lines: tuple[Line, ...] = ()


def columns(text: str) -> int:
    """Return how many columns *text* takes in a monospaced font."""
    return sum(0 if category(c) in ("Mn", "Me", "Cf") else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def fitted(text: str) -> str:
    """Return *text* in one line, without its middle when it is too long: names differ at their ends."""
    text = text.replace("\n", "⏎")
    if columns(text) <= _MOST_COLUMNS:
        return text
    head, tail = text[: _MOST_COLUMNS // 2], text[-(_MOST_COLUMNS // 2) :]
    while columns(head) + columns(tail) >= _MOST_COLUMNS:
        head, tail = head[:-1], tail[1:]
    return f"{head}…{tail}"


# ── all groups ─────────────────────────────────────────────────────────────────────────────────────────


def laid_out(graph: Graph) -> Drawing:
    """Return where everything in *graph* stands."""
    groups = {v.name: v.group for v in graph.vertices}
    vertices: list[list[Vertex]] = [[] for _ in graph.groups]
    edges: list[list[Edge]] = [[] for _ in graph.groups]
    for v in graph.vertices:
        vertices[v.group].append(v)
    for e in graph.edges:
        edges[groups[e.tail]].append(e)
    return _page([_group(*group) for group in zip(graph.groups, vertices, edges, strict=True)])


def _page(parts: Sequence[Drawing]) -> Drawing:
    x = y = height = width = 0.0
    placed: list[Drawing] = []
    for part in parts:
        if x and x + part.width > _PAGE:
            x, y, height = 0.0, y + height + _APART, 0.0
        placed.append(_moved(part, x, y))
        width, height = max(width, x + part.width), max(height, part.height)
        x += part.width + _APART
    return Drawing(
        width,
        y + height,
        frames=tuple(f for part in placed for f in part.frames),
        boxes=tuple(b for part in placed for b in part.boxes),
        lines=tuple(e for part in placed for e in part.lines),
    )


def _moved(part: Drawing, x: float, y: float) -> Drawing:
    def moved(point: Point) -> Point:
        return point[0] + x, point[1] + y

    return replace(
        part,
        frames=tuple(replace(f, x=f.x + x, y=f.y + y) for f in part.frames),
        boxes=tuple(replace(b, x=b.x + x, y=b.y + y) for b in part.boxes),
        lines=tuple(replace(e, points=tuple(map(moved, e.points)), at=moved(e.at)) for e in part.lines),
    )


# ── one group ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Chain:
    """An edge, and its spots from the box above to the box below."""

    edge: Edge
    spots: tuple[Spot, ...]
    downwards: bool
    label: str
    labelled: Spot | None


def _group(label: str, vertices: Sequence[Vertex], edges: Sequence[Edge]) -> Drawing:
    step = 2 if any(e.label for e in edges) else 1
    texts = {v.name: tuple(map(fitted, (v.label, *v.notes))) for v in vertices}
    boxes = {v.name: _box(v.layer * step, texts[v.name]) for v in vertices}
    chains = [_chain(e, boxes) for e in edges]
    rows = rows_of([*boxes.values(), *(s for c in chains for s in c.spots[1:-1])])
    heights = [max((s.height for s in row), default=0.0) for row in rows]
    between = _BETWEEN_LABELS if step == 2 else _BETWEEN_ROWS
    tops = list(accumulate((h + between for h in heights), initial=0.0))
    ends = [(top, top + height) for top, height in zip(tops, heights, strict=False)]
    start = min((s.x - s.left for row in rows for s in row), default=0.0)
    width = max((s.x + s.right for row in rows for s in row), default=0.0) - start
    drawing = Drawing(
        width,
        ends[-1][1] if ends else 0.0,
        boxes=tuple(_drawn_box(v, texts[v.name], boxes[v.name], ends) for v in vertices),
        lines=tuple(_lines(chains, ends)),
    )
    return _framed(label, _moved(drawing, -start, 0.0))


def _framed(label: str, drawing: Drawing) -> Drawing:
    if not label:
        return drawing
    inside = max(drawing.width, columns(label) * COLUMN)
    width, height = inside + 2 * PAD, drawing.height + 2 * PAD + LINE
    moved = _moved(drawing, PAD + (inside - drawing.width) / 2, PAD + LINE)
    return replace(moved, width=width, height=height, frames=(Frame(label, 0.0, 0.0, width, height),))


def _box(row: int, texts: Sequence[str]) -> Spot:
    half = max(map(columns, texts)) * COLUMN / 2 + PAD
    return Spot(row, half, half, len(texts) * LINE + PAD, is_box=True)


def _chain(edge: Edge, boxes: Mapping[str, Spot]) -> _Chain:
    """Give the edge a spot in each row between its ends; the label's is the one nearest to its tail."""
    tail, head = boxes[edge.tail], boxes[edge.head]
    upper, lower = (tail, head) if tail.row < head.row else (head, tail)
    between = [Spot(row, PAD / 2, PAD / 2) for row in range(upper.row + 1, lower.row)]
    label = fitted(edge.label)
    labelled = (between[0] if upper is tail else between[-1]) if between and label else None
    if labelled:
        labelled.right, labelled.height = columns(label) * COLUMN + PAD, LINE
    spots = (upper, *between, lower)
    for one, two in pairwise(spots):
        one.below.append(two)
        two.above.append(one)
    return _Chain(edge, spots, upper is tail, label, labelled)


def _drawn_box(vertex: Vertex, texts: tuple[str, ...], spot: Spot, ends: Sequence[Point]) -> Box:
    top, bottom = ends[spot.row]
    return Box(vertex, texts, spot.x - spot.left, top, spot.left + spot.right, bottom - top)


def _lines(chains: Sequence[_Chain], ends: Sequence[Point]) -> Iterator[Line]:
    starts = _ports([(c.spots[0], c.spots[1]) for c in chains])
    stops = _ports([(c.spots[-1], c.spots[-2]) for c in chains])
    for chain, start, stop in zip(chains, starts, stops, strict=True):
        upper, *between, lower = chain.spots
        points = [(start, ends[upper.row][1])]
        points += [(s.x, y) for s in between for y in ends[s.row]]
        points += [(stop, ends[lower.row][0])]
        label = chain.labelled or upper
        path = tuple(points if chain.downwards else reversed(points))
        yield Line(chain.edge, path, chain.label, (label.x + PAD / 2, sum(ends[label.row]) / 2))


def _ports(joints: Sequence[tuple[Spot, Spot]]) -> list[float]:
    """Return where on its box each line begins, so that lines of one box do not meet: sorted by where they lead."""
    by_box: dict[Spot, list[int]] = {}
    for n in sorted(range(len(joints)), key=lambda n: joints[n][1].x):
        by_box.setdefault(joints[n][0], []).append(n)
    found = [0.0] * len(joints)
    for box, lines in by_box.items():
        room = min(_BETWEEN_PORTS, (box.left + box.right - PAD) / len(lines))
        for place, n in enumerate(lines):
            found[n] = box.x + (place - (len(lines) - 1) / 2) * room
    return found
