"""A saved plan of wheels: what it was planned with was unpacked for planning, and a node keeps its releases itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput
from relup.document.private import copy_private, private_folder
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.route import Route


def adopted(route: Route, unpacked: Path, releases: Path) -> Route:
    """Return the route with every release that lies below *unpacked* copied to a node's *releases*.

    Raises `InvalidInput` when one cannot be copied. What the plan says is not changed: files are compared by contents.
    """
    return replace(route, hops=tuple(_adopted(hop, unpacked.resolve(), releases) for hop in route.hops))


def _adopted(hop: Relup, unpacked: Path, releases: Path) -> Relup:
    return replace(hop, base=_kept(hop.base, unpacked, releases), goal=_kept(hop.goal, unpacked, releases))


def _kept(release: Release, unpacked: Path, releases: Path) -> Release:
    root = Path(release.root)
    if root.parent != unpacked or not root.is_dir():
        return release
    try:
        return replace(release, root=str(_copied(root, releases).resolve()))
    except OSError as error:
        message = f"{root}: cannot be copied to {releases}: {error.strerror or error}"
        raise InvalidInput([Diagnostic("not_unpacked", message)]) from None


def _copied(root: Path, releases: Path) -> Path:
    """Copy a folder as a whole, unless that was done before: its name says what is in it."""
    target = releases / root.name
    if target.is_dir():
        return target
    private_folder(releases)
    scratch = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=releases))
    try:
        copy_private(root, scratch / root.name)
        try:
            os.rename(scratch / root.name, target)  # noqa: PTH104
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
