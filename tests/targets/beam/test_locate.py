"""What a person types leads to a node, by what runs here and by what a release says."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from relup.diagnostics import InvalidInput, Refused, RelupError
from relup.targets.beam.connect import connect
from relup.targets.beam.locate import locate
from relup.targets.beam.running import Running, running_nodes
from relup.targets.beam.where import Where
from tests.support import NodeProcess, require_erl
from tests.targets.beam.nodes import COOKIE, World, code_of, own_host

HOST = own_host()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    require_erl()
    (tmp_path / "user").mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "user"), "RELUP_COOKIE": "from_the_environment"}


def release(root: Path, **files: str) -> Path:
    """Write what a mix release says of itself; `/` in a name is written `__`."""
    texts = {"start_erl.data": "14.0 0.2.0", "0.2.0__shop.rel": "{release, …}.", **files}
    for name, text in texts.items():
        file = root / "releases" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def process(
    name: str, *, root: Path = Path("/otp"), port: int | None = None, cookie: str = "", boot: str = ""
) -> Running:
    return Running(1, name, "." in name, root, port, cookie, boot)


@pytest.mark.parametrize(
    ("text", "running", "node", "port"),
    [
        ("shop@far.example.org", [], "shop@far.example.org", 4369),
        ("shop@far", [process("shop", port=5000)], "shop@far", 4369),
        ("shop", [], f"shop@{HOST}", 4369),
        ("shop", [process("shop", port=5000)], f"shop@{HOST}", 5000),
        (f"shop@{HOST}", [process("shop", port=5000)], f"shop@{HOST}", 5000),
        ("shop", [process("shop@127.0.0.1"), process("shopping")], "shop@127.0.0.1", 4369),
        ("shop@10.0.0.1", [process("shop@10.0.0.2", port=1), process("shop@10.0.0.1", port=2)], "shop@10.0.0.1", 2),
    ],
)
def test_a_name_is_completed_by_what_runs_here(
    text: str, running: Sequence[Running], node: str, port: int, environ: dict[str, str]
) -> None:
    where = locate(text, environ, running)
    assert (where.node, where.epmd_port) == (node, port)
    assert where.domain == ("longnames" if "." in node else "shortnames")


def test_the_port_of_the_environment_chooses_among_nodes_of_one_name(environ: dict[str, str]) -> None:
    running = [process("shop", port=5000), process("shop@127.0.0.1", port=6000)]
    with pytest.raises(InvalidInput) as caught:
        locate("shop", environ, running)
    assert code_of(caught.value) == "ambiguous_node"
    where = locate("shop", {**environ, "ERL_EPMD_PORT": "6000"}, running)
    assert (where.node, where.epmd_port, where.erts.environ["ERL_EPMD_PORT"]) == ("shop@127.0.0.1", 6000, "6000")


@pytest.mark.parametrize(
    ("files", "node"),
    [
        ({}, f"shop@{HOST}"),
        ({"0.2.0__env.sh": "# export RELEASE_NODE=no\nexport RELEASE_NODE=store@127.0.0.1\n"}, "store@127.0.0.1"),
        ({"0.2.0__env.sh": "export RELEASE_NODE=$(hostname)\n"}, f"shop@{HOST}"),
        ({"0.2.0__vm.args": "## -name no@no.no\n+P 1000\n-name store@10.0.0.1\n"}, "store@10.0.0.1"),
        ({"0.2.0__vm.args": "-sname store\n"}, f"store@{HOST}"),
    ],
)
def test_a_folder_leads_to_the_node_that_its_release_names(
    files: dict[str, str], node: str, environ: dict[str, str], tmp_path: Path
) -> None:
    root = release(tmp_path / "rel", **files)
    where = locate(str(root), environ, [])
    assert (where.node, where.release) == (node, root)


def test_a_folder_leads_to_the_node_that_runs_from_it(environ: dict[str, str], tmp_path: Path) -> None:
    root = release(tmp_path / "rel")
    for running in (process("a", root=root), process("a", boot=str(root / "releases/0.2.0/start"))):
        where = locate(f"{root}/", environ, [process("b"), running])
        assert (where.node, where.release) == (f"a@{HOST}", root)
        assert locate("a", environ, [running]).release == root


def test_the_cookie_is_that_of_who_says_it_before_who_keeps_it(environ: dict[str, str], tmp_path: Path) -> None:
    root = release(tmp_path / "rel", COOKIE="kept\n", **{"0.2.0__vm.args": "-setcookie 'written'\n"})
    file = tmp_path / "secret"
    file.write_text("in_a_file\nand more\n")
    home = Path(environ["HOME"]) / ".erlang.cookie"
    home.write_text("of_the_user")
    running = process("shop", root=root, cookie="shown")
    folder = str(root)
    assert locate(folder, environ, [running], cookie_file=file).cookie == "in_a_file"
    assert locate(folder, environ, [running]).cookie == "from_the_environment"
    del environ["RELUP_COOKIE"]
    assert locate(folder, {**environ, "RELEASE_COOKIE": "of_releases"}, [running]).cookie == "of_releases"
    assert locate(folder, environ, [running]).cookie == "shown"
    assert locate(folder, environ, []).cookie == "kept"
    (root / "releases" / "COOKIE").unlink()
    assert locate(folder, environ, []).cookie == "written"
    (root / "releases" / "0.2.0" / "vm.args").write_text("-setcookie ${COOKIE}\n")
    where = locate(folder, environ, [])
    assert where.cookie == "of_the_user"
    assert "of_the_user" not in f"{where}{where!r}"
    home.unlink()
    assert locate(folder, environ, []).cookie == ""


def test_the_bridge_is_given_no_cookie_and_no_flags_of_others(environ: dict[str, str]) -> None:
    where = locate("shop", {**environ, "ERL_FLAGS": "-name x@y.z", "RELEASE_COOKIE": "x", "LANG": "C.UTF-8"}, [])
    assert not {"ERL_FLAGS", "RELUP_COOKIE", "RELEASE_COOKIE"} & set(where.erts.environ)
    assert where.erts.environ["LANG"] == "C.UTF-8"


@pytest.mark.parametrize(
    ("text", "change", "error", "code"),
    [
        ("", {}, InvalidInput, "bad_node_name"),
        ("@host", {}, InvalidInput, "bad_node_name"),
        ("a@b@c", {}, InvalidInput, "bad_node_name"),
        ("x" * 200 + "@" + "y" * 200, {}, InvalidInput, "bad_node_name"),
        ("two words", {}, InvalidInput, "bad_node_name"),
        ("./nowhere", {}, InvalidInput, "no_release"),
        (".", {}, InvalidInput, "no_release"),
        ("shop", {"ERL_EPMD_PORT": "http"}, InvalidInput, "bad_epmd_port"),
        ("shop", {"ERL_EPMD_PORT": "65536"}, InvalidInput, "bad_epmd_port"),
        ("shop", {"RELUP_COOKIE": "x" * 256}, InvalidInput, "bad_cookie"),
        ("shop", {"RELUP_COOKIE": "bell\a"}, InvalidInput, "bad_cookie"),
        ("shop", {"PATH": "/nowhere"}, Refused, "no_erl"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_code(
    text: str, change: dict[str, str], error: type[RelupError], code: str, environ: dict[str, str]
) -> None:
    with pytest.raises(error) as caught:
        locate(text, {**environ, **change}, [])
    assert code_of(caught.value) == code


def test_files_and_arguments_that_cannot_be_right_are_refused(environ: dict[str, str], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for file, code in ((tmp_path, "is_a_directory"), (tmp_path / "none", "no_such_file"), (empty, "bad_cookie")):
        with pytest.raises(InvalidInput) as caught:
            locate("shop", environ, [], cookie_file=file)
        assert code_of(caught.value) == code
    for args in (["-setcookie", "x"], ["-proto_dist", "inet_tls", "-name", "x"]):
        with pytest.raises(InvalidInput) as caught:
            locate("shop", environ, [], erl_args=args)
        assert code_of(caught.value) == "bad_erl_args"
    assert locate("shop", environ, [], erl_args=["-erl_epmd_port", "7000"]).epmd_port is None
    tls = locate("shop", environ, [], erl_args=["-proto_dist", "inet_tls", "-ssl_dist_optfile", "tls.conf"])
    assert tls.erl_args == ("-proto_dist", "inet_tls", "-ssl_dist_optfile", str(Path.cwd() / "tls.conf"))


# ── real nodes ─────────────────────────────────────────────────────────────────────────────────────────


def answers(where: Where) -> str:
    async def main() -> str:
        async with connect(where) as bridge:
            return str(await bridge.call("erlang", "node"))

    return asyncio.run(main())


def test_a_running_node_is_found_by_its_name_alone_with_its_epmd(
    nodes: World, short: NodeProcess, long: NodeProcess, environ: dict[str, str]
) -> None:
    del environ["RELUP_COOKIE"]  # the command of a node that was started so shows it
    mine = [n for n in running_nodes() if n.epmd_port == nodes.epmd_port]
    for name, node in (("short", f"short@{HOST}"), ("long", "long@127.0.0.1"), (f"short@{HOST}", f"short@{HOST}")):
        where = locate(name, environ, mine)
        assert (where.cookie, where.epmd_port, where.release) == (COOKIE, nodes.epmd_port, None)
        assert answers(where) == node


def test_a_release_with_its_own_runtime_needs_no_erlang_on_the_path(
    nodes: World, short: NodeProcess, environ: dict[str, str], tmp_path: Path
) -> None:
    otp = next(n.root for n in running_nodes() if n.epmd_port == nodes.epmd_port)
    (runtime,) = otp.glob("erts-*")
    root = release(tmp_path / "rel", **{"start_erl.data": f"{runtime.name.removeprefix('erts-')} 0.2.0"})
    (root / runtime.name).symlink_to(runtime)
    (root / "lib").symlink_to(otp / "lib")
    shutil.copy(otp / "bin" / "start_clean.boot", root / "releases" / "0.2.0" / "start_clean.boot")
    path = {"PATH": "/nowhere", "RELUP_COOKIE": COOKIE, "ERL_EPMD_PORT": str(nodes.epmd_port)}
    where = locate(str(root), {**environ, **path, "RELEASE_NODE": f"short@{HOST}"}, [])
    assert where.erts.command[0] == str(root / runtime.name / "bin" / "erlexec")
    assert answers(where) == f"short@{HOST}"
