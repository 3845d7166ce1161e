"""One wheel: what its name says, whether its contents agree, and where each of its files goes.

The name of the file is what pip chose it by, so everything inside must say the same. RECORD lists every file with its
hash; a wheel is damaged, or was changed, when that does not hold. `.data` holds what belongs elsewhere: `purelib` and
`platlib` go beside the packages, scripts and headers have no place in a release.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.python import metadata, record
from relup.document.python.archive import Limits, Member, check_members, fault, read_member, unpack
from relup.document.python.names import normalized
from relup.document.python.record import Row
from relup.document.python.tags import Interpreter, fits
from relup.document.text import decode

_NAME = re.compile(r"([^\s-]+)-([^\s-]+)(?:-(\d[^\s-]*))?-([^\s-]+)-([^\s-]+)-([^\s-]+)\.whl")
_UNSIGNED = (record.FILE, "RECORD.jws", "RECORD.p7s")
_HASHES = ("sha256", "sha384", "sha512")
_HERE = ("purelib", "platlib")


@dataclass(frozen=True, slots=True)
class Named:
    """What the name of a wheel says."""

    name: str
    """Normalized."""
    vsn: str
    pythons: str
    abis: str
    platforms: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """An open wheel whose directory was found to be in order."""

    path: Path
    archive: ZipFile
    info: str
    """The folder `name-vsn.dist-info` in it."""
    rows: Mapping[str, Row]
    """Its RECORD, by path."""

    def place(self, member: str) -> str | None:
        """Return where a member goes, below the root; None for what has no place in a release."""
        data = f"{self.info.removesuffix('.dist-info')}.data/"
        if member in (f"{self.info}/{name}" for name in _UNSIGNED):
            return None
        if not member.startswith(data):
            return member
        scheme, _, rest = member.removeprefix(data).partition("/")
        return rest if scheme in _HERE and rest else None

    def algorithm(self, member: str) -> str:
        """Return the algorithm by which RECORD vouches for a member."""
        row = self.rows.get(member)
        kind = row.hash.partition("=")[0] if row else ""
        return kind if kind in _HASHES else "sha256"

    def at(self, member: str, line: int = 1) -> Location:
        """Return a place in one of its files."""
        return Location(f"{self.path}/{member}", line, 1)


def named(path: Path) -> Named | Diagnostic:
    """Return what the name of a wheel says, or that it is none."""
    found = _NAME.fullmatch(path.name)
    if not found:
        hint = "it is name-version-python-abi-platform.whl"
        return fault(path, "bad_wheel_name", f"{path.name!r} is no name of a wheel", hint)
    name, vsn, _, pythons, abis, platforms = found.groups()
    return Named(normalized(name), vsn, pythons, abis, platforms)


def check_wheel(archive: ZipFile, path: Path, limits: Limits, here: Interpreter) -> Wheel | list[Diagnostic]:
    """Return the wheel, or everything that can be said against it before it is unpacked."""
    said = named(path)
    problems = [*check_members(archive, path, limits)]
    if isinstance(said, Diagnostic):
        return [*problems, said]
    if not fits(said.pythons, said.abis, said.platforms, here):
        built = f"{said.pythons}-{said.abis}-{said.platforms}"
        message = f"this wheel is for another Python or platform: {built}; this is {here.abi} on {here.system}"
        hint = "take the wheel for the Python that runs the node, or one of pure Python"
        problems.append(fault(path, "wrong_platform", message, hint))
    if problems:
        return problems
    try:
        info = _info(archive, path, said)
        rows = _rows(archive, path, info)
    except InvalidInput as error:
        return list(error.diagnostics)
    return Wheel(path, archive, info, rows)


def _info(archive: ZipFile, path: Path, said: Named) -> str:
    """Return the one dist-info folder, whose METADATA says what the file's name says; raise `InvalidInput`."""
    tops = sorted({n.partition("/")[0] for n in archive.namelist() if "/" in n})
    infos = [top for top in tops if top.endswith(".dist-info")]
    if len(infos) != 1:
        what = "no dist-info folder in it" if not infos else f"several dist-info folders in it: {', '.join(infos)}"
        raise InvalidInput([fault(path, "bad_wheel", f"this is not a wheel: there is {what}")])
    member = f"{infos[0]}/{metadata.FILE}"
    for name in (member, f"{infos[0]}/WHEEL", f"{infos[0]}/{record.FILE}"):
        if name not in archive.NameToInfo:
            raise InvalidInput([fault(path, "bad_wheel", f"this is not a wheel: there is no {name} in it")])
    found = metadata.parse_metadata(_text(archive, path, member), f"{path}/{member}")
    agreed = normalized(found.name), _plain(found.vsn)
    if agreed != (said.name, _plain(said.vsn)):
        message = f"the wheel is named for {said.name} {said.vsn}, its METADATA for {found.name} {found.vsn}"
        raise InvalidInput([Diagnostic("wrong_name", message, found.location)])
    if normalized(infos[0].removesuffix(".dist-info").partition("-")[0]) != said.name:
        raise InvalidInput([fault(path, "wrong_name", f"the wheel is named for {said.name}, and has {infos[0]}")])
    version = _wheel_version(archive, path, infos[0])
    if version.partition(".")[0] != "1":
        message = f"this wheel has the format {version or 'of no version'}; wheels are read up to format 1"
        raise InvalidInput([Diagnostic("bad_wheel", message, Location(f"{path}/{infos[0]}/WHEEL", 1, 1))])
    return infos[0]


def _wheel_version(archive: ZipFile, path: Path, info: str) -> str:
    text = _text(archive, path, f"{info}/WHEEL")
    found = {h.key: h.value for h in metadata.headers(text, str(path))}
    return found.get("wheel-version", "")


def _plain(vsn: str) -> str:
    """Return a version as names of files write it."""
    return re.sub(r"[-_.]+", ".", vsn).lower()


def _rows(archive: ZipFile, path: Path, info: str) -> Mapping[str, Row]:
    member = f"{info}/{record.FILE}"
    found = list(record.rows(_text(archive, path, member), f"{path}/{member}"))
    if problems := [f for f in found if isinstance(f, Diagnostic)]:
        raise InvalidInput(problems)
    return {f.path: f for f in found if isinstance(f, Row)}


def _text(archive: ZipFile, path: Path, member: str) -> str:
    return decode(read_member(archive, path, member), f"{path}/{member}")


def unpack_wheel(
    wheel: Wheel, root: Path, limits: Limits, known: Collection[str] = ()
) -> Iterator[tuple[str, str, str] | Diagnostic]:
    """Write the wheel's files below *root*; yield for each its path there, its hash and its member, or what is wrong.

    A file that is *known*, because another wheel brought it, is not written. What is there under a name that nobody
    wrote is a folder, or a file that this file system cannot tell from it by its case. Raises `OSError` for what
    cannot be written.
    """
    written: set[str] = set()
    taken: set[str] = set()

    def target(member: str) -> Path | None:
        place = wheel.place(member)
        if not place or not (root / place).exists():
            return root / place if place else None
        if place not in known and place not in written:
            taken.add(place)
        return None

    for one in unpack(wheel.archive, wheel.path, target, wheel.algorithm, limits):
        if isinstance(one, Diagnostic):
            yield one
            continue
        yield from _unvouched(wheel, one)
        if (place := wheel.place(one.name)) is None:
            continue
        if place in taken:
            yield fault(wheel.path, "bad_member", f"{place} cannot be told from another file or folder there")
        if place in written:
            yield fault(wheel.path, "duplicate_member", f"two members of the archive go to {place}")
        written.add(place)
        yield place, f"{wheel.algorithm(one.name)}={one.digest}", one.name
    yield from _absent(wheel)


def _unvouched(wheel: Wheel, one: Member) -> Iterator[Diagnostic]:
    """Yield why RECORD does not vouch for a member as it is."""
    row, listed = wheel.rows.get(one.name), wheel.at(f"{wheel.info}/{record.FILE}")
    if one.name in (f"{wheel.info}/{name}" for name in _UNSIGNED):
        return
    if row is None:
        yield Diagnostic("not_in_record", f"{one.name} is in the wheel, and not in its RECORD", listed)
        return
    kind, _, digest = row.hash.partition("=")
    place = wheel.at(f"{wheel.info}/{record.FILE}", row.line)
    if kind not in _HASHES:
        message = f"RECORD vouches for {one.name} by {kind or 'no hash'}, which is not safe"
        yield Diagnostic("bad_record_file", message, place)
    elif digest.rstrip("=") != one.digest:
        message = f"{one.name} is not the file that RECORD vouches for"
        yield Diagnostic("hash_mismatch", message, place, hint="download or build the wheel again")


def _absent(wheel: Wheel) -> Iterator[Diagnostic]:
    for row in wheel.rows.values():
        if row.path not in wheel.archive.NameToInfo:
            message = f"RECORD names {row.path}, which is not in the wheel"
            yield Diagnostic("file_not_found", message, wheel.at(f"{wheel.info}/{record.FILE}", row.line))
