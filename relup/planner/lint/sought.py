"""Modules that are looked for in texts, all of them in one pass over each text.

Most texts of a release name none of the modules that a rule asks about, and need not be parsed to know it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sought:
    """Modules, and the pattern that finds the last parts of their names."""

    modules: tuple[str, ...]
    pattern: re.Pattern[bytes]

    def may_be_in(self, text: bytes | None) -> bool:
        """Say whether a text may name one of the modules; of a module without a text that is not known."""
        return text is None or self.pattern.search(text) is not None


def sought(modules: Iterable[str]) -> Sought:
    """Return what finds *modules*."""
    every = tuple(modules)
    last = sorted({m.rpartition(".")[2] for m in every})
    return Sought(every, re.compile(rb"\b(?:" + b"|".join(re.escape(n).encode() for n in last) + rb")\b"))
