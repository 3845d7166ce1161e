"""The modules of a Python release, each read and outlined once, when somebody asks."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from relup.diagnostics import Diagnostic, Location
from relup.document.source_tree import source_path
from relup.model.code import PythonModule
from relup.syntax.imports import Import
from relup.syntax.outline import Outline, outline
from relup.syntax.scan import every_import, heads

_OUTLINES: WeakValueDictionary[bytes, Outline] = WeakValueDictionary()
"""What texts say, as long as some release has it: most modules of two releases are the same, and are outlined once."""


class PythonCode:
    """The code of the release in a folder, which has these modules; files that cannot be read are not there."""

    def __init__(self, root: Path, modules: Sequence[str]) -> None:
        self._root = root
        self._names = dict.fromkeys(modules)
        self._texts: dict[str, tuple[Path, bytes] | None] = {}
        self._imports: dict[str, tuple[Import, ...]] = {}
        self._modules: dict[str, PythonModule | None] = {}
        self._index: dict[str, list[str]] | None = None

    def module(self, name: str) -> PythonModule | None:
        """Return what a module says; None when it is not there, or does not parse."""
        if name not in self._modules:
            self._modules[name] = self._outlined(name)
        return self._modules[name]

    def text(self, name: str) -> bytes | None:
        """Return the text of a module; None when there is none."""
        found = self._read(name)
        return found[1] if found else None

    def has(self, name: str) -> bool:
        """Say whether there is a module of that name."""
        return self._read(name) is not None

    def imports(self, name: str) -> tuple[Import, ...]:
        """Return what the import statements of a module bind, also those in its functions."""
        if name not in self._imports:
            self._imports[name] = tuple(every_import(self.text(name) or b""))
        return self._imports[name]

    def is_package(self, name: str) -> bool:
        """Say whether a module is a package."""
        found = self._read(name)
        return found is not None and found[0].name == "__init__.py"

    def functions(self, name: str) -> None:
        """Return nothing: a text says more."""

    def fault(self, name: str) -> Diagnostic | None:
        """Return why a module cannot be loaded, as this Python has it; None when its text compiles."""
        found = self._read(name)
        return _compiled(name, *found) if found else None

    def beside(self, name: str) -> tuple[str, ...]:
        """Return nothing: what lies in a package is part of it."""
        return ()

    def mentioning(self, words: Collection[str]) -> list[str]:
        """Return the modules whose import statements or heads of classes have one of *words*, in their order."""
        if self._index is None:
            self._index = {}
            for name in self._names:
                for word in heads(self.text(name) or b""):
                    self._index.setdefault(word, []).append(name)
        found = {m for word in words for m in self._index.get(word, ())}
        return [m for m in self._names if m in found]

    def _read(self, name: str) -> tuple[Path, bytes] | None:
        if name not in self._names:
            return None
        if name not in self._texts:
            path = source_path(self._root, name)
            try:
                self._texts[name] = (path, path.read_bytes()) if path else None
            except OSError:
                self._texts[name] = None
        return self._texts[name]

    def _outlined(self, name: str) -> PythonModule | None:
        found = self._read(name)
        outlined = _outline(found[1]) if found else None
        if found is None or outlined is None:
            return None
        return PythonModule(name, str(found[0]), found[0].name == "__init__.py", outlined)


def _outline(text: bytes) -> Outline | None:
    found = _OUTLINES.get(text)
    if found is None and (found := outline(text)):
        _OUTLINES[text] = found
    return found


def _compiled(name: str, path: Path, text: bytes) -> Diagnostic | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = Location(str(path), getattr(error, "lineno", None) or 1, max(getattr(error, "offset", None) or 1, 1))
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        message = f"module {name!r} cannot be loaded: {said}"
        hint = f"relup reads it as Python {sys.version_info.major}.{sys.version_info.minor}, on which it runs"
        return Diagnostic("bad_code", message, place, hint=hint)
    return None
