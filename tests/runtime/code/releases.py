"""Releases written to a folder, a code server that runs one of them, and what a process looks like."""

from __future__ import annotations

import builtins
import gc
import importlib
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from relup.runtime.code import CodeServer, Source, Staged
from relup.runtime.code.source import read

for late in ("pickle", "_suggestions"):  # extension modules that stay once something has imported them
    with suppress(ImportError):
        importlib.import_module(late)


def module_name(file: str) -> str:
    return ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")


class Running:
    """A code server, the folders of its releases, and short words for what tests do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code = CodeServer()

    def write(self, vsn: str, files: Mapping[str, str]) -> dict[str, Path]:
        for file, text in files.items():
            path = self.folder / vsn / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return {module_name(f): self.folder / vsn / f for f in files if f.endswith(".py")}

    def boot(self, files: Mapping[str, str], *imports: str) -> None:
        """Write release 1, boot it, and import modules: those named, without names all."""
        paths = self.write("1", files)
        self.code.boot(paths)
        for name in imports or paths:
            importlib.import_module(name)

    def sources(self, files: Mapping[str, str], vsn: str = "2") -> list[Source]:
        return [read(name, path) for name, path in self.write(vsn, files).items()]

    def stage(self, files: Mapping[str, str], removed: tuple[str, ...] = (), vsn: str = "2", **more: Any) -> Staged:
        return self.code.stage(self.sources(files, vsn), removed, **more)

    def upgrade(self, files: Mapping[str, str], removed: tuple[str, ...] = (), vsn: str = "2") -> Staged:
        staged = self.stage(files, removed, vsn)
        staged.swap()
        return staged

    def __getitem__(self, name: str) -> Any:
        return sys.modules[name]


def namespaces(prefixes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Every namespace of these modules, values by identity."""
    return {
        name: {key: id(value) for key, value in vars(module).items()}
        for name, module in sorted(sys.modules.items())
        if name.startswith(prefixes) and isinstance(module, ModuleType)
    }


def process(*prefixes: str) -> dict[str, Any]:
    """What must be as it was: `sys.modules`, namespaces, hooks and lists of the process, all by identity."""
    return {
        "modules": {name: id(module) for name, module in sys.modules.items()},
        "is the real dict": type(sys.modules) is dict,
        "namespaces": namespaces(prefixes or ("shop",)),
        "import": id(builtins.__import__),
        "finders": [id(f) for f in sys.meta_path],
        "path": list(sys.path),
    }


def settled() -> None:
    """Collect until nothing more comes: instances, then their classes."""
    for _ in range(3):
        gc.collect()


def found(items: Iterator[Any] | list[Any], *parts: str) -> bool:
    """Say whether one of *items*, as text, has all *parts*."""
    return any(all(part in str(item) for part in parts) for item in items)
