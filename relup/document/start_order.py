"""The order in which applications start: as they are listed, except that what one needs comes before it.

The order must be the same on every reading, so that a plan made today compares equal to one made tomorrow. Of
all applications that could start next, the one that is listed first does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from relup.diagnostics import Diagnostic
from relup.model.release import Application


def bad_order(applications: Sequence[Application]) -> Iterator[Diagnostic]:
    """Yield what keeps the applications from being ordered, with OTP's tags."""
    known = {a.name: a for a in applications}
    for application in applications:
        for needed in application.applications:
            if needed not in known:
                message = f"{application.name!r} needs {needed!r}, which is not in this release"
                yield Diagnostic("undefined_applications", message, application.location)
    try:
        _sorter(applications).prepare()
    except CycleError as error:
        # what precedes what, so the chain of needs reads from the end
        cycle = [str(name) for name in reversed(error.args[1])]
        first = min(range(len(cycle) - 1), key=lambda n: list(known).index(cycle[n]))
        chain = [*cycle[first:-1], *cycle[: first + 1]]
        message = f"the applications need each other: {' → '.join(chain)}"
        yield Diagnostic("circular_dependencies", message, known[chain[0]].location)


def start_order(applications: Sequence[Application]) -> tuple[Application, ...]:
    """Return the applications so that each comes after those that it needs; they must pass `bad_order`."""
    sorter = _sorter(applications)
    sorter.prepare()
    listed = {a.name: n for n, a in enumerate(applications)}
    ready, order = set(sorter.get_ready()), []
    while ready:
        name = min(ready, key=listed.__getitem__)
        order.append(applications[listed[name]])
        sorter.done(name)
        ready = (ready - {name}) | set(sorter.get_ready())
    return tuple(order)


def _sorter(applications: Sequence[Application]) -> TopologicalSorter[str]:
    known = {a.name for a in applications}
    return TopologicalSorter({a.name: [n for n in a.applications if n in known] for a in applications})
