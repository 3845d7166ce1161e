"""What OTP's own release handler needs on a node of an example: files and records that relup does without."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.beam.nodes import BeamNode
from tests.support import PATIENCE


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


_PACK = """
    [Folder, Ebin] = init:get_plain_arguments(),
    Path = [Ebin | filelib:wildcard(filename:join([code:lib_dir(), "*", "ebin"]))],
    Options = [{path, Path}, {variables, [{"OTP", code:lib_dir()}]}, {var_tar, omit}, silent],
    {ok, systools_make, []} = systools:make_tar(filename:join(Folder, "depot"), Options),
    halt().
"""


def unpack(node: BeamNode, release: Path, vsn: str, relup: str, folder: Path) -> None:
    """Let the release handler of *node* unpack an archive of a release of the depot, as `systools` packs one.

    OTP's own applications are not in it: the node has them, and they are the same files for all nodes of a run.
    """
    for name in ("depot.rel", "sys.config"):
        shutil.copy(release / "releases" / vsn / name, folder)
    shutil.copy(release / "releases" / vsn / "start.boot", folder / "depot.boot")
    (folder / "relup").write_text(relup)
    ebin = release / "lib" / f"depot-{vsn}" / "ebin"
    command = ["erl", "-noshell", "-eval", _PACK, "-extra", folder, ebin]
    subprocess.run(command, check=True, timeout=PATIENCE, env={**os.environ, "ERL_CRASH_DUMP_SECONDS": "0"})
    shutil.copy(folder / "depot.tar.gz", node.root / "releases")
    assert node.ask('release_handler:unpack_release("depot")') == ("ok", [*map(ord, vsn)])
