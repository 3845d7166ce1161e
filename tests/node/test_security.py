"""What other users may not do: talk to a node, read what it keeps, change the code that it will run."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from relup.cli.demo import examples
from relup.diagnostics import Refused
from relup.document import read_release
from relup.targets.beam.standing import beam_home
from relup.targets.python.client import connect
from relup.targets.python.wire import short_address
from relup.targets.release_files import check_releases, refuse_unsafe
from relup.targets.trust import TRUST, check_file, trusted
from tests.document.erlang.releases import build, shop
from tests.support import PATIENCE, Commands, supervised, write_release
from tests.users import ANOTHER, OTHER, as_user, open_folder, require_root
from tests.wheels import write_wheel

WORKER = """
    from relup.runtime import GenServer

    class Worker(GenServer):
        def init(self, number):
            return {number}
"""
APPUP = """\
application: shop
vsn: "2"
up:
  - from: "1"
    instructions:
      - load_module: shop.worker
down:
  - to: "1"
    instructions:
      - load_module: shop.worker
"""


def release(folder: Path, vsn: str) -> Path:
    modules = {"app": supervised(1), "worker": WORKER.format(number=vsn)}
    return write_release(folder / vsn, vsn, modules, APPUP if vsn == "2" else None)


def ask(path: Path, request: bytes) -> str:
    """Ask a node as anybody can who gets as far as its socket."""
    with socket.socket(socket.AF_UNIX) as connection, short_address(path) as address:
        connection.settimeout(PATIENCE)
        connection.connect(address)
        if request:
            connection.sendall(request)
        with connection.makefile("rb") as lines:
            return b"".join(lines).decode()


def test_no_other_user_gets_to_a_node_and_none_is_answered() -> None:
    """The folder keeps strangers out; were it open, the node would ask the kernel who they are."""
    require_root()
    with open_folder() as folder:
        commands = Commands(folder / "home")
        path = folder / "home" / "anemone" / "control.sock"
        with commands.node(examples() / "anemone" / "1"):
            assert as_user(OTHER, lambda: ask(path, b'{"op":"status"}\n')).startswith("PermissionError")
            for opened in (folder / "home", path.parent, path):
                opened.chmod(0o777)
            answer = json.loads(as_user(OTHER, lambda: ask(path, b"")))
            assert answer["error"]["exit_code"] == 4
            assert [d["code"] for d in answer["error"]["diagnostics"]] == ["foreign_node"]
            for op in (b'{"op":"status"}\n', b'{"op":"stop"}\n', b'{"op":"evaluate","source":"1"}\n' * 100_000):
                said = as_user(OTHER, lambda op=op: ask(path, op))
                # the node hangs up at once, so what is asked may find nobody any more
                assert "foreign_node" in said or said.startswith(("BrokenPipeError", "ConnectionResetError")), said
            path.parent.chmod(0o700)
            (folder / "home").chmod(0o700)
            assert json.loads(commands.run("status", "anemone", "--json").stdout)["release"]["vsn"] == "1"


def test_a_client_talks_to_no_other_users_node() -> None:
    """Who can make a folder where a user's nodes are looked for could else pretend to be one of them."""
    require_root()
    with open_folder() as folder, socket.socket(socket.AF_UNIX) as impostor:
        (folder / "shop").mkdir(mode=0o777)
        impostor.bind(str(folder / "shop" / "control.sock"))
        (folder / "shop" / "control.sock").chmod(0o777)
        os.setresuid(-1, ANOTHER, 0)
        try:
            impostor.listen()
        finally:
            os.setresuid(-1, 0, 0)

        def look() -> str:
            with connect(folder, "shop") as client:
                return client.name

        assert "[foreign_node]" in as_user(OTHER, look)


def test_what_is_kept_of_a_beam_node_is_for_its_user_alone() -> None:
    require_root()
    with open_folder() as folder:
        home = beam_home(folder / "home", "shop@host")
        home.create()
        home.append({"what": "apply"})
        for file in (home.path, home.path / "history.jsonl", folder / "home" / ".beam"):
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0
        read = as_user(OTHER, (home.path / "history.jsonl").read_text)
        assert read.startswith("PermissionError")


def test_a_home_that_others_could_replace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    commands = Commands(tmp_path / "open" / "home")
    done = commands.run("start", examples() / "anemone" / "1", exit_code=4)
    assert f"{tmp_path}/open can be written by everybody" in done.stderr
    assert "[writable_by_others]" in done.stderr


# ── who could change the code ────────────────────────────────────────────────────────────────────────────────


def _link(root: Path) -> None:
    (root.parent / "elsewhere").mkdir()
    (root / "shop" / "worker.py").rename(root.parent / "elsewhere" / "worker.py")
    (root / "shop" / "worker.py").symlink_to(root.parent / "elsewhere" / "worker.py")
    (root.parent / "elsewhere").chmod(0o777)


def _owned(root: Path) -> None:
    require_root()
    os.chown(root / "shop" / "worker.py", OTHER, 0)


def _grouped(root: Path) -> None:
    require_root()
    os.chown(root / "shop", 0, ANOTHER)
    (root / "shop").chmod(0o775)


CASES: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "nothing": (lambda root: None, None),
    "a module": (lambda root: (root / "shop/worker.py").chmod(0o666), "1/shop/worker.py can be written by everybody"),
    "a package": (lambda root: (root / "shop").chmod(0o777), "1/shop can be written by everybody"),
    "the release file": (
        lambda root: (root / "release.yaml").chmod(0o602),
        "1/release.yaml can be written by everybody",
    ),
    "the folder": (lambda root: root.chmod(0o777), "1 can be written by everybody"),
    "the folder, though sticky": (lambda root: root.chmod(0o1777), "1 can be written by everybody"),
    "the folder above": (lambda root: root.parent.chmod(0o777), " can be written by everybody"),
    "the folder above, where it is sticky": (lambda root: root.parent.chmod(0o1777), None),
    "what a link leads to": (_link, "elsewhere can be written by everybody"),
    "another's module": (_owned, "1/shop/worker.py can be written by its owner, "),
    "a group's package": (_grouped, "1/shop can be written by the group "),
}


@pytest.mark.parametrize("case", CASES)
def test_code_that_others_can_write_is_found(case: str, tmp_path: Path) -> None:
    change, wanted = CASES[case]
    root = release(tmp_path / "releases", "1")
    found = read_release(root)
    change(root)
    said = [d.message for d in check_releases([found], trusted({}))]
    assert len(said) == (wanted is not None), said
    assert wanted is None or wanted in said[0]


def test_a_release_whose_path_is_none_is_refused(tmp_path: Path) -> None:
    found = read_release(release(tmp_path / "releases", "1"))
    assert found.location is not None
    with pytest.raises(Refused, match="embedded null byte"):
        refuse_unsafe([replace(found, root="/tmp/a\0b")])


@pytest.mark.parametrize("trust", [str(OTHER), f"{ANOTHER}, {OTHER} ,"])
def test_whom_the_user_trusts_may_write(trust: str, tmp_path: Path) -> None:
    require_root()
    root = release(tmp_path, "1")
    for path in (root, *root.rglob("*")):
        os.chown(path, OTHER, 0)
    assert len(check_releases([read_release(root)], trusted({}))) == 6
    assert check_releases([read_release(root)], trusted({TRUST: trust})) == []
    os.chown(root / "shop", 0, ANOTHER)
    (root / "shop").chmod(0o775)
    assert check_releases([read_release(root)], trusted({TRUST: f"{OTHER},@{ANOTHER}"})) == []


def test_trust_in_nobody_that_is_there_is_refused() -> None:
    with pytest.raises(Refused, match=r"RELUP_TRUST names nobody-is-called-so, whom .* \[unknown_user\]"):
        trusted({TRUST: "nobody-is-called-so"})


def test_modules_of_a_beam_release_that_others_can_write_are_found(tmp_path: Path) -> None:
    root = build(tmp_path / "otp", shop())
    found = read_release(root)
    assert check_releases([found], trusted({})) == []
    (root / "lib" / "stdlib-5" / "ebin").chmod(0o777)
    (root / "releases" / "1" / "shop.rel").chmod(0o666)
    said = sorted(d.message.removeprefix(f"{root}/") for d in check_releases([found], trusted({})))
    assert said == [
        "lib/stdlib-5/ebin can be written by everybody",
        "releases/1/shop.rel can be written by everybody",
    ]


def test_start_and_apply_refuse_what_others_can_write(commands: Commands, tmp_path: Path) -> None:
    old, new = release(tmp_path, "1"), release(tmp_path, "2")
    (old / "shop").chmod(0o777)
    done = commands.run("start", old, exit_code=4)
    assert f"{old}/shop can be written by everybody (`chmod go-w`" in done.stderr
    (old / "shop").chmod(0o755)
    (new / "shop" / "worker.py").chmod(0o666)
    with commands.node(old):
        for more in (("--yes",), ("--dry-run",)):
            assert "[writable_by_others]" in commands.run("apply", "shop", new, *more, exit_code=4).stderr
        (new / "shop" / "worker.py").chmod(0o644)
        commands.run("plan", old, new, "-o", tmp_path / "plan.yaml")
        (tmp_path / "plan.yaml").chmod(0o666)
        assert (
            "plan.yaml can be written by everybody"
            in commands.run("apply", "shop", tmp_path / "plan.yaml", exit_code=4).stderr
        )
        (tmp_path / "plan.yaml").chmod(0o644)
        commands.run("apply", "shop", tmp_path / "plan.yaml")
    assert check_file(tmp_path / "plan.yaml", trusted({})) == []


# ── what others could read ───────────────────────────────────────────────────────────────────────────────────


def test_nothing_that_relup_writes_is_for_others_whatever_the_umask(tmp_path: Path) -> None:
    """A whole session of wheels: unpacked, planned, applied, confirmed, gone back; under a umask that hides nothing."""
    wheels = []
    for vsn in ("1", "2"):
        files = {"shop/__init__.py": "", "shop/app.py": supervised(1), "shop/worker.py": WORKER.format(number=vsn)}
        wheels.append(write_wheel(tmp_path / vsn, "shop", vsn, files, start="shop.app:App"))
        (tmp_path / vsn / "shop.appup.yaml").write_text(APPUP if vsn == "2" else APPUP.replace('"2"', '"0"', 1))
    (tmp_path / "1" / "shop.appup.yaml").unlink()
    home, plan = tmp_path / "deep" / "home", tmp_path / "plan.yaml"
    commands = Commands(home)
    before = os.umask(0)
    try:
        with commands.node(tmp_path / "1", "--name", "shop"):
            commands.run("plan", tmp_path / "1", tmp_path / "2", "-o", plan)
            assert stat.S_IMODE(plan.stat().st_mode) == 0o666, "what a user names is the user's"
            plan.chmod(0o600)
            commands.run("apply", "shop", plan)
            commands.run("confirm", "shop")
            commands.run("downgrade", "shop", "1", "--yes")
            commands.run("history", "shop")
            commands.run("stop", "shop")
    finally:
        os.umask(before)
    written = [home.parent, home, *home.rglob("*")]
    assert {"history.jsonl", "releases.json", "RECORD", "worker.py"} <= {p.name for p in written}
    open_ones = {str(p.relative_to(tmp_path)): oct(p.lstat().st_mode) for p in written if p.lstat().st_mode & 0o077}
    assert open_ones == {}
