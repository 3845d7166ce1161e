"""Making a release the one that the next boot starts: its files beside those that are there, then one small file.

What starts a release, `bin/<name>`, takes the version from `releases/start_erl.data`. So whatever is new is copied into
the node's folder under names of its own, and that file is replaced last, in one step: whenever this ends, the next
boot finds a whole release. What is there already is not written over, `releases/COOKIE` least of all.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.document.erlang.fingerprint import fingerprint
from relup.model.release import Release
from relup.targets.beam.files import ebin_of, with_code
from relup.targets.beam.releases_file import note_permanent
from relup.targets.beam.standing import file_of
from relup.targets.durable import replace_file


def make_permanent(root: Path | None, goal: Release) -> Path:
    """Let the folder *root* of a node's release boot *goal*; return it.

    Raises `Refused` where the deployment has to do that.
    """
    if root is None or not (root / "releases" / "start_erl.data").is_file():
        raise Refused([_elsewhere(goal, "the folder of the node's release is not on this machine")])
    if not any((folder / f"erts-{goal.erts}").is_dir() for folder in (root, Path(goal.root))):
        raise Refused([_elsewhere(goal, f"it needs erts {goal.erts}, which {root} does not have")])
    try:
        put_beside(root, goal)
        note_permanent(root, goal)
        replace_file(*boot_record(root, goal))
    except OSError as error:
        raise Refused([_elsewhere(goal, f"{error.filename}: {error.strerror}")]) from error
    except InvalidInput as error:
        raise Refused([_elsewhere(goal, str(error.diagnostics[0]))]) from error
    return root


def boot_record(root: Path, goal: Release) -> tuple[Path, bytes]:
    """Return the file that says what is booted, and what it says when that is *goal*."""
    return root / "releases" / "start_erl.data", f"{goal.erts} {goal.vsn}\n".encode()


def put_beside(root: Path, goal: Release) -> None:
    """Copy what *goal* consists of into the folder of a node's release; what is there already stays.

    Raises `Refused` with nothing copied when that is something else.
    """
    goal = with_code(goal)
    if others := [*_others(root, goal)]:
        message = (
            f"{goal} cannot be put into {root}: {', '.join(map(str, others))} is there already and differs from it"
        )
        hint = "the deployment has to clear that up; what runs goes on"
        raise Refused([Diagnostic("not_bootable", message, hint=hint)])
    for source, target in _folders(root, goal):
        if not target.exists():
            _copy(source, target)


def _folders(root: Path, goal: Release) -> Iterator[tuple[Path, Path]]:
    """Yield the folders that the release consists of, and where they belong; its version's own folder is the last."""
    emulator = Path(goal.root) / f"erts-{goal.erts}"
    if emulator.is_dir():
        yield emulator, root / emulator.name
    for application in goal.applications:
        ebin = ebin_of(application, goal)
        if ebin is not None:
            yield ebin.parent, root / "lib" / f"{application.name}-{application.vsn}"
    yield Path(file_of(goal)).parent, root / "releases" / goal.vsn


def _others(root: Path, goal: Release) -> Iterator[Path]:
    """Yield what lies in the folder of a node's release under names of *goal*, and is not what it has."""
    for application in goal.applications:
        there = root / "lib" / f"{application.name}-{application.vsn}"
        if there.is_dir() and any(
            fingerprint(there / "ebin" / f"{module}.beam") != digest
            for module, digest in application.fingerprints.items()
        ):
            yield there
    wanted = Path(file_of(goal))
    there = root / "releases" / goal.vsn / wanted.name
    if there.parent.is_dir() and not (there.is_file() and there.read_bytes() == wanted.read_bytes()):
        yield there


def _copy(source: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(source, beside, symlinks=True)
    beside.rename(target)


def _elsewhere(goal: Release, why: str) -> Diagnostic:
    message = f"{goal} runs, and a restart would not boot it: {why}"
    return Diagnostic("not_bootable", message, hint="the deployment has to put it there")
