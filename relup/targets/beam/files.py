"""The `.beam` files of a release, as a plan has them: read once, and compared with what was planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from relup.diagnostics import Diagnostic, Refused
from relup.document import read_release
from relup.document.erlang.fingerprint import fingerprint
from relup.document.text import is_file
from relup.model.code import NoCode
from relup.model.release import Application, Release


@dataclass(frozen=True, slots=True)
class Beam:
    """A module, and the bytes of its file."""

    module: str
    path: Path
    binary: bytes


def read_beams(release: Release, modules: Iterable[str]) -> Mapping[str, Beam]:
    """Return the files of these modules of *release*, of which the code is known (`with_code`).

    Raises `Refused` with all that are gone or have changed.
    """
    planned = release.fingerprints()
    found, wrong = dict[str, Beam](), list[Diagnostic]()
    for module in modules:
        match _read(module, planned.get(module), release):
            case Beam() as beam:
                found[module] = beam
            case Diagnostic() as problem:
                wrong.append(problem)
    if wrong:
        raise Refused(wrong)
    return found


def with_code(release: Release) -> Release:
    """Return a release whose code is known; that of one that came with a plan is found again in its folder."""
    if not isinstance(release.code, NoCode):
        return release
    folder = Path(release.location.file if release.location else release.root)
    return replace(release, code=read_release(folder).code)


def consolidated(release: Release, module: str) -> Path | None:
    """Return the file of a protocol as a mix release runs it: with all that implements it, beside its boot file."""
    folder = consolidated_folder(release)
    found = folder / f"{module}.beam" if folder else None
    return found if found and is_file(found) else None


def consolidated_folder(release: Release) -> Path | None:
    """Return the folder that the protocols of a mix release lie in; None when it has none."""
    found = Path(release.location.file).parent / "consolidated" if release.location else None
    return found if found and found.is_dir() else None


def ebin_of(application: Application, release: Release) -> Path | None:
    """Return the folder of an application's modules, in which its `.app` file lies too; None when it has none."""
    if found := next((release.code.module(m) for m in application.modules), None):
        return Path(found.path).absolute().parent
    folder = Path(release.root).absolute() / "lib" / f"{application.name}-{application.vsn}" / "ebin"
    return folder if is_file(folder / f"{application.name}.app") else None


def _read(module: str, planned: str | None, release: Release) -> Beam | Diagnostic:
    known = release.code.module(module)
    if known is None:
        message = f"{release.root}: module {module!r} has no .beam file"
        return Diagnostic("missing_beam", message, hint="build the release again")
    protocol = consolidated(release, module)
    path, planned = (protocol, None) if protocol else (Path(known.path), planned)
    path = path.absolute()  # the node has a folder of its own to begin from
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
