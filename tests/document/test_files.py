"""A path that leads to no document is one line that says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relup.diagnostics import InvalidInput
from relup.document import read_appup, read_document, read_release, read_relup, write_appup, write_relup
from relup.document.route import write_route
from relup.document.text import LIMIT, read_text
from relup.model.appup import Appup
from relup.model.release import Release
from relup.model.relup import Relup
from relup.model.route import Route

READERS = [read_appup, read_release, read_relup, read_document]


def lines(path: Path, read: object = read_document) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read(path)  # type: ignore[operator]
    return str(caught.value).splitlines()


@pytest.mark.parametrize("read", READERS)
def test_a_missing_file(read: object, tmp_path: Path) -> None:
    assert lines(tmp_path / "no.yaml", read) == [f"{tmp_path}/no.yaml:1:1: there is no such file [no_such_file]"]


@pytest.mark.parametrize("read", [read_appup, read_relup])
def test_a_folder_where_a_file_is_wanted(read: object, tmp_path: Path) -> None:
    message = "this is a directory, a file was expected [is_a_directory]"
    assert lines(tmp_path, read) == [f"{tmp_path}:1:1: {message}"]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["x" * 300, "nul\x00", "a/../\x00"])
def test_a_name_that_no_file_can_have(read: object, name: str, tmp_path: Path) -> None:
    (line,) = lines(tmp_path / name, read)
    assert line.endswith("[unreadable]")


def test_a_file_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (line,) = lines(tmp_path / "file" / "a.yaml")
    assert line.endswith("cannot be read: not a directory [unreadable]")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert lines(tmp_path / "pipe") == [f"{tmp_path}/pipe:1:1: this is not a regular file [not_a_file]"]


def test_a_device_is_not_read() -> None:
    assert lines(Path("/dev/zero")) == ["/dev/zero:1:1: this is not a regular file [not_a_file]"]


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (line,) = lines(tmp_path / "loop")
    assert line.endswith("too many levels of symbolic links [unreadable]")


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as opened:
        opened.truncate(100 * 2**20)
    assert lines(file) == [f"{file}:1:1: the file has 100 MB; documents are read up to 16 MB [file_too_large]"]


def test_a_file_that_is_just_not_too_large_is_read(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_bytes(b"#" * LIMIT)
    assert len(read_text(file)) == LIMIT


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "1:1: the file is empty [empty_file]"),
        (b"\xef\xbb\xbf", "1:1: the file is empty [empty_file]"),
        (b"a: 1\nb: \xff\n", "2:4: this byte is not UTF-8 text [not_utf8]"),
        (b"\xff\xfea\x00", "1:1: this byte is not UTF-8 text [not_utf8]"),
        (b"a: \x00", "1:4: a NUL character cannot stand in a document [control_character]"),
        (b"\x7fELF\x02", "1:1: the control character U+007F cannot stand in a document [control_character]"),
        (b"\x89PNG\r\n", "1:1: this byte is not UTF-8 text [not_utf8]"),
        (b"5", "1:1: expected a mapping, found the number 5 [wrong_type]"),
    ],
)
def test_a_file_of_bytes(content: bytes, wanted: str, tmp_path: Path) -> None:
    file = tmp_path / "a.appup.yaml"
    file.write_bytes(content)
    assert lines(file) == [f"{file}:{wanted}"]


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.appup.yaml"
    file.write_bytes(b"\xef\xbb\xbfapplication: a\r\nvsn: 1.10\r\n")
    assert read_appup(file) == Appup("a", "1.10")


def test_a_document_is_told_by_its_name_or_by_its_keys(tmp_path: Path) -> None:
    appup, release = Appup("a", "1"), Release("r", "1")
    plan = Relup("up", release, release, ())
    for name in ("a.appup.yaml", "anything.yaml", "a.appup.yml"):
        (tmp_path / name).write_text(write_appup(appup))
        assert read_document(tmp_path / name) == appup
    (tmp_path / "plan").write_text(write_relup(plan))
    assert read_document(tmp_path / "plan") == plan
    (tmp_path / "route").write_text(write_route(Route((plan, plan))))
    assert read_document(tmp_path / "route") == Route((plan, plan))
    (tmp_path / "a.py").touch()
    text = "name: r\nvsn: 1\napplications: [{name: a, vsn: 1, modules: []}]\n"
    for name in ("release.yaml", "my.yaml"):
        (tmp_path / name).write_text(text)
        assert isinstance(read_document(tmp_path / name), Release)
    assert isinstance(read_document(tmp_path), Release)
    (tmp_path / "other.yaml").write_text("colour: red\n")
    assert lines(tmp_path / "other.yaml") == [
        f"{tmp_path}/other.yaml:1:1: this is neither an appup nor a release nor a plan (an appup has application and"
        " vsn, a release has name and applications, a plan has base and script) [unknown_document]"
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("a.appup.yaml", "release.yaml", "plan.yaml"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput):
            read_document(tmp_path / name)


def test_a_node_decodes_plans_without_yaml_and_schemas() -> None:
    program = (
        "import sys; sys.modules.update(yaml=None, jsonschema=None)\n"
        "from relup.document import relup_from_data, relup_to_data\n"
        "side = {'name': 'r', 'vsn': '1'}\n"
        "plan = relup_from_data({'direction': 'up', 'base': side, 'goal': side, 'script': [{'load': 'm'}]})\n"
        "assert relup_from_data(relup_to_data(plan)) == plan\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
