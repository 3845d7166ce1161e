"""The modules of a Python release, as files: found by name, found by folder, never imported.

A module is `a/b.py` or `a/b/__init__.py` under the root, or a C extension in their place. A link that leads out of
the root would let a release change under the feet of its fingerprints, and a module that is a pipe would stop the
reader for ever; both are findings.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from relup.diagnostics import Diagnostic, Location
from relup.document.python.code import Found, module_of
from relup.document.text import is_file, is_folder, reason


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
        yield Found(package, str(single))
    yield from _binaries(base, package)
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
            elif told := module_of(entry.name):
                module, form = told
                yield Found(name if module == "__init__" else f"{name}.{module}", entry.path, form)


def _binaries(base: Path, package: str) -> Iterator[Found]:
    """Yield the C extensions that stand beside the package's folder under its name."""
    for path in sorted(base.parent.glob(f"{base.name}.*")):
        told = module_of(path.name)
        if told and told[1] == "extension":
            yield Found(package, str(path), "extension")


def _bad_link(root: Path, path: str, real: str, above: frozenset[str]) -> Diagnostic | None:
    if real in above:
        return Diagnostic("circular_link", "this link leads back to a folder that it stands in", Location(path, 1, 1))
    return None if _within(real, root) else _outside(Path(path))


def fingerprints(root: Path, found: Iterable[Found]) -> Iterator[tuple[Found, str | Diagnostic]]:
    """Yield with each file the SHA-256 (hex) of its bytes, or why it cannot be had.

    Whether a folder lies in the root is asked once for all files in it: a release has thousands.
    """
    real_root = os.path.realpath(root)
    inside: dict[str, bool] = {}
    for one in found:
        path = one.path
        folder = os.path.dirname(path)  # noqa: PTH120  as above
        if folder not in inside:
            inside[folder] = _below(os.path.realpath(folder), real_root)
        straight = inside[folder] and not os.path.islink(path)  # noqa: PTH114  as above
        yield one, _print(one) if straight or _below(os.path.realpath(path), real_root) else _outside(Path(path))


def _print(found: Found) -> str | Diagnostic:
    place = Location(found.path, 1, 1)
    try:
        if not is_file(found.path):
            return Diagnostic("unreadable", f"the source of {found.module!r} is not a file that can be read", place)
        with open(found.path, "rb") as file:  # noqa: PTH123  as above
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        return Diagnostic("unreadable", f"cannot be read: {reason(error)}", place)


def _below(real: str, real_root: str) -> bool:
    return real == real_root or real.startswith(f"{real_root.rstrip('/')}/")


def _within(real: str, root: Path) -> bool:
    return _below(real, os.path.realpath(root))


def _outside(path: Path) -> Diagnostic:
    return Diagnostic("outside_release", "this link leads out of the release folder", Location(str(path), 1, 1))
