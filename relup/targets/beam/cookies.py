"""The cookie of a node, which is a password: looked for where Erlang and its release tools keep it, shown to nobody.

No text that relup writes has it, and no message says what a file held. Who says it wins over who merely keeps it: a
file that is named, the environment, the release, `vm.args`, and last the one file that all nodes of a user share by
default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from relup.diagnostics import Diagnostic, InvalidInput, Location
from relup.document.text import is_file, read_bytes
from relup.targets.beam.running import Running

_VARIABLES = ("RELUP_COOKIE", "RELEASE_COOKIE")
_LONGEST = 255
_LARGEST_FILE = 2**16
_SET = re.compile(r"^\s*-setcookie\s+(\S+)", re.MULTILINE)


def find_cookie(
    file: Path | None, environ: Mapping[str, str], running: Running | None, boot: Path | None, root: Path | None
) -> str:
    """Return the cookie, "" when there is none; *boot* is the folder of the version, *root* that of the release.

    Raises `InvalidInput` when the one that is said cannot be one.
    """
    for cookie, place in _candidates(file, environ, running, boot, root):
        if cookie:
            return _valid(cookie, place)
    return ""


def no_cookie() -> Diagnostic:
    """Say that no cookie was found; to be said of a node that is there."""
    message = "there is no cookie to show to the node"
    return Diagnostic("no_cookie", message, hint="--cookie-file FILE or RELUP_COOKIE say it")


def _candidates(
    file: Path | None, environ: Mapping[str, str], running: Running | None, boot: Path | None, root: Path | None
) -> Iterator[tuple[str, str]]:
    if file is not None:
        yield _first_line(file) or "", str(file)
        place = Location(str(file), 1, 1)
        raise InvalidInput([Diagnostic("bad_cookie", "this file holds no cookie: its first line is empty", place)])
    yield from ((environ.get(name, ""), name) for name in _VARIABLES)
    if running is not None and running.cookie:
        yield running.cookie, f"the command of process {running.pid}"
    if root is not None:
        yield _if_there(root / "releases" / "COOKIE"), str(root / "releases" / "COOKIE")
    if boot is not None and is_file(boot / "vm.args"):
        found = _SET.search(read_bytes(boot / "vm.args", _LARGEST_FILE).decode("utf-8", "replace"))
        yield _bare(found[1]) if found else "", str(boot / "vm.args")
    home = environ.get("HOME")
    if home:
        shared = Path(home) / ".erlang.cookie"
        yield _if_there(shared), str(shared)


def _if_there(file: Path) -> str:
    return _first_line(file) if is_file(file) else ""


def _first_line(file: Path) -> str:
    """Return the first line of a file, as Erlang reads its own: what ends the line is no part of the cookie."""
    text = read_bytes(file, _LARGEST_FILE).decode("utf-8", "replace")
    return text.splitlines()[0].strip() if text else ""


def _bare(word: str) -> str:
    """Return a word of a `vm.args` without its quotation marks; "" when a variable is to be put in."""
    bare = word.strip("'\"")
    return "" if "$" in bare else bare


def _valid(cookie: str, place: str) -> str:
    if len(cookie) > _LONGEST or not cookie.isprintable():
        message = f"what {place} holds can be no cookie: a cookie has up to {_LONGEST} characters, all printable"
        raise InvalidInput([Diagnostic("bad_cookie", message)])
    return cookie
