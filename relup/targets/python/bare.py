"""A node for a release that holds the libraries of relup itself.

relup reads YAML with PyYAML, checks it with jsonschema and parses its command line with click. A release may bring
versions of its own, and a process has one module of a name. Forgetting those that are loaded would not do: their C
extensions stay and would work for both. So the process begins anew, with nothing in it but what a node needs, which
is the standard library; what has to be read is read by a child, which says what it found and ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from relup.diagnostics import Diagnostic, Refused, RelupError
from relup.document import read_release, release_from_data, release_to_data
from relup.model.release import Release
from relup.targets.python.foreground import run
from relup.targets.python.wire import error_from_data, error_to_data


def become_bare(release: str, name: str | None, *, as_given: bool) -> NoReturn:
    """Begin anew as a node and nothing else, in the same process."""
    sys.stdout.flush()
    sys.stderr.flush()
    argv = _python("main", [release, name, as_given])
    os.execv(argv[0], argv)


def main(release: str, name: str | None, as_given: bool) -> int:
    """Run a release in this process, which has loaded nothing else; return the exit code."""
    try:
        return run(release, name, as_given=as_given, read=read_elsewhere)
    except RelupError as error:
        for diagnostic in error.diagnostics:
            os.write(2, f"{diagnostic}\n".encode("utf-8", "replace"))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def read_elsewhere(path: Path, unpack: Path) -> Release:
    """Return the release that a child process reads at *path*, without the appups; raise what it raises."""
    argv = _python("tell", [str(path), str(unpack)])
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        message = f"{path} could not be read: the process that read it ended with {done.returncode}"
        raise Refused([Diagnostic("unreadable", message)]) from None
    if "error" in said:
        raise error_from_data(said["error"])
    return replace(release_from_data(said["release"]), given=said["given"])


def tell(path: str, unpack: str) -> int:
    """Print what the release at *path* is, as one JSON document."""
    try:
        found = read_release(path, unpack=unpack)
        plain = replace(found, applications=tuple(replace(a, appup=None) for a in found.applications))
        said = {"release": release_to_data(plain), "given": found.given}
    except RelupError as error:
        said = {"error": error_to_data(error)}
    sys.stdout.write(json.dumps(said))
    return 0


def _python(function: str, arguments: list[object]) -> list[str]:
    """Return the command by which this interpreter, with the same path, calls a function of this module."""
    call = (
        f"import json, sys; sys.path[:] = json.loads({json.dumps(sys.path)!r}); from relup.targets.python import bare;"
        f" sys.exit(bare.{function}(*json.loads({json.dumps(arguments)!r})))"
    )
    return [sys.executable, "-c", call]
