"""Folders of releases: which releases are in them, in which order, and what is said of those that are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput
from relup.document.folder import read_releases, releases_in
from relup.model.release import Release
from tests.document.erlang.releases import CORE_APPS, CORE_LINES, build, rel
from tests.support import write_release


def found(folder: Path) -> list[str]:
    """Versions, or the codes of what is wrong."""
    return [r.vsn if isinstance(r, Release) else " ".join(d.code for d in r.diagnostics) for r in releases_in(folder)]


def write_beam(root: Path, file: str, vsn: str) -> None:
    """Write a `.rel` file below *root*, and the applications that every release has."""
    build(root, {**CORE_APPS, file: rel(*CORE_LINES, vsn=vsn)})


def test_releases_are_sorted_by_the_numbers_in_their_folders_names(tmp_path: Path) -> None:
    for vsn in ("1.10", "1.9", "2"):
        write_release(tmp_path / vsn, vsn, {"cart": ""})
    assert found(tmp_path) == ["1.9", "1.10", "2"]


def test_what_is_no_release_is_passed_over(tmp_path: Path) -> None:
    write_release(tmp_path / "1", "1", {"cart": ""})
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x.txt").write_text("")
    (tmp_path / "README").write_text("")
    assert found(tmp_path) == ["1"]


def test_a_broken_release_hides_no_other(tmp_path: Path) -> None:
    write_release(tmp_path / "1", "1", {"cart": ""})
    write_release(tmp_path / "2", "2", {"cart": ""}, "vsn: 2\n")
    write_release(tmp_path / "3", "3", {"cart": ""})
    (tmp_path / "4").mkdir()
    (tmp_path / "4" / "release.yaml").mkdir()
    assert found(tmp_path) == ["1", "missing_key", "3", "is_a_directory"]


def test_a_folder_that_is_a_release_is_its_only_one(tmp_path: Path) -> None:
    write_release(tmp_path, "1", {"cart": ""})
    write_release(tmp_path / "2", "2", {"cart": ""})
    assert found(tmp_path) == ["1"]


def test_a_folder_without_releases_has_none(tmp_path: Path) -> None:
    assert found(tmp_path) == []


@pytest.mark.parametrize("name", ["nowhere", "a file", "a\0b"])
def test_what_is_no_folder_cannot_be_looked_into(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_text("")
    with pytest.raises(InvalidInput, match=r"cannot be looked into.*\[no_such_folder\]"):
        list(releases_in(tmp_path / name))


def test_releases_of_both_kinds_may_lie_side_by_side(tmp_path: Path) -> None:
    write_release(tmp_path / "python", "1", {"cart": ""})
    write_beam(tmp_path, "a.rel", "2")
    write_beam(tmp_path / "made", "shop.rel", "3")
    write_beam(tmp_path / "root", "releases/1.10/shop.rel", "1.10")
    write_beam(tmp_path / "root", "releases/1.9/shop.rel", "1.9")
    kinds = [(r.kind, r.vsn) for r in read_releases([tmp_path])[0]]
    assert kinds == [("beam", "2"), ("beam", "3"), ("python", "1"), ("beam", "1.9"), ("beam", "1.10")]


def test_a_root_of_otp_has_every_release_that_it_keeps(tmp_path: Path) -> None:
    write_beam(tmp_path, "releases/2/shop.rel", "2")
    write_beam(tmp_path, "releases/10/shop.rel", "10")
    write_beam(tmp_path, "releases/10/start_clean.rel", "10")
    assert found(tmp_path) == ["2", "10"]


def test_two_release_files_where_one_is_expected_are_told(tmp_path: Path) -> None:
    write_beam(tmp_path / "both", "a.rel", "1")
    write_beam(tmp_path / "both", "b.rel", "2")
    write_beam(tmp_path / "root", "releases/1/a.rel", "1")
    write_beam(tmp_path / "root", "releases/1/b.rel", "1")
    write_beam(tmp_path / "root", "releases/2/a.rel", "2")
    write_release(tmp_path / "other", "3", {"cart": ""})
    assert found(tmp_path) == ["ambiguous_release", "3", "ambiguous_release", "2"]


def test_several_folders_are_read_and_what_is_left_out_is_warned_of(tmp_path: Path) -> None:
    for vsn in ("1", "2", "3"):
        write_release(tmp_path / f"folder{vsn}" / vsn, vsn, {"cart": ""}, "vsn: 2\n" if vsn == "2" else None)
    releases, warnings = read_releases([tmp_path / "folder3", tmp_path / "folder2", tmp_path / "folder1"])
    assert [r.vsn for r in releases] == ["3", "1"]
    (warning,) = warnings
    assert (warning.code, warning.severity) == ("missing_key", "warning")
    assert warning.message.startswith("this release is left out: ")
    assert warning.location
    assert warning.location.file == str(tmp_path / "folder2" / "2" / "shop.appup.yaml")
