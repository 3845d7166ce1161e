"""The code server of a node: current and old code of every module of its release.

OTP's rules: at most two versions of a module, and loading over old code that was not purged is refused
(`not_purged`). A node owns its code server, but `sys.modules` belongs to the process: two nodes in one process can
run releases with different module names at the same time, and releases with the same names one after another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from relup.runtime.code.books import Books
from relup.runtime.code.cleanse import forget_pickling, forget_typing
from relup.runtime.code.errors import AlreadyLoaded
from relup.runtime.code.finder import finders, install, same_extension, uninstall
from relup.runtime.code.keeping import Carry, Names
from relup.runtime.code.lingering import lingering, lingering_in_each
from relup.runtime.code.order import ancestors, is_namespace, order
from relup.runtime.code.places import differing
from relup.runtime.code.prepare import prepare
from relup.runtime.code.reference import ClassReference, resolve
from relup.runtime.code.running import Lingerer
from relup.runtime.code.source import Source, Version, forget_lines
from relup.runtime.code.staged import Staged
from relup.runtime.code.tables import source_text


class CodeServer:
    """Loads modules of a release, answers for their versions, and swaps them."""

    def __init__(self) -> None:
        self._books = Books()
        self._staged: list[Staged] = []
        self._untidied: list[Version] = []
        self._given_up: list[Staged] = []

    def boot(self, sources: Mapping[str, Path]) -> None:
        """Find these modules, by name, from now on; each is compiled from its file when it is first imported.

        C extensions are among them: their files end otherwise than in `.py`. AlreadyLoaded when somebody has loaded
        one of them already, unless it is the same C extension, which nobody can unload; or when another node of this
        process owns its name.
        """
        for finder in finders():
            if finder is not self._books.finder and (both := sorted(finder.paths.keys() & sources.keys())):
                raise AlreadyLoaded(f"another node of this process runs modules of these names: {', '.join(both)}")
        loaded = sorted(n for n in sources if n in sys.modules and n not in self._books.versions)
        loaded = [n for n in loaded if not same_extension(sys.modules[n], Path(sources[n]))]
        if loaded:
            raise AlreadyLoaded(f"already loaded, by somebody else: {', '.join(loaded)}")
        self._books.finder.paths.update({n: Path(p).absolute() for n, p in sources.items()})
        if self._books.finder not in finders():
            install(self._books.finder)

    def close(self) -> None:
        """Unload every module of the release and find none any more; the next node may use the names."""
        self.tidy()
        for staged in reversed(self._staged):
            staged.abandon() if staged.stage == "staged" else staged.finish()
        self._staged.clear()
        uninstall(self._books.finder)
        books = self._books
        for name in _owned(books):
            _unload(name)
        forget_lines([v.file for v in (*books.versions.values(), *books.old.values())], ())
        books.clear()

    def reference(self, cls: type) -> ClassReference:
        """Return the cell that all processes of this class share; its `cls` is the current class of that name.

        An old class, in a child spec say, gets the cell of its name too: starting it is a fully qualified call. A
        class that its module does not have under its name gets a cell of its own, which never changes.
        """
        entry = (cls.__module__, cls.__qualname__)
        found = None
        if cls.__module__ != "__main__" and "<locals>" not in cls.__qualname__:
            found = resolve(sys.modules.get(cls.__module__), cls.__qualname__)
        if found is None or (found is not cls and not self._books.outdated(cls)):
            return ClassReference(cls)
        reference = self._books.references.get(entry)
        if reference is None:
            reference = self._books.references[entry] = ClassReference(found)
        reference.cls = found  # somebody may still hold the cell of a module that was removed and has come back
        return reference

    def vsn(self, module: str) -> str | None:
        """Return the `__vsn__` of a loaded module, without one the digest of its text; None when it is not loaded."""
        version = self._books.versions.get(module)
        if version is not None:
            return version.vsn
        loaded = sys.modules.get(module)
        vsn = getattr(loaded, "__vsn__", None)
        return self.digest(module) if vsn is None else str(vsn)

    def digest(self, module: str) -> str | None:
        """Return the SHA-256 of the text that is loaded; None when *module* is not loaded or has no text."""
        version = self._books.versions.get(module)
        if version is not None:
            return version.digest
        loaded = sys.modules.get(module)
        text = source_text(module, loaded).encode() if isinstance(loaded, ModuleType) else b""
        return sha256(text).hexdigest() if text else None

    def running(self) -> tuple[Version, ...]:
        """Return the current version of each loaded module of the release."""
        return tuple(self._books.versions.values())

    def loaded(self, module: str) -> bool:
        """Say whether *module* of the release is loaded."""
        return module in self._books.versions

    def stage(
        self,
        sources: Sequence[Source],
        removed: Sequence[str] = (),
        after: Staged | None = None,
        *,
        known: Mapping[str, Path] | None = None,
        optional: Iterable[str] = (),
    ) -> Staged:
        """Execute new versions beside the running ones; blocks, so call it in a worker thread of a node that serves.

        *sources* are executed, in the order in which their old versions were imported, except those that nobody has
        loaded: they are only compiled, and found there after the swap. *removed* modules go with the swap. *after* is
        an upgrade staged before this one and not swapped yet. *known* says where the new release has its other
        modules: those that nobody loaded are found there after the swap, unchanged ones move there. New *optional*
        modules may fail, when nothing imports them: see `Staged.lacking`. Old code may
        still be there: the swap refuses it. StagingError, with everything undone.
        """
        staged = prepare(self._books, order(sources, removed, known or {}, optional), after)
        self._end(lambda earlier: after is None and not earlier.previous)
        self._staged.append(staged)
        return staged

    def differing(self, known: Mapping[str, Path]) -> list[str]:
        """Return the loaded modules that have another text where *known* says that a new release has them."""
        return differing(known, self._books.versions)

    def carry(self, staged: Staged, names: Names, *, back: bool = False) -> Carry:
        """Return what carries these names of modules over when *staged* is swapped, or *back* when it is undone."""
        return Carry(self._books, staged, names, back=back)

    @property
    def old(self) -> tuple[str, ...]:
        """The modules that have old code, in the order in which it became old."""
        return tuple(self._books.old)

    def lingering(self, modules: Iterable[str]) -> list[Lingerer]:
        """Return who still uses the old code of *modules*: tasks and threads in it, and holders of what it defines.

        Reads the whole heap, a tenth of a second and more for a large one: never in the window, best in a worker
        thread, where the loop goes on meanwhile.
        """
        return lingering(self._books, [n for n in modules if n in self._books.old], self._staged)

    def lingering_in_each(self) -> dict[str, list[Lingerer]]:
        """Return `lingering` of each module that has old code in use; many cost as much as one."""
        return lingering_in_each(self._books, self._staged) if self._books.old else {}

    def soft_purge(self, module: str) -> bool:
        """Purge the old code of *module* unless somebody still uses it; False, and nothing happens, when so.

        Instances of old classes count: their methods are old code, and a purge that leaves them would not be one.
        """
        if self.lingering([module]):
            return False
        self.purge([module])
        return True

    def purge(self, modules: Iterable[str]) -> None:
        """Drop the old code of *modules*; upgrades that replaced any of them, or nothing, cannot be undone any more.

        Python cannot kill what still runs there: it keeps its objects until it lets go of them, see `lingering`.
        """
        self.drop(modules)
        self._end(lambda staged: not staged.previous)
        self.tidy()

    def drop(self, modules: Iterable[str]) -> None:
        """Purge *modules*, but leave what only takes time to `tidy`: this is what a window does."""
        books = self._books
        gone = [books.old.pop(n) for n in modules if n in books.old]
        names = {v.source.name for v in gone}
        self._end(lambda staged: bool(names & staged.previous.keys()))
        books.bury(gone)
        self._untidied += gone

    def _end(self, over: Callable[[Staged], bool]) -> None:
        """Give up the way back of those upgrades that are *over*, and leave the rest of it to `tidy`."""
        for staged in self._staged:
            if over(staged):
                staged.give_up()
        self._given_up += [s for s in self._staged if not s.active]
        self._staged = [s for s in self._staged if s.active]

    def tidy(self) -> None:
        """Forget the texts, tables and cached annotations of what was dropped; harmless when nothing was."""
        books = self._books
        gone, self._untidied = self._untidied, []
        given_up, self._given_up = self._given_up, []
        for staged in given_up:
            staged.finish()
        forget_lines([v.file for v in gone], (*books.versions.values(), *books.old.values()))
        forget_typing({id(v.namespace) for v in gone})
        books.forget_freed()
        forget_pickling({id(v.namespace) for v in gone})
        books.tables.prune(books.versions.values(), sys.modules)

    def buried(self) -> tuple[str, ...]:
        """Return the modules of which purged or undone code is still there: held, or the collector has not come yet."""
        return tuple(sorted(name for name in self._books.dropped if not self.freed(name)))

    def freed(self, module: str) -> bool:
        """Say whether nothing is left of the versions of *module* that were purged, undone or abandoned.

        Functions and their namespace are a cycle, so this becomes true at a `gc.collect()`.
        """
        return all(canary() is None for canary in self._books.dropped.get(module, ()))

    def counterpart(self, cls: type, name: str | None = None) -> type:
        """Return the class of the same name in the other version of its module, while an upgrade is in progress.

        Where it is called otherwise there *name* says how: `Item`, or `shop.model:Item`. A class of a module that does
        not change is its own counterpart. LookupError without an upgrade, or when the
        other version has no such class. Of several upgrades that exchange the class it is the last: what was swapped
        before it, and keeps its undo information until it is purged, is over.
        """
        active = [s for s in self._staged if s.active]
        for staged in reversed(active):
            found = staged.counterpart(cls, name)
            if found is not None:
                return found
        if not active:
            raise LookupError(f"no upgrade is in progress, so {cls.__qualname__} has no counterpart")
        if name or any(s.concerns(cls.__module__) for s in active):
            raise LookupError(f"the other version of {cls.__module__} has no class {name or cls.__qualname__}")
        return cls


def _owned(books: Books) -> list[str]:
    """Return what the release put into `sys.modules`: its modules, and packages without a file that held only those."""
    names = list(books.versions)
    packages = dict.fromkeys(a for n in books.finder.paths for a in ancestors(n) if a not in books.finder.paths)
    for package in sorted(packages, key=len, reverse=True):
        others = [n for n in sys.modules if n.startswith(f"{package}.") and n not in names]
        if is_namespace(sys.modules.get(package)) and not others:
            names.append(package)
    return names


def _unload(name: str) -> None:
    module = sys.modules.pop(name, None)
    parent, _, tail = name.rpartition(".")
    namespace = getattr(sys.modules.get(parent), "__dict__", {})
    if module is not None and namespace.get(tail) is module:
        del namespace[tail]
