"""Unchanged modules follow the release into its new folder.

A module that does not change is not executed again, but what it reads later lies in the new release: data files,
submodules nobody listed, its own package's folder. With its old `__file__` and `__path__` it would go on reading
the old folder, which somebody deletes one day. So these entries are part of the swap wherever the new folder has
the same text, or one that differs in comments and docstrings only; the code objects keep the file name they were
compiled under, and its lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relup.runtime.code.finder import ReleaseLoader, root, spec_for
from relup.runtime.code.order import Order, ancestors
from relup.runtime.code.source import Version
from relup.syntax.meaning import same_meaning


@dataclass(frozen=True, slots=True)
class Moved:
    """An unchanged module in its new place, and the entries of its namespace that say so."""

    version: Version
    entries: Mapping[str, Any]


def moved(wanted: Order, current: Mapping[str, Version]) -> dict[str, Moved]:
    """Return the unchanged modules whose text lies in another folder now."""
    found: dict[str, Moved] = {}
    for name, path in _candidates(wanted, current):
        version = current.get(name)
        if version is None or name in found or str(path) == version.source.path:
            continue
        text = _text(path)
        if text is not None and same_meaning(version.source.text, text):
            found[name] = _move(version, path, text)
    return found


def differing(known: Mapping[str, Path], current: Mapping[str, Version]) -> list[str]:
    """Return the modules that run and have another text where a new release has them."""
    running = ((n, p) for n, p in known.items() if n in current)
    return [n for n, path in running if not same_meaning(current[n].source.text, _text(path) or b"")]


def _candidates(wanted: Order, current: Mapping[str, Version]) -> Iterator[tuple[str, Path]]:
    changing = {*wanted.sources, *wanted.removed}
    yield from ((n, p) for n, p in wanted.known.items() if n not in changing)
    for name, source in wanted.sources.items():
        folder = root(name, Path(source.path))
        for package in ancestors(name):
            if package in current and package not in changing:
                yield package, folder.joinpath(*package.split("."), "__init__.py")


def _text(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _move(version: Version, path: Path, text: bytes) -> Moved:
    source = replace(version.source, path=str(path), text=text)
    loader = ReleaseLoader(source, version.file, {})
    spec = spec_for(loader)
    entries: dict[str, Any] = {"__file__": source.path, "__loader__": loader, "__spec__": spec}
    if source.package:
        entries["__path__"] = [str(path.parent)]
    return Moved(replace(version, source=source, digest=source.digest), entries)
