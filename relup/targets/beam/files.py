"""The `.beam` files of a release, as a plan has them: read once, and compared with what was planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, Refused
from relup.document import read_release
from relup.document.erlang.fingerprint import fingerprint
from relup.model.release import Release


@dataclass(frozen=True, slots=True)
class Beam:
    """A module, and the bytes of its file."""

    module: str
    path: Path
    binary: bytes


def read_beams(release: Release, modules: Iterator[str] | list[str]) -> Mapping[str, Beam]:
    """Return the files of these modules of *release*. Raises `Refused` with all that are gone or have changed."""
    paths = beam_paths(release)
    found, wrong = dict[str, Beam](), list[Diagnostic]()
    planned = release.fingerprints()
    for module in modules:
        match _read(module, paths.get(module), planned.get(module), release):
            case Beam() as beam:
                found[module] = beam
            case Diagnostic() as problem:
                wrong.append(problem)
    if wrong:
        raise Refused(wrong)
    return found


def beam_paths(release: Release) -> Mapping[str, Path]:
    """Return where the modules of a release are; a release that came with a plan is read again from its folder."""
    if any(release.code.has(m) for a in release.applications for m in a.modules):
        code = release.code
    else:
        code = read_release(Path(release.root)).code
    modules = (code.module(m) for a in release.applications for m in a.modules)
    return {m.name: Path(m.path) for m in modules if m}


def _read(module: str, path: Path | None, planned: str | None, release: Release) -> Beam | Diagnostic:
    if path is None:
        return Diagnostic("stale_plan", f"{release.root}: module {module!r} is gone since the plan was made")
    try:
        found, binary = fingerprint(path), path.read_bytes()
    except OSError as error:
        return Diagnostic("unreadable", f"{path}: {error.strerror}")
    if isinstance(found, Diagnostic):
        return found
    if planned is not None and found != planned:
        message = f"{path}: module {module!r} changed since the plan was made"
        return Diagnostic("stale_plan", message, hint="plan again")
    return Beam(module, path, binary)
