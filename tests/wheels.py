"""Wheels written on the spot, right or wrong in one respect, and folders as pip makes them."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

from tests.support import supervised

Contents = Mapping[str, str | bytes]


def vouch(data: bytes) -> str:
    """Return what RECORD says of a file."""
    digest = urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"sha256={digest},{len(data)}"


def distribution(
    name: str,
    vsn: str,
    files: Contents,
    *,
    requires: Sequence[str] = (),
    start: str | None = None,
    tag: str = "py3-none-any",
) -> dict[str, bytes]:
    """Return the files of a wheel, RECORD among them."""
    info = f"{name.replace('-', '_')}-{vsn}.dist-info"
    needs = "".join(f"Requires-Dist: {r}\n" for r in requires)
    every = {file: _bytes(text) for file, text in files.items()}
    every |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {vsn}\n{needs}\nWhat it is for.\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    if start:
        every[f"{info}/entry_points.txt"] = f"[relup.application]\nmain = {start}\n".encode()
    record = "".join(f"{file},{vouch(data)}\n" for file, data in every.items())
    return every | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else dedent(text).encode()


def wheel_name(name: str, vsn: str, tag: str = "py3-none-any") -> str:
    return f"{name.replace('-', '_')}-{vsn}-{tag}.whl"


def write_wheel(folder: Path, name: str, vsn: str, files: Contents, tag: str = "py3-none-any", **more: object) -> Path:
    """Write a wheel into *folder*; return its path."""
    return write_zip(
        folder / wheel_name(name, vsn, tag),
        distribution(name, vsn, files, tag=tag, **more).items(),  # type: ignore[arg-type]
    )


def write_zip(path: Path, members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members:
            # of a fixed date, so that the same files are the same wheel
            archive.writestr(zipfile.ZipInfo(member) if isinstance(member, str) else member, data, zipfile.ZIP_DEFLATED)
    return path


def link(name: str) -> zipfile.ZipInfo:
    """Return the member that a link is in an archive."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def install(folder: Path, *distributions: Mapping[str, bytes]) -> Path:
    """Write the files of distributions into a folder, as pip does."""
    for files in distributions:
        for file, data in files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def pip_install(target: Path, wheels: Path, *names: str) -> Path:
    """Let pip itself install wheels that lie in a folder; the network is not asked."""
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--no-warn-script-location")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--find-links", wheels, "--target", target, *names],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return target


COUNTER = """
    from importlib.metadata import version
    from relup.runtime import GenServer, Reply
    from shop_store.prices import PRICE

    class Worker(GenServer):
        def init(self, args):
            return {"count": 0}

        def handle_call(self, request, caller, state):
            state = {**state, "count": state["count"] + 1}
            return Reply((%(vsn)r, PRICE, state, version("shop"), version("shop-store")), state)

        def code_change(self, old_vsn, state, extra):
            return {**state, "changed": %(vsn)r}
"""

APPUP = """\
application: shop
vsn: "%(vsn)s"
up:
  - from: "%(old)s"
    instructions:
      - update: {module: shop.worker, change: advanced}
down:
  - to: "%(old)s"
    instructions:
      - update: {module: shop.worker, change: advanced}
"""
STORE_APPUP = """\
application: shop_store
vsn: "%(vsn)s"
up:
  - from: "%(old)s"
    instructions:
      - load_module: shop_store.prices
down:
  - to: "%(old)s"
    instructions:
      - load_module: shop_store.prices
"""


def shop_wheels(folder: Path, vsn: str, old: str | None = None) -> Path:
    """Write the two wheels of a release of a shop into a folder; its appups lead from *old*."""
    said = {"vsn": vsn, "old": old or "0"}
    files: dict[str, str | bytes] = {
        "shop/__init__.py": "",
        "shop/app.py": supervised(1),
        "shop/worker.py": COUNTER % said,
    }
    store: dict[str, str | bytes] = {"shop_store/__init__.py": "", "shop_store/prices.py": f"PRICE = {vsn}\n"}
    if old:
        files["shop/shop.appup.yaml"] = APPUP % said
        store["shop_store/shop_store.appup.yaml"] = STORE_APPUP % said
    write_wheel(folder, "shop", vsn, files, requires=["shop-store>=1"], start="shop.app:App")
    write_wheel(folder, "shop-store", vsn, store)
    return folder
