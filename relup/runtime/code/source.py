"""The text of one module as bytes, and one version of it as it runs.

Bytecode files are stale when two writes of the same size fall into one second, so nothing here reads or writes
one: the text that is fingerprinted is the text that is compiled. A traceback prints lines of a file by name, after
the file may have changed, so each version enters its text in `linecache` without a modification time (such an
entry survives `linecache.checkcache`), and when two versions come from one path the later one is compiled under
a name of its own: `cart.py@1f3a5b7c`.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import decode_source
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import ref

CANARY = "__relup_canary__"


@dataclass(frozen=True, slots=True)
class Source:
    """One module of a release: its name, its file, the bytes of that file, and whether it is a package."""

    name: str
    path: str
    text: bytes = field(repr=False)
    package: bool = False

    @property
    def digest(self) -> str:
        """The fingerprint: SHA-256 of the bytes, in hex."""
        return sha256(self.text).hexdigest()


def read(name: str, path: Path) -> Source:
    """Return the module *name* as *path* has it now; OSError when there is no such file."""
    file = path.absolute()
    return Source(name, str(file), file.read_bytes(), file.name == "__init__.py")


class Canary:
    """An object that only one namespace holds: when it is gone, so is the namespace."""

    __slots__ = ("__weakref__",)


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A module as it was executed: its text, its namespace, the file name in its code objects."""

    source: Source
    module: ModuleType
    file: str
    canary: ref[Canary]
    digest: str

    @property
    def namespace(self) -> dict[str, Any]:
        """The globals of its functions, which stay the same even when a body replaces its entry in `sys.modules`."""
        return self.module.__dict__

    @property
    def vsn(self) -> str:
        """Its `__vsn__`, without one its digest."""
        return str(self.namespace.get("__vsn__", self.digest))


def version(source: Source, module: ModuleType, file: str) -> Version:
    """Return the version that *module* is about to become, and mark its namespace."""
    canary = Canary()
    module.__dict__[CANARY] = canary
    return Version(source, module, file, ref(canary), source.digest)


def file_name(source: Source, others: Iterable[Version]) -> str:
    """Return the name under which *source* is compiled beside *others*, the versions of it that are alive."""
    same_path = [v for v in others if v.source.path == source.path and v.source.text != source.text]
    return f"{source.path}@{source.digest[:8]}" if same_path else source.path


def remember_lines(source: Source, file: str) -> None:
    """Let tracebacks print this text, whatever becomes of the file."""
    try:
        lines = decode_source(source.text).splitlines(keepends=True)
    except (SyntaxError, UnicodeDecodeError):
        return
    linecache.cache[file] = (len(source.text), None, lines, file)


def forget_lines(files: Iterable[str], kept: Iterable[Version]) -> None:
    """Drop the lines of *files*, except those that a version in *kept* still needs."""
    needed = {v.file for v in kept}
    for file in files:
        if file not in needed:
            linecache.cache.pop(file, None)
