"""Plain lists of the process that code enters itself into: import finders, warning filters, codec searches.

A body that adds its own entry and one that throws out the entry of the version before it (`six` does) change the
process at once, for everybody. So what bodies did to these lists is taken back when they have run, and done again at
the swap. What the *old* version had entered leaves with the swap too, though no body says so: an import finder of
old code that stands before the new one would answer for ever, and old code in a list is never freed.
"""

from __future__ import annotations

import encodings
import gc
import sys
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

from relup.runtime.code.source import Version


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """One list, by name, and what it held before bodies ran."""

    name: str
    owner: list[Any]
    before: list[Any]


def lists() -> list[Listed]:
    """Return the lists of the process, with copies of what they hold."""
    owners: list[tuple[str, Any]] = [
        ("sys.path", sys.path),
        ("sys.meta_path", sys.meta_path),
        ("sys.path_hooks", sys.path_hooks),
        ("warnings.filters", warnings.filters),
    ]
    return [Listed(name, owner, list(owner)) for name, owner in owners]


def searches(previous: Collection[Version]) -> list[Any]:
    """Return the codec searches that are registered; the interpreter shows its list to the collector alone.

    Asked only when a text of *previous* may have registered one: the question reads the heap.
    """
    if not any(b"codecs" in v.source.text and b"register" in v.source.text for v in previous):
        return []
    first = encodings.search_function
    holders = gc.get_referrers(first)
    return next((list(h) for h in holders if type(h) is list and h and h[0] is first), [])


def change(owner: list[Any], known: Sequence[list[Any]], wanted: list[Any]) -> None:
    """Let *owner*, which holds one of the *known* lists, hold *wanted*; what others changed meanwhile stays."""
    if any(len(owner) == len(held) and all(map(is_, owner, held)) for held in known):
        owner[:] = wanted
    else:
        ours = {id(item) for held in known for item in held}
        kept, there = {id(item) for item in wanted}, {id(item) for item in owner}
        rest = [item for item in owner if id(item) in kept or id(item) not in ours]
        first = next((n for n, item in enumerate(wanted) if id(item) in there), 0)
        ahead = [item for item in wanted[:first] if id(item) not in there]
        owner[:] = [*ahead, *rest, *(item for item in wanted[first:] if id(item) not in there)]
    if owner is warnings.filters:
        getattr(warnings, "_filters_mutated", _nothing)()


def _nothing() -> None:
    """Have nothing to tell: another interpreter keeps its filters in another way."""
