"""The order and the place of what stands in rows: next to its neighbours, never on top of anything.

Rows are ordered by the mean place of their neighbours, downwards and upwards in turn (the barycentre heuristic
of layered drawings). Then each row is moved as near to the mean x of its neighbours as the widths in it allow;
with the order given, that is an isotonic regression, which the pool-adjacent-violators algorithm solves exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

_SWEEPS = 8
_BESIDE_BOX, _BESIDE_LINE = 26.0, 12.0


@dataclass(slots=True, eq=False)
class Spot:
    """A place in a row: a box, or where a line crosses the row."""

    row: int
    left: float
    """How far it reaches to the left of its x."""
    right: float
    height: float = 0.0
    is_box: bool = False
    x: float = 0.0
    above: list[Spot] = field(default_factory=list)
    below: list[Spot] = field(default_factory=list)


Row: TypeAlias = list[Spot]


def rows_of(spots: Sequence[Spot]) -> list[Row]:
    """Return the spots row by row, each in its order and at its x."""
    rows: list[Row] = [[] for _ in range(max((s.row for s in spots), default=-1) + 1)]
    for spot in spots:
        rows[spot.row].append(spot)
    for downwards in (True, False) * (_SWEEPS // 2):
        _order(rows, downwards)
    for row in rows:
        _settle(row, [0.0] * len(row))
    for downwards in (True, False) * (_SWEEPS // 2):
        for row in rows if downwards else reversed(rows):
            _settle(row, [_mean(s, downwards) for s in row])
    return rows


def _order(rows: Sequence[Row], downwards: bool) -> None:
    """Sort every row by its neighbours on one side; x is the place in the row until rows are settled."""
    for row in rows if downwards else reversed(rows):
        row.sort(key=lambda s: _mean(s, downwards))
        for n, spot in enumerate(row):
            spot.x = n - (len(row) - 1) / 2


def _mean(spot: Spot, downwards: bool) -> float:
    neighbours = spot.above if downwards else spot.below
    return sum(s.x for s in neighbours) / len(neighbours) if neighbours else spot.x


def _settle(row: Row, wanted: Sequence[float]) -> None:
    """Move each spot as near to where it is wanted as the others let it, in the least squares sense."""
    offsets = [0.0]
    for one, two in pairwise(row):
        beside = _BESIDE_BOX if one.is_box or two.is_box else _BESIDE_LINE
        offsets.append(offsets[-1] + one.right + beside + two.left)
    risen = _risen([x - offset for x, offset in zip(wanted, offsets, strict=False)])
    for spot, x, offset in zip(row, risen, offsets, strict=False):
        spot.x = x + offset


def _risen(numbers: Sequence[float]) -> list[float]:
    """Return the numbers that never fall and differ least from *numbers*: what falls is levelled out."""
    pools: list[tuple[float, int]] = []
    for number in numbers:
        total, count = number, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            more, members = pools.pop()
            total, count = total + more, count + members
        pools.append((total, count))
    return [total / count for total, count in pools for _ in range(count)]
