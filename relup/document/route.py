"""Saved plans: one hop as it is, several as the list of their plans.

A plan between two releases is the usual case and stays a plain document; only a route over more of them is a
document around others. Each hop is checked as if it stood alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from relup.diagnostics import Diagnostic
from relup.document import reader
from relup.document.piece import Malformed, Piece
from relup.document.relup import decode_relup, decode_warning, relup_to_data, warning_data
from relup.document.writer import write_yaml
from relup.model.route import Route


def route_to_data(route: Route) -> dict[str, Any]:
    """Return the plan as JSON-compatible data; raise `InvalidInput` when an argument in it is not plain data."""
    match route.hops:
        case (only,):
            return relup_to_data(only)
        case hops:
            return {
                "hops": [relup_to_data(hop) for hop in hops],
                "warnings": [warning_data(w) for w in route.warnings],
            }


def route_from_data(data: Mapping[str, Any]) -> Route:
    """Return the plan that *data* describes; raise `InvalidInput` when it describes none."""
    return reader.decoded(Piece(data), _decode)


def read_route(path: str | Path) -> Route:
    """Return the plan in the file at *path*, YAML or JSON; raise `InvalidInput` with everything wrong with it."""
    return checked_route(reader.parse(Path(path)))


def checked_route(piece: Piece) -> Route:
    """Return the plan that a parsed file holds; raise `InvalidInput` with everything that is wrong with it."""
    reader.raise_errors(reader.check(piece, "route" if _has_hops(piece) else "relup"))
    route = reader.decoded(piece, _decode)
    if _has_hops(piece):
        reader.raise_errors(_gaps(route, piece))
    return route


def write_route(route: Route) -> str:
    """Return the plan as a YAML document, with the line by which editors find its schema."""
    return write_yaml(route_to_data(route), "relup" if len(route.hops) == 1 else "route")


def _has_hops(piece: Piece) -> bool:
    return isinstance(piece.data, dict) and "hops" in piece.data


def _decode(piece: Piece) -> Route:
    if not _has_hops(piece):
        return Route((decode_relup(piece),))
    fields = piece.fields()
    warnings = fields["warnings"].items() if "warnings" in fields else ()
    return Route(tuple([decode_relup(hop) for hop in _hops(piece)]), tuple([decode_warning(w) for w in warnings]))


def _hops(piece: Piece) -> list[Piece]:
    hops = list(piece.fields()["hops"].items())
    if not hops:
        raise Malformed("a route has at least one hop", piece.location)
    return hops


def _gaps(route: Route, piece: Piece) -> Iterator[Diagnostic]:
    """Find hops that do not begin with the release that the one before them ends with."""
    for (before, after), (_, place) in zip(pairwise(route.hops), pairwise(_hops(piece)), strict=True):
        if before.goal != after.base:
            differ = "another" if str(before.goal) != str(after.base) else "not the same"
            message = (
                f"this hop begins with {after.base}, {differ} than {before.goal}, which the one before it ends with"
            )
            yield Diagnostic("broken_route", message, place.location)
