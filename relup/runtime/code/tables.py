"""What every loaded module imports and uses early, parsed once for each text.

Parsing a few hundred modules takes most of a second, so tables of the release are kept by the digest of their text
and those of other modules by the module object, once for all code servers of a process. A module that is not of the
release is parsed only when its text names the last part of some changing module's name, which every import of that
module must, except a relative one. The standard library imports no release, and is not looked at.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from weakref import ref

from relup.runtime.code.source import Source, Version
from relup.syntax.imports import Import, imports_of
from relup.syntax.parsed import parsed
from relup.syntax.targets import Target, targets
from relup.syntax.uses import Use, uses_of

MOST = 10_000
"""Texts of which it is remembered what they assign elsewhere."""


class Reading(NamedTuple):
    """What one text says of imports and early uses; both are asked, so the text is parsed once."""

    imports: tuple[Import, ...] = ()
    uses: tuple[Use, ...] = ()


@dataclass(slots=True, eq=False)
class _Other:
    """A module of somebody else: what was read once, and the names that its text is known not to mention."""

    module: ref[ModuleType]
    reading: Reading | None = None
    without: frozenset[str] = frozenset()


@cache
def _others() -> dict[str, _Other]:
    """Return what was read of the modules of others: they are the same for all code servers of this process."""
    return {}


class Tables:
    """What was read in the texts of loaded modules."""

    def __init__(self) -> None:
        self._release: dict[str, Reading] = {}
        self._others = _others()
        self._targets: dict[tuple[str, str], tuple[Target, ...]] = {}

    def of_version(self, version: Version) -> Reading:
        """Return what a module of the release says."""
        found = self._release.get(version.digest)
        if found is None:
            found = self._release[version.digest] = _read(version.source.text)
        return found

    def targets(self, source: Source) -> tuple[Target, ...]:
        """Return what the text of a new version assigns elsewhere; remembered, for one upgrade is staged many times."""
        package = source.name if source.package else source.name.rpartition(".")[0]
        key = (source.digest, package)
        found = self._targets.pop(key, None)
        if found is None:
            found = targets(source.text, package)
            while len(self._targets) >= MOST:
                del self._targets[next(iter(self._targets))]
        self._targets[key] = found
        return found

    def of_other(self, name: str, module: ModuleType, tops: frozenset[str]) -> Reading:
        """Return what a module says that is not of the release; nothing when it cannot concern *tops*."""
        if name != "__main__" and name.partition(".")[0] in sys.stdlib_module_names:
            return Reading()
        known = self._others.get(name)
        if known is None or known.module() is not module:
            known = self._others[name] = _Other(ref(module))
        if known.reading is None and not tops <= known.without:
            text = source_text(name, module)
            if _names(text, tops):
                known.reading = _read(text)
            known.without |= tops
        return known.reading or Reading()

    def prune(self, versions: Collection[Version], modules: Mapping[str, Any]) -> None:
        """Forget the tables of what is no longer loaded."""
        alive = {v.digest for v in versions}
        self._release = {d: r for d, r in self._release.items() if d in alive}
        for gone in [n for n, k in [*self._others.items()] if modules.get(n) is not k.module()]:
            self._others.pop(gone, None)


def _names(text: str, words: Collection[str]) -> bool:
    """Say whether a text has one of *words*; nearly none has one even within another, and that is seen at once."""
    likely = [word for word in words if word in text]
    return any(re.search(rf"\b{re.escape(word)}\b", text) for word in likely)


def _read(text: bytes | str) -> Reading:
    with parsed(text) as tree:
        return Reading(imports_of(tree), uses_of(tree))


def source_text(name: str, module: ModuleType) -> str:
    """Return the text of a module that somebody else loaded; empty when it has none."""
    loader: Any = getattr(module, "__loader__", None)
    try:
        text = loader.get_source(name) if name != "__main__" and hasattr(loader, "get_source") else None
        if text is None:
            file = getattr(module, "__file__", None)
            text = Path(file).read_text("utf-8") if file and str(file).endswith(".py") else ""
    except (ImportError, OSError, ValueError, SyntaxError):
        return ""
    return text if isinstance(text, str) else ""
