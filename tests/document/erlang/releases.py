"""BEAM releases written on the spot, and a real Erlang to ask about them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import require_erl

CORE: Mapping[str, str] = {"kernel": "9", "stdlib": "5"}


def build(root: Path, files: Mapping[str, str]) -> Path:
    """Write text files; return their folder."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def app(
    name: str,
    vsn: str,
    modules: str = "[]",
    needs: str = "[kernel,stdlib]",
    rest: str = "",
) -> str:
    """Return the text of an `.app` file; *rest* is further parameters, each after a comma."""
    told = f'{{description,"{name}"}}, {{vsn,"{vsn}"}}, {{modules,{modules}}}, {{registered,[]}}'
    return f"{{application, {name},\n [{told},\n  {{applications,{needs}}}{rest}]}}.\n"


def rel(*lines: str, name: str = "shop", vsn: str = "1", erts: str = "13") -> str:
    """Return the text of a `.rel` file, one application a line, the first in line 2."""
    return f'{{release, {{"{name}","{vsn}"}}, {{erts,"{erts}"}},\n [' + ",\n  ".join(lines) + "]}.\n"


CORE_LINES = tuple(f'{{{name},"{vsn}"}}' for name, vsn in CORE.items())
CORE_APPS = {
    "lib/kernel-9/ebin/kernel.app": app("kernel", "9", "[application]", "[]"),
    "lib/stdlib-5/ebin/stdlib.app": app("stdlib", "5", "[lists]", "[kernel]"),
}


def shop(*lines: str) -> dict[str, str]:
    """Return the files of a release with kernel, stdlib, and what *lines* list."""
    return CORE_APPS | {"releases/1/shop.rel": rel(*CORE_LINES, *lines)}


def erl(program: str, folder: Path, arguments: Sequence[str] = ()) -> list[str]:
    """Run a program in a real Erlang, in *folder*; return the lines it prints. It must end with `halt().`."""
    require_erl()
    command = ["erl", "-noshell", *arguments, "-eval", program]
    environment = {**os.environ, "ERL_CRASH_DUMP_SECONDS": "0"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
