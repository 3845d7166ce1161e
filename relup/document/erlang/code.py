"""The modules of a BEAM release, each read once, when somebody asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from relup.diagnostics import Diagnostic, Location
from relup.document.erlang.beam import read_beam
from relup.document.erlang.functions import read_functions
from relup.document.text import is_file
from relup.model.code import BeamModule
from relup.model.functions import Functions
from relup.syntax.imports import Import


class BeamCode:
    """The code of a release whose modules are in these files."""

    def __init__(self, beams: Mapping[str, Path]) -> None:
        self._beams = beams
        self._modules: dict[str, BeamModule | None] = {}
        self._faults: dict[str, Diagnostic] = {}
        self._functions: dict[str, Functions | None] = {}

    def module(self, name: str) -> BeamModule | None:
        """Return what a module says; None when it is not there, is damaged, or is another module by its own words."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def text(self, name: str) -> None:
        """Return nothing: there is no text."""

    def has(self, name: str) -> bool:
        """Say whether there is a module of that name."""
        return name in self._beams

    def imports(self, name: str) -> tuple[Import, ...]:
        """Return nothing: there is no text."""
        return ()

    def is_package(self, name: str) -> bool:
        """Return False: a module of Erlang stands in none."""
        return False

    def mentioning(self, words: Collection[str]) -> list[str]:
        """Return nothing: there is no text."""
        return []

    def functions(self, name: str) -> Functions | None:
        """Return what the functions of a module do; None when it is not there, or they cannot be told apart."""
        if name not in self._functions:
            self._functions[name] = read_functions(self._beams[name]) if self.module(name) else None
        return self._functions[name]

    def fault(self, name: str) -> Diagnostic | None:
        """Return why nothing is known of a module whose file is there; None when it can be read."""
        self.module(name)
        return self._faults.get(name)

    def beside(self, name: str) -> tuple[str, ...]:
        """Return the modules whose files lie beside that of a module, and that no application lists."""
        folder = self._beams[name].parent
        return tuple(sorted(p.stem for p in folder.glob("*.beam") if p.stem not in self._beams))

    def _read(self, name: str) -> BeamModule | None:
        path = self._beams.get(name)
        found = read_beam(path) if path and is_file(path) else None
        if isinstance(found, Diagnostic):
            self._faults[name] = found
        elif found and found.name != name:
            message = f"this file is named for the module {name!r}, and holds {found.name!r}"
            self._faults[name] = Diagnostic("wrong_module", message, Location(found.path, 1, 1))
        else:
            return found
        return None
