"""Releases of packages from the registry: downloaded once for all workers, and made into release folders."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

PURE = ("--platform", "any", "--implementation", "py", "--abi", "none", "--python-version", "3.11")
ACCELERATED = frozenset({"markupsafe", "pyyaml"})
"""Distributions without a wheel for every platform: their compiled parts are left out, and Python takes their place."""


def fetch(wanted: Iterable[str]) -> Path:
    """Download `name==vsn`s into a folder that all workers share, and later sessions too; skip without a registry."""
    names = sorted(set(wanted))
    key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"relup-test-wheels-{os.getuid()}-{key}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            with ThreadPoolExecutor(4) as pool:
                for error in pool.map(lambda batch: _download(folder, batch), _batches(names)):
                    _no_registry(error)
            (folder / "complete").touch()
    return folder


def _batches(names: Sequence[str]) -> list[list[str]]:
    """Sort into downloads: pip takes one version of a package at a time, and all platforms at once."""
    batches: list[list[str]] = []
    for name in names:
        project, accelerated = name.partition("==")[0], name.partition("==")[0] in ACCELERATED
        for batch in batches:
            others = {n.partition("==")[0] for n in batch}
            if (
                project not in others
                and len(batch) < 24
                and (batch[0].partition("==")[0] in ACCELERATED) is accelerated
            ):
                batch.append(name)
                break
        else:
            batches.append([name])
    return batches


def _download(folder: Path, batch: Sequence[str]) -> str | None:
    pure = () if batch[0].partition("==")[0] in ACCELERATED else PURE
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command = [*pip, "--only-binary=:all:", *pure, "--dest", str(folder), *batch]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return None if done.returncode == 0 else done.stderr.strip()[-400:]


def _no_registry(error: str | None) -> None:
    if error and os.environ.get("CI") == "true":
        pytest.fail(
            f"packages could not be downloaded, and a CI that does not upgrade real ones proves nothing: {error}"
        )
    if error:
        pytest.skip(f"packages could not be downloaded: {error}")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def unpack(wheels: Path, name: str, vsn: str, root: Path) -> list[str]:
    """Unpack one wheel as pip installs it; return its modules."""
    for wheel in sorted(wheels.glob("*.whl")):
        project, version = wheel.name.split("-")[:2]
        if normal(project) == normal(name) and version == vsn:
            with zipfile.ZipFile(wheel) as archive:
                members = [m for m in archive.namelist() if not m.endswith((".so", "/"))]
                archive.extractall(root, members)
            return sorted(filter(None, map(_module, members)))
    raise AssertionError(f"there is no wheel of {name} {vsn}")


def _module(member: str) -> str | None:
    path = Path(member)
    steps = path.with_suffix("").parts
    if path.suffix != ".py" or not all(s.isidentifier() for s in steps):
        return None
    name = ".".join(steps)
    return name.removesuffix(".__init__") or None


def make_release(
    root: Path,
    wheels: Path,
    vsn: str,
    distributions: Mapping[str, str],
    modules: Mapping[str, str],
    previous: Mapping[str, tuple[str, Sequence[str]]] | None = None,
    instructions: Sequence[str] = (),
) -> dict[str, tuple[str, Sequence[str]]]:
    """Write a release of an application `shop` and *distributions*; return what each of them consists of.

    With *previous*, what the release before consists of, the distributions that changed get an appup that loads all
    of their modules.
    """
    root.mkdir(parents=True)
    parts = {name: (version, unpack(wheels, name, version, root)) for name, version in distributions.items()}
    (root / "shop").mkdir()
    for name, text in {"__init__": "", **modules}.items():
        (root / "shop" / f"{name}.py").write_text(dedent(text))
    listed = [f'  - {{name: shop, vsn: "{vsn}", start: "shop.app:App"}}']
    listed += [f'  - {{name: {n}, vsn: "{v}", modules: [{", ".join(m)}]}}' for n, (v, m) in parts.items()]
    (root / "release.yaml").write_text(f'name: shop\nvsn: "{vsn}"\napplications:\n' + "\n".join(listed) + "\n")
    for name, (version, own) in parts.items():
        before, theirs = (previous or {}).get(name, (version, own))
        if before != version:
            up = [*_all(theirs, own)]
            _write_appup(root, name, version, before, up, _all(own, theirs))
    if previous:
        _write_appup(root, "shop", vsn, str(int(vsn) - 1), instructions, instructions)
    return parts


def _all(old: Sequence[str], new: Sequence[str]) -> list[str]:
    load = [f"load_module: {m}" for m in new if m in old]
    return [
        *load,
        *(f"add_module: {m}" for m in new if m not in old),
        *(f"delete_module: {m}" for m in old if m not in new),
    ]


def _write_appup(root: Path, name: str, vsn: str, before: str, up: Sequence[str], down: Sequence[str]) -> None:
    def listed(instructions: Sequence[str]) -> str:
        return "".join(f"      - {{{i}}}\n" for i in instructions)

    (root / f"{name}.appup.yaml").write_text(
        f'application: {name}\nvsn: "{vsn}"\nup:\n  - from: "{before}"\n    instructions:\n{listed(up)}'
        f'down:\n  - to: "{before}"\n    instructions:\n{listed(down)}'
    )
