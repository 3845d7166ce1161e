"""Drafts: the appups that a careful engineer would start from, between two releases.

What changed is found by what modules do, not by their files; what must go along is found by who holds what; the
order is that of the import graph as far as it matters. What cannot be known is asked, in a comment that `relup check`
refuses until it is answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from relup.diagnostics import Diagnostic, InvalidInput, errors
from relup.model.code import Code
from relup.model.draft import TODO, Draft, Drafted
from relup.model.instructions import Advanced, ModuleInstruction, Update
from relup.model.release import Application, Release
from relup.model.shapes import LiveStates
from relup.model.shortened import shortened
from relup.planner.collection import uncollected
from relup.planner.coverage import check_unversioned
from relup.planner.draft.changes import Change, changes
from relup.planner.draft.depends import dependencies_first, needs, reduced
from relup.planner.draft.instructions import back, drafted
from relup.planner.draft.members import Joined, Members, members
from relup.planner.draft.servers import of_live
from relup.planner.draft.supervisors import Calls, Supervisors, calls, supervisors
from relup.planner.legs import Leg
from relup.planner.planning import check_same


@uncollected
def draft(older: Release, newer: Release, live: Sequence[LiveStates] = ()) -> tuple[Draft, ...]:
    """Return a draft for each application whose version differs, in the order of *newer*.

    *live* are the states of a node that runs *older*; with them, `code_change`s are drafted from these.
    Raises InvalidInput when the two are no versions of one release, or when code changed and its version did not:
    no appup could say so.
    """
    wrong = [*check_same(older, newer), *errors(check_unversioned(Leg("up", older, newer, ())))]
    if wrong:
        raise InvalidInput(wrong)
    changed = changes(older, newer)
    if damaged := [*_damaged(older, newer, changed)]:
        raise InvalidInput(damaged)
    found = members(older, newer, changed, live)
    loaded = {name: [j.module for j in joined] for name, joined in found.of.items()}
    hosts = [m for modules in loaded.values() for m in modules if m in found.hosts]
    there, homewards = supervisors(older, newer, hosts), supervisors(newer, older, hosts)
    up = calls(there, older, newer, loaded, asks=True)
    down = calls(homewards, older, newer, loaded, asks=False)
    drafts = (_draft(found, change, there) for change in changed)
    return tuple(_with(d, up.get(d.application, Calls()), down.get(d.application, Calls())) for d in drafts)


def _with(made: Draft, up: Calls, down: Calls) -> Draft:
    return replace(made, up=(*up.first, *made.up, *up.last), down=(*down.first, *made.down, *down.last))


def _damaged(older: Release, newer: Release, changed: Sequence[Change]) -> Iterator[Diagnostic]:
    """Find modules that differ, and of which nothing can be known: a draft would be silent about them."""
    if newer.kind == "beam":  # a text that does not compile is told by the check of the draft
        for change in changed:
            yield from (d for m in (*change.changed, *change.added) if (d := newer.code.fault(m)))
            yield from (d for m in (*change.changed, *change.deleted) if (d := older.code.fault(m)))


def _draft(found: Members, change: Change, children: Supervisors) -> Draft:
    name = change.newer.name
    joined = {j.module: j for j in found.of[name]}
    library = name in found.libraries
    depends = {} if library else _depends(found, joined)
    up = [drafted(found, joined[m], depends.get(m, ()), children) for m in _order(found, joined, depends)]
    down = [back(found, d.instruction, library) for d in up if isinstance(d.instruction, ModuleInstruction)]
    return Draft(
        application=name,
        older=change.older.vsn,
        newer=change.newer.vsn,
        up=tuple(up),
        down=tuple(_mirrored(down, up, change.older.vsn)),
        comments=tuple(_said(found, change, library)),
        live=tuple(of_live(found.scene, joined)),
    )


def _depends(found: Members, joined: Mapping[str, Joined]) -> dict[str, tuple[str, ...]]:
    """Return what modules depend on: processes' modules on what they need, and what is deleted on who used it."""
    scene = found.scene
    stay = {m: None for m in joined if m not in found.deleted}
    needed: dict[str, list[str]] = {}
    pending = [m for m in stay if m in found.hosts]
    while pending:
        module = pending.pop()
        if module not in needed:
            needed[module] = needs(scene.new, module, stay)
            pending += needed[module]
    gone = {m: [s for s in stay if m in needs(scene.old, s, (m,))] for m in joined if m in found.deleted}
    return {m: tuple(d) for m, d in reduced(needed | gone).items()}


def _order(found: Members, joined: Mapping[str, Joined], depends: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the modules as a reader expects them: what is needed first, what goes last."""
    order = dependencies_first({m: depends.get(m, ()) for m in joined})
    return [*(m for m in order if m not in found.deleted), *(m for m in order if m in found.deleted)]


def _mirrored(down: Sequence[ModuleInstruction], up: Sequence[Drafted], vsn: str) -> Iterator[Drafted]:
    """Yield the way back, dependents first, with what is said of states."""
    for instruction, there in zip(reversed(down), reversed(up), strict=True):
        yield replace(there, instruction=instruction, comments=tuple(_back(instruction, there, vsn)))


def _back(instruction: ModuleInstruction, there: Drafted, vsn: str) -> Iterator[str]:
    if there.todos():
        advanced = isinstance(instruction, Update) and isinstance(instruction.change, Advanced)
        yield (
            f"its state goes back to that of {vsn}"
            if advanced
            else "what is answered on the way up, the other way round"
        )


def _said(found: Members, change: Change, library: bool) -> Iterator[str]:
    yield f"a draft: {change.newer.name} {change.older.vsn} to {change.newer.vsn}, and back"
    if library:
        yield "A library is taken whole, changed or not: its modules hold each other's objects."
    if change.commented:
        yield f"Only comments and docstrings changed in {shortened(change.commented)}: there is nothing to load."
    for code, application in ((found.scene.old, change.older), (found.scene.new, change.newer)):
        yield from _unlisted(code, application)


def _unlisted(code: Code, application: Application) -> Iterator[str]:
    """Ask about modules that lie with those of an application, and that its list of modules lacks."""
    first = next((m for m in application.modules if code.has(m)), None)
    unlisted = code.beside(first) if first else ()
    if unlisted:
        of = f"{application.name} {application.vsn}"
        yield f"{TODO}: {shortened(unlisted)} lie in ebin of {of}, and its .app file does not list them:"
        yield "  nothing is said of them here, and nothing loads them"
