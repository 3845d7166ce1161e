"""Which children supervisors gain and lose: reading child specs again neither starts nor ends any, so calls must.

A call needs running processes and parts what is loaded at once. So children end before everything that must change
together with their supervisor, and start after it, be that in the appup of another application.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from relup.model.draft import TODO, Drafted
from relup.model.instructions import Apply, Call
from relup.model.release import Release
from relup.planner.children import Turnover, registered, turnover, unnamed
from relup.planner.closure import dependants
from relup.planner.draft.scene import Scene
from relup.planner.roles import Role, roles


@dataclass(frozen=True, slots=True)
class Calls:
    """What ends children before a list loads anything, and what starts children after it."""

    first: tuple[Drafted, ...] = ()
    last: tuple[Drafted, ...] = ()

    def ended(self) -> Iterator[str]:
        """Yield the ids of the children that end."""
        calls = (d.instruction.call for d in self.first if isinstance(d.instruction, Apply))
        yield from (call.args[1] for call in calls if call.function == "terminate_child")


def calls(
    before: Release, after: Release, loaded: Mapping[str, Collection[str]], hosts: Collection[str], *, asks: bool
) -> Mapping[str, Calls]:
    """Return the calls that lists need on the way from *before* to *after*, by application.

    *loaded* are the modules of each application's list, in the order in which lists are carried out; supervisors are
    looked for among the *hosts*. Where states are lost the draft *asks* whether that is meant.
    """
    own = {name: _calls(before, after, [m for m in modules if m in hosts], asks) for name, modules in loaded.items()}
    if not any(c.first or c.last for c in own.values()):
        return {}
    together: nx.Graph[str] = nx.Graph()
    together.add_nodes_from(loaded)
    for release in (before, after):
        for name, modules in loaded.items():
            users = {d.module for d in dependants(release, modules)}
            together.add_edges_from((name, other) for other in loaded if not users.isdisjoint(loaded[other]))
    groups = {n: [m for m in loaded if m in group] for group in nx.connected_components(together) for n in group}
    return {
        name: Calls(
            tuple(d for other in group if name == group[0] for d in own[other].first),
            tuple(d for other in group if name == group[-1] for d in own[other].last),
        )
        for name, group in groups.items()
    }


def _calls(before: Release, after: Release, modules: Collection[str], asks: bool) -> Calls:
    first, last = list[Drafted](), list[Drafted]()
    for module in modules:
        for role, found in _turnovers(before, after, module):
            for name in registered(before, module, role.name):
                first += _ending(name, role.name, found, asks)
                last += _starting(name, role.name, found)
    return Calls(tuple(first), tuple(last))


def _turnovers(before: Release, after: Release, module: str) -> Iterator[tuple[Role, Turnover]]:
    was = {r.name: r for r in roles(before.code, before.code.module(module))}
    for role in roles(after.code, after.code.module(module)):
        if role.behaviour == "supervisor" and role.name in was:
            found = turnover(before.code, after.code, was[role.name], role)
            if found:
                yield role, found


def _ending(name: str, supervisor: str, found: Turnover, asks: bool) -> Iterator[Drafted]:
    lead, end = (f"{TODO}: ", "; is that meant?") if asks else ("", "")
    for child in found.lost:
        said = f"{lead}{supervisor} loses the child {child}: it ends, and its state is lost{end}"
        yield Drafted(_apply("terminate_child", name, child), (said,))
        yield Drafted(_apply("delete_child", name, child))
    for child, (_, cls) in found.renewed.items():
        said = f"{lead}the child {child} of {supervisor} is a {cls} now: it begins anew, and its state is lost{end}"
        yield Drafted(_apply("terminate_child", name, child), (said,))


def _starting(name: str, supervisor: str, found: Turnover) -> Iterator[Drafted]:
    for child in found.gained:
        yield Drafted(_apply("restart_child", name, child), (f"{supervisor} gets the child {child}",))
    yield from (Drafted(_apply("restart_child", name, child)) for child in found.renewed)


def _apply(function: str, supervisor: str, child: str) -> Apply:
    return Apply(Call("supervisor", function, (supervisor, child)))


# ── what has to be asked ───────────────────────────────────────────────────────────────────────────────


def questions(scene: Scene, module: str, found: Sequence[Role]) -> Iterator[str]:
    """Ask about the children of a module's supervisors where ids, or the names of their processes, are not written."""
    before = {r.name: r for r in roles(scene.old, scene.old.module(module))}
    for role in found:
        if role.behaviour == "supervisor" and role.name in before:
            differing = turnover(scene.old, scene.new, before[role.name], role)
            names = registered(scene.before, module, role.name)
            if differing is None:
                yield from _computed(scene, role, next(iter(names), unnamed(role.name)))
            elif not names and (differing.gained or differing.lost or differing.renewed):
                ended, started = (*differing.lost, *differing.renewed), (*differing.gained, *differing.renewed)
                yield f"{TODO}: {role.name} has other children, and an update starts and ends none:"
                yield from _asked(unnamed(role.name), ended, differing.lost, started)


def _computed(scene: Scene, role: Role, name: str) -> Iterator[str]:
    """Ask about children whose ids are computed, when what computes them changed."""
    if any((cls.name, "init") in scene.difference(module).methods for module, cls in role.classes):
        yield f"{TODO}: the init of {role.name} changed and computes ids of children, and an update starts and ends"
        yield "  none; if some are new or gone:"
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
