"""What the modules of a release say of themselves, for whoever reasons about code without running it.

A release's files may be many and large, and most questions are about few of them, so a module is read when somebody
asks for it. A release that came with a plan has no files: nothing is known of its code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from relup.diagnostics import Diagnostic
from relup.model.functions import Functions
from relup.syntax.imports import Import
from relup.syntax.outline import Outline


@dataclass(frozen=True, slots=True)
class PythonModule:
    """A module of a Python release."""

    name: str
    path: str
    package: bool
    """Whether it is a package, an `__init__.py`."""
    outline: Outline = field(repr=False)

    @property
    def base(self) -> str:
        """The package that its relative imports count from."""
        return self.name if self.package else self.name.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class BeamModule:
    """A module of a BEAM release, as its `.beam` file says."""

    name: str
    path: str
    exports: frozenset[tuple[str, int]] = field(repr=False)
    """Functions that can be called from outside, with their arities."""
    imports: tuple[tuple[str, str, int], ...] = field(repr=False)
    """Functions of other modules that it calls by name: module, function, arity."""
    behaviours: tuple[str, ...]
    attributes: Mapping[str, tuple[Any, ...]] = field(repr=False, hash=False)
    """All attributes, `vsn` among them, each with its values as terms."""


ModuleCode: TypeAlias = PythonModule | BeamModule


class Code(Protocol):
    """The modules of one release."""

    def module(self, name: str) -> ModuleCode | None:
        """Return what a module says; None when it is not there, or cannot be read."""

    def text(self, name: str) -> bytes | None:
        """Return the text of a Python module; None when there is none."""

    def has(self, name: str) -> bool:
        """Say whether there is a module of that name."""

    def is_package(self, name: str) -> bool:
        """Say whether a Python module is a package."""

    def imports(self, name: str) -> tuple[Import, ...]:
        """Return what the import statements of a Python module bind, also those in its functions."""

    def functions(self, name: str) -> Functions | None:
        """Return what the functions of a BEAM module do; None when there are none, or they cannot be told apart."""

    def fault(self, name: str) -> Diagnostic | None:
        """Return why nothing is known of a module whose file is there; None when it can be read."""

    def beside(self, name: str) -> tuple[str, ...]:
        """Return the modules whose files lie beside that of a BEAM module, and that the release does not list."""

    def mentioning(self, words: Collection[str]) -> list[str]:
        """Return the Python modules whose import statements or heads of classes have one of *words*, in their order."""


class NoCode:
    """The code of a release whose files nobody has."""

    __slots__ = ()

    def module(self, name: str) -> None:
        """Know nothing."""

    def text(self, name: str) -> None:
        """Know nothing."""

    def has(self, name: str) -> bool:
        """Know nothing."""
        return False

    def is_package(self, name: str) -> bool:
        """Know nothing."""
        return False

    def imports(self, name: str) -> tuple[Import, ...]:
        """Know nothing."""
        return ()

    def functions(self, name: str) -> None:
        """Know nothing."""

    def fault(self, name: str) -> None:
        """Know nothing."""

    def beside(self, name: str) -> tuple[str, ...]:
        """Know nothing."""
        return ()

    def mentioning(self, words: Collection[str]) -> list[str]:
        """Know nothing."""
        return []
