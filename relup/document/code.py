"""The modules of a Python release, each read and outlined once, when somebody asks."""

from __future__ import annotations

from pathlib import Path

from relup.document.source_tree import source_path
from relup.model.code import PythonModule
from relup.syntax.outline import outline


class PythonCode:
    """The code of the release in a folder; files that cannot be read are not there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[str, PythonModule | None] = {}

    def module(self, name: str) -> PythonModule | None:
        """Return what a module says; None when it is not there, or does not parse."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def text(self, name: str) -> bytes | None:
        """Return the text of a module; None when there is none."""
        path = source_path(self._root, name)
        try:
            return path.read_bytes() if path else None
        except OSError:
            return None

    def _read(self, name: str) -> PythonModule | None:
        path, text = source_path(self._root, name), self.text(name)
        found = None if text is None else outline(text)
        if path is None or found is None:
            return None
        return PythonModule(name, str(path), path.name == "__init__.py", found)
