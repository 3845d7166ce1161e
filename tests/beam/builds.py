"""The example releases, built with Erlang's and Elixir's own tools: once for all workers of a run.

A build takes seconds, and many tests need one. It lies in the folder that the workers of a run share, named for the
digest of its sources; who comes first builds, under a lock, and the others wait for it. Nobody writes into a build:
nodes run in copies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support import lacking, require_erl

VERSIONS = ("1", "2", "3")
EXAMPLES = Path(__file__).parents[2] / "examples" / "beam"
ANEMONE, DEPOT = EXAMPLES / "anemone", EXAMPLES / "erl"
ZOO = Path(__file__).with_name("zoo")


def anemone_releases(shared: Path) -> Mapping[str, Path]:
    """Return the folders of the mix releases by the number of their version; 2 and 3 have relup's appups."""
    require_elixir()
    return _releases(once(shared, "anemone", ANEMONE, _build_anemone))


def depot_releases(shared: Path) -> Mapping[str, Path]:
    """Return the folders of the releases of plain OTP by their version."""
    require_erl()
    return _releases(once(shared, "depot", DEPOT, _build_depot))


def zoo_releases(shared: Path) -> Mapping[str, Path]:
    """Return the folders of a mix release with processes of every kind, by the number of its version: 1 and 2."""
    require_elixir()
    folder = once(shared, "zoo", ZOO, _build_zoo)
    return {vsn: folder / vsn for vsn in ("1", "2")}


def require_elixir() -> None:
    """Skip the test where there is no Elixir to build with; a CI without one fails."""
    require_erl()
    if shutil.which("mix") is None:
        lacking("no `mix` to build with: apt install elixir, or brew install elixir")


def _releases(folder: Path) -> Mapping[str, Path]:
    return {vsn: folder / vsn for vsn in VERSIONS}


def once(shared: Path, name: str, sources: Path, build: Callable[[Path], None]) -> Path:
    """Return the folder that *build* fills, and let it do so if nobody has yet."""
    folder = shared / f"{name}-{_digest(sources)}"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = folder.with_name(f"{folder.name}.making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            build(making)
            making.rename(folder)
    return folder


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    # what somebody built beside the sources is none of them
    for file in sorted(f for f in folder.rglob("*") if f.is_file() and "_build" not in f.parts):
        found.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode() + file.read_bytes())
    return found.hexdigest()[:12]


def _build_anemone(folder: Path) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda vsn: _build_mix_release(ANEMONE / vsn, folder / vsn), VERSIONS))


def _build_zoo(folder: Path) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda vsn: _build_mix_release(ZOO, folder / vsn, {"ZOO": vsn}), ("1", "2")))


def _build_mix_release(project: Path, release: Path, more: Mapping[str, str] | None = None) -> None:
    build = release.with_name(f"build-{release.name}")
    # mix writes into its home and asks the network for nothing here: both are made sure of
    said = {"MIX_ENV": "prod", "MIX_BUILD_PATH": str(build), "MIX_HOME": str(build / "home"), "HEX_OFFLINE": "1"}
    _run(project, "mix", "release", "--quiet", "--path", release, environ={**said, **(more or {})})
    shutil.rmtree(build)


def _build_depot(folder: Path) -> None:
    _run(DEPOT, "escript", "build.escript", folder, *VERSIONS)


def _run(where: Path, *command: str | Path, environ: Mapping[str, str] | None = None) -> None:
    environment = {**os.environ, **(environ or {}), "ERL_CRASH_DUMP_SECONDS": "0"}
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
