"""The modules of a BEAM release, each read once, when somebody asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from relup.diagnostics import Diagnostic
from relup.document.erlang.beam import read_beam
from relup.model.code import BeamModule
from relup.syntax.imports import Import


class BeamCode:
    """The code of a release whose modules are in these files."""

    def __init__(self, beams: Mapping[str, Path]) -> None:
        self._beams = beams
        self._modules: dict[str, BeamModule | None] = {}

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

    def _read(self, name: str) -> BeamModule | None:
        found = read_beam(self._beams[name]) if name in self._beams else None
        return None if isinstance(found, Diagnostic) or (found and found.name != name) else found
