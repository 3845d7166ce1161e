"""Which children supervisors gain and lose: reading child specs again neither starts nor ends any, so calls must.

A call needs running processes and parts what is loaded at once. So children end before everything that must change
together with their supervisor, and start after it, be that in the appup of another application.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from relup.model.draft import TODO, Drafted
from relup.model.instructions import Apply, Call
from relup.model.release import Release
from relup.planner.children import Place, Turnover, registered, turnover, unnamed
from relup.planner.closure import dependants
from relup.planner.draft.scene import Scene
from relup.planner.networks import nx
from relup.planner.roles import Role, roles


class Known(NamedTuple):
    """A supervisor whose children differ, and the names of its processes where both releases say the same."""

    place: Place
    names: tuple[str, ...]
    found: Turnover


@dataclass(frozen=True, slots=True)
class Supervisors:
    """The supervisors whose children differ on the way from one release to another, module by module."""

    known: Mapping[str, Sequence[Known]]
    concerned: frozenset[Place]
    """The classes of children that come, go or begin anew: one that is a supervisor is asked for nothing."""

    def sure(self, module: str) -> Iterator[Known]:
        """Yield the supervisors of a module that calls can be written for."""
        return (k for k in self.known.get(module, ()) if k.names and k.place not in self.concerned)

    def lost(self) -> frozenset[tuple[str, Place]]:
        """Return the ids and classes of the children that those calls end for good."""
        children = ((i, c.place) for m in self.known for k in self.sure(m) for i, c in k.found.lost.items())
        return frozenset((i, place) for i, place in children if place is not None)


def supervisors(before: Release, after: Release, modules: Collection[str]) -> Supervisors:
    """Return the supervisors of these modules whose children the texts of both releases tell, where they differ."""
    known = {m: list(_known(before, after, m)) for m in modules}
    turned = (k.found for found in known.values() for k in found)
    children = (c for t in turned for c in (*t.ending(), *t.gained.values()))
    return Supervisors(known, frozenset(c.place for c in children if c.place is not None))


def _known(before: Release, after: Release, module: str) -> Iterator[Known]:
    was = {r.name: r for r in roles(before.code, before.code.module(module))}
    for role in roles(after.code, after.code.module(module)):
        if role.behaviour == "supervisor" and role.name in was:
            found = turnover(before.code, after.code, was[role.name], role)
            if found:
                names = registered(before, module, role.name)
                same = names == registered(after, module, role.name)
                yield Known((module, role.name), names if same else (), found)


# ── what can be written ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Calls:
    """What ends children before a list loads anything, and what starts children after it."""

    first: tuple[Drafted, ...] = ()
    last: tuple[Drafted, ...] = ()


Lists: TypeAlias = Mapping[str, Collection[str]]
"""The modules of each application's list, in the order in which lists are carried out."""


def calls(found: Supervisors, older: Release, newer: Release, loaded: Lists, *, asks: bool) -> Mapping[str, Calls]:
    """Return the calls that lists need for the children of *found*, by application.

    Where states are lost the draft *asks* whether that is meant.
    """
    own = {name: _calls([k for m in modules for k in found.sure(m)], asks) for name, modules in loaded.items()}
    if not any(c.first or c.last for c in own.values()):
        return {}
    placed: dict[str, Calls] = {}
    for group in _together(older, newer, loaded):
        # an appup that is there is not written again
        written = [m for m in group if (a := newer.application(m)) is None or a.appup is None] or group
        placed[written[0]] = Calls(tuple(d for m in group for d in own[m].first))
        last = tuple(d for m in group for d in own[m].last)
        placed[written[-1]] = Calls(placed.get(written[-1], Calls()).first, last)
    return placed


def _together(older: Release, newer: Release, loaded: Lists) -> Iterator[list[str]]:
    """Yield the applications whose modules must change together, in the order of their lists."""
    together: nx.Graph[str] = nx.Graph()
    together.add_nodes_from(loaded)
    for release in (older, newer):
        for name, modules in loaded.items():
            users = {d.module for d in dependants(release, modules)}
            together.add_edges_from((name, other) for other in loaded if not users.isdisjoint(loaded[other]))
    yield from ([m for m in loaded if m in group] for group in nx.connected_components(together))


def _calls(known: Sequence[Known], asks: bool) -> Calls:
    each = [(name, supervisor) for supervisor in known for name in supervisor.names]
    return Calls(
        tuple(d for name, supervisor in each for d in _ending(name, supervisor, asks)),
        tuple(d for name, supervisor in each for d in _starting(name, supervisor)),
    )


def _ending(name: str, supervisor: Known, asks: bool) -> Iterator[Drafted]:
    lead, end = (f"{TODO}: ", "; is that meant?") if asks else ("", "")
    who = ".".join(supervisor.place)
    for child, was in supervisor.found.lost.items():
        said = f"{lead}{who} loses the child {child}: it ends, and its state is lost{end}"
        yield Drafted(_apply("terminate_child", name, child), (said,))
        if not was.temporary:
            yield Drafted(_apply("delete_child", name, child))
    for child, (_, to_be) in supervisor.found.renewed.items():
        said = f"{lead}the child {child} of {who} is {to_be} now: it begins anew, and its state is lost{end}"
        yield Drafted(_apply("terminate_child", name, child), (said,))


def _starting(name: str, supervisor: Known) -> Iterator[Drafted]:
    for child in supervisor.found.gained:
        yield Drafted(_apply("restart_child", name, child), (f"{'.'.join(supervisor.place)} gets the child {child}",))
    yield from (Drafted(_apply("restart_child", name, child)) for child in supervisor.found.renewed)


def _apply(function: str, supervisor: str, child: str) -> Apply:
    return Apply(Call("supervisor", function, (supervisor, child)))


# ── what has to be asked ───────────────────────────────────────────────────────────────────────────────


def questions(scene: Scene, module: str, found: Sequence[Role], children: Supervisors) -> Iterator[str]:
    """Ask about the children of a module's supervisors where the texts do not tell enough to write the calls."""
    before = {r.name: r for r in roles(scene.old, scene.old.module(module))}
    known = {k.place: k for k in children.known.get(module, ())}
    sure = {k.place for k in children.sure(module)}
    for role in (r for r in found if r.behaviour == "supervisor" and r.name in before):
        place = module, role.name
        name = next(iter(registered(scene.before, *place)), unnamed(role.name))
        if place in known and place not in sure:
            turned = known[place].found
            going, coming = (*turned.lost, *turned.renewed), (*turned.gained, *turned.renewed)
            yield f"{TODO}: {role.name} has other children, and an update starts and ends none:"
            yield from _asked(name, going, list(turned.lost), coming)
        elif place not in known and turnover(scene.old, scene.new, before[role.name], role) is None:
            yield from _computed(scene, role, name)


def _computed(scene: Scene, role: Role, name: str) -> Iterator[str]:
    """Ask about children that are computed, when a module that may have a part in it changed."""
    if any(module in scene.changed for module, _ in role.classes):
        yield f"{TODO}: the children of {role.name} are computed, and an update starts and ends none; if some are new"
        yield "  or gone:"
        yield from _asked(name, ["CHILD"], ["CHILD"], ["CHILD"])


def _asked(name: str, ended: Sequence[str], lost: Sequence[str], started: Sequence[str]) -> Iterator[str]:
    if ended:
        yield "  before all that the list loads:"
        yield from (f"  - {_written('terminate_child', name, child)}" for child in ended)
        yield from (f"  - {_written('delete_child', name, child)}" for child in lost)
    if started:
        yield "  after all of it:"
        yield from (f"  - {_written('restart_child', name, child)}" for child in started)


def _written(function: str, supervisor: str, child: str) -> str:
    return f"apply: {{module: supervisor, function: {function}, args: [{supervisor}, {child}]}}"
