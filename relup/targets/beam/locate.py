"""From what a person types to a node and the way to it.

    NAME@HOST     that node, here or elsewhere
    NAME          the node of that name on this machine
    a folder      the node that runs the release in it

A node on this machine is found among the processes that run, which say their whole name, the root of their release
and the port of their epmd; what runs elsewhere has to be named in full. Nothing is asked of the node: that is for
`connect`.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.document.text import is_file, read_bytes
from relup.targets.beam.cookies import find_cookie
from relup.targets.beam.erts import find_erts, start_erl
from relup.targets.beam.running import Running
from relup.targets.beam.where import EPMD_PORT, Where

_NAME = re.compile(r"[^@\s/\\]+")
_LONGEST = 255
_HELPERS = ("start_clean", "no_dot_erlang")
_WITHOUT_EPMD = ("-erl_epmd_port", "-epmd_module")
_OWN_FLAGS = (
    "-name",
    "-sname",
    "-setcookie",
    "-remsh",
    "-boot",
    "-s",
    "-run",
    "-eval",
    "-heart",
    "-detached",
    "-daemon",
)
_ARGS_NAME = re.compile(r"^\s*-(s?name)\s+(\S+)", re.MULTILINE)
_ENV_NODE = re.compile(r"^\s*(?:export\s+)?RELEASE_NODE=[\"']?([^\s\"'$`]+)[\"']?\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Found:
    """A node, the process that is it when it runs here, and the folders of its release and of its version."""

    node: str
    running: Running | None = None
    root: Path | None = None
    boot: Path | None = None


def locate(
    text: str,
    environ: Mapping[str, str],
    nodes: Iterable[Running],
    *,
    cookie_file: Path | None = None,
    erl_args: Sequence[str] = (),
) -> Where:
    """Return where the node is that *text* names, among *nodes*, those that run on this machine (`running_nodes`).

    Raises `InvalidInput` for a name, a folder, a cookie or arguments that cannot be right, `Refused` without an Erlang.
    """
    _check(erl_args)
    asked = _port_asked(environ)
    found = _in_folder(text, environ, nodes) if "/" in text or text in (".", "..") else _by_name(text, nodes, asked)
    running = found.running
    port = asked or (running.epmd_port if running else None) or EPMD_PORT
    cookie = find_cookie(cookie_file, environ, running, found.boot, found.root)
    erts = find_erts(found.root or (running.root if running else None), environ, port)
    epmd = None if any(arg in _WITHOUT_EPMD for arg in erl_args) else port
    return Where(found.node, cookie, erts, epmd, _absolute(erl_args), found.root)


def _check(erl_args: Sequence[str]) -> None:
    for arg in erl_args:
        if arg in _OWN_FLAGS:
            message = f"{arg} is not for the bridge: it has no name, no cookie of its own, and starts nothing else"
            raise InvalidInput(
                [Diagnostic("bad_erl_args", message, hint="--erl-args is for TLS distribution and the like")]
            )


def _absolute(erl_args: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments with the path of the TLS options made absolute: Erlang reads no other, and says no more."""
    before = ("", *erl_args)
    named = zip(before, erl_args, strict=False)
    return tuple(os.path.abspath(arg) if flag == "-ssl_dist_optfile" else arg for flag, arg in named)  # noqa: PTH100


def _port_asked(environ: Mapping[str, str]) -> int | None:
    value = environ.get("ERL_EPMD_PORT", "")
    if not value:
        return None
    if not value.isdecimal() or not 0 < int(value) < 2**16:
        raise InvalidInput([Diagnostic("bad_epmd_port", f"ERL_EPMD_PORT is {value!r}, which is no port")])
    return int(value)


# ── by name ────────────────────────────────────────────────────────────────────────────────────────────


def _by_name(text: str, nodes: Iterable[Running], port: int | None) -> _Found:
    name, at, host = text.partition("@")
    if not _NAME.fullmatch(name) or (at and not _NAME.fullmatch(host)) or len(text) > _LONGEST:
        message = f"{text!r} is no name of a node"
        raise InvalidInput([Diagnostic("bad_node_name", message, hint="NAME@HOST, NAME, or FOLDER/ of a release")])
    here = [n for n in nodes if port is None or (n.epmd_port or EPMD_PORT) == port]
    matching = [n for n in here if (full_name(n) == text if at else n.name.partition("@")[0] == name)]
    if len(matching) > 1:
        raise _several(text, matching)
    if not matching:
        return _Found(text if at else f"{name}@{_short_host()}")
    return _of_process(matching[0])


def _of_process(running: Running) -> _Found:
    """Return a node that runs here; the release may lie elsewhere than its Erlang, then its boot file leads to it."""
    boot = Path(running.boot).parent if running.boot else None
    root = next((f for f in (running.root, *(boot.parents if boot else ())) if _is_release(f)), None)
    return _Found(full_name(running), running, root, boot)


def full_name(running: Running) -> str:
    """Return the name of a node with its host, as it knows itself."""
    if "@" in running.name:
        return running.name
    return f"{running.name}@{socket.getfqdn() if running.long else _short_host()}"


def _short_host() -> str:
    return socket.gethostname().partition(".")[0]


def _several(text: str, found: Sequence[Running]) -> InvalidInput:
    names = ", ".join(f"{full_name(n)} (process {n.pid})" for n in found)
    hint = "say the whole name; ERL_EPMD_PORT tells nodes of the same name apart"
    return InvalidInput([Diagnostic("ambiguous_node", f"several nodes here answer to {text}: {names}", hint=hint)])


# ── by folder ──────────────────────────────────────────────────────────────────────────────────────────


def _in_folder(text: str, environ: Mapping[str, str], nodes: Iterable[Running]) -> _Found:
    root = Path(text).resolve()
    if not _is_release(root):
        message = f"{text} is no folder of a BEAM release, with a releases/start_erl.data or a .rel file of its own"
        raise InvalidInput([Diagnostic("no_release", message)])
    of_it = [n for n in nodes if _belongs(n, root)]
    if len(of_it) > 1:
        raise _several(text, of_it)
    if of_it:
        return _Found(full_name(of_it[0]), of_it[0], root, _version_folder(root))
    return _Found(_configured(root, environ), None, root, _version_folder(root))


def _is_release(folder: Path) -> bool:
    """Say whether a folder is a release; an installed OTP looks like one, and says which OTP it is."""
    releases = folder / "releases"
    return (is_file(releases / "start_erl.data") or bool(_rels(folder))) and not any(releases.glob("*/OTP_VERSION"))


def _belongs(running: Running, root: Path) -> bool:
    booted = Path(running.boot).resolve().parents if running.boot else ()
    return root in (running.root.resolve(), *booted)


def _version_folder(root: Path) -> Path | None:
    vsn = start_erl(root)[1]
    if vsn:
        return root / "releases" / vsn
    rels = _rels(root)
    return rels[0].parent if len(rels) == 1 else None


def _rels(root: Path) -> list[Path]:
    return sorted(f for f in root.glob("releases/*/*.rel") if f.stem not in _HELPERS)


def _configured(root: Path, environ: Mapping[str, str]) -> str:
    """Return how a node of this release would be called: as its files say, else after the release."""
    boot = _version_folder(root)
    said = environ.get("RELEASE_NODE")
    if boot is not None:
        said = said or _said(boot / "env.sh", _ENV_NODE, 1) or _said(boot / "vm.args", _ARGS_NAME, 2)
    names = {f.stem for f in _rels(root)}
    name = said or (names.pop() if len(names) == 1 else None)
    if name is None or "$" in name:
        message = f"the node of the release in {root} does not run here, and its files do not say its name"
        raise Refused([Diagnostic("no_such_node", message, hint="name it: NAME@HOST")])
    return name if "@" in name else f"{name}@{_short_host()}"


def _said(file: Path, pattern: re.Pattern[str], group: int) -> str | None:
    if not is_file(file):
        return None
    found = pattern.search(read_bytes(file).decode("utf-8", "replace"))
    return found[group] if found else None
