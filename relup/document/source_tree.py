"""The modules of a Python release, as files: found by name, found by folder, never imported.

A module is `a/b.py` or `a/b/__init__.py` under the root. A link that leads out of the root would let a release
change under the feet of its fingerprints, and a module that is a pipe would stop the reader for ever; both are
findings.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, Location
from relup.document.text import is_file, is_folder, reason


@dataclass(frozen=True, slots=True)
class Found:
    """A module and its file."""

    module: str
    path: Path


def source_path(root: Path, module: str) -> Path | None:
    """Return the source file of *module* under *root*, or None; a package is its `__init__.py`."""
    steps = module.split(".")
    if not all(s.isidentifier() for s in steps):
        return None
    base = root.joinpath(*steps)
    candidates = (base / "__init__.py", base.with_name(f"{steps[-1]}.py"))
    return next((p for p in candidates if is_file(p)), None)


def discover(root: Path, package: str) -> Iterator[Found | Diagnostic]:
    """Yield every module of the folder `root/package` and of `root/package.py`, sorted by name within each folder."""
    steps = package.split(".")
    if not all(s.isidentifier() for s in steps):
        return
    base = root.joinpath(*steps)
    single = base.with_name(f"{steps[-1]}.py")
    if os.path.lexists(single):
        yield Found(package, single)
    if is_folder(base):
        outside = base.is_symlink() and not _within(os.path.realpath(base), root)
        yield from [_outside(base)] if outside else _walk(root, base, package)


def _walk(root: Path, folder: Path, package: str) -> Iterator[Found | Diagnostic]:
    """Walk without recursion into a folder that a link leads back to."""
    pending = [(folder, package, frozenset({os.path.realpath(folder)}))]
    while pending:
        here, name, above = pending.pop()
        try:
            with os.scandir(here) as entries:
                inside = sorted(entries, key=lambda e: e.name)
        except OSError as error:
            yield Diagnostic("unreadable", f"cannot be listed: {reason(error)}", Location(str(here), 1, 1))
            continue
        for entry in inside:
            if is_folder(entry.path) and entry.name.isidentifier() and entry.name != "__pycache__":
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                if entry.is_symlink() and (problem := _bad_link(root, entry.path, real, above)):
                    yield problem
                    continue
                pending.append((Path(entry.path), f"{name}.{entry.name}", above | {os.path.realpath(entry.path)}))
            elif entry.name == "__init__.py":
                yield Found(name, Path(entry.path))
            elif entry.name.endswith(".py") and entry.name[:-3].isidentifier():
                yield Found(f"{name}.{entry.name[:-3]}", Path(entry.path))


def _bad_link(root: Path, path: str, real: str, above: frozenset[str]) -> Diagnostic | None:
    if real in above:
        return Diagnostic("circular_link", "this link leads back to a folder that it stands in", Location(path, 1, 1))
    return None if _within(real, root) else _outside(Path(path))


def fingerprint(root: Path, found: Found) -> str | Diagnostic:
    """Return the SHA-256 (hex) of the module's source, or why it cannot be read."""
    place = Location(str(found.path), 1, 1)
    try:
        if not _within(os.path.realpath(found.path), root):
            return _outside(found.path)
        if not is_file(found.path):
            return Diagnostic("unreadable", f"the source of {found.module!r} is not a file that can be read", place)
        return hashlib.sha256(found.path.read_bytes()).hexdigest()
    except OSError as error:
        return Diagnostic("unreadable", f"cannot be read: {reason(error)}", place)


def _within(real: str, root: Path) -> bool:
    return Path(real).is_relative_to(os.path.realpath(root))


def _outside(path: Path) -> Diagnostic:
    return Diagnostic("outside_release", "this link leads out of the release folder", Location(str(path), 1, 1))
