"""Long lists of names in few words."""

from __future__ import annotations

from collections.abc import Sequence


def shortened(names: Sequence[str], most: int = 8) -> str:
    """Return the names, or the first of them and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
