"""What is seen of one run of a test: the message boundaries of a server, and all that was said until then.

Two boundaries i and j, i before j, are *alike* when a run upgraded at i has shown that one upgraded at j would go the
same way. That is so when

1. without an upgrade the node was at i what it is at j: every state, every mailbox, every timer, every variable of its
   modules and of their classes (see `configuration`);
2. in the run upgraded at i the node was, right after the upgrade, what it is in that run at j;
3. until j the server was sent the same messages, and the test was given the same answers, in both runs.

For an upgrade that finds the same node makes the same node of it (1): a run upgraded at j has at j what the run
upgraded at i had right after its upgrade, and that is what it has at j as well (2). The test knows the same (3), so
from there on the two runs are one; and before j the second is the run without an upgrade, which went well. So what the
test says of i holds for j, as long as the program does the same when it is run again, and keeps nothing in files or in
other programs. What a print cannot see into equals nothing: a node that holds such a thing is never the same.

It is the idea of Tedsuto (Pina and Hicks, 2016), and of Hayden and others (2012): run a test, learn where updates could
happen, and try one of each group that behaves the same. They compare what the program does between two points with what
an update changes. Here nearly every message runs code that changes, and states can be looked at; so those are compared.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from relup.executor import Outcome
from relup.model.release import Release
from relup.runtime import Node, Process
from relup.runtime.messages import Caller, Cast, Info, System
from relup.testing.prints import Printer


@dataclass(frozen=True, slots=True)
class Boundary:
    """A place where a server was about to handle a message; after the last one the message is empty."""

    number: int
    server: str
    message: str
    """The message, with its kind."""
    shape: Hashable = ()
    """What kind of message it is, and of what kinds its parts and those of the state are."""
    node: Hashable = ()
    """What the whole node was: equal only where it was the same."""
    heard: int = 0
    """How much had been said by then."""

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return f"{f'before {self.message}' if self.message else 'after the last message'} to {self.server!r}"


@dataclass(slots=True)
class Seen:
    """One run."""

    boundaries: list[Boundary] = field(default_factory=list)
    said: list[Hashable] = field(default_factory=list)
    """The messages to the server, and what the test asked and was answered, in their order."""
    servers: dict[str, None] = field(default_factory=dict)
    """Who was there, by name and by class."""
    releases: dict[str, Release] = field(default_factory=dict)
    """What was started."""
    upgrades_itself: bool = False
    """Whether the test upgrades or downgrades a node on its own."""
    injected: int = 0
    """At which boundary an upgrade was injected; 0 if at none."""
    state: str = ""
    """The server's state there, in a few words."""
    outcome: Outcome | None = None
    error: Exception | None = None
    """What kept that upgrade from being tried."""


def alike(plain: Seen, run: Seen, tried: int, other: int) -> bool:
    """Say whether the run upgraded at boundary *tried* has shown how one at *other* would go; numbers count from 1."""
    if other > min(len(plain.boundaries), len(run.boundaries)):
        return False
    before, after = plain.boundaries[tried - 1], run.boundaries[tried - 1]
    later, late = plain.boundaries[other - 1], run.boundaries[other - 1]
    return (
        before.node == later.node
        and after.node == late.node
        and plain.said[: later.heard + 1] == run.said[: late.heard + 1]
    )


def configuration(nodes: Iterable[Node], taking: Process, printer: Printer) -> Hashable:
    """Return what the nodes are at a boundary of the process that is *taking* a message; equal to nothing if unknown.

    It is unknown while others are inside a callback: their variables are not seen. Supervisors are told by their
    children.
    """
    processes = [p for node in nodes for p in node.processes.values()]
    if any((p.busy and p is not taking) or p.deferred for p in processes):
        return object()
    return printer.print(*(part for node in nodes for part in _node(node)))


def _node(node: Node) -> Iterator[Any]:
    for process in node.processes.values():
        yield from _process(process)
    for _, server, message in sorted((t.pending for t in node.timers), key=lambda pending: pending[0]):
        yield from (server, message)
    for version in node.code.running():
        yield from _variables(version.source.name, version.module.__dict__)


def _process(process: Process) -> Iterator[Any]:
    yield from (process.pid, process.name, process.reference.cls, process.asleep)
    yield [child.pid for child in process.children or ()] if process.supervisor else process.state
    yield from (content_of(m) for m in process.mailbox if not isinstance(m, System))


def _variables(module: str, namespace: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what the variables of a module, and of the classes that it defines, hold beside code."""
    for name, value in list(namespace.items()):
        if name.startswith(("__", "_abc_")) or hasattr(type(value), "__get__"):
            continue
        if not isinstance(value, type):
            yield name
            yield value
        elif value.__module__ == module:
            yield from _variables(module, {n: v for n, v in vars(value).items() if not isinstance(v, type)})


def content_of(message: Any) -> Any:
    """Return what was sent."""
    return message.request if isinstance(message, Caller) else message.content


def kind_of(message: Any) -> str:
    """Return how it was sent."""
    match message:
        case Caller():
            return "the call"
        case Cast():
            return "the cast"
        case Info():
            return "the message"
        case _:
            return ""
