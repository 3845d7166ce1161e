"""What a code server knows; plain dicts, because a swap writes them in the same breath as `sys.modules`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any
from weakref import WeakValueDictionary, ref

from relup.runtime.code.finder import ReleaseFinder
from relup.runtime.code.kinds import is_a
from relup.runtime.code.rebinding import Importer
from relup.runtime.code.reference import ClassReference
from relup.runtime.code.source import Canary, Version
from relup.runtime.code.tables import Tables
from relup.runtime.code.writes import Container


@dataclass(slots=True, eq=False)
class Books:
    """Current and old versions, the finder, the shared references, and the canaries of what was dropped."""

    versions: dict[str, Version] = field(default_factory=dict)
    old: dict[str, Version] = field(default_factory=dict)
    tables: Tables = field(default_factory=Tables)
    references: WeakValueDictionary[tuple[str, str], ClassReference] = field(default_factory=WeakValueDictionary)
    dropped: dict[str, list[ref[Canary]]] = field(default_factory=dict)
    finder: ReleaseFinder = field(init=False)

    def __post_init__(self) -> None:
        self.finder = ReleaseFinder(self.versions, self.old)

    def clear(self) -> None:
        """Forget the release; references keep the classes they have."""
        for book in (self.versions, self.old, self.finder.paths, self.dropped):
            book.clear()
        self.tables = Tables()

    def outdated(self, cls: type) -> bool:
        """Say whether *cls* comes from an older version of its module; without methods, whether there ever was one."""
        version = self.versions.get(cls.__module__)
        if version is None:
            return False
        spaces = [f.__globals__ for f in vars(cls).values() if is_a(f, FunctionType) and f.__module__ == cls.__module__]
        if spaces:
            return all(space is not version.namespace for space in spaces)
        return cls.__module__ in self.old or cls.__module__ in self.dropped

    def bury(self, versions: Iterable[Version]) -> None:
        """Remember the canaries of versions that nobody should need any more."""
        for version in versions:
            alive = [c for c in self.dropped.get(version.source.name, ()) if c() is not None]
            self.dropped[version.source.name] = [*alive, version.canary]

    def forget_freed(self) -> None:
        """Drop the canaries that are dead; the names stay, they say that there was an older version."""
        for name, canaries in self.dropped.items():
            self.dropped[name] = [c for c in canaries if c() is not None]

    def importers(self, modules: dict[str, Any], current: Container, without: frozenset[str]) -> Iterator[Importer]:
        """Return the loaded modules, except those *without*, whose imports may concern these."""
        tops = frozenset(name.partition(".")[0] for name in without)
        for name, module in modules.items():
            namespace = getattr(module, "__dict__", None)
            if name in without or not is_a(module, ModuleType) or namespace is None:
                continue
            version = current.get(name)
            if version is not None:
                reading, path = self.tables.of_version(version), version.source.path
            else:
                reading = self.tables.of_other(name, module, tops)
                path = str(namespace.get("__file__") or name)
            if reading.imports or version is not None:
                yield Importer(name, path, package_of(name, namespace), namespace, *reading)


def package_of(name: str, namespace: Container) -> str:
    """Return the package against which a module's relative imports are resolved."""
    package = namespace.get("__package__")
    if isinstance(package, str):
        return package
    return name if "__path__" in namespace else name.rpartition(".")[0]
