"""Limits of an upgrade as plain data, as a command sends them to a node."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from relup.diagnostics import Diagnostic, InvalidInput
from relup.executor import Limits

MOST_SECONDS = 31_536_000.0
MOST_RETRIES = 1_000


def limits_to_data(limits: Limits) -> dict[str, Any]:
    """Return limits as plain data."""
    return asdict(limits)


def limits_from_data(data: Any) -> Limits:
    """Return the limits that a request names; none where it names none. Raises `InvalidInput` for what are none."""
    match data:
        case None:
            return Limits()
        case {
            "suspend": suspend,
            "code_change": change,
            "window": window,
            "imports": imports,
            "retries": retries,
            **rest,
        }:
            times = (suspend, change, window, imports)
            if not rest and type(retries) is int and 0 <= retries <= MOST_RETRIES and all(map(_is_time, times)):
                return Limits(suspend, change, window, retries, imports)
        case _:
            pass
    raise InvalidInput([Diagnostic("bad_request", f"these are no limits of an upgrade: {data!r:.200}")])


def _is_time(seconds: Any) -> bool:
    return seconds is None or (type(seconds) in (int, float) and 0 < seconds <= MOST_SECONDS)
