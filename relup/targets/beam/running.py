"""The Erlang nodes that run on this machine, as their own command lines tell it.

Every `beam` shows how it was started: its name, the root of its release, the port of its epmd. That is the truth
about a running node, where configuration files say only what was meant. Linux shows it in `/proc`; elsewhere nothing
is found, and what is not found has to be said by whoever asks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

_PROC = Path("/proc")
_BEAM = re.compile(r"beam(\.\w+)*")


@dataclass(frozen=True, slots=True)
class Running:
    """A node that runs here."""

    pid: int
    name: str
    """As it was given, with or without a host."""
    long: bool
    root: Path
    """Of its release, or of the Erlang that it runs on."""
    epmd_port: int | None
    cookie: str = field(repr=False)
    boot: str
    """Its boot file, which lies in the folder of its version; "" when it does not say."""


def running_nodes(proc: Path = _PROC) -> Iterator[Running]:
    """Yield the named nodes that run on this machine, in the order of their process numbers."""
    for pid in sorted(int(entry) for entry in _entries(proc) if entry.isdecimal()):
        with suppress(OSError):  # it has ended, or is not ours to see
            words = (proc / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            if _BEAM.fullmatch(Path(words[0]).name) and (node := _node(pid, words)):
                yield node


def running_names() -> list[str]:
    """Return the names of this user's nodes that run here, each as somebody can type it, sorted."""
    return sorted({node.name for node in running_nodes() if _is_own(node.pid)})


def _is_own(pid: int) -> bool:
    try:
        return (_PROC / str(pid)).stat().st_uid == os.geteuid()
    except OSError:  # it has ended meanwhile
        return False


def _entries(proc: Path) -> list[str]:
    try:
        return [entry.name for entry in proc.iterdir()]
    except OSError:
        return []


def _node(pid: int, words: list[str]) -> Running | None:
    given: dict[str, str] = {}
    for flag, value in pairwise(words):
        given.setdefault(flag, value)
    long = "-name" in given
    name = given.get("-name") or given.get("-sname")
    if name is None or name.startswith("undefined"):
        return None
    port = given.get("-epmd_port", "")
    return Running(
        pid,
        name,
        long,
        Path(given.get("-root", "/")),
        int(port) if port.isdecimal() else None,
        given.get("-setcookie", ""),
        given.get("-boot", ""),
    )
