"""The shapes of a node's live states, found while it serves.

A state is read in one go while its process is at a message boundary, so it is whole. Between two states the loop gets
its turn as soon as a few milliseconds are over, and of each class a bounded number of processes is looked at: a node
with a hundred thousand of them is not held up. Who is inside a callback is looked at once more at the end.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from relup.model.shapes import Form, LiveStates, Shape
from relup.runtime import Process
from relup.targets.python.handler import ReleaseHandler
from relup.targets.python.shaping import Looker, Tallies, Tally, type_of

MOST = 1_000
"""Processes of each class that are looked at."""
FORMS = 20
NAMED = 20
SLICE = 0.002
"""Seconds after which the loop gets its turn."""
T = TypeVar("T")


@dataclass(slots=True)
class _Survey:
    """What was seen of one class."""

    looker: Looker
    state: Tallies = field(default_factory=dict)
    forms: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter)
    examples: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    looked: int = 0
    cut: int = 0

    def look(self, process: Process) -> bool:
        """Add the state of a process; say whether that could be read: not while the process works on it."""
        if process.current is not None:
            return False
        single: Tallies = {}
        try:
            whole = self.looker.look(process.state, single)
        except RuntimeError:  # a thread of the program changes it just now
            return False
        self.cut += not whole
        self.looked += 1
        (tally,) = single.values()
        form = type_of(type(process.state)), tuple(sorted(tally.fields))
        self.forms[form] += 1
        self.examples.setdefault(form, process.label)
        _add(single, self.state)
        return True


async def shapes(handler: ReleaseHandler, names: Collection[str]) -> list[dict[str, Any]]:
    """Return the shapes of the states of all servers of the running release, as data.

    *names* are the keys and attributes that may be told. Raises `Busy` when an upgrade runs meanwhile.
    """
    handler.refuse_busy()
    own = frozenset(m for a in handler.running.applications for m in a.modules)
    found = [await _surveyed(key, each, Looker(own, frozenset(names))) for key, each in await _servers(handler, own)]
    handler.refuse_busy()
    return [asdict(live) for live in found]


async def _servers(
    handler: ReleaseHandler, own: Collection[str]
) -> Iterable[tuple[tuple[str, str], Sequence[Process]]]:
    """Return the processes of each server class, in the order of their names."""
    found: dict[tuple[str, str], list[Process]] = {}
    async for process in _in_turns(list(handler.node.processes.values())):
        if process.reference.module in own and not process.supervisor:
            found.setdefault((process.reference.module, process.reference.qualname), []).append(process)
    return sorted(found.items(), key=lambda entry: entry[0])


async def _surveyed(of: tuple[str, str], processes: Sequence[Process], looker: Looker) -> LiveStates:
    chosen = processes[:: -(-len(processes) // MOST)]  # evenly: the oldest need not be like the youngest
    survey = _Survey(looker)
    first = [p async for p in _in_turns(chosen) if p.alive and not survey.look(p)]
    busy = [p async for p in _in_turns(first) if p.alive and not survey.look(p)]
    forms = [Form(*form, count, survey.examples[form]) for form, count in survey.forms.most_common(FORMS)]
    return LiveStates(
        *of,
        processes=len(processes),
        looked=survey.looked,
        cut=survey.cut,
        busy=len(busy),
        busy_names=tuple(p.label for p in busy[:NAMED]),
        state=_shapes(survey.state),
        forms=tuple(forms),
    )


async def _in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield *items*, and let the loop do what is due in between."""
    end = perf_counter() + SLICE
    for item in items:
        yield item
        if perf_counter() > end:
            await asyncio.sleep(0)
            end = perf_counter() + SLICE


def _add(more: Tallies, to: Tallies) -> None:
    for type_, tally in more.items():
        sum_ = to.get(type_)
        if sum_ is None:
            to[type_] = tally
            continue
        sum_.count += tally.count
        sum_.filled += tally.filled
        sum_.looked += tally.looked
        sum_.shared += tally.shared
        _add(tally.items, sum_.items)
        _add(tally.keys, sum_.keys)
        for name, held in tally.fields.items():
            _add(held, sum_.fields.setdefault(name, {}))


def _shapes(tallies: Tallies) -> tuple[Shape, ...]:
    return tuple(
        Shape(type_, t.count, t.filled, t.looked, _fields(t), _shapes(t.items), _shapes(t.keys), t.shared)
        for type_, t in sorted(tallies.items())
    )


def _fields(tally: Tally) -> dict[str, tuple[Shape, ...]]:
    return {name: _shapes(held) for name, held in sorted(tally.fields.items())}


# ── at the other end ───────────────────────────────────────────────────────────────────────────────────


def live_states_from_data(data: Iterable[Mapping[str, Any]]) -> tuple[LiveStates, ...]:
    """Return what a node has answered."""
    return tuple(
        LiveStates(
            **{
                **one,
                "busy_names": tuple(one["busy_names"]),
                "state": _shapes_from_data(one["state"]),
                "forms": tuple(Form(f["type"], tuple(f["names"]), f["count"], f["example"]) for f in one["forms"]),
            }
        )
        for one in data
    )


def _shapes_from_data(data: Iterable[Mapping[str, Any]]) -> tuple[Shape, ...]:
    return tuple(
        Shape(
            one["type"],
            one["count"],
            one["filled"],
            one["looked"],
            {name: _shapes_from_data(held) for name, held in one["fields"].items()},
            _shapes_from_data(one["items"]),
            _shapes_from_data(one["keys"]),
            one.get("shared", 0),
        )
        for one in data
    )
