"""What new bodies put into containers of unchanged modules.

`PLUGINS["mail"] = Mail` in an unchanged `registry`, `@area.register` on an unchanged single-dispatch function,
`__init_subclass__` of an unchanged base, a lazy module's cache in its own namespace: each is a new object in a place
that everybody sees at once. A dict is put back at once and its entry becomes a write of the swap, visible when the
new code is and gone when it is undone. A list or a set has no key: what was added is taken out again when the
upgrade fails, and the module is reported as one that the upgrade is not closed without, for the old object is
still in there.

An entry whose key is a class (single dispatch, a table of serializers) does not replace that of the old class. Old
instances need theirs as long as there are any, so it stays until the old code is purged, and is no use of it.

Other threads go on using these containers meanwhile, so only what the new code defines counts: a new class, a
function with a new namespace, an instance of a new class. Looked at are the namespaces of the release's unchanged
modules, their containers, and those one level inside their classes and instances; attributes of their classes
(put back when the upgrade fails, and reported); and the namespaces of all other modules, which some bodies patch.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import is_
from types import FunctionType, MethodType, ModuleType
from typing import Any, cast

from relup.runtime.code.kinds import is_a
from relup.runtime.code.reference import resolve
from relup.runtime.code.source import Version
from relup.runtime.code.writes import MISSING, Write

LARGEST = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """A container, whose module it is, what it is called there, and what it held before bodies ran."""

    module: str
    name: str
    value: Any
    before: Any
    refresh: Callable[[], object] | None = None


@dataclass(slots=True)
class Findings:
    """Entries that became writes, additions to undo, what to call after a swap or its undo, and whom to report."""

    writes: list[Write] = field(default_factory=list)
    undo: list[Callable[[], object]] = field(default_factory=list)
    refresh: list[Callable[[], object]] = field(default_factory=list)
    owners: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    superseded: list[tuple[dict[Any, Any], object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What could be written into: containers, and the attributes of classes."""

    containers: tuple[Container, ...]
    classes: tuple[tuple[str, type, Mapping[str, Any]], ...]


def snapshot(versions: Mapping[str, Version], modules: Mapping[str, object]) -> Snapshot:
    """Return a copy of the containers and classes of *versions*, and of the namespaces of all other *modules*.

    Very large containers are state, not registries, and are left out.
    """
    found: dict[int, Container] = {}
    for module, version in versions.items():
        for name, value, refresh in _containers(module, version.namespace):
            if id(value) not in found and len(value) <= LARGEST:
                found[id(value)] = Container(module, name, value, value.copy(), refresh)
    for name, other in modules.items():
        if is_a(other, ModuleType) and id(vars(other)) not in found:
            found[id(vars(other))] = Container(name, "__dict__", vars(other), vars(other).copy())
    classes = tuple(
        (module, value, dict(vars(value)))
        for module, version in versions.items()
        for value in list(version.namespace.values())
        if is_a(value, type) and value.__module__ == module
    )
    return Snapshot(tuple(found.values()), classes)


def _containers(module: str, namespace: dict[str, Any]) -> Iterator[tuple[str, Any, Callable[[], object] | None]]:
    yield "__dict__", namespace, None
    for key, value in list(namespace.items()):
        if key.startswith("__") and key.endswith("__"):
            continue
        if _is_container(value):
            yield key, value, None
        elif is_a(value, FunctionType):
            registry = _registry(value)
            if registry is not None:
                yield key, registry, vars(value).get("_clear_cache")
        elif is_a(value, type):
            if value.__module__ == module:
                yield from ((f"{key}.{k}", v, None) for k, v in list(vars(value).items()) if _is_container(v))
        elif not is_a(value, ModuleType):
            yield from ((f"{key}.{k}", v, None) for k, v in _inside(value) if _is_container(v))


def _inside(value: object) -> list[tuple[str, Any]]:
    try:
        inside = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return []
    return list(inside.items()) if type(inside) is dict else []


def _is_container(value: object) -> bool:
    return type(value) in (dict, defaultdict, OrderedDict, list, set, deque)


def _registry(function: FunctionType) -> dict[Any, Any] | None:
    """Return the dict in which `functools.singledispatch` keeps its implementations."""
    register = vars(function).get("register")
    if not is_a(register, FunctionType) or "registry" not in register.__code__.co_freevars:
        return None
    cell = (register.__closure__ or ())[register.__code__.co_freevars.index("registry")]
    return cell.cell_contents if type(cell.cell_contents) is dict else None


class Novelty:
    """Says whether an object was made by the new code."""

    def __init__(
        self, staged: Collection[Version], previous: Mapping[str, Version], modules: Collection[object]
    ) -> None:
        self._namespaces = frozenset(id(v.namespace) for v in staged)
        self._modules = frozenset((*(id(v.module) for v in staged), *map(id, modules)))
        self._names = frozenset(v.source.name for v in staged)
        self._previous = previous

    def __call__(self, value: object, depth: int = 2) -> bool:
        """Look at functions, classes, modules, instances, and a little way into tuples, lists and partials."""
        if is_a(value, FunctionType):
            return id(value.__globals__) in self._namespaces
        if is_a(value, MethodType):
            return self(value.__func__) or self(value.__self__)
        if is_a(value, ModuleType):
            return id(value) in self._modules
        if is_a(value, type):
            return value.__module__ in self._names and self._defines(value)
        if depth and type(value) in (tuple, list):
            return any(self(item, depth - 1) for item in list(cast("list[object]", value)))
        if depth and is_a(value, partial):
            return self(value.func, depth - 1)
        return self(type(value), 0)

    def _defines(self, cls: type) -> bool:
        """Say whether a class has a method of a new namespace; without any method, whether it is not the old one."""
        functions = [f for f in (getattr(v, "__func__", v) for v in vars(cls).values()) if is_a(f, FunctionType)]
        if functions:
            return any(id(f.__globals__) in self._namespaces for f in functions)
        previous = self._previous.get(cls.__module__)
        return previous is None or resolve(previous.module, cls.__qualname__) is not cls


def compare(before: Snapshot, is_new: Callable[[object], bool]) -> Findings:
    """Return what bodies added, with dicts put back to what they were."""
    found = Findings()
    for module, cls, attributes in before.classes:
        _class(module, cls, attributes, is_new, found)
    for container in before.containers:
        if is_a(container.value, dict):
            _mapping(container, is_new, found)
        else:
            _collection(container, is_new, found)
    for refresh in found.refresh:
        refresh()
    return found


def _mapping(container: Container, is_new: Callable[[object], bool], found: Findings) -> None:
    value, before = container.value, container.before
    if _same(value, before):
        return
    fresh = [(k, v) for k, v in list(value.items()) if before.get(k, MISSING) is not v and (is_new(v) or is_new(k))]
    if fresh and container.refresh is not None:
        found.refresh.append(container.refresh)
    for key, new in fresh:
        found.superseded += ((value, k) for k in before if _namesakes(k, key))
        old = before.get(key, MISSING)
        found.writes.append(Write(value, key, old, new))
        if old is MISSING:
            value.pop(key, None)
        else:
            value[key] = old
        found.notes.append(f"a body sets {_said(key)} in {container.module}.{container.name}, part of the swap")


def _namesakes(old: object, new: object) -> bool:
    """Say whether two keys are versions of one class or function: the old entry goes when its code is purged."""
    if old is new or type(old) is not type(new) or not (is_a(new, type) or is_a(new, FunctionType)):
        return False
    return _name(old) == _name(new)


def _name(value: Any) -> tuple[str, str]:
    return value.__module__, value.__qualname__


def _same(value: dict[Any, Any], before: dict[Any, Any]) -> bool:
    """Say, at C speed, whether a dict is what it was; no when another thread writes to it just then."""
    try:
        return (
            len(value) == len(before)
            and all(map(is_, value, before))
            and all(map(is_, value.values(), before.values()))
        )
    except RuntimeError:
        return False


def _class(
    module: str, cls: type, before: Mapping[str, Any], is_new: Callable[[object], bool], found: Findings
) -> None:
    for key, new in list(vars(cls).items()):
        old = before.get(key, MISSING)
        if new is not old and is_new(new):
            found.undo.append(partial(delattr, cls, key) if old is MISSING else partial(setattr, cls, key, old))
            found.owners.append((module, f"{cls.__qualname__}.{key}"))


def _collection(container: Container, is_new: Callable[[object], bool], found: Findings) -> None:
    value = container.value
    known = {id(item) for item in container.before}
    fresh = [item for item in list(value) if id(item) not in known and is_new(item)]
    if fresh:
        found.undo.append(lambda: _take_out(value, {id(item) for item in fresh}))
        found.owners.append((container.module, container.name))


def _take_out(value: Any, gone: set[int]) -> None:
    kept = [item for item in value if id(item) not in gone]
    value.clear()
    (value.update if is_a(value, set) else value.extend)(kept)


def _said(key: object) -> str:
    return key.__qualname__ if isinstance(key, type) else repr(key)
