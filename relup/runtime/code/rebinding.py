"""Which names of loaded modules lead, through import statements, to modules that change.

`from shop.model import LIMIT` copies a value; the copy keeps the old one for ever unless the swap writes it. A name
is rebound only where the import table says that a statement binds it *and* its value is still the one imported.
Re-exports are followed to a fixpoint: an unchanged module that imports from a changed one is itself imported from,
and each name is given the changed module and attribute where it originates. Lazy modules keep nothing in their
dict, so a name is looked up by getattr.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from relup.runtime.code.writes import MISSING, Container, World
from relup.syntax.imports import Import
from relup.syntax.uses import Use


class Origin(NamedTuple):
    """A changing module, or one of its attributes."""

    module: str
    attribute: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Importer:
    """A loaded module that does not change, with what its imports bind and what it reads at import time."""

    name: str
    path: str
    package: str
    namespace: Container
    imports: tuple[Import, ...]
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Rebinding:
    """A name of an unchanged module that originates in a changing one."""

    importer: Importer
    key: str
    origin: Origin
    line: int
    star: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Star:
    """A star import whose source changes, or passes on what changes."""

    importer: Importer
    source: str
    line: int


@dataclass(slots=True)
class Found:
    """All rebindings by (importer, name), the star imports, and plain imports of modules that go."""

    names: dict[tuple[str, str], Rebinding] = field(default_factory=dict)
    stars: list[Star] = field(default_factory=list)
    dangling: list[Rebinding] = field(default_factory=list)


class _Edge(NamedTuple):
    importer: Importer
    key: str
    source: Origin
    line: int
    star: bool


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked: which modules change or go, what is loaded, and how an old name is looked up."""

    world: World
    modules: Mapping[str, Any]
    changing: Collection[str]
    removed: Collection[str]
    lookup: Callable[[Any, str], Any] = field(default=lambda module, name: getattr(module, name, MISSING))
    differs: Callable[[Origin], bool] = field(default=lambda origin: True)
    """Whether what a changing module has under a name is another object in its new version."""


def find(question: Question, importers: Collection[Importer]) -> Found:
    """Return every rebinding that *importers* need."""
    found = Found()
    edges = [e for i in importers for e in _edges(question, i, found)]
    waiting: dict[Origin, list[_Edge]] = {}
    ready: list[tuple[_Edge, Origin]] = []
    for edge in edges:
        if edge.source.module in question.changing:
            ready.append((edge, edge.source))
        else:
            waiting.setdefault(edge.source, []).append(edge)
    while ready:
        edge, origin = ready.pop()
        entry = (edge.importer.name, edge.key)
        if entry not in found.names:
            found.names[entry] = Rebinding(edge.importer, edge.key, origin, edge.line, edge.star)
            ready += [(next_edge, origin) for next_edge in waiting.pop(Origin(*entry), ())]
    return found


def _edges(question: Question, importer: Importer, found: Found) -> Iterator[_Edge]:
    for entry in importer.imports:
        if entry.typing_only:
            continue
        if entry.attribute is None:
            yield from _whole_module(question, importer, entry, found)
        elif entry.key == "*":
            yield from _star(question, importer, entry, found)
        else:
            yield from _attribute(question, importer, entry)


def _whole_module(question: Question, importer: Importer, entry: Import, found: Found) -> Iterator[_Edge]:
    name = entry.path
    current = question.world.read(importer.namespace, entry.key)
    if current is MISSING or question.modules.get(name, question) is not current:
        return
    if entry.loads in question.removed:
        origin = Origin(entry.loads, None)
        found.dangling.append(Rebinding(importer, entry.key, origin, entry.line))
    elif name in question.changing:
        yield _Edge(importer, entry.key, Origin(name, None), entry.line, star=False)


def _attribute(question: Question, importer: Importer, entry: Import) -> Iterator[_Edge]:
    current = question.world.read(importer.namespace, entry.key)
    if current is MISSING or entry.attribute is None:
        return
    name = entry.module(importer.package)
    child = f"{name}.{entry.attribute}"
    if question.modules.get(child, question) is current:
        if child in question.changing:
            yield _Edge(importer, entry.key, Origin(child, None), entry.line, star=False)
    elif _value(question, name, entry.attribute) is current:
        yield _Edge(importer, entry.key, Origin(name, entry.attribute), entry.line, star=False)


def _star(question: Question, importer: Importer, entry: Import, found: Found) -> Iterator[_Edge]:
    name = entry.module(importer.package)
    source = question.modules.get(name)
    if source is None:
        return
    found.stars.append(Star(importer, name, entry.line))
    if name in question.removed:
        found.dangling.append(Rebinding(importer, "*", Origin(name, None), entry.line, star=True))
    for key in exported(source, question.world.copy(vars(source))):
        current = question.world.read(importer.namespace, key)
        if current is not MISSING and _value(question, name, key) is current:
            yield _Edge(importer, key, Origin(name, key), entry.line, star=True)


def exported(module: Any, namespace: Mapping[str, Any]) -> list[str]:
    """Return the names that a star import of *module* binds."""
    names = namespace.get("__all__", MISSING)
    if names is MISSING:
        return [n for n in namespace if isinstance(n, str) and not n.startswith("_")]
    return [n for n in names if isinstance(n, str)]


def _value(question: Question, module: str, name: str) -> Any:
    """Return what *name* of *module* is in the old world, MISSING when it is nothing."""
    source = question.modules.get(module)
    namespace = getattr(source, "__dict__", None)
    if source is None or not isinstance(namespace, dict):
        return MISSING
    value = question.world.read(namespace, name)
    return question.lookup(source, name) if value is MISSING else value
