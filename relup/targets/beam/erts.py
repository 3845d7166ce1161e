"""Which Erlang the bridge runs on: the one of the release, else the `erl` of this machine.

A release brings its own runtime, and the machine of a release often has no other. Its `erl` is a script that wants a
shell and its tools, and finds itself by where it lies; `erlexec` beside it is a program, which is told the same by
four variables. A release has no `start.boot` of Erlang's own but `start_clean`, which starts kernel and stdlib and
nothing of the release.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Refused
from relup.document.text import is_file, read_bytes
from relup.targets.beam.where import Erts

_NOT_FOR_THE_BRIDGE = ("ERL_AFLAGS", "ERL_FLAGS", "ERL_ZFLAGS", "RELUP_COOKIE", "RELEASE_COOKIE")
"""Flags for other nodes would name the bridge, or start what it does not need; cookies go by the pipe."""


def find_erts(root: Path | None, environ: Mapping[str, str], epmd_port: int | None) -> Erts:
    """Return the runtime of the release at *root*, or the `erl` on `PATH`. Raises `Refused` when there is none."""
    if root is not None and (own := own_erts(root)):
        extra = {"ROOTDIR": str(root), "BINDIR": str(own), "EMU": "beam", "PROGNAME": "erl"}
        return Erts((str(own / "erlexec"), *_boot(root)), _environment(environ, epmd_port, extra))
    erl = shutil.which("erl", path=environ.get("PATH", os.defpath))
    if erl is None:
        place = f"{root} has no runtime of its own (erts-*/bin/erlexec), and " if root is not None else ""
        message = f"there is no Erlang to talk with the node: {place}there is no `erl` on PATH"
        hint = "install Erlang/OTP 25 or newer, or name the node's release folder"
        raise Refused([Diagnostic("no_erl", message, hint=hint)])
    return Erts((erl,), _environment(environ, epmd_port, {}))


def own_erts(root: Path) -> Path | None:
    """Return the `bin` folder of the runtime that a release has with it: the one it boots with, if it says so."""
    said = start_erl(root)[0]
    found = sorted((f for f in root.glob("erts-*/bin") if is_file(f / "erlexec")), key=_version)
    named = [f for f in found if f.parent.name == f"erts-{said}"]
    return next(reversed(named or found), None)


def start_erl(root: Path) -> tuple[str, str]:
    """Return the versions of the runtime and of the release that `start_erl.data` names; "" when it names none."""
    try:
        words = read_bytes(root / "releases" / "start_erl.data", 4096).decode("utf-8", "replace").split()
    except InvalidInput:
        return "", ""
    return (words[0], words[1]) if len(words) == 2 else ("", "")


def _boot(root: Path) -> tuple[str, ...]:
    """Return the flags that boot nothing but Erlang itself."""
    for file in _boot_files(root):
        if is_file(file):
            return "-boot", str(file.with_suffix("")), "-boot_var", "RELEASE_LIB", str(root / "lib")
    return ()


def _boot_files(root: Path) -> Iterator[Path]:
    vsn = start_erl(root)[1]
    folders = [root / "releases" / vsn] if vsn else []
    folders += [*sorted((f.parent for f in root.glob("releases/*/start_clean.boot")), reverse=True), root / "bin"]
    for folder in folders:
        yield from (folder / "no_dot_erlang.boot", folder / "start_clean.boot")


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.removeprefix("erts-").split(".") if part.isdecimal())


def _environment(environ: Mapping[str, str], epmd_port: int | None, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the bridge: no flags of others, no cookie, and no crash dump."""
    kept = {name: value for name, value in environ.items() if name not in _NOT_FOR_THE_BRIDGE}
    own = {"ERL_CRASH_DUMP_SECONDS": "0", "ERL_CRASH_DUMP": os.devnull}
    port = {"ERL_EPMD_PORT": str(epmd_port)} if epmd_port is not None else {}
    return {"HOME": "/", **kept, **own, **port, **extra}
