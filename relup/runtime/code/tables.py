"""Import tables of every loaded module, parsed once for each text.

Parsing a few hundred modules takes most of a second, so tables of the release are kept by the digest of their text
and those of other modules by the module object. A module that is not of the release is parsed only when its text
names the last part of some changing module's name, which every import of that module must, except a relative one.
The standard library imports no release, and is not looked at.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from relup.runtime.code.source import Version
from relup.syntax.imports import Import, table
from relup.syntax.uses import Use, uses


@dataclass(slots=True, eq=False)
class _Other:
    """A module of somebody else: its imports once parsed, and the names that its text is known not to mention."""

    module: ModuleType
    table: tuple[Import, ...] | None = None
    without: frozenset[str] = frozenset()


class Tables:
    """The parsed imports of loaded modules."""

    def __init__(self) -> None:
        self._release: dict[str, tuple[Import, ...]] = {}
        self._uses: dict[str, tuple[Use, ...]] = {}
        self._others: dict[str, _Other] = {}

    def of_version(self, version: Version) -> tuple[Import, ...]:
        """Return the imports of a module of the release."""
        found = self._release.get(version.digest)
        if found is None:
            found = self._release[version.digest] = table(version.source.text)
        return found

    def uses(self, version: Version) -> tuple[Use, ...]:
        """Return what a module of the release reads at import time."""
        found = self._uses.get(version.digest)
        if found is None:
            found = self._uses[version.digest] = uses(version.source.text)
        return found

    def of_other(self, name: str, module: ModuleType, tops: frozenset[str]) -> tuple[Import, ...]:
        """Return the imports of a module that is not of the release; empty when they cannot concern *tops*."""
        if name != "__main__" and name.partition(".")[0] in sys.stdlib_module_names:
            return ()
        known = self._others.get(name)
        if known is None or known.module is not module:
            known = self._others[name] = _Other(module)
        if known.table is None and not tops <= known.without:
            text = source_text(name, module)
            if re.search(rf"\b(?:{'|'.join(map(re.escape, sorted(tops)))})\b", text):
                known.table = table(text)
            known.without |= tops
        return known.table or ()

    def prune(self, versions: Collection[Version], modules: Mapping[str, Any]) -> None:
        """Forget the tables of what is no longer loaded."""
        alive = {v.digest for v in versions}
        self._release = {d: t for d, t in self._release.items() if d in alive}
        self._uses = {d: u for d, u in self._uses.items() if d in alive}
        self._others = {n: k for n, k in self._others.items() if modules.get(n) is k.module}


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
