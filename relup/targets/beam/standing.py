"""Which release a node runs: what was recorded of it here, or what it booted, compared with what it says of itself.

A node knows the release it booted, and the versions of its applications. Where their files are it does not say in
a way that reaches another machine, so the release is looked for: where it was left after the last upgrade, and in
the folder that the node was started from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.document import read_release
from relup.model.release import Release
from relup.targets.beam.where import Where
from relup.targets.python.home import Home


def beam_home(base: Path, node: str) -> Home:
    """Return where is kept what was done on a node from here."""
    return Home(base / ".beam", node.replace("@", "."))


def beam_home_of(base: Path, name: str) -> Home | None:
    """Return the same for a node that does not run, by its name without a host, where only one node had that."""
    match [*(base / ".beam").glob(f"{name}.*/")]:
        case [only]:
            return Home(only.parent, only.name)
        case _:
            return None


def standing(where: Where, home: Home, versions: Mapping[str, str], given: Path | None = None) -> Release:
    """Return the release that runs on a node which has these *versions* of applications.

    Raises `Refused` when none of those that are looked at has them.
    """
    looked: list[str] = []
    for path in dict.fromkeys(_candidates(where, home, given)):
        try:
            found = read_release(path)
        except InvalidInput as error:
            looked.append(str(error.diagnostics[0]))
            continue
        differing = [a.name for a in found.applications if versions.get(a.name) not in (None, a.vsn)]
        if not differing:
            return found
        name = differing[0]
        looked.append(f"{path} has {name} {_vsn(found, name)}, the node {versions[name]}")
    message = f"the release that {where.node} runs is not known here: {'; '.join(looked) or 'nothing to look at'}"
    raise Refused([Diagnostic("unknown_release", message, hint="--base DIR says where it is")])


def _vsn(release: Release, name: str) -> str:
    return next(a.vsn for a in release.applications if a.name == name)


def _candidates(where: Where, home: Home, given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    if records := home.records():
        yield Path(records.current.root)
        if records.intended:
            yield Path(records.intended.root)
        yield from (Path(i.root) for i in reversed((*records.installed, *records.way_back)))
    if where.release is not None:
        yield from sorted(where.release.glob("releases/*/*.rel"), reverse=True)


def file_of(release: Release) -> str:
    """Return the `.rel` file of a release, which tells it from others that share its folder."""
    return str(Path(release.location.file if release.location else release.root).absolute())
