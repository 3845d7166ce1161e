"""What a release is made of, and whether anybody beside those who are trusted could change it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from relup.diagnostics import Diagnostic, Refused, in_words
from relup.document import read_extensions, source_path
from relup.document.erlang.layout import places
from relup.document.text import is_file
from relup.model.release import Release
from relup.targets.trust import Trusted, most, others_above, trusted


def check_releases(releases: Iterable[Release], whom: Trusted) -> list[Diagnostic]:
    """Return where others could change the code of *releases*. It looks at every file: call it in a worker thread."""
    seen = set[Path]()
    return most([d for release in releases for d in _of_release(release, whom, seen)])


def refuse_unsafe(releases: Iterable[Release], *users: int) -> None:
    """Raise `Refused` when anybody beside those who are trusted, and *users*, could change the code of *releases*."""
    try:
        found = check_releases(releases, trusted(os.environ, *users))
    except (OSError, ValueError) as error:  # a path that is too long, or none
        raise Refused([Diagnostic("unreadable_release", f"the files of a release: {in_words(error)}")]) from error
    if found:
        raise Refused(found)


def _of_release(release: Release, whom: Trusted, seen: set[Path]) -> Iterator[Diagnostic]:
    root = Path(release.root)
    files = _of_beam(release) if release.kind == "beam" else _of_python(release, root)
    for file in (root, *files):
        yield from others_above(file, root, whom, seen)


def _of_python(release: Release, root: Path) -> Iterator[Path]:
    if release.location and is_file(release.location.file):
        yield Path(release.location.file)
    for application in release.applications:
        yield from filter(None, (source_path(root, module) for module in application.modules))
        if application.appup and application.appup.location:
            yield Path(application.appup.location.file)
    yield from read_extensions(release).values()


def _of_beam(release: Release) -> Iterator[Path]:
    """Yield what lies in the folder of the version, and with the modules of each application."""
    if release.location is None:
        return
    rel = Path(release.location.file)
    there = places(rel)
    folders = [rel.parent]
    for application in release.applications:
        ebins = there.ebins(application.name, application.vsn)
        folders += [e for e in ebins if is_file(e / f"{application.name}.app")][:1]
    for folder in folders:
        try:
            yield from sorted(folder.iterdir())
        except OSError:
            continue
