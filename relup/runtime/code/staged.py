"""One upgrade of code: staged, then swapped and perhaps undone, or abandoned.

    staged ──swap──▶ swapped ──undo──▶ undone
       │              ▲ │  └──undo, to keep──▶ kept ──abandon──▶ abandoned
       │              └─┼────────redo───────────┘
       │                └────finish──▶ finished     (old code may be purged)
       └──abandon──▶ abandoned

A swap is refused before its first write when anything it is based on has changed since staging. An undo is not: it
is the way out of a failed upgrade, so it puts every entry back to what it was, whatever somebody wrote there since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from relup.runtime.code.books import Books
from relup.runtime.code.cleanse import forget_pickling, forget_typing
from relup.runtime.code.closure import Unclosed
from relup.runtime.code.effects import Recorded, do, parts
from relup.runtime.code.errors import NotPurged, StagingError, SwapError
from relup.runtime.code.reference import ClassReference, resolve
from relup.runtime.code.source import Version, forget_lines
from relup.runtime.code.writes import MISSING, Container, Guard, World, Write, backwards, effective, forwards

Stage: TypeAlias = Literal["staged", "swapped", "kept", "undone", "finished", "abandoned"]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What staging found out, ready to be swapped."""

    modules: Mapping[str, Any]
    removed: tuple[str, ...]
    dormant: frozenset[str]
    lacking: Mapping[str, StagingError]
    versions: Mapping[str, Version]
    previous: Mapping[str, Version]
    writes: tuple[Write, ...]
    late_imports: tuple[str, ...]
    notes: tuple[str, ...]
    unclosed: tuple[Unclosed, ...]
    undo_effects: Callable[[], None]
    refresh: tuple[Callable[[], object], ...]
    seen: frozenset[str]
    catch_up: Callable[[Iterable[str]], Sequence[Write]]
    real: Container
    holders: tuple[object, ...] = ()
    superseded: tuple[tuple[Container, object], ...] = ()
    later: tuple[Recorded, ...] = ()


class Staged:
    """New versions that stand beside the running ones, and the writes that put them in their place."""

    def __init__(self, books: Books, prepared: Prepared, world: World, ahead: tuple[Recorded, ...] = ()) -> None:
        self.stage: Stage = "staged"
        self.before = world
        self.later = (*ahead, *prepared.later)
        """What the bodies did to the process, and those of the upgrades before it, which the swaps do again."""
        self.world = World((*world.writes, *prepared.writes))
        self._books = books
        self._prepared = prepared
        self._writes = prepared.writes
        self._guard = Guard(self._writes)
        self._forwards, self._backwards = forwards(self._writes), backwards(self._writes)
        self._loaded_at_swap: frozenset[str] = frozenset()

    @property
    def modules(self) -> Mapping[str, Any]:
        """The new modules by name, those that nobody asked for but bodies imported included."""
        return self._prepared.modules

    @property
    def removed(self) -> tuple[str, ...]:
        """The modules that go."""
        return self._prepared.removed

    @property
    def dormant(self) -> frozenset[str]:
        """The members that were not executed: nobody had loaded them, and no body imported them."""
        return self._prepared.dormant

    @property
    def lacking(self) -> Mapping[str, StagingError]:
        """The new modules that cannot be imported here, for want of something that is not of the release."""
        return self._prepared.lacking

    @property
    def previous(self) -> Mapping[str, Version]:
        """The versions that these replace or remove."""
        return self._prepared.previous

    @property
    def versions(self) -> Mapping[str, Version]:
        """The new versions by name."""
        return self._prepared.versions

    @property
    def writes(self) -> tuple[Write, ...]:
        """What the swap will write, or has written."""
        return self._writes

    @property
    def real(self) -> Container:
        """The dict behind `sys.modules`, which everybody but a staging thread sees."""
        return self._prepared.real

    @property
    def late_imports(self) -> tuple[str, ...]:
        """Modules of others that new bodies imported for the first time; visible since staging."""
        return self._prepared.late_imports

    @property
    def notes(self) -> tuple[str, ...]:
        """What bodies did outside their namespaces, as sentences."""
        return self._prepared.notes

    @property
    def unclosed(self) -> tuple[Unclosed, ...]:
        """Loaded modules outside the upgrade that keep old objects for ever; empty when the set is closed."""
        return self._prepared.unclosed

    @property
    def active(self) -> bool:
        """Whether both versions are there: staged, or swapped and not finished."""
        return self.stage in ("staged", "swapped", "kept")

    def counterpart(self, cls: type, name: str | None = None) -> type | None:
        """Return the class of the same name, or of *name*, in the version that *cls* is not of; None without one."""
        before, after, own = self._prepared.previous, self._prepared.modules, cls.__module__
        module, _, qualname = (name or cls.__qualname__).rpartition(":")
        other = module or own
        if own in before and resolve(before[own].module, cls.__qualname__) is cls:
            return resolve(after.get(other), qualname)
        if own in after and resolve(after[own], cls.__qualname__) is cls:
            return resolve(before[other].module, qualname) if other in before else None
        return None

    def holders(self) -> Iterator[object]:
        """Return what this upgrade itself holds of old code, which must not count as somebody's use of it."""
        yield from (self._writes, self.world.writes, *self._writes, *self.world.writes, *self._prepared.holders)
        yield from (self._prepared.superseded, *self._prepared.superseded)
        yield from (*self._backwards.dicts(), *self._forwards.dicts(), *self._guard.dicts(), *self.world.dicts())
        yield self.later
        for effect in self.later:
            yield from (effect, *parts(effect.undo), *parts(effect.redo))

    def superseded(self) -> Iterator[tuple[Container, object]]:
        """Return the entries of old classes in containers of others, which go when this upgrade is finished."""
        if self.stage == "swapped":
            yield from self._prepared.superseded

    def concerns(self, module: str) -> bool:
        """Say whether *module* is replaced, added or removed."""
        return module in self._prepared.modules or module in self._prepared.removed

    def swap(self) -> None:
        """Make the new code current, at once; SwapError or NotPurged before anything is written."""
        self._need("staged", "swap")
        replaced = self._prepared.previous
        if unpurged := [n for n in replaced if n in self._books.old]:
            raise NotPurged(unpurged)
        if woken := sorted(n for n in self._prepared.dormant if n in self._books.versions):
            raise SwapError(f"{', '.join(woken)} was loaded since the upgrade was staged; stage it again")
        self._catch_up()
        references = self._new_classes()
        if write := self._guard.changed():
            raise SwapError(f"{write.key!r} has changed since the upgrade was staged; stage it again")
        self._loaded_at_swap = frozenset(self._books.versions)
        self._forwards.apply()
        self._do()
        self._refresh()
        for reference, cls in references:
            reference.cls = cls
        self._prepared = replace(self._prepared, catch_up=_none)
        self.stage = "swapped"

    def undo(self, *, keep: bool = False) -> None:
        """Make the old code current again; what `sys.modules` and namespaces held is what they hold.

        With *keep* the new code is not dropped yet: `redo` may make it current again, until `abandon`.
        """
        self._need("swapped", "undo")
        books, prepared = self._books, self._prepared
        if gone := [n for n, v in prepared.versions.items() if books.versions.get(n) is not v]:
            raise SwapError(f"{', '.join(gone)} changed again since; undo that first")
        self._unload_later()
        self._backwards.apply()
        for effect in reversed(prepared.later):
            do(effect.undo)
        self._refresh()
        for reference in self._references():
            module = prepared.real.get(reference.module)
            cls = resolve(module, reference.qualname) if module is not None else None
            reference.cls = cls or reference.cls
        if keep:
            self.stage = "kept"
        else:
            self._drop("undone")

    def redo(self) -> None:
        """Make the new code current again that an `undo(keep=True)` replaced."""
        self._need("kept", "redo")
        references = self._new_classes()
        self._forwards.apply()
        self._do()
        for reference, cls in references:
            reference.cls = cls
        self.stage = "swapped"

    def abandon(self) -> None:
        """Forget new code that is not current; harmless when it is undone, abandoned or finished already."""
        if self.stage in ("staged", "kept"):
            self._drop("abandoned")
        elif self.stage == "swapped":
            raise SwapError("the new code is current: undo it instead")

    def give_up(self) -> None:
        """Give up the way back, but leave the undo information, which keeps the old code alive, to `finish`."""
        if self.stage == "swapped":
            self.stage = "finished"

    def finish(self) -> None:
        """Give up the way back, and drop what it needed."""
        self.give_up()
        if self.stage == "finished":
            for container, key in self._prepared.superseded:
                container.pop(key, None)
            self._refresh()
            self._forget("finished")

    def _do(self) -> None:
        """Do again what bodies did to the process."""
        for effect in self._prepared.later:
            do(effect.redo)

    def _refresh(self) -> None:
        """Let caches that stand in front of written dicts look again."""
        for refresh in self._prepared.refresh:
            refresh()

    def _need(self, stage: Stage, verb: str) -> None:
        if self.stage != stage:
            raise SwapError(f"cannot {verb} an upgrade that is {self.stage}")

    def _references(self) -> list[ClassReference]:
        names = {*self._prepared.versions, *self._prepared.removed}
        return [r for r in list(self._books.references.values()) if r.module in names]

    def _new_classes(self) -> list[tuple[ClassReference, type]]:
        found = []
        for reference in self._references():
            module = self._prepared.modules.get(reference.module)
            if module is not None:
                cls = resolve(module, reference.qualname)
                if cls is None:
                    raise SwapError(f"a process uses {reference!r}, which the new version no longer has")
                found.append((reference, cls))
        return found

    def _catch_up(self) -> None:
        """Rebind the imports of modules that somebody loaded since staging."""
        fresh = [n for n in list(self._prepared.real) if n not in self._prepared.seen]
        if not fresh:
            return
        try:
            more = self._prepared.catch_up(fresh)
        except StagingError as error:
            raise SwapError(str(error)) from None
        if more:
            self._writes = tuple(effective((*self._writes, *more)))
            self._guard = Guard(self._writes)
            self._forwards, self._backwards = forwards(self._writes), backwards(self._writes)

    def _unload_later(self) -> None:
        """Unload modules of the release that were loaded after the swap: they are built on the new code."""
        books, real = self._books, self._prepared.real
        for name in [n for n in books.versions if n not in self._loaded_at_swap and n not in self._prepared.versions]:
            version = books.versions.pop(name)
            module = real.pop(name, None)
            parent, _, tail = name.rpartition(".")
            namespace = getattr(real.get(parent), "__dict__", {})
            if module is not None and namespace.get(tail) is module:
                del namespace[tail]
            forget_lines([version.file], books.versions.values())

    def _drop(self, stage: Stage) -> None:
        books, prepared = self._books, self._prepared
        prepared.undo_effects()
        alive = [*books.versions.values(), *books.old.values()]
        forget_lines([v.file for v in prepared.versions.values()], alive)
        books.bury(prepared.versions.values())
        dropped = {id(v.namespace) for v in prepared.versions.values()}
        self._forget(stage)
        forget_typing(dropped)
        forget_pickling(dropped)

    def _forget(self, stage: Stage) -> None:
        """Keep the names and the sentences, drop every object."""
        self.stage = stage
        kept = self._prepared
        self._prepared = Prepared(
            {},
            kept.removed,
            kept.dormant,
            kept.lacking,
            {},
            {},
            (),
            kept.late_imports,
            kept.notes,
            kept.unclosed,
            _nothing,
            (),
            frozenset(),
            _none,
            {},
        )
        self._writes = ()
        self._guard, self._forwards, self._backwards = Guard(()), forwards(()), backwards(())
        self.before = self.world = World()
        self.later = ()


def _nothing() -> None:
    """Undo nothing."""


def _none(_: Iterable[str]) -> Sequence[Write]:
    return ()


def replaced(world: World, versions: Container, names: Iterable[str]) -> dict[str, Version]:
    """Return the versions that *names* have in *world*."""
    found = ((name, world.read(versions, name)) for name in names)
    return {name: version for name, version in found if version is not MISSING}
