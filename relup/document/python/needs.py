"""Which distributions of a folder require which, what that says of their order, and which of them are the release."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from relup.document.python.distributions import Distribution

Needs: TypeAlias = Mapping[str, Sequence[str]]
"""Each distribution and those of the same folder that it requires, sorted."""


def needs_of(found: Sequence[Distribution]) -> Needs:
    """Return what the distributions require of each other, with the extras that they ask of each other."""
    asked: dict[str, frozenset[str]] = {d.name: frozenset() for d in found}
    while True:
        holding = {
            d.name: [r for r in d.metadata.requires if r.name in asked and r.holds(asked[d.name])] for d in found
        }
        more = dict(asked)
        for requirements in holding.values():
            for r in requirements:
                more[r.name] |= r.extras
        if more == asked:
            return {name: sorted({r.name for r in rs} - {name}) for name, rs in holding.items()}
        asked = more


def start_needs(needs: Needs, starting: Collection[str]) -> Needs:
    """Return the needs without circles: within one, what starts nothing comes first, then the names decide."""
    reached = {name: _reached(needs, name) for name in needs}

    def place(name: str) -> tuple[bool, str]:
        return name in starting, name

    return {
        name: [n for n in needed if name not in reached[n] or place(n) < place(name)] for name, needed in needs.items()
    }


def roots(needs: Needs, starting: Collection[str]) -> list[str]:
    """Return the distributions that give the release its name, sorted: of *starting*, else of all, the outermost.

    Outermost is what none of the others requires, be it over others; those of a circle do not count against each other.
    """
    candidates = sorted(starting or needs)
    reached = {name: _reached(needs, name) for name in candidates}
    return [c for c in candidates if all(o in reached[c] for o in candidates if o != c and c in reached[o])]


def _reached(needs: Needs, name: str) -> frozenset[str]:
    """Return what *name* requires, directly or not; itself only when that is a circle."""
    seen: set[str] = set()
    pending = [*needs[name]]
    while pending:
        if (next_one := pending.pop()) not in seen:
            seen.add(next_one)
            pending += needs[next_one]
    return frozenset(seen)
