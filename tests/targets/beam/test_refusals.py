"""Why a node was not reached is said in one line with a code of its own, and nothing is left behind."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from relup.diagnostics import Refused
from relup.targets.beam.connect import connect
from relup.targets.beam.where import Erts, Where
from tests.support import NodeProcess, lacking
from tests.targets.beam.nodes import COOKIE, World, children, code_of, free_port, own_host


def refusal(where: Where, timeout: float = 10.0) -> Refused:
    """Return what a connection is refused with; no process is left of it, and no file in its home."""

    async def main() -> None:
        async with connect(where, timeout=timeout):
            raise AssertionError("it was not refused")

    before = children()
    with pytest.raises(Refused) as caught:
        asyncio.run(main())
    assert children() <= before
    assert list(Path(where.erts.environ["HOME"]).iterdir()) == []
    assert where.cookie not in str(caught.value)
    return caught.value


@pytest.mark.usefixtures("short", "long")
def test_each_reason_has_a_code_of_its_own(nodes: World) -> None:
    host = own_host()
    for where, code, words in [
        (nodes.where(f"short@{host}", "not_this_one"), "wrong_cookie", f"short@{host} does not accept the cookie"),
        (nodes.where(f"nobody@{host}"), "no_such_node", "long, short"),
        (nodes.where(f"long@{host}"), "other_node_name", "is called long@127.0.0.1"),
        (nodes.where("short@127.0.0.1"), "other_node_name", f"is called short@{host}"),
        (nodes.where("short@no-such-host.invalid"), "unknown_host", "no-such-host.invalid"),
        (nodes.where("short@two..dots"), "unknown_host", "two..dots"),
        (nodes.where(f"short@{'x' * 100}"), "unknown_host", "xxx"),
        (replace(nodes.where(f"short@{host}"), epmd_port=free_port()), "no_epmd", "nothing answers"),
    ]:
        error = refusal(where)
        assert code_of(error) == code, error
        assert words in str(error)


def test_a_host_that_is_silent_is_given_up_in_time(nodes: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = replace(nodes.where("short@127.0.0.1"), epmd_port=silent.getsockname()[1])
        assert code_of(refusal(where, timeout=0.1)) == "unreachable_host"


@pytest.mark.usefixtures("short")
def test_what_is_no_epmd_is_told_from_one_without_the_node(nodes: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = replace(nodes.where("short@127.0.0.1"), epmd_port=other.getsockname()[1])

        async def answer() -> Refused:
            asked = asyncio.to_thread(refusal, where)
            task = asyncio.ensure_future(asked)
            connection, _ = await asyncio.to_thread(other.accept)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.close()
            return await task

        error = asyncio.run(answer())
        assert code_of(error) == "no_epmd"
        assert "is no epmd" in str(error)


@contextmanager
def registered(nodes: World, name: str, port: int) -> Iterator[None]:
    """Register a name at epmd, as a node does, for the length of the block; nothing need be at its port."""
    with socket.create_connection(("127.0.0.1", nodes.epmd_port)) as epmd:
        data = port.to_bytes(2) + b"\x4d\0\0\x06\0\x05" + len(name).to_bytes(2) + name.encode() + b"\0\0"
        epmd.sendall((len(data) + 1).to_bytes(2) + b"x" + data)
        assert epmd.recv(16)[1] == 0
        yield


def test_a_node_behind_a_firewall_is_told_from_a_host_behind_one(nodes: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, registered(nodes, "walled", silent.getsockname()[1]):
        error = refusal(nodes.where("walled@127.0.0.1"), timeout=3.0)
        assert code_of(error) == "unreachable_node"
    with registered(nodes, "closed", free_port()):
        error = refusal(nodes.where("closed@127.0.0.1"))
        assert code_of(error) == "unreachable_node"
        assert "does not accept connections" in str(error)


def erts(tmp_path: Path, text: str, nodes: World) -> Where:
    program = tmp_path / "erl"
    program.write_text(text)
    program.chmod(0o755)
    return replace(nodes.where(f"short@{own_host()}"), erts=Erts((str(program),), nodes.environ))


@pytest.mark.usefixtures("short")
def test_an_erlang_that_does_not_start_says_why_and_not_without_end(nodes: World, tmp_path: Path) -> None:
    for text, code, words in [
        ("#!/bin/sh\nyes 'no libtinfo here' | head -n 5000\nexit 3\n", "bridge_ended", "exit code 3: "),
        ("#!/bin/sh\nkill -9 $$\n", "bridge_ended", "signal 9"),
        ("#!/no/such/shell\n", "no_erl", "cannot be started"),
        ("\x7fELF of another machine", "no_erl", "cannot be started"),
    ]:
        error = refusal(erts(tmp_path, text, nodes))
        assert code_of(error) == code, error
        assert words in str(error)
        assert len(str(error)) < 600


@pytest.mark.usefixtures("short")
def test_an_erlang_that_is_not_up_in_time_is_ended(nodes: World, tmp_path: Path) -> None:
    assert code_of(refusal(erts(tmp_path, "#!/bin/sh\nexec cat >/dev/null\n", nodes), timeout=0.3)) == "bridge_too_slow"


# ── TLS ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, nodes: World) -> tuple[str, ...]:
    """The arguments of TLS distribution with a certificate made for it."""
    known = subprocess.run(
        ("erl", "-noinput", "-eval", 'io:format("~p", [code:which(ssl)]), halt().'), capture_output=True, check=True
    )
    if known.stdout == b"non_existing" or shutil.which("openssl") is None:
        lacking("no TLS in this Erlang, or nothing to make certificates with: apt install erlang-ssl openssl")
    folder = tmp_path_factory.mktemp("tls")
    subject = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=node")
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    subprocess.run(("openssl", "req", *subject, *files), capture_output=True, check=True)
    options = f'{{certfile,"{folder}/cert.pem"}},{{keyfile,"{folder}/key.pem"}},{{verify,verify_none}}'
    (folder / "dist.conf").write_text(f"[{{server,[{options}]}},{{client,[{options}]}}].")
    return ("-proto_dist", "inet_tls", "-ssl_dist_optfile", str(folder / "dist.conf"))


def test_a_node_that_speaks_tls_is_reached_with_its_arguments_and_not_without(
    nodes: World, tls: tuple[str, ...]
) -> None:
    with nodes.node("-sname", "sealed", args=tls):
        where = nodes.where(f"sealed@{own_host()}", erl_args=tls)

        async def main() -> None:
            async with connect(where) as bridge:
                assert await bridge.call("erlang", "node") == f"sealed@{own_host()}"

        asyncio.run(main())
        error = refusal(nodes.where(f"sealed@{own_host()}"))
        assert code_of(error) == "not_let_in"
        assert "--erl-args '-proto_dist inet_tls" in str(error)


@pytest.mark.usefixtures("short")
def test_arguments_that_the_bridge_cannot_start_with_are_told(nodes: World, tls: tuple[str, ...]) -> None:
    error = refusal(nodes.where(f"short@{own_host()}", erl_args=[*tls[:3], "/no/such/file"]))
    assert code_of(error) == "bridge_ended"
    assert "/no/such/file" in str(error)


def test_a_node_that_speaks_no_tls_is_not_waited_for_without_end(
    nodes: World, short: NodeProcess, tls: tuple[str, ...]
) -> None:
    error = refusal(nodes.where(f"short@{own_host()}", COOKIE, tls), timeout=3.0)
    assert code_of(error) == "unreachable_node"
    assert "--erl-args" in str(error)
