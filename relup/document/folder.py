"""A folder of releases: what upgrades may lead over.

Releases lie side by side, each in a folder of its own, as a wheel or as a `.rel` file, or, as OTP keeps them, in the
`releases` of one root. What is no release is passed over; one that is broken is told and hides no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.python.project import FILE as PROJECT
from relup.document.python.project import is_project
from relup.document.python.wheel import Named, named
from relup.document.release import FILE, WHEEL, form_of, read_release
from relup.document.text import is_file, is_folder, reason
from relup.model.release import Release
from relup.model.versions import natural


def read_releases(
    folders: Iterable[str | Path], libraries: Sequence[str | Path] = (), unpack: str | Path | None = None
) -> tuple[tuple[Release, ...], tuple[Diagnostic, ...]]:
    """Return the releases in all the folders, and a warning for everything that is wrong with those left out.

    Raises `InvalidInput` when one of *folders* cannot be looked into.
    """
    found = [release for folder in folders for release in releases_in(folder, libraries, unpack)]
    return (
        tuple(r for r in found if isinstance(r, Release)),
        tuple(
            replace(d, severity="warning", message=f"this release is left out: {d.message}")
            for r in found
            if isinstance(r, InvalidInput)
            for d in r.diagnostics
        ),
    )


def releases_in(
    folder: str | Path, libraries: Sequence[str | Path] = (), unpack: str | Path | None = None
) -> Iterator[Release | InvalidInput]:
    """Yield every release in *folder*, by name from 1.9 to 1.10, and for each that is broken what is wrong with it.

    A folder that is a release itself holds only that one; the root of an OTP installation holds those that it
    keeps. Raises `InvalidInput` when it cannot be looked into. *libraries* and *unpack* are what
    `read_release` takes.
    """
    root = Path(folder)
    try:
        children = sorted(_visible(root), key=lambda child: natural(child.name))
    except (OSError, ValueError) as error:
        message = f"this folder of releases cannot be looked into: {reason(error)}"
        raise InvalidInput([Diagnostic("no_such_folder", message, Location(str(root), 1, 1))]) from None
    for path in _kept(root) or [p for child in children for p in _lying(child)] or ([root] if is_project(root) else []):
        try:
            yield read_release(path, libraries, unpack)
        except InvalidInput as error:
            yield error


def _visible(folder: Path) -> Iterator[Path]:
    """Yield what lies in *folder*, without what somebody hides: a release in the making, say."""
    return (child for child in folder.iterdir() if not child.name.startswith("."))


def _kept(folder: Path) -> list[Path]:
    """Return the folder itself when it is a release of Python's, else the versions that a root of OTP's keeps."""
    if os.path.lexists(folder / FILE):
        return [folder]
    try:
        if form_of(folder) == "installed" or (form_of(folder) == "wheels" and not _several(folder)):
            return [folder]
    except InvalidInput:
        pass
    versions = sorted((folder / "releases").glob("*"), key=lambda version: natural(version.name))
    return [version for version in versions if _has_rel(version)]


def _lying(child: Path) -> list[Path]:
    """Return what to read of what lies among others: a folder with a release, or a `.rel` file itself."""
    if is_folder(child):
        made = _has_rel(child) or _has_rel(child / "releases") or is_file(child / PROJECT)
        return _kept(child) or ([child] if made else [])
    return [child] if child.suffix in (".rel", WHEEL) and is_file(child) else []


def _several(folder: Path) -> bool:
    """Say whether wheels lie in *folder* of which some are versions of the same: then each is a release of its own."""
    said = [named(path) for path in sorted(folder.glob(f"*{WHEEL}"))]
    names = [one.name for one in said if isinstance(one, Named)]
    return len(set(names)) < len(names)


def _has_rel(folder: Path) -> bool:
    return any(map(is_file, folder.glob("*.rel")))
