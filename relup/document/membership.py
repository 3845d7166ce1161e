"""Why each module is in its window, as data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from relup.model.membership import Members


def members_to_data(members: Members) -> list[list[dict[str, Any]]]:
    """Return the members of each window as plain data, without what is not known."""
    return [[{k: v for k, v in asdict(m).items() if v is not None} for m in window] for window in members]
