"""The releases that a route may lead through: those that lie beside the ones it is between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from relup.cli.live import unpacked
from relup.cli.output import Output
from relup.document.folder import read_releases
from relup.model.release import Release


def known_releases(
    output: Output,
    through: Sequence[str],
    beside: Sequence[Release],
    libraries: Sequence[str] = (),
    unpack: Path | None = None,
) -> Iterator[Release]:
    """Yield the releases in the folders *through*, else in the folders in which the releases *beside* lie.

    Nothing is read before the first is asked for: where there is a direct entry, none is. Those that cannot be
    read are named and left out. Wheels are unpacked below *unpack*.
    """
    folders = map(Path, through) if through else (folder for release in beside for folder in _around(release))
    found, warnings = read_releases(dict.fromkeys(folders), libraries, unpack or unpacked())
    output.warn(dict.fromkeys(warnings))
    yield from found


def _around(release: Release) -> Iterator[Path]:
    """Yield where the neighbours of a release lie: beside its folder, or in it where OTP keeps several in one root."""
    root = Path(release.given or release.root).resolve()
    several = release.kind == "beam" and len({rel.parent for rel in root.glob("releases/*/*.rel")}) > 1
    yield root if several else root.parent
