"""The order in which people read versions: 1.9 comes before 1.10."""

from __future__ import annotations

import re
from typing import TypeAlias

Natural: TypeAlias = tuple[tuple[str | tuple[int, str], ...], str]


def natural(text: str) -> Natural:
    """Return a key that sorts versions and file names by the numbers in them, and tells any two texts apart.

    Numbers are compared as digits of that length: a version may hold a date and a time, or more than `int` reads.
    """
    parts = re.split("([0-9]+)", text)
    return tuple(_number(part) if n % 2 else part for n, part in enumerate(parts)), text


def _number(digits: str) -> tuple[int, str]:
    significant = digits.lstrip("0")
    return len(significant), significant
