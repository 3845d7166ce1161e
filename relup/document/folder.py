"""A folder of releases: what upgrades may lead over.

Releases lie side by side, each in a folder of its own or as a `.rel` file, or, as OTP keeps them, in the
`releases` of one root. What is no release is passed over; one that is broken is told and hides no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.release import FILE, read_release
from relup.document.text import is_file, is_folder, reason
from relup.model.release import Release
from relup.model.versions import natural


def read_releases(
    folders: Iterable[str | Path], libraries: Sequence[str | Path] = ()
) -> tuple[tuple[Release, ...], tuple[Diagnostic, ...]]:
    """Return the releases in all the folders, and a warning for everything that is wrong with those left out.

    Raises `InvalidInput` when one of *folders* cannot be looked into.
    """
    found = [release for folder in folders for release in releases_in(folder, libraries)]
    return (
        tuple(r for r in found if isinstance(r, Release)),
        tuple(
            replace(d, severity="warning", message=f"this release is left out: {d.message}")
            for r in found
            if isinstance(r, InvalidInput)
            for d in r.diagnostics
        ),
    )


def releases_in(folder: str | Path, libraries: Sequence[str | Path] = ()) -> Iterator[Release | InvalidInput]:
    """Yield every release in *folder*, by name from 1.9 to 1.10, and for each that is broken what is wrong with it.

    A folder that is a release itself holds only that one; the root of an OTP installation holds those that it
    keeps. Raises `InvalidInput` when it cannot be looked into. *libraries* are what `read_release` takes.
    """
    root = Path(folder)
    try:
        children = sorted(root.iterdir(), key=lambda child: natural(child.name))
    except (OSError, ValueError) as error:
        message = f"this folder of releases cannot be looked into: {reason(error)}"
        raise InvalidInput([Diagnostic("no_such_folder", message, Location(str(root), 1, 1))]) from None
    for path in _kept(root) or [p for child in children for p in _lying(child)]:
        try:
            yield read_release(path, libraries)
        except InvalidInput as error:
            yield error


def _kept(folder: Path) -> list[Path]:
    """Return the folder itself when it is a release of Python's, else the versions that a root of OTP's keeps."""
    if os.path.lexists(folder / FILE):
        return [folder]
    versions = sorted((folder / "releases").glob("*"), key=lambda version: natural(version.name))
    return [version for version in versions if _has_rel(version)]


def _lying(child: Path) -> list[Path]:
    """Return what to read of what lies among others: a folder with a release, or a `.rel` file itself."""
    if is_folder(child):
        return _kept(child) or ([child] if _has_rel(child) or _has_rel(child / "releases") else [])
    return [child] if child.suffix == ".rel" and is_file(child) else []


def _has_rel(folder: Path) -> bool:
    return any(map(is_file, folder.glob("*.rel")))
