"""Who still uses old code: the question before a purge, and before an upgrade that would purge.

In Erlang old code is used by a process whose stack stands in it or that holds one of its funs. In Python a function,
a bound method, a class, a suspended generator and an instance all carry code, and nothing can take it from them, so
all of them count: "purged" then means that nothing runs old code or ever can.
"""

from __future__ import annotations

import asyncio
import copyreg
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, NamedTuple

from relup.runtime.code.books import Books
from relup.runtime.code.cleanse import forget_typing
from relup.runtime.code.holders import Objects, own, reached, referrers
from relup.runtime.code.reference import ClassReference, resolve
from relup.runtime.code.running import Kind, Lingerer, place, running
from relup.runtime.code.staged import Staged

MOST = 10_000


class _Use(NamedTuple):
    """Who uses old code, and the old modules that this code is of."""

    lingerer: Lingerer
    modules: tuple[str, ...]


def lingering(books: Books, modules: Sequence[str], staged: Sequence[Staged]) -> list[Lingerer]:
    """Return who uses the old code of *modules*, each group of instances once; in a stated order."""
    users = lingering_in_each(books, staged) if modules else {}
    return _sorted(dict.fromkeys(lingerer for module in modules for lingerer in users.get(module, ())))


def lingering_in_each(books: Books, staged: Sequence[Staged]) -> dict[str, list[Lingerer]]:
    """Return, for each module that has old code in use, who uses it; the heap is read once, whatever their number.

    Old modules hold each other, which is no use. But where one of them is in use, so is what it imported: whoever
    lingers there lingers here.
    """
    forget_typing({id(v.namespace) for v in books.old.values()})
    old = {name: own([v], _current) for name, v in books.old.items()}
    every: Objects = {id(objects): objects for objects in old.values()}
    for objects in old.values():
        every |= objects
    kept: Objects = {id(o): o for s in staged for o in s.holders()}
    kept[id(copyreg.dispatch_table)] = copyreg.dispatch_table  # entries go with their classes, see `tidy`
    namespaces = {id(v.namespace): name for name, v in books.old.items()}
    uses = [_Use(lingerer, (namespaces[space],)) for space, lingerer in running(namespaces)]
    uses += _held(old, every, kept, _superseded(staged))
    imported = _imported(books, old)
    found: dict[str, dict[Lingerer, None]] = {}
    for use in uses:
        for module in _with(use.modules, imported):
            found.setdefault(module, {})[use.lingerer] = None
    return {module: _sorted(found[module]) for module in books.old if module in found}


def _sorted(found: Iterable[Lingerer]) -> list[Lingerer]:
    return sorted(found, key=lambda lingerer: (lingerer.kind != "frame", lingerer.who, lingerer.where))


def _current(module: str, qualname: str) -> object:
    return resolve(sys.modules.get(module), qualname)


def _imported(books: Books, old: Mapping[str, Objects]) -> dict[str, list[str]]:
    """Return for each old module the old ones of which it has something in its namespace."""
    owner = {key: name for name, objects in old.items() for key in objects}
    return {
        name: list(dict.fromkeys(owner[id(o)] for o in version.namespace.values() if id(o) in owner))
        for name, version in books.old.items()
    }


def _with(modules: Sequence[str], imported: Mapping[str, Sequence[str]]) -> list[str]:
    """Return *modules* and what they imported, directly or not."""
    found, pending = dict.fromkeys(modules), list(modules)
    while pending:
        more = [n for n in imported[pending.pop()] if n not in found]
        found |= dict.fromkeys(more)
        pending += more
    return list(found)


def _superseded(staged: Sequence[Staged]) -> dict[int, frozenset[int]]:
    """Return, for containers by identity, the old objects in them that the purge itself takes out."""
    found: dict[int, frozenset[int]] = {}
    for container, key in (entry for s in staged for entry in s.superseded()):
        found[id(container)] = found.get(id(container), frozenset()) | {id(key), id(container.get(key))}
    return found


def _held(
    homes: Mapping[str, Objects], every: Objects, kept: Objects, going: Mapping[int, frozenset[int]]
) -> list[_Use]:
    """Return the holders; a plain function, because a frame or a cell of its own would count as one.

    So nothing in here may close over `holder`.
    """
    old = {key: o for objects in homes.values() for key, o in objects.items()}
    code = {key: o for key, o in old.items() if issubclass(type(o), FunctionType | type | ModuleType | dict)}
    private = {*every, *kept, id(old), id(every), id(kept)}
    asked: Objects = {}
    groups: dict[str, tuple[list[int], set[int]]] = {}
    for holder, every_held in referrers(code, private):
        held = _staying(every_held, going.get(id(holder), frozenset()))
        if not held:
            continue
        group, keys = groups.setdefault(_who(holder, [old[key] for key in held], old), ([], set()))
        group.append(id(holder))
        keys.update(held)
        if len(group) <= MOST:
            asked[id(holder)] = holder
    words = reached(asked, {*private, id(asked)}, _root(old))
    found = []
    for who, (group, keys) in groups.items():
        in_use = [key for key in group if key in words]
        if in_use:
            holder = asked[in_use[0]]
            instance = id(type(holder)) in old
            count = f"{len(in_use)} " if instance and len(in_use) > 1 else ""
            kind: Kind = "instance" if instance else "code"
            lingerer = Lingerer(f"{count}{who}", _where(holder, words[in_use[0]]), kind)
            found.append(_Use(lingerer, tuple(n for n, objects in homes.items() if not keys.isdisjoint(objects))))
    return found


def _staying(held: list[int], going: frozenset[int]) -> list[int]:
    return [key for key in held if key not in going] if going else held


def _who(holder: object, held: list[object], old: Objects) -> str:
    """Say what *holder* is; instances of one class share one answer."""
    match holder:
        case _ if id(type(holder)) in old:
            return f"instances of {type(holder).__module__}.{type(holder).__qualname__}"
        case FunctionType():
            return f"function {holder.__module__}.{holder.__qualname__}"
        case MethodType():
            return f"bound method {holder.__func__.__qualname__}"
        case CoroutineType() | GeneratorType() | AsyncGeneratorType():
            return f"suspended {holder.__qualname__}"
        case ClassReference():
            return f"processes of {holder.module}.{holder.qualname}"
        case type():
            return f"class {holder.__module__}.{holder.__qualname__}"
        case _:
            names = sorted({_label(o) for o in held})
            return f"a {type(holder).__qualname__} with {', '.join(names[:3])}"


def _label(item: object) -> str:
    match item:
        case ModuleType():
            return item.__name__
        case dict():
            return str(item.get("__name__", "a namespace"))
        case _:
            return f"{getattr(item, '__module__', '?')}.{getattr(item, '__qualname__', '?')}"


def _where(holder: object, word: str) -> str:
    match holder:
        case CoroutineType(cr_frame=frame) | GeneratorType(gi_frame=frame) | AsyncGeneratorType(ag_frame=frame) if (
            frame
        ):
            return place(frame)
        case FunctionType(__code__=code):
            return f"{code.co_filename}:{code.co_firstlineno}, held by {word}"
        case _:
            return f"held by {word}"


def _root(old: Objects) -> Callable[[object, int], str | None]:
    """Return what recognises an object that is in use beyond doubt, and names it."""
    namespaces = {id(vars(m)): n for n, m in list(sys.modules.items()) if isinstance(m, ModuleType)}

    def root(holder: object, item: int) -> str | None:
        match holder:
            case dict() if id(holder) in namespaces:
                key = next((k for k, v in list(holder.items()) if id(v) == item), "?")
                return f"{namespaces[id(holder)]}.{key}"
            case ModuleType() if id(vars(holder)) in namespaces:
                return f"module {holder.__name__}"
            case CoroutineType(cr_running=True) | GeneratorType(gi_running=True) | AsyncGeneratorType(ag_running=True):
                return f"coroutine or generator {holder.__qualname__}"
            case asyncio.Future() | asyncio.Handle() | threading.Thread():
                return repr_of(holder)
            case ClassReference():
                return f"processes of {holder.module}.{holder.qualname}"
            case _:
                return None

    return root


def repr_of(holder: Any) -> str:
    """Return a short name of a task, a thread or a handle."""
    name = getattr(holder, "get_name", None)
    return f"{type(holder).__name__} {name()!r}" if callable(name) else type(holder).__name__
