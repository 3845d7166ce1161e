"""From texts to a `Staged`: the one door that executes new code, and the one place that cleans up behind it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from relup.runtime.code import plan
from relup.runtime.code.assignments import Assignments
from relup.runtime.code.books import Books
from relup.runtime.code.cleanse import cleanse
from relup.runtime.code.clone import real
from relup.runtime.code.closure import Unclosed, early, held, line_of
from relup.runtime.code.effects import Effects, Recorded, do
from relup.runtime.code.errors import StagingError
from relup.runtime.code.lists import searches
from relup.runtime.code.order import Order, awake, check
from relup.runtime.code.rebinding import find
from relup.runtime.code.reference import resolve
from relup.runtime.code.registries import Findings, Novelty, Snapshot, compare, snapshot
from relup.runtime.code.source import Version, forget_lines
from relup.runtime.code.staged import Prepared, Staged, replaced
from relup.runtime.code.staging import Beside
from relup.runtime.code.view import exclusive, installed
from relup.runtime.code.writes import World, Write, effective


def prepare(books: Books, wanted: Order, after: Staged | None) -> Staged:
    """Execute what is *wanted* beside the running code and compute its swap; on failure nothing of it remains."""
    ahead = after if after is not None and after.stage == "staged" else None
    world = ahead.world if ahead is not None else World()
    with exclusive() as modules, _made(ahead.later if ahead is not None else ()):
        versions, paths = world.copy(books.versions), world.copy(books.finder.paths)
        check(wanted, world.copy(modules), versions, paths)
        wanted = awake(wanted, versions, paths)
        beside = Beside(books, wanted, world, modules)
        replacing = replaced(world, books.versions, (*wanted.sources, *wanted.removed))
        is_old = Novelty(list(replacing.values()), {}, [v.module for v in replacing.values()])
        gone = _leaving(replacing, is_old)
        effects, assigned = Effects(beside.view, is_old), Assignments(beside)
        unchanged = {n: v for n, v in beside.current.items() if n not in beside.changing}
        others = {n: m for n, m in beside.before.items() if n not in beside.current and n not in beside.changing}
        before = snapshot(unchanged, others)
        try:
            with _executed(beside, effects, assigned) as genuine:
                entered = _entered(beside, before)
                effects.record(assigned.compare(genuine, {f"{m}.{name}" for m, name in entered.owners}))
                prepared = replace(_result(beside, effects, entered), holders=assigned.kept)
            prepared = replace(prepared, later=(*gone, *effects.postpone()))
        except BaseException:
            entered = _entered(beside, before)
            effects.record(assigned.compare(effects.originals()))
            _undo(effects, entered)
            forget_lines(beside.files, [*books.versions.values(), *books.old.values()])
            raise
        finally:
            beside.settle()
    return Staged(books, prepared, world, ahead.later if ahead is not None else ())


@contextmanager
def _made(effects: Sequence[Recorded]) -> Iterator[None]:
    """Let the effects of upgrades that are staged before this one be there for its bodies."""
    for effect in effects:
        do(effect.redo)
    try:
        yield
    finally:
        for effect in reversed(effects):
            do(effect.undo)


def _leaving(replacing: Mapping[str, Version], is_old: Callable[[object], bool]) -> tuple[Recorded, ...]:
    """Return what takes the codec searches of old code out, and puts them back."""
    found = [search for search in searches(replacing.values()) if is_old(search)]
    return tuple(Recorded("", partial(codecs.register, s), partial(codecs.unregister, s)) for s in found)


def _entered(beside: Beside, before: Snapshot) -> Findings:
    adopted = [m for n, m in beside.view.overlay.items() if n not in beside.clones and m is not beside.before.get(n)]
    return compare(before, Novelty(beside.begun, beside.current, adopted))


def _undo(effects: Effects, entered: Findings) -> None:
    for undo in entered.undo:
        undo()
    effects.undo()


@contextmanager
def _executed(beside: Beside, effects: Effects, assigned: Assignments) -> Iterator[Mapping[int, object]]:
    """Run the bodies, then the block while their thread still sees them; afterwards nothing of the view remains.

    Yields what stands behind clones and wrappers, by their identity.
    """
    beside.clone_all()
    assigned.look()
    finder = beside.books.finder
    try:
        with effects.watched(), installed(beside.view) as hook:
            finder.stage, hook.after = beside, assigned.look_again
            beside.run()
            effects.compare()
            genuine: dict[int, object] = {id(c): real(c) for c in beside.clones.values()}
            genuine |= {id(beside.view): beside.real, id(hook): hook.original, **effects.originals()}
            cleanse([v.namespace for v in beside.versions.values()], genuine)
            yield genuine
    finally:
        finder.stage = None


def _result(beside: Beside, effects: Effects, entered: Findings) -> Prepared:
    books, wanted = beside.books, beside.wanted
    _references(beside)
    entries = (w._replace(old=beside.world.read(w.container, w.key)) for w in entered.writes)
    writes = tuple(effective((*plan.writes(beside), *entries)))
    names = (*beside.versions, *wanted.removed)
    previous = replaced(beside.world, books.versions, names)
    unclosed, notes = _closure(beside, entered, previous)
    return Prepared(
        modules={n: beside.genuine(beside.view[n]) for n in beside.versions if n in beside.view},
        removed=wanted.removed,
        dormant=frozenset(n for n in wanted.dormant if n not in beside.versions),
        lacking=dict(beside.lacking),
        versions=dict(beside.versions),
        previous=previous,
        writes=writes,
        late_imports=tuple(beside.view.late),
        notes=(*effects.notes(), *entered.notes, *notes),
        unclosed=unclosed,
        undo_effects=partial(_undo, effects, replace(entered, writes=[])),
        refresh=tuple(entered.refresh),
        seen=frozenset(beside.before) | frozenset(beside.view.late),
        catch_up=partial(_catch_up, beside),
        real=beside.real,
        superseded=tuple(entered.superseded),
    )


def _closure(
    beside: Beside, entered: Findings, previous: Mapping[str, Version]
) -> tuple[tuple[Unclosed, ...], tuple[str, ...]]:
    """Return who outside the upgrade keeps old objects: of the release as findings, others as notes."""
    current = beside.current
    question = replace(beside.question(beside.before), differs=beside.differs)
    found = early(question, beside.found, beside.importers)
    found += held(beside.versions, previous)
    found += [
        Unclosed(
            module,
            line_of(current[module], name),
            name,
            current[module].source.path,
            "keeps objects of old and new versions in",
        )
        for module, name in entered.owners
    ]
    ours = tuple(f for f in found if f.module in current or f.module in beside.versions)
    return ours, tuple(f"{f}; it is not of the release" for f in found if f not in ours)


def _references(beside: Beside) -> None:
    """Raise StagingError for a class that processes run and the new version has not."""
    for reference in list(beside.books.references.values()):
        version = beside.versions.get(reference.module)
        if version is not None and resolve(beside.view.get(reference.module), reference.qualname) is None:
            message = f"has no class {reference.qualname} any more, which processes run"
            raise StagingError(reference.module, 0, message, path=version.source.path)


def _catch_up(beside: Beside, fresh: Iterable[str]) -> Sequence[Write]:
    """Return the writes for modules that were loaded since staging, into the world that runs now."""
    modules = {n: beside.real[n] for n in fresh if n in beside.real}
    current = beside.books.versions
    importers = list(beside.books.importers(modules, current, beside.changing))
    found = find(beside.question(beside.real), importers)
    return tuple(plan.rebindings(beside, found))
