"""The order in which applications start, which is OTP's: as listed, except that what one needs comes right before it.

Any topological order would do for starting. But `systools:make_relup` takes up the appups in this order, and a plan
is to be the one that OTP makes: so applications are taken as listed, each pulls in what it needs, in listed order
again, and what is in its place already stays there. The order is the same on every reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from relup.diagnostics import Diagnostic, Location

Needs: TypeAlias = Mapping[str, Mapping[str, Location | None]]
"""Each application as listed, and those that must come before it, in this order, with the place that says so."""


def bad_order(needs: Needs) -> Iterator[Diagnostic]:
    """Yield what keeps the applications from being ordered, with OTP's tags."""
    for name, needed in needs.items():
        for other, place in needed.items():
            if other not in needs:
                message = f"{name!r} needs {other!r}, which is not in this release"
                yield Diagnostic("undefined_applications", message, place)
    try:
        TopologicalSorter({name: [n for n in needed if n in needs] for name, needed in needs.items()}).prepare()
    except CycleError as error:
        # what precedes what, so the chain of needs reads from the end
        cycle = [str(name) for name in reversed(error.args[1])]
        listed = {name: n for n, name in enumerate(needs)}
        first = min(range(len(cycle) - 1), key=lambda n: listed[cycle[n]])
        chain = [*cycle[first:-1], *cycle[: first + 1]]
        message = f"the applications need each other: {' → '.join(chain)}"
        yield Diagnostic("circular_dependencies", message, needs[chain[0]][chain[1]])


def as_listed(needed: Mapping[str, Location | None], listed: Iterable[str]) -> dict[str, Location | None]:
    """Return what one application needs in the order of the release; what the release does not have comes last."""
    place = {name: n for n, name in enumerate(listed)}
    return dict(sorted(needed.items(), key=lambda item: place.get(item[0], len(place))))


def start_order(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the applications so that each comes after those that it needs; they must pass `bad_order`."""
    order: dict[str, None] = {}
    pending = [*needs][::-1]
    while pending:
        name = pending[-1]
        if name not in order and (before := [n for n in needs[name] if n in needs and n not in order]):
            pending += reversed(before)
        else:
            order[pending.pop()] = None
    return tuple(order)
