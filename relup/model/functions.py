"""What the functions of a BEAM module do, as far as somebody who compares two versions of it has to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Name: TypeAlias = tuple[str, int]
"""A function, by its name and arity."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a module."""

    digest: str
    """Of its instructions, with names for the numbers of tables; the same when the function is."""
    calls: tuple[Name, ...]
    """Functions of its own module that it calls, or makes funs of, each once, in its order."""
    remote: tuple[tuple[str, str, int], ...]
    """Functions of other modules that it calls."""
    atoms: frozenset[str]
    """Every atom that it names, also within constants."""
    records: frozenset[tuple[str, int]]
    """Tuples with a tag that it makes or looks for, each with how many fields come after the tag."""
    keys: frozenset[str]
    """Atoms that it uses as keys of maps."""
    structs: frozenset[tuple[str, frozenset[str]]]
    """Elixir's structs that it has as constants, each with the names of its fields."""
    untouched: bool
    """Whether it does nothing but return `{ok, …}` of what it was given: a `code_change` that nobody wrote."""


Functions: TypeAlias = Mapping[Name, Function]


def reached(functions: Functions, start: Name) -> Iterator[Name]:
    """Yield a function and every function of its module that it calls, directly or not, each once."""
    seen, pending = {start}, [start]
    while pending:
        name = pending.pop(0)
        if name in functions:
            yield name
            pending += (fresh := [c for c in functions[name].calls if c not in seen])
            seen.update(fresh)
