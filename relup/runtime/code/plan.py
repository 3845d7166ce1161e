"""The writes of a swap: everything that must change in the process for new code to be the code.

In the order of precedence: what bodies wrote into unchanged modules, the modules themselves, the code server's books,
the attributes of packages, the places of unchanged modules that lie in a new folder now, and the names of other
modules that their imports bound. All of it is computed under the view; old values come from the world as it will
be when the upgrades staged before are swapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from relup.runtime.code.annotations import exchanged
from relup.runtime.code.clone import written
from relup.runtime.code.errors import StagingError
from relup.runtime.code.kinds import is_a
from relup.runtime.code.rebinding import Found, Rebinding, exported
from relup.runtime.code.staging import Beside
from relup.runtime.code.view import ABSENT
from relup.runtime.code.writes import MISSING, Write


def writes(beside: Beside) -> Iterator[Write]:
    """Return the writes of the swap; StagingError when an import of an unchanged module could not be kept."""
    yield from _by_bodies(beside)
    yield from _modules(beside)
    yield from _books(beside)
    yield from _attributes(beside)
    yield from _places(beside)
    yield from rebindings(beside, beside.found)
    yield from _annotations(beside)


def _by_bodies(beside: Beside) -> Iterator[Write]:
    for name, clone in beside.clones.items():
        for write in written(clone, beside.world):
            child = beside.view.get(f"{name}.{write.key}", beside)
            if write.new is not child:
                yield write._replace(new=beside.genuine(write.new))


def _modules(beside: Beside) -> Iterator[Write]:
    for name, value in beside.view.overlay.items():
        new = MISSING if value is ABSENT else beside.genuine(value)
        yield Write(beside.real, name, beside.world.read(beside.real, name), new)


def _books(beside: Beside) -> Iterator[Write]:
    books, world = beside.books, beside.world
    for name, version in beside.versions.items():
        yield Write(books.versions, name, world.read(books.versions, name), version)
    for name in beside.wanted.removed:
        yield Write(books.versions, name, world.read(books.versions, name), MISSING)
    for name in (*beside.versions, *beside.wanted.removed):
        previous = world.read(books.versions, name)
        if previous is not MISSING:
            yield Write(books.old, name, MISSING, previous)
    paths = books.finder.paths
    for name in (*beside.names(), *beside.wanted.removed):
        yield Write(paths, name, world.read(paths, name), beside.path(name))


def _attributes(beside: Beside) -> Iterator[Write]:
    """Give unchanged packages their new children, unless they use the name for something else."""
    for name, value in beside.view.overlay.items():
        parent, _, tail = name.rpartition(".")
        package = beside.before.get(parent)
        if parent in beside.changing or not isinstance(package, ModuleType):
            continue
        now = beside.world.read(vars(package), tail)
        if now is MISSING or now is beside.before.get(name, beside):
            yield Write(vars(package), tail, now, MISSING if value is ABSENT else beside.genuine(value))


def _places(beside: Beside) -> Iterator[Write]:
    books, world = beside.books, beside.world
    for name, move in beside.places.items():
        namespace = move.version.namespace
        for key, value in move.entries.items():
            yield Write(namespace, key, world.read(namespace, key), value)
        yield Write(books.versions, name, world.read(books.versions, name), move.version)
        yield Write(books.finder.paths, name, world.read(books.finder.paths, name), Path(move.version.source.path))


def rebindings(beside: Beside, found: Found) -> Iterator[Write]:
    """Return the writes to the names that import statements of unchanged modules bound."""
    for dangling in found.dangling:
        if not dangling.star:
            raise _gone(dangling)
    for (_, key), rebinding in found.names.items():
        namespace = rebinding.importer.namespace
        new = beside.genuine(beside.value(rebinding.origin))
        if new is MISSING and not rebinding.star:
            raise _gone(rebinding)
        yield Write(namespace, key, beside.world.read(namespace, key), new)
    yield from _new_names(beside, found)


def _annotations(beside: Beside) -> Iterator[Write]:
    """Exchange the classes that annotations of importing modules name."""
    new: dict[int, object] = {}
    for (_, key), rebinding in beside.found.names.items():
        old = beside.world.read(rebinding.importer.namespace, key)
        if is_a(old, type):
            new[id(old)] = beside.genuine(beside.value(rebinding.origin))
    importers = {r.importer.name: r.importer.namespace for r in beside.found.names.values()}
    for namespace in importers.values() if new else ():
        yield from exchanged(namespace, lambda value: new.get(id(value), value))


def _new_names(beside: Beside, found: Found) -> Iterator[Write]:
    """Return what star imports bind that the old versions did not have; passed on from one to the next."""
    added: dict[str, dict[str, Any]] = {}
    pending = list(found.stars)
    while pending:
        ahead, pending = pending, []
        for star in ahead:
            fresh = dict(_offered(beside, star.source, added))
            known = added.setdefault(star.importer.name, {})
            namespace = star.importer.namespace
            new = {k: v for k, v in fresh.items() if k not in known and beside.world.read(namespace, k) is MISSING}
            known |= new
            yield from (Write(namespace, key, MISSING, value) for key, value in new.items())
            if new:
                pending += [s for s in found.stars if s.source == star.importer.name]


def _offered(beside: Beside, source: str, added: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    if source not in beside.wanted.sources:
        yield from added.get(source, {}).items()
        return
    module = beside.view.overlay[source]
    for name in exported(module, vars(module)):
        yield name, beside.genuine(getattr(module, name))


def _gone(rebinding: Rebinding) -> StagingError:
    importer, origin = rebinding.importer, rebinding.origin
    if origin.attribute is None:
        message = f"imports {origin.module}, which is removed"
    else:
        message = f"imports {origin.attribute} from {origin.module}, which no longer has it"
    return StagingError(importer.name, rebinding.line, message, path=importer.path)
