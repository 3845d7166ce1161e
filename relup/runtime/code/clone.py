"""Unchanged modules that lead to changed ones, as new bodies must see them.

An unchanged package whose child changes must show the new child to new bodies (`from pkg import child`,
`import pkg.child as c`, `import pkg; pkg.child`) and the old one to everybody else; the same for an unchanged
module that re-exports a changed name. Writing to the real package shows new code to all threads; leaving it alone
hands old objects to new bodies, and importlib itself writes the new child into the package it finds; adding every
re-exporter to the swap set loses the state of modules that did not change.

So the staging thread gets a clone: a module whose dict is a copy, and whose names that lead to changed modules are
looked up in the new versions when they are asked for, not before (a circular import sees the half-made module, as
in a first import). Functions of the package keep their real globals. What a body writes into the clone becomes a
write of the swap. Afterwards new namespaces that kept a clone are given the real package, and the clone forwards
to it, for those that hid it in a closure or a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from relup.runtime.code.writes import MISSING, Container, World, Write


@dataclass(frozen=True, slots=True)
class Names:
    """The names of an unchanged module that lead to changed ones.

    *hidden* are answered by calling; *shadowed* are children whose name the package uses for something else, which
    importlib must not overwrite.
    """

    hidden: Mapping[str, Callable[[], Any]]
    shadowed: frozenset[str]


class _State:
    """What a clone knows beside its namespace."""

    __slots__ = ("base", "hidden", "mine", "real", "retired", "shadowed")

    def __init__(self, real: ModuleType, base: Container, names: Names, mine: Callable[[], bool]) -> None:
        self.real = real
        self.base = base
        self.hidden: dict[str, Callable[[], Any]] = dict(names.hidden)
        self.shadowed = names.shadowed
        self.mine = mine
        self.retired = False


class Clone(ModuleType):
    """A copy of an unchanged module for the staging thread; later a name for the module itself."""

    __slots__ = ("_relup_state",)

    def __getattribute__(self, name: str) -> Any:
        state: _State = _state_of(self)
        if state.retired:
            return getattr(state.real, name)
        if name in state.hidden and state.mine():
            return state.hidden[name]()
        try:
            return ModuleType.__getattribute__(self, name)
        except AttributeError:
            return getattr(state.real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        state: _State = _state_of(self)
        if state.retired:
            setattr(state.real, name, value)
        elif not (name in state.shadowed and isinstance(value, ModuleType)):
            state.hidden.pop(name, None)
            ModuleType.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        state: _State = _state_of(self)
        if state.retired:
            delattr(state.real, name)
        else:
            state.hidden.pop(name, None)
            ModuleType.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return list(dir(_state_of(self).real))

    def __repr__(self) -> str:
        return repr(_state_of(self).real)


_SLOT: Final[Any] = type.__getattribute__(Clone, "_relup_state")


def _nobody() -> bool:
    return False


def _namespace(clone: Clone) -> Container:
    namespace: Container = ModuleType.__getattribute__(clone, "__dict__")
    return namespace


def _state_of(clone: Clone) -> _State:
    state: _State = _SLOT.__get__(clone, Clone)
    return state


def clone_of(real: ModuleType, world: World, names: Names, moved: Mapping[str, Any], mine: Callable[[], bool]) -> Clone:
    """Return a copy of *real* with the entries of *moved*, whose *names* that lead to changed modules are asked for."""
    base = {**world.copy(real.__dict__), **moved}
    clone: Clone = Clone.__new__(Clone)
    _SLOT.__set__(clone, _State(real, base, names, mine))
    namespace = _namespace(clone)
    namespace.clear()
    namespace.update(base)
    return clone


def link(clones: Mapping[str, Clone]) -> None:
    """Let clones lead to clones, where the modules they stand for lead to each other."""
    of_module = {id(_state_of(c).real): c for c in clones.values()}
    for clone in clones.values():
        base = _state_of(clone).base
        linked = {key: of_module[id(value)] for key, value in base.items() if id(value) in of_module}
        base.update(linked)
        _namespace(clone).update(linked)


def written(clone: Clone, world: World) -> Iterator[Write]:
    """Return what bodies set and deleted on *clone*, as writes to the module it stands for."""
    state = _state_of(clone)
    namespace = _namespace(clone)
    for key in dict.fromkeys((*state.base, *namespace)):
        new = namespace.get(key, MISSING)
        if new is not state.base.get(key, MISSING):
            yield Write(state.real.__dict__, key, world.read(state.real.__dict__, key), new)


def real(clone: Clone) -> ModuleType:
    """Return the module that *clone* stands for."""
    return _state_of(clone).real


def retire(clone: Clone) -> None:
    """Turn *clone* into a name for the module it stood for."""
    state = _state_of(clone)
    state.retired = True
    state.mine = _nobody
    state.hidden.clear()
    state.base.clear()
    namespace = _namespace(clone)
    namespace.clear()
