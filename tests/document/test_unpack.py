"""Wheels as a release: unpacked once, whole or not at all, and nothing leaves the folder."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput
from relup.document import read_document, read_release
from relup.document.folder import releases_in
from relup.document.python.archive import Limits
from relup.document.python.tags import Interpreter, fits
from relup.document.python.unpack import MARK, read_wheels
from relup.model.release import Release
from tests.wheels import distribution, link, vouch, wheel_name, write_wheel, write_zip

NAME = wheel_name("one", "1")


def problems(path: Path, limits: Limits | None = None) -> list[str]:
    """Everything that is said against what lies at *path*; nothing of it is unpacked."""
    unpack = path.parent / "unpacked"
    with pytest.raises(InvalidInput) as caught:
        read_wheels(path, unpack, limits)
    assert not unpack.exists() or not any(unpack.iterdir())
    return [line.replace(f"{path.parent}/", "") for line in str(caught.value).splitlines()]


def one(**files: str) -> dict[str, bytes]:
    return distribution("one", "1", {"one/__init__.py": "", **files})


def test_a_wheel_and_a_folder_of_wheels_are_releases(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "w", "one", "1", {"one/__init__.py": ""}, requires=["two-x"], start="one:App")
    write_wheel(tmp_path / "w", "two-x", "2", {"two_x.py": ""})
    (tmp_path / "w" / "two-x.appup.yaml").write_text("application: two_x\nvsn: 2\n")
    unpack = tmp_path / "unpacked"
    single, both = (read_release(p, unpack=unpack) for p in (wheel, wheel.parent))
    assert [a.name for a in single.applications] == ["one"]
    assert [(a.name, a.modules, a.appup is not None) for a in both.applications] == [
        ("two-x", ("two_x",), True),
        ("one", ("one",), False),
    ]
    assert (both.name, both.vsn, both.given) == ("one", "1", str(wheel.parent))
    assert Path(both.root).parent == unpack
    assert Path(both.root).name.startswith("one-1-")
    assert read_document(wheel, unpack=unpack) == single


def test_wheels_are_unpacked_once_and_others_elsewhere(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "one", "1", {"one.py": "x = 1\n"})
    first = read_release(wheel, unpack=tmp_path / "u")
    before = [(p, p.stat().st_mtime_ns, p.stat().st_ino) for p in sorted(Path(first.root).rglob("*"))]
    assert read_release(wheel, unpack=tmp_path / "u") == first
    assert [(p, p.stat().st_mtime_ns, p.stat().st_ino) for p in sorted(Path(first.root).rglob("*"))] == before
    write_wheel(tmp_path, "one", "1", {"one.py": "x = 2\n"})
    assert read_release(wheel, unpack=tmp_path / "u").root != first.root
    (Path(first.root) / MARK).unlink()
    write_wheel(tmp_path, "one", "1", {"one.py": "x = 1\n"})
    with pytest.raises(InvalidInput, match="not_unpacked"):
        read_release(wheel, unpack=tmp_path / "u")


def test_several_processes_unpack_the_same_wheels_at_once(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "one", "1", {f"one/m{n}.py": "x" * n for n in range(300)})
    work = f"from relup import read_release; print(read_release({str(wheel)!r}, unpack={str(tmp_path / 'u')!r}).root)"
    runs = [subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    roots = {run.communicate(timeout=60)[0] for run in runs}
    assert all(run.returncode == 0 for run in runs)
    assert len(roots) == 1
    assert [p.name for p in (tmp_path / "u").iterdir()] == [Path(roots.pop().strip()).name]


def test_what_belongs_beside_the_packages_is_put_there_and_the_rest_is_left_out(tmp_path: Path) -> None:
    data = {
        f"one-1.data/{place}": "x = 1\n" for place in ("purelib/a.py", "platlib/p/b.py", "scripts/s", "headers/h.h")
    }
    write_zip(tmp_path / NAME, one(**data).items())
    release = read_release(tmp_path / NAME, unpack=tmp_path / "u")
    (found,) = release.applications
    assert found.modules == ("a", "one", "p.b")
    files = {str(p.relative_to(release.root)) for p in Path(release.root).rglob("*") if p.is_file()}
    info = {f"one-1.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD")}
    assert files == {"a.py", "p/b.py", "one/__init__.py", MARK, *info}


def test_extensions_of_this_platform_are_taken(tmp_path: Path) -> None:
    minor, system = sys.version_info.minor, "linux_x86_64" if sys.platform == "linux" else "any"
    tag = f"cp3{minor}-cp3{minor}{sys.abiflags}-{system}" if os.uname().machine == "x86_64" else "py3-none-any"
    wheel = write_wheel(tmp_path, "one", "1", {f"one/c{EXTENSION_SUFFIXES[0]}": b"x"}, tag)
    assert [*read_release(wheel, unpack=tmp_path / "u").extensions()] == ["one.c"]


def special(kind: int) -> zipfile.ZipInfo:
    """The member that a device, a pipe, or a folder that is a link, is in an archive."""
    info = zipfile.ZipInfo("s.py")
    info.external_attr = (kind | 0o666) << 16
    return info


Members = Iterable[tuple[str | zipfile.ZipInfo, bytes]]


def _vouched(*more: tuple[str | zipfile.ZipInfo, bytes]) -> Members:
    return [*one().items(), *more]


def _changed(name: str, change: Callable[[bytes], bytes]) -> Members:
    return [(n, change(d) if n == name else d) for n, d in one().items()]


INFO = "one-1.dist-info"
BAD_MEMBERS: dict[str, tuple[Members, list[str]]] = {
    **{
        f"a member at {name!r}": (_vouched((name, b"")), [f"the member {name!r} {why} [bad_member]"])
        for name, why in {
            "../x.py": "would leave the folder",
            "a/../../x.py": "would leave the folder",
            "/etc/x.py": "would leave the folder",
            "C:/x.py": "would leave the folder",
            "./x.py": "would leave the folder",
            "a//x.py": "would leave the folder",
            "a\\..\\x.py": "has a name with a backslash or a NUL in it",
            "one/__init__.py/x": "lies below a member that is a file",
            "x" * 300: "has a name that is too long",
        }.items()
        if len(name) < 120
    },
    "a link": (_vouched((link("l.py"), b"/etc/passwd")), ["the member 'l.py' is a link or a device [bad_member]"]),
    **{
        f"a {what}": (_vouched((special(kind), b"")), ["the member 's.py' is a link or a device [bad_member]"])
        for what, kind in {
            "device": stat.S_IFCHR,
            "disk": stat.S_IFBLK,
            "pipe": stat.S_IFIFO,
            "socket": stat.S_IFSOCK,
            "folder that is a link": stat.S_IFLNK,
        }.items()
    },
    "a name that begins elsewhere once it is put beside the packages": (
        _vouched(("one-1.data/purelib//etc/x.py", b"")),
        ["the member 'one-1.data/purelib//etc/x.py' would leave the folder [bad_member]"],
    ),
    "a name that leads out once it is put beside the packages": (
        _vouched(("one-1.data/purelib/../../x.py", b"")),
        ["the member 'one-1.data/purelib/../../x.py' would leave the folder [bad_member]"],
    ),
    "not in RECORD": (
        _vouched(("x.py", b"")),
        [f"x.py is in the wheel, and not in its RECORD [not_in_record] {INFO}/RECORD:1:1"],
    ),
    "another file than in RECORD": (
        _changed("one/__init__.py", lambda _: b"x"),
        [
            "one/__init__.py is not the file that RECORD vouches for (download or build the wheel again)"
            f" [hash_mismatch] {INFO}/RECORD:1:1"
        ],
    ),
    "a hash that is not safe": (
        _changed(f"{INFO}/RECORD", lambda d: d.replace(b"one/__init__.py,sha256=", b"one/__init__.py,md5=")),
        [f"RECORD vouches for one/__init__.py by md5, which is not safe [bad_record_file] {INFO}/RECORD:1:1"],
    ),
    "a file that is not there": (
        _changed(f"{INFO}/RECORD", lambda d: b"gone.py," + vouch(b"").encode() + b"\n" + d),
        [f"RECORD names gone.py, which is not in the wheel [file_not_found] {INFO}/RECORD:1:1"],
    ),
    "no dist-info": ([("one.py", b"")], ["this is not a wheel: there is no dist-info folder in it [bad_wheel]"]),
    "two dist-infos": (
        _vouched(("x-1.dist-info/METADATA", b"")),
        ["this is not a wheel: there is several dist-info folders in it: one-1.dist-info, x-1.dist-info [bad_wheel]"],
    ),
    "no WHEEL": (
        [(n, d) for n, d in one().items() if not n.endswith("WHEEL")],
        [f"this is not a wheel: there is no {INFO}/WHEEL in it [bad_wheel]"],
    ),
    "METADATA of another": (
        _changed(f"{INFO}/METADATA", lambda d: d.replace(b"Name: one", b"Name: two")),
        [f"the wheel is named for one 1, its METADATA for two 1 [wrong_name] {INFO}/METADATA:2:1"],
    ),
    "METADATA of another version": (
        _changed(f"{INFO}/METADATA", lambda d: d.replace(b"Version: 1\n", b"Version: 2\n")),
        [f"the wheel is named for one 1, its METADATA for one 2 [wrong_name] {INFO}/METADATA:2:1"],
    ),
    "METADATA that is none": (
        _changed(f"{INFO}/METADATA", lambda _: b"\n"),
        [
            f"this METADATA has no {what} (install the distribution again) [bad_metadata] {INFO}/METADATA:1:1"
            for what in ("Name", "Version")
        ],
    ),
    "a format to come": (
        _changed(f"{INFO}/WHEEL", lambda d: d.replace(b"Wheel-Version: 1.0", b"Wheel-Version: 2.0")),
        [f"this wheel has the format 2.0; wheels are read up to format 1 [bad_wheel] {INFO}/WHEEL:1:1"],
    ),
    "a start that is not there": (
        distribution("one", "1", {"one/__init__.py": ""}, start="two:App").items(),
        [f"'two' is not a module of the distribution 'one' [bad_start] {INFO}/entry_points.txt:2:1"],
    ),
}


@pytest.mark.parametrize("case", BAD_MEMBERS)
def test_a_wheel_is_refused_for_what_is_in_it(case: str, tmp_path: Path) -> None:
    members, wanted = BAD_MEMBERS[case]
    path = write_zip(tmp_path / NAME, members)
    lines = []
    for line in wanted:
        said, bracket, place = line.rpartition("] ")
        lines.append(f"{NAME}/{place}: {said}]" if bracket else f"{NAME}:1:1: {line}")
    assert problems(path) == lines


def test_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = write_zip(tmp_path / NAME, [*one().items(), ("one/__init__.py", b"x")])
    assert problems(path) == [
        f"{NAME}:1:1: members of the archive have the same name: one/__init__.py [duplicate_member]"
    ]


def test_members_that_go_to_one_place_are_refused(tmp_path: Path) -> None:
    files = {"one/__init__.py": "", "one-1.data/purelib/one/__init__.py": ""}
    path = write_zip(tmp_path / NAME, distribution("one", "1", files).items())
    assert problems(path) == [f"{NAME}:1:1: two members of the archive go to one/__init__.py [duplicate_member]"]


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """As a file is that a file system cannot tell from another: nobody wrote what is there under that name."""
    files = {"one/sub/a.py": "", "one-1.data/purelib/one/sub": "x"}
    path = write_zip(tmp_path / NAME, distribution("one", "1", files).items())
    (line,) = problems(path)
    assert line == f"{NAME}:1:1: one/sub cannot be told from another file or folder there [bad_member]"


def test_a_hard_link_is_written_into_by_nobody(tmp_path: Path) -> None:
    """A wheel has no hard links; what is there already, a link to something outside say, is not written through."""
    outside, wheel = tmp_path / "outside", write_wheel(tmp_path, "one", "1", {"one.py": "x = 1\n"})
    outside.write_text("mine\n")
    root = Path(read_release(wheel, unpack=tmp_path / "u").root)
    (root / "one.py").unlink()
    (root / "one.py").hardlink_to(outside)
    (root / MARK).unlink()
    with pytest.raises(InvalidInput, match="not_unpacked"):
        read_release(wheel, unpack=tmp_path / "u")
    assert outside.read_text() == "mine\n"


def test_names_that_differ_in_case_stay_apart(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "one", "1", {"one/a.py": "x = 1\n", "one/A.py": "x = 2\n"})
    root = Path(read_release(wheel, unpack=tmp_path / "u").root)
    assert [(root / "one" / name).read_text() for name in ("a.py", "A.py")] == ["x = 1\n", "x = 2\n"]


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    data = write_zip(tmp_path / NAME, [*one().items(), ("x", b"")]).read_bytes()
    name = data.rindex(b"x", 0, data.rindex(b"PK\x05\x06"))
    header = data.rindex(b"PK\x01\x02", 0, name)
    nameless = bytearray(data)
    nameless[header + 28 : header + 34] = bytes((0, 0, 1, 0, 0, 0))  # what was the name is an extra field
    (tmp_path / NAME).write_bytes(nameless)
    assert problems(tmp_path / NAME) == [f"{NAME}:1:1: a member of the archive has no name [bad_member]"]


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(write_zip(tmp_path / NAME, one().items()).read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    (tmp_path / NAME).write_bytes(data)
    assert problems(tmp_path / NAME) == [f"{NAME}:1:1: the member 'one/__init__.py' is encrypted [bad_member]"]


def test_every_cut_and_flipped_archive_is_refused_or_the_same(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "whole" / NAME, one(**{"a.py": "x = 1\n" * 50}).items())
    data = whole.read_bytes()
    wanted = read_release(whole, unpack=tmp_path / "u").fingerprints()
    path = tmp_path / "bad" / NAME
    path.parent.mkdir()
    cuts = [data[:n] for n in range(0, len(data), 97)]
    flips = [data[:n] + bytes([data[n] ^ 0x55]) + data[n + 1 :] for n in range(0, len(data), 29)]
    refused, strays = 0, []
    for n, spoilt in enumerate([*cuts, *flips]):
        path.write_bytes(spoilt)
        try:
            assert read_release(path, unpack=tmp_path / f"u{n}").fingerprints() == wanted
        except InvalidInput as error:
            refused += 1
            strays += [d for d in error.diagnostics if not (d.location and d.location.file.startswith(str(path)))]
    assert strays == []
    assert refused >= len(cuts) + len(flips) // 2


SMALL = Limits(members=50, file=100_000, total=200_000, ratio=10, slack=50_000)
BOMBS: dict[str, tuple[dict[str, str], str]] = {
    "a large file": ({"a.txt": "0123456789abcdef" * 7_000}, "unpacks to more than 100,000 bytes"),
    "many files": ({f"f{n}.txt": "" for n in range(60)}, "the archive has 64 members, 50 are allowed"),
    "a bomb": ({f"f{n}.txt": "0" * 90_000 for n in range(4)}, "the archive would unpack to"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_sizes_are_bounded(case: str, tmp_path: Path) -> None:
    files, wanted = BOMBS[case]
    said = problems(write_zip(tmp_path / NAME, one(**files).items()), SMALL)
    assert all("[too_large]" in line for line in said)
    assert any(wanted in line for line in said)


def test_a_size_that_is_a_lie_is_found_by_counting(tmp_path: Path) -> None:
    plain = write_zip(tmp_path / NAME, one(**{"a.txt": "0" * 90_000}).items()).read_bytes()
    said = []
    for size in (10, 95_000):
        data = plain.replace(struct.pack("<L", 90_000), struct.pack("<L", size))
        assert data != plain
        (tmp_path / NAME).write_bytes(data)
        said += problems(tmp_path / NAME)
    assert all("[bad_archive]" in line and "'a.txt' cannot be read" in line for line in said)


TAGS: dict[str, bool] = {
    "py3-none-any": True,
    "py2.py3-none-any": True,
    "py2-none-any": False,
    "py311-none-any": True,
    "py312-none-any": False,
    "cp311-none-any": True,
    "cp310-none-any": False,
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64": True,
    "cp311-cp311-manylinux_2_99_x86_64": False,
    "cp311-cp311-manylinux1_x86_64": True,
    "cp311-cp311-manylinux_2_17_aarch64": False,
    "cp311-cp311-musllinux_1_1_x86_64": False,
    "cp311-cp311-linux_x86_64": True,
    "cp311-cp311-macosx_11_0_arm64": False,
    "cp311-cp311-win_amd64": False,
    "cp310-cp310-linux_x86_64": False,
    "cp311-cp311t-linux_x86_64": False,
    "cp38-abi3-manylinux_2_17_x86_64": True,
    "cp312-abi3-manylinux_2_17_x86_64": False,
    "pp310-pypy310_pp73-manylinux_2_17_x86_64": False,
    "py3-none-manylinux_2_17_x86_64": True,
    "strange-none-any": False,
}


@pytest.mark.parametrize("tag", TAGS)
def test_a_wheel_fits_the_interpreter_that_it_was_built_for(tag: str) -> None:
    here = Interpreter(11, "cp", "cp311", "linux-x86_64", (2, 36))
    python, abi, system = tag.split("-")
    assert fits(python, abi, system, here) is TAGS[tag]


def test_everything_wrong_with_all_wheels_is_told_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    write_wheel(folder, "one", "1", {"a.py": "1"})
    write_wheel(folder, "two", "1", {"a.py": "2", "t.txt": ""})
    write_wheel(folder, "three", "1", {"t.txt": ""}, "cp27-cp27m-win32")
    (folder / "four-1-py3-none-any.whl").write_bytes(b"not a zip")
    (folder / "five.whl").write_bytes(write_zip(tmp_path / "x.zip", one().items()).read_bytes())
    (folder / "six-1-py3-none-any.whl").mkdir()
    said = problems(folder)
    assert said == ["w/six-1-py3-none-any.whl:1:1: cannot be read: this is not a regular file [unreadable]"]
    (folder / "six-1-py3-none-any.whl").rmdir()
    codes = [(line.partition(":")[0].removeprefix("w/"), line.rpartition("[")[2][:-1]) for line in problems(folder)]
    assert codes == [
        ("five.whl", "bad_wheel_name"),
        ("four-1-py3-none-any.whl", "bad_archive"),
        ("three-1-cp27-cp27m-win32.whl", "wrong_platform"),
        ("two-1-py3-none-any.whl", "duplicate_member"),
    ]


def test_what_is_not_built_or_not_there_is_told(tmp_path: Path) -> None:
    write_wheel(tmp_path / "w", "one", "1", {"one.py": ""})
    (tmp_path / "w" / "two-1.tar.gz").write_bytes(b"")
    (line,) = problems(tmp_path / "w")
    assert line.endswith(
        "two-1.tar.gz:1:1: this is a source distribution, not a wheel"
        " (build it: pip wheel --no-deps -w DIR FILE) [not_built]"
    )
    (line,) = problems(tmp_path / "gone-1-py3-none-any.whl")
    assert line.endswith("there is no such file [no_such_file]")
    with pytest.raises(InvalidInput, match=r"no folder to unpack to was named \[not_unpacked\]"):
        read_release(write_wheel(tmp_path, "one", "1", {"one.py": ""}))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "one", "1", {"one.py": ""})
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"cannot be unpacked below .*/file/u: .*\[not_unpacked\]"):
        read_release(wheel, unpack=tmp_path / "file" / "u")


def test_versions_side_by_side_are_releases_each(tmp_path: Path) -> None:
    for vsn in ("1.10", "1.9"):
        write_wheel(tmp_path / "flat", "one", vsn, {"one.py": vsn})
        write_wheel(tmp_path / "deep" / vsn, "one", vsn, {"one.py": vsn})
        write_wheel(tmp_path / "deep" / vsn, "two", vsn, {"two.py": vsn})
    for folder, name in (("flat", "one"), ("deep", "one+two")):
        found = [r for r in releases_in(tmp_path / folder, unpack=tmp_path / "u") if isinstance(r, Release)]
        assert [(r.name, r.vsn.partition("+")[0]) for r in found] == [(name, "1.9"), (name, "1.10")]
    assert [r.vsn for r in releases_in(tmp_path / "deep/1.9", unpack=tmp_path / "u") if isinstance(r, Release)] == [
        "1.9+1.9"
    ]
    assert "there are two wheels of 'one' in this folder, the other is one-1.10" in problems(tmp_path / "flat")[0]


def test_an_archive_in_memory_is_what_the_helper_writes() -> None:
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        archive.writestr(link("x"), b"y")
        assert archive.infolist()[0].external_attr >> 28 == 0xA
