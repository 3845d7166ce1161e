"""New versions are executed beside the old ones, before anything is suspended.

The thread that stages sees the new release (`view`, `finder`) and clones of the unchanged modules that lead to it
(`clone`); everybody else sees what runs. Bodies are executed in the order in which the old versions were imported,
new modules last, each through importlib, so that circular imports go as they go at a first import. Whatever happens
in a body, nothing of it stays: the view, the clones and the journal of side effects are undone in `finally`.

Two details are CPython's. `from pkg import child` falls back on the interpreter's own dict in a circular import, where
the old child is: so a package is given its child *before* the child's body runs. And a package that is executed
anew does not get those children that are loaded already, for importlib sets them only when it loads them: so they
are set before the package's body runs.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from relup.runtime.code.books import Books
from relup.runtime.code.clone import Clone, Names, clone_of, link, real, retire
from relup.runtime.code.errors import StagingError
from relup.runtime.code.failure import explain
from relup.runtime.code.finder import REMOVED, Paths, ReleaseLoader, compiled
from relup.runtime.code.order import Order, ancestors
from relup.runtime.code.places import moved
from relup.runtime.code.rebinding import Found, Origin, Question, Rebinding, find
from relup.runtime.code.source import Source, Version, file_name, read
from relup.runtime.code.view import ABSENT, ModulesView, outside
from relup.runtime.code.writes import MISSING, Container, World


class Beside:
    """The new release in the making, as its thread sees it; implements the finder's `Stage`."""

    def __init__(self, books: Books, wanted: Order, world: World, modules: Container) -> None:
        self.books = books
        self.wanted = wanted
        self.world = world
        self.real = modules
        self.before: Container = world.copy(modules)
        self.current: Container = world.copy(books.versions)
        self.versions: dict[str, Version] = {}
        self.lacking: dict[str, StagingError] = {}
        self.begun: list[Version] = []
        self.files: dict[str, str] = {}
        self.clones: dict[str, Clone] = {}
        self._codes: dict[str, CodeType] = {}
        self.changing = frozenset((*wanted.sources, *wanted.removed))
        self._members = wanted.members()
        self._changing_in: dict[str, list[str]] = {}
        for name in (*wanted.sources, *wanted.removed):
            self._changing_in.setdefault(name.rpartition(".")[0], []).append(name)
        self.places = moved(wanted, self.current)
        self._ancestors = frozenset(a for n in wanted.sources for a in ancestors(n))
        self._paths: Paths = world.copy(books.finder.paths)
        self.view = ModulesView(modules, self._overlay(), self.private)
        self.importers = list(books.importers(self.before, self.current, self.changing))
        self.found = find(self.question(self.before), self.importers)

    def _overlay(self) -> Container:
        ahead = {w.key: w.new for w in self.world.writes if w.container is self.real}
        return ahead | dict.fromkeys((n for n in self.before if n in self.changing or self._made(n)), ABSENT)

    def _made(self, name: str) -> bool:
        """Say whether *name* is a module without a file that a member has made below itself, and will make again."""
        if self.path(name) is not None or not any(a in self.wanted.sources for a in ancestors(name)):
            return False
        spec = getattr(self.before[name], "__spec__", None)
        return spec is None or type(spec.loader).__module__ in self.changing

    def question(self, modules: Container) -> Question:
        """Return what must be known of the names that lead to this upgrade, for these loaded modules."""
        removed = frozenset(n for n in self.wanted.removed if n in self.current)
        return Question(self.world, modules, self.changing, removed, self._old_value)

    def _old_value(self, module: Any, name: str) -> Any:
        with outside(self.view):
            return getattr(module, name, MISSING)

    def differs(self, origin: Origin) -> bool:
        """Say whether *origin* is another object in the new release; what is only handed on may not be."""
        if origin.attribute is None or origin.module not in self.wanted.sources:
            return True
        old = self._old_value(self.before.get(origin.module), origin.attribute)
        return old is MISSING or self.genuine(self.value(origin)) is not old

    def mine(self) -> bool:
        """Say whether the calling thread is the one that stages."""
        return self.view.mine()

    def path(self, name: str) -> Any:
        """Return where the new release has *name*, REMOVED when it has not."""
        source = self._members.get(name)
        if source is not None:
            return Path(source.path)
        if name in self.wanted.removed:
            return REMOVED
        return self.wanted.known.get(name) or self._paths.get(name)

    def names(self) -> Iterable[str]:
        """Return the modules of the new release that the upgrade brings, in its order."""
        return dict.fromkeys((*self._members, *self.wanted.known))

    def private(self, name: str) -> bool:
        """Say whether *name* belongs to the new release, or stands below one of its modules."""
        if name in self._ancestors or self.path(name) is not None:
            return True
        return any(a in self._members for a in ancestors(name))

    def loader(self, name: str) -> ReleaseLoader:
        """Return what executes *name*: a member, or a module that nobody had loaded yet."""
        source = self._members.get(name) or read(name, self.path(name))
        file = self._file(source)
        self.files[file] = name
        return ReleaseLoader(source, file, self.versions, self._place, self._codes.pop(name, None))

    def _file(self, source: Source) -> str:
        name = source.name
        alive = (self.current.get(name), self.books.versions.get(name), self.books.old.get(name))
        return file_name(source, [v for v in alive if v is not None])

    def code(self, source: Source) -> CodeType | None:
        """Compile a member before its body runs; None when it cannot be compiled, which its import will say."""
        try:
            code = self._codes[source.name] = compiled(source, self._file(source))
        except Exception:
            return None
        return code

    def _place(self, module: ModuleType) -> Callable[[], None]:
        """Give a module its loaded children and its package the module, before the body runs."""
        name = module.__name__
        self.begun.append(self.versions[name])
        parent, _, tail = name.rpartition(".")
        if hasattr(module, "__path__"):
            for child, loaded in self.view.merged().items():
                head, _, last = child.rpartition(".")
                if head == name:
                    setattr(module, last, loaded)
        package = self.view.get(parent)
        if not isinstance(package, ModuleType):
            return lambda: None
        before = vars(package).get(tail, MISSING)
        setattr(package, tail, module)

        def unplace() -> None:
            if vars(package).get(tail) is module:
                if before is MISSING:
                    delattr(package, tail)
                else:
                    setattr(package, tail, before)

        return unplace

    def clone_all(self) -> None:
        """Put a clone into the overlay for every loaded module that leads to a changing one."""
        leading: dict[str, list[Rebinding]] = {}
        for rebinding in self.found.names.values():
            leading.setdefault(rebinding.importer.name, []).append(rebinding)
        packages = [n for n, m in self.before.items() if self.private(n) and hasattr(m, "__path__")]
        for name in dict.fromkeys((*packages, *leading)):
            module = self.before.get(name)
            if name not in self.changing and name != "__main__" and isinstance(module, ModuleType):
                hidden, shadowed = self._children(name, module)
                hidden |= {r.key: self._asker(r.origin) for r in leading.get(name, ())}
                entries = self.places[name].entries if name in self.places else {}
                names = Names(hidden, shadowed)
                clone = clone_of(module, self.world, names, entries, self.mine)
                self.clones[name] = self.view.overlay[name] = clone
        link(self.clones)

    def _children(self, name: str, module: ModuleType) -> tuple[dict[str, Callable[[], Any]], frozenset[str]]:
        hidden: dict[str, Callable[[], Any]] = {}
        shadowed = set()
        for child in self._changing_in.get(name, ()):
            tail = child.rpartition(".")[2]
            value = self.world.read(vars(module), tail)
            if value is self.before.get(child, self):
                hidden[tail] = self._asker(Origin(child, None))
            elif value is not MISSING:
                shadowed.add(tail)
        return hidden, frozenset(shadowed)

    def _asker(self, origin: Origin) -> Callable[[], Any]:
        def ask() -> Any:
            value = self.value(origin)
            if value is MISSING:
                raise AttributeError(f"module {origin.module!r} has no {origin.attribute or 'version'!r} any more")
            return value

        return ask

    def value(self, origin: Origin) -> Any:
        """Return what *origin* is in the new release, under the view; MISSING when it has no such thing."""
        if origin.module in self.wanted.removed:
            return MISSING
        module = self.view.overlay.get(origin.module, ABSENT)
        if module is ABSENT:
            module = importlib.import_module(origin.module)
        if origin.attribute is None:
            return module
        value = getattr(module, origin.attribute, MISSING)
        return self.view.overlay.get(f"{origin.module}.{origin.attribute}", MISSING) if value is MISSING else value

    def run(self) -> None:
        """Execute every member; StagingError names the file and the line of what fails.

        A new module that lacks something which is not of the release, or imports what nobody could load before, is
        left to whoever imports it: that a package has a part for another machine is no fault, and a member that needs
        it fails by itself. So is any *optional* one that fails.
        """
        for name in dict.fromkeys((*(n for n in self.before if n in self.wanted.sources), *self.wanted.sources)):
            try:
                importlib.import_module(name)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                    raise
                failure = self.failure(name, error)
                excused = name in self.wanted.optional or self._lacks(error) or failure.module in self.wanted.dormant
                if name in self.current or not excused:
                    raise failure from None
                self.lacking[name] = failure

    def _lacks(self, error: BaseException) -> bool:
        """Say whether an import failed for want of something that is not of the release."""
        if not isinstance(error, ImportError):
            return False
        return error.name is None or all(self.path(n) is None for n in (error.name, *ancestors(error.name)))

    def failure(self, name: str, error: BaseException) -> StagingError:
        """Return what to say about a body that raised: the innermost line of the new release that took part."""
        return explain(name, self.path(name), error, self.files)

    def settle(self) -> None:
        """Let go of what only staging needed, here and not in the window."""
        for name, clone in self.clones.items():
            retire(clone)
            if self.view.overlay.get(name) is clone:
                del self.view.overlay[name]
        self.clones, self.importers, self.found, self.begun, self._codes = {}, [], Found(), [], {}

    def genuine(self, value: Any) -> Any:
        """Return the module behind a clone, and anything else as it is."""
        return real(value) if type(value) is Clone else value
