"""From what runs to what a test names: the plan that `relup apply` would make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location, Refused, errors
from relup.document import read_release
from relup.document.folder import read_releases
from relup.model.release import Release
from relup.model.route import Route
from relup.planner import find_route
from relup.planner.lint import check_route
from relup.targets.python.components import short


def locate(release: str | Path, places: Sequence[Path]) -> Path:
    """Return where a release lies: an absolute path as it is, else the first of *places* that has it.

    Raises `InvalidInput` with every place that was looked at.
    """
    if not isinstance(release, str | Path) or not str(release):
        raise InvalidInput([Diagnostic("no_such_release", f"a release is a path, not {short(release)}")])
    found = [place / release for place in places or (Path.cwd(),)]
    if existing := next((path for path in found if path.exists()), None):
        return existing.resolve()
    message = f"there is no release {str(release)!r}: looked for {', '.join(dict.fromkeys(map(str, found)))}"
    raise InvalidInput([Diagnostic("no_such_release", message, Location(str(found[0]), 1, 1))])


def way_to(running: Release, goal: Release, unpack: Path) -> Route:
    """Return the route from what runs to *goal*, in one hop or over the releases that lie beside the two.

    Raises `InvalidInput` with everything that is wrong, and `Refused` where there is nothing to do.
    """
    if (running.name, running.vsn) == (goal.name, goal.vsn):
        raise Refused([Diagnostic("nothing_to_do", f"the node runs {running} already")])
    route = find_route(running, goal, _beside((goal, running), unpack))
    if wrong := errors(check_route(route)):
        raise InvalidInput(wrong)
    return route


def way_back(running: Release, goal: Release, unpack: Path) -> Route:
    """Return the route on which every hop goes down; what came by a mixed one may have to go back by one."""
    try:
        return find_route(running, goal, _beside((goal, running), unpack), "down")
    except InvalidInput as error:
        if all(d.code != "no_route" for d in error.diagnostics):
            raise
        return find_route(running, goal, _beside((goal, running), unpack))


def read(path: Path, unpack: Path) -> Release:
    """Return the release at *path*; raise `InvalidInput` with everything that is wrong with it."""
    return read_release(path, unpack=unpack)


def _beside(releases: Sequence[Release], unpack: Path) -> Iterator[Release]:
    """Yield the neighbours of *releases*; nothing is read where there is a direct entry."""
    folders = dict.fromkeys(Path(r.given or r.root).resolve().parent for r in releases)
    yield from read_releases(folders, unpack=unpack)[0]
