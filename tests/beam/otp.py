"""What OTP's own release handler needs on a node of an example: files and records that relup does without."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.beam.nodes import BeamNode


def with_otp_appup(release: Path, folder: Path, appup: Path) -> Path:
    """Return a copy of a mix release with OTP's appup in place of relup's."""
    copy = Path(shutil.copytree(release, folder / f"{release.name}-otp", symlinks=True))
    (yaml,) = copy.glob("lib/anemone-*/ebin/anemone.appup.yaml")
    yaml.unlink()
    shutil.copy(appup, yaml.with_suffix(""))
    return copy


def unpack_beside(node: BeamNode, release: Path, vsn: str, relup: str) -> None:
    """Put a release of the depot, and the text of a relup file, where the release handler of *node* finds them.

    What `release_handler:unpack_release` does with an archive, without the archive.
    """
    for library in sorted((release / "lib").iterdir()):
        if not (node.root / "lib" / library.name).exists():
            shutil.copytree(library, node.root / "lib" / library.name)
    shutil.copytree(release / "releases" / vsn, node.root / "releases" / vsn)
    (node.root / "releases" / vsn / "relup").write_text(relup)
    known = node.ask(f'release_handler:set_unpacked("{node.root}/releases/{vsn}/depot.rel", [])')
    assert known == ("ok", [ord(c) for c in vsn])
