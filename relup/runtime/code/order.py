"""What is to be staged, and what can be refused before any body runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import NamespaceLoader
from pathlib import Path
from typing import Any

from relup.runtime.code.errors import StagingError
from relup.runtime.code.source import Source
from relup.runtime.code.writes import Container


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be staged: new versions, modules that go, and where the rest of the new release is."""

    sources: Mapping[str, Source]
    removed: tuple[str, ...]
    known: Mapping[str, Path]


def order(sources: Sequence[Source], removed: Sequence[str], known: Mapping[str, Path]) -> Order:
    """Return the order; StagingError when a module is named twice."""
    names = [*(s.name for s in sources), *removed]
    for name, times in Counter(names).items():
        if times > 1:
            raise StagingError(name, 0, "is named twice in one upgrade")
    return Order({s.name: s for s in sources}, tuple(removed), {n: Path(p).absolute() for n, p in known.items()})


def check(wanted: Order, modules: Container, versions: Container, paths: Container) -> None:
    """Raise StagingError for a new module whose name is taken, and for a removal of what the release has not."""
    for name, source in wanted.sources.items():
        if name in modules and name not in versions and not is_namespace(modules[name]):
            raise StagingError(name, 0, "a module of this name is loaded that is not of the release", path=source.path)
    for name in wanted.removed:
        if name not in versions and name not in paths:
            raise StagingError(name, 0, "cannot be removed: the release that runs has no such module")


def is_namespace(module: Any) -> bool:
    """Say whether *module* is a package without a file."""
    return isinstance(getattr(module, "__loader__", None), NamespaceLoader)


def ancestors(name: str) -> list[str]:
    """Return the packages that *name* is in, the outermost first."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
