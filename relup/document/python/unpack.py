"""Wheels given as a release: unpacked once, into a folder that is named for what is in them.

The folder is `<name>-<vsn>-<digest>`, where the digest is that of all wheels, so the same wheels are the same folder
whoever unpacks them and however often. They are unpacked beside it and the result is renamed: nobody ever sees half
a release, and of two processes at once one finds that the other was faster.

A folder of wheels may hold appups beside them (`<name>.appup.yaml`): those of distributions that ship none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document import reader
from relup.document.private import UNFINISHED, copy_private, private_folder, write_private
from relup.document.python import record
from relup.document.python.archive import CHUNK, Limits, fault, unreadable
from relup.document.python.installed import read_installed
from relup.document.python.tags import Interpreter, this_interpreter
from relup.document.python.wheel import Named, Wheel, check_wheel, named, unpack_wheel
from relup.document.text import is_file, is_folder, reason
from relup.model.release import Release

SUFFIX, APPUP, MARK = ".whl", ".appup.yaml", ".wheels.json"
_SOURCES = (".tar.gz", ".tar.bz2", ".zip", ".tgz")
_STRANGE = re.compile(r"[^A-Za-z0-9.+!_-]")


@dataclass(frozen=True, slots=True)
class _Given:
    """What was given: a wheel, or a folder; and the wheels and appups that this is."""

    path: Path
    wheels: tuple[Path, ...]
    appups: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Unpacked:
    """What was written, and by which wheel."""

    root: Path
    owners: dict[str, tuple[Path, str]] = field(default_factory=dict)
    """By path below the root: the file that it came from, and its hash."""
    problems: list[Diagnostic] = field(default_factory=list)


def read_wheels(path: Path, unpack: Path | None, limits: Limits | None = None) -> Release:
    """Return the release that the wheel at *path*, or the folder of wheels, is.

    It is unpacked below the folder *unpack*, unless it was before. Raises `InvalidInput` with everything that is wrong
    with any of the wheels, and with the release that they make.
    """
    given = _given(path)
    if unpack is None:
        message = "wheels are unpacked before they are read, and no folder to unpack to was named"
        raise InvalidInput([fault(path, "not_unpacked", message)])
    digest = _digest((*given.wheels, *given.appups))
    root = _known(unpack, digest) or _unpacked(given, unpack, digest, limits or Limits())
    return replace(read_installed(root), given=str(path.resolve()))


def _given(path: Path) -> _Given:
    """Return the wheels, and the appups that lie beside them; raise `InvalidInput` when something is not built yet."""
    if not is_folder(path):
        return _Given(path, (path,))
    names = sorted(os.listdir(path))  # noqa: PTH208
    sources = [path / n for n in names if n.endswith(_SOURCES) and is_file(path / n)]
    if sources:
        hint = "build it: pip wheel --no-deps -w DIR FILE"
        raise InvalidInput(fault(s, "not_built", "this is a source distribution, not a wheel", hint) for s in sources)
    reader.raise_errors(_twice(path / n for n in names if n.endswith(SUFFIX)))
    wheels, appups = ([path / n for n in names if n.endswith(suffix)] for suffix in (SUFFIX, APPUP))
    return _Given(path, tuple(wheels), tuple(appups))


def _twice(wheels: Iterable[Path]) -> Iterator[Diagnostic]:
    first: dict[str, Path] = {}
    for path in wheels:
        said = named(path)
        if isinstance(said, Named) and (other := first.setdefault(said.name, path)) is not path:
            message = f"there are two wheels of {said.name!r} in this folder, the other is {other.name}"
            hint = "give one of them, or each release a folder of its own"
            yield fault(path, "duplicate_distribution", message, hint)


def _digest(files: Iterable[Path]) -> str:
    """Return the digest of the names and contents; raise `InvalidInput` for files that cannot be read."""
    total, problems = sha256(), []
    for path in files:
        try:
            total.update(f"{path.name}\n{_file_digest(path)}\n".encode("utf-8", "surrogateescape"))
        except FileNotFoundError:
            problems.append(fault(path, "no_such_file", "there is no such file"))
        except (OSError, ValueError) as error:
            problems.append(fault(path, "unreadable", f"cannot be read: {reason(error)}"))
    reader.raise_errors(problems)
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    if not is_file(path):
        path.stat()
        raise ValueError("this is not a regular file")
    one = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            one.update(chunk)
    return one.hexdigest()


def _known(unpack: Path, digest: str) -> Path | None:
    """Return the folder that these wheels were unpacked to before, if they were."""
    for root in sorted(unpack.glob(f"*-{digest[:8]}")):
        try:
            if json.loads((root / MARK).read_bytes())["digest"] == digest:
                return root
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _unpacked(given: _Given, unpack: Path, digest: str, limits: Limits) -> Path:
    try:
        private_folder(unpack)
        with _beside(unpack) as scratch:
            release = _release(given, scratch, limits)
            write_private(scratch / MARK, json.dumps({"digest": digest, "wheels": [w.name for w in given.wheels]}))
            return _settled(scratch, unpack / folder_name(release, digest), digest)
    except OSError as error:
        message = f"cannot be unpacked below {unpack}: {reason(error)}"
        raise InvalidInput([fault(given.path, "not_unpacked", message)]) from None


@contextmanager
def _beside(unpack: Path) -> Iterator[Path]:
    scratch = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=unpack))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _release(given: _Given, scratch: Path, limits: Limits) -> Release:
    """Unpack everything into *scratch* and read it there; places in what is said are those of the wheels."""
    done, here = _Unpacked(scratch), this_interpreter()
    for wheel in given.wheels:
        _unpack_one(wheel, done, limits, here)
    for appup in given.appups:
        copy_private(appup, scratch / appup.name)
        done.owners[appup.name] = (appup, "")
    reader.raise_errors(done.problems)
    try:
        return read_installed(scratch)
    except InvalidInput as error:
        raise InvalidInput(_given_place(d, given.path, done) for d in error.diagnostics) from None


def _unpack_one(path: Path, done: _Unpacked, limits: Limits, here: Interpreter) -> None:
    try:
        archive = ZipFile(path)
    except (BadZipFile, OSError, ValueError, NotImplementedError) as error:
        done.problems.append(unreadable(path, error))
        return
    with archive:
        wheel = check_wheel(archive, path, limits, here)
        if isinstance(wheel, Wheel):
            _write(wheel, done, limits)
        else:
            done.problems += wheel


def _write(wheel: Wheel, done: _Unpacked, limits: Limits) -> None:
    """Unpack one wheel, and write the RECORD of what was written: files of `.data` are in their places now."""
    lines = []
    for one in unpack_wheel(wheel, done.root, limits, frozenset(done.owners)):
        if isinstance(one, Diagnostic):
            done.problems.append(one)
            continue
        place, digest, member = one
        other, hash_there = done.owners.setdefault(place, (wheel.path / member, digest))
        if hash_there != digest:
            message = f"{place} is in this wheel and, with other contents, in {other.parent}"
            done.problems.append(fault(wheel.path, "duplicate_member", message))
        lines.append(record.line(place, digest))
    info = done.root / wheel.info
    if is_folder(info):
        lines.append(record.line(f"{wheel.info}/{record.FILE}", ""))
        write_private(info / record.FILE, "".join(lines))
        done.owners[f"{wheel.info}/{record.FILE}"] = (wheel.path / wheel.info / record.FILE, "")


def _given_place(found: Diagnostic, path: Path, done: _Unpacked) -> Diagnostic:
    place = found.location
    if place is None or not place.file.startswith(f"{done.root}"):
        return found
    inside = place.file.removeprefix(str(done.root)).lstrip("/")
    origin = done.owners[inside][0] if inside in done.owners else path / inside
    return replace(found, location=Location(str(origin), place.line, place.column))


def folder_name(release: Release, digest: str) -> str:
    """Return what the folder of an unpacked release is called."""
    name, vsn = (_STRANGE.sub("_", part)[:80].lstrip(".") for part in (release.name, release.vsn))
    return f"{name}-{vsn}-{digest[:8]}"


def _settled(scratch: Path, root: Path, digest: str) -> Path:
    """Give the unpacked release its name; one that has it already is the same one, from another process."""
    scratch.chmod(0o700)
    try:
        scratch.rename(root)
    except OSError:
        if _known(root.parent, digest) != root:
            raise
    return root
